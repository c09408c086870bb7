"""Who waits for what a message comes to: told once each, in time, and of the message's own end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock

from suture.conversation.hl7v2 import verdict
from suture.conversation.hl7v2.verdict import Verdict
from suture.model import states
from suture.model.message import Message
from suture.pipeline.waiting import Waiting
from suture.ports import Delivery, Past, Settled, Unrendered

WITHIN_S = 60.0


def in_words(told: Verdict) -> str:
    """The reason that a verdict gives, else its fate."""
    return told.reason or told.fate


class Recalls:
    """A memory of one message."""

    def __init__(self, past: Past | Exception | None = None) -> None:
        self.past = past

    def recall(self, number: int, done: Callable[[Past], None], failed: Callable[[Exception], None]) -> None:
        if isinstance(self.past, Exception):
            failed(self.past)
        elif self.past is not None:
            assert number == self.past.id
            done(self.past)


class Room:
    """Some askers, by name, and what each was told."""

    def __init__(self, when: Any = "after_delivery", past: Past | Exception | None = None) -> None:
        self.clock, self.told = Clock(), list[tuple[str, str]]()
        recalls: Any = Recalls(past)
        self.waiting = Waiting(when, WITHIN_S, self.clock, recalls, verdict, self._tell)

    def _tell(self, asker: Any, told: Verdict) -> None:
        self.told.append((asker, in_words(told)))

    def asks(self, name: str, number: int = 1, state: str = states.RECEIVED, first: int = 0) -> None:
        self.waiting.wait(name, state, Message("c", b"", 0, id=number, duplicate_of=first))


def delivery(number: int, message: int = 1) -> Delivery:
    return Delivery(message, "c", f"d{number}", "", b"", id=number)


def processed(*numbers: int, state: str = states.PROCESSED) -> Settled:
    return Settled(state, "", deliveries=[delivery(number) for number in numbers])


def test_everyone_who_asked_is_told_once_of_what_the_message_came_to() -> None:
    room = Room("after_process")
    room.asks("first")
    room.asks("again")
    assert (room.told, room.waiting.askers) == ([], 2)
    room.waiting.processed(2, processed())
    assert room.told == []
    room.waiting.processed(1, processed(7))
    room.waiting.processed(1, processed(7))
    assert (room.told, room.waiting.askers) == ([("first", "accepted"), ("again", "accepted")], 0)


def test_after_delivery_the_last_of_its_deliveries_is_waited_for() -> None:
    room = Room()
    room.asks("a")
    room.waiting.processed(1, processed(7, 8))
    room.waiting.ended(delivery(7), states.DELIVERED[0])
    room.waiting.ended(delivery(9, message=2), states.DELIVERED[0])
    assert room.told == []
    room.waiting.ended(delivery(8), states.DELIVERED[0])
    assert room.told == [("a", "accepted")]


BAD = {
    states.DEAD: "d8 does not take it",
    states.REFUSED: "d8 does not take it",
    states.HELD: "kept, but its delivery to d8 waits for a person",
}


@pytest.mark.parametrize("bad", BAD)
def test_the_first_bad_end_is_told_at_once_and_only_of_its_own_deliveries(bad: str) -> None:
    room = Room()
    room.asks("a")
    room.waiting.processed(1, processed(7, 8))
    room.waiting.ended(delivery(99), bad)
    assert room.told == []
    room.waiting.ended(delivery(8), bad)
    room.waiting.ended(delivery(7), bad)
    assert room.told == [("a", BAD[bad])]


def test_what_comes_to_nothing_or_waits_for_a_person_is_told_when_it_is_processed() -> None:
    for settled, told in (
        (processed(state=states.PARKED), "error"),
        (processed(7, state=states.PARKED), "error"),
        (processed(), "accepted"),
    ):
        room = Room()
        room.asks("a")
        room.waiting.processed(1, settled)
        assert room.told == [("a", told)]


def test_a_delivery_without_a_payload_is_held_and_that_is_told() -> None:
    room = Room()
    room.asks("a")
    room.waiting.processed(1, Settled(states.PROCESSED, "", unrendered=[Unrendered(delivery(3), "X", "", "no")]))
    assert room.told == [("a", "kept, but its delivery to d3 waits for a person")]


def test_who_waits_too_long_is_told_so_and_the_next_in_its_own_time() -> None:
    room = Room()
    room.asks("a", 1)
    room.clock.advance(WITHIN_S / 2)
    room.asks("b", 2)
    room.clock.advance(WITHIN_S / 2)
    assert [asker for asker, _ in room.told] == ["a"]
    room.clock.advance(WITHIN_S / 2)
    assert room.told == [(name, "kept, and not done within 60 s; it will be done") for name in "ab"]
    assert room.waiting.askers == 0


def test_a_clock_that_is_set_back_keeps_nobody_waiting_for_ever() -> None:
    room = Room()
    room.asks("a")
    room.clock.rightNow -= 3600
    room.clock.advance(3600 + WITHIN_S)
    assert [asker for asker, _ in room.told] == ["a"]


@pytest.mark.parametrize(
    ("past", "told"),
    [
        (Past(1, states.PARKED), "error"),
        (Past(1, states.PROCESSED), "accepted"),
        (Past(1, states.PROCESSED, deliveries=[(7, "d", states.DELIVERED[0])]), "accepted"),
        (Past(1, states.PROCESSED, deliveries=[(7, "d", states.DEAD), (8, "e", states.WAITING[0])]), "d does not take it"),
        (OSError(), "what became of the first such message cannot be read"),
    ],
)
def test_a_repetition_is_told_what_became_of_the_first(past: Past | Exception, told: str) -> None:
    room = Room(past=past)
    room.asks("again", 5, states.DUPLICATE, first=1)
    assert room.told == [("again", told)]


def test_a_repetition_of_what_is_on_its_way_waits_with_it() -> None:
    room = Room(past=Past(1, states.PROCESSED, deliveries=[(7, "d", states.WAITING[0])]))
    room.asks("again", 5, states.DUPLICATE, first=1)
    assert room.told == []
    room.waiting.ended(delivery(7), states.DELIVERED[0])
    assert room.told == [("again", "accepted")]
    room = Room(past=Past(1, states.RECEIVED))
    room.asks("again", 5, states.DUPLICATE, first=1)
    room.waiting.processed(1, processed())
    assert room.told == [("again", "accepted")]


def test_nobody_is_told_anything_after_a_stop() -> None:
    room = Room()
    room.asks("a")
    room.waiting.stop()
    room.clock.advance(2 * WITHIN_S)
    room.waiting.processed(1, processed())
    assert (room.told, room.waiting.askers, room.clock.calls) == ([], 0, [])


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("asks"), st.integers(1, 4)),
        st.tuples(st.just("processed"), st.integers(1, 4)),
        st.tuples(st.just("ended"), st.integers(1, 4)),
        st.tuples(st.just("waits"), st.integers(1, 70)),
    ),
    max_size=40,
)


@given(STEPS, st.sampled_from(["after_process", "after_delivery"]))
def test_whatever_happens_everyone_is_told_exactly_once_in_the_end(steps: list[tuple[str, int]], when: str) -> None:
    room, asked = Room(when), 0
    for what, number in steps:
        if what == "asks":
            room.asks(str(asked), number)
            asked += 1
        elif what == "processed":
            room.waiting.processed(number, Settled(states.PROCESSED, "", deliveries=[delivery(number, number)]))
        elif what == "ended":
            room.waiting.ended(delivery(number, number), states.DELIVERED[0])
        else:
            room.clock.advance(number)
        assert room.waiting.askers == asked - len(room.told)
    room.clock.advance(WITHIN_S)
    assert sorted(int(name) for name, _ in room.told) == list(range(asked))
