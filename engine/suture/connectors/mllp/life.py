"""The life of a sender's connection as a table: the states it can be in, what can happen to it, and what is done then."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum


class State(Enum):
    """What a connection is there for."""

    OPEN = "it is read and answered"
    DEAF = "its sender says no more, and still waits for answers"
    OVER = "its sender says what has no end and is not read on, and still waits for answers"
    SPENT = "as OVER, and its sender says no more"
    ENDING = "we want no more of it, and see to it that it ends"
    PARTED = "as ENDING, and its sender says no more"
    GONE = "it is lost"


class Event(Enum):
    """What can happen to a connection."""

    SAID = "its sender has said something"
    ENDLESS = "what it said has no end that could be waited for, and is refused"
    SAID_ALL = "its sender has closed its side"
    ANSWERED = "everything that was said is answered"
    REFUSED = "it may not come in, or its time is over"
    STOPPED = "we want no more of it"
    LOST = "there is no connection any more"


class Act(Enum):
    """What is done."""

    READ = "cut what was said into messages, and hand them on"
    TAKE_REST = "take what has come without its end, if it is whole"
    RELEASE = "let go of the timer, and of being told how quickly answers are taken"
    LISTEN = "read on, to see the sender's goodbye; what else it says is not taken"
    HANG_UP = "close, when what was answered is on its way"
    HANG_UP_SLOWLY = "the same to a sender that is still talking"
    GOODBYE = "answer the sender's goodbye"
    CUT = "close at once"


Cell = tuple[State, tuple[Act, ...]]
OPEN, DEAF, OVER, SPENT, ENDING, PARTED, GONE = State
READ, REST, BYE, CUT = ((act,) for act in (Act.READ, Act.TAKE_REST, Act.GOODBYE, Act.CUT))
PART, PART_SLOWLY = (Act.RELEASE, Act.HANG_UP), (Act.RELEASE, Act.HANG_UP_SLOWLY)
END, END_SLOWLY = (Act.RELEASE, Act.LISTEN, Act.HANG_UP), (Act.RELEASE, Act.LISTEN, Act.HANG_UP_SLOWLY)


def _row(*cells: Cell) -> Mapping[Event, Cell]:
    """A state's answer to each event."""
    return dict(zip(Event, cells, strict=True))


# fmt: off
TABLE: Mapping[State, Mapping[Event, Cell]] = {
    #            SAID          ENDLESS       SAID_ALL       ANSWERED                REFUSED        STOPPED                LOST
    OPEN:   _row((OPEN, READ), (OVER, ()),   (DEAF, REST),  (OPEN, ()),             (ENDING, CUT), (ENDING, END),         (GONE, REST)),
    DEAF:   _row((DEAF, ()),   (SPENT, ()),  (DEAF, ()),    (PARTED, PART),         (PARTED, CUT), (PARTED, PART),        (GONE, ())),
    OVER:   _row((OVER, ()),   (OVER, ()),   (SPENT, REST), (ENDING, END_SLOWLY),   (ENDING, CUT), (ENDING, END_SLOWLY),  (GONE, REST)),
    SPENT:  _row((SPENT, ()),  (SPENT, ()),  (SPENT, ()),   (PARTED, PART_SLOWLY),  (PARTED, CUT), (PARTED, PART_SLOWLY), (GONE, ())),
    ENDING: _row((ENDING, ()), (ENDING, ()), (PARTED, BYE), (ENDING, ()),           (ENDING, CUT), (ENDING, ()),          (GONE, ())),
    PARTED: _row((PARTED, ()), (PARTED, ()), (PARTED, BYE), (PARTED, ()),           (PARTED, CUT), (PARTED, ()),          (GONE, ())),
    GONE:   _row((GONE, ()),   (GONE, ()),   (GONE, ()),    (GONE, ()),             (GONE, ()),    (GONE, ()),            (GONE, ())),
}
# fmt: on
"""By state and event: the state it is in then, and what is done in it."""
HEARD = frozenset({DEAF, SPENT, PARTED})
"""The sender has closed its side: there is nothing to read."""
UNWANTED = frozenset({ENDING, PARTED})
"""We want no more of it."""
