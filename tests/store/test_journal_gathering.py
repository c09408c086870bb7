"""The journal gathers each kind of operation by itself, so that what nobody waits for costs once for many messages."""

from __future__ import annotations

import pytest

from suture.model.message import Message
from suture.model.outcome import Accepted
from suture.ports import Attempted, Delivery, Operation, Processed, Received, Sending, Settled, Work
from suture.store.hatch import PIECE, TURNS, Hatch


class Later:
    """Timers that fire when the test says so; 0 s is the next turn of the reactor."""

    def __init__(self):
        self.timers = []

    def __call__(self, seconds, run):
        self.timers.append((seconds, run))

    def pass_time(self, seconds):
        due = [timer for timer in self.timers if timer[0] <= seconds]
        self.timers = [(left - seconds, run) for left, run in self.timers if left > seconds]
        for _, run in due:
            run()

    def turns(self, count=TURNS):
        """So many turns of the reactor, in which no time passes."""
        for _ in range(count):
            self.pass_time(0)


class Gathering:
    """A hatch at which no writer waits; `pieces` are what it would have been given."""

    def __init__(self):
        self.later, self.now_s = Later(), 0.0
        self.hatch = Hatch(self.later, lambda e: None)
        self.hatch._now = lambda: self.now_s

    def write(self, *operations):
        for operation in operations:
            self.hatch.write(operation)

    def pieces(self):
        found = []
        while not self.hatch.pieces.empty():
            piece = self.hatch.pieces.get()
            found.append(piece if piece is None else [type(operation) for operation in piece])
        return found


@pytest.fixture
def gathering():
    return Gathering()


def nothing(*_):
    pass


def operation(kind: type) -> Operation:
    message = Message("c", b"MSH", 1)
    delivery = Delivery(1, "c", "d", "lane", b"")
    made: dict[type, Operation] = {
        Received: Received(message, 1, nothing, nothing),
        Processed: Processed(
            message,
            1,
            1,
            (),
            Settled("processed", "", (), (), (), ()),
            nothing,
            (),
            (),
            0,
            nothing,
            nothing,  # type: ignore[arg-type]
        ),
        Attempted: Attempted(delivery, 1, 1, 2, Accepted("200"), "accepted", 0, "", None, nothing),
        Sending: Sending(delivery, 1, nothing, nothing),
        Work: Work("w", nothing, nothing, nothing),
    }
    return made[kind]


def test_received_messages_of_a_few_turns_go_together_and_alone(gathering):
    gathering.write(operation(Processed), operation(Attempted), operation(Received))
    gathering.later.turns(TURNS - 1)
    gathering.write(operation(Received))
    assert gathering.pieces() == []
    gathering.later.turns(1)
    assert gathering.pieces() == [[Received, Received]]


def test_long_turns_are_not_waited_for(gathering):
    gathering.write(operation(Received))
    gathering.later.turns(1)
    gathering.now_s = 0.006
    assert gathering.pieces() == []
    gathering.later.turns(1)
    assert gathering.pieces() == [[Received]]


def test_what_nobody_waits_for_goes_some_milliseconds_later_and_together(gathering):
    gathering.write(operation(Processed), operation(Attempted))
    gathering.later.pass_time(0.001)
    gathering.write(operation(Processed), operation(Attempted))
    gathering.later.pass_time(0.005)
    gathering.later.pass_time(0.003)
    assert gathering.pieces() == [[Processed, Processed]]
    gathering.later.pass_time(0.011)
    gathering.later.pass_time(0.003)
    assert gathering.pieces() == [[Attempted, Attempted]]


def test_what_has_waited_its_time_goes_with_the_next_received_messages(gathering):
    gathering.write(operation(Processed))
    gathering.later.pass_time(0.006)
    assert gathering.pieces() == []
    gathering.write(operation(Received))
    gathering.later.turns()
    assert gathering.pieces() == [[Received, Processed]]
    gathering.later.pass_time(1)
    assert gathering.pieces() == []


def test_what_has_not_waited_its_time_does_not_hold_up_received_messages(gathering):
    gathering.write(operation(Processed))
    gathering.later.pass_time(0.005)
    gathering.write(operation(Received))
    gathering.later.turns()
    assert gathering.pieces() == [[Received]]


@pytest.mark.parametrize("kind", [Work, Sending])
def test_what_has_to_follow_what_was_done_before_takes_it_along(gathering, kind):
    gathering.write(operation(Attempted), operation(Processed), operation(kind))
    gathering.later.turns()
    assert gathering.pieces() == [[Attempted, Processed, kind]]
    gathering.later.pass_time(1)
    assert gathering.pieces() == []


def test_a_timer_of_operations_that_have_gone_does_not_hurry_the_next(gathering):
    gathering.write(operation(Attempted), operation(Work))
    gathering.later.turns()
    gathering.pieces()
    gathering.later.pass_time(0.015)
    gathering.write(operation(Attempted))
    gathering.later.pass_time(0.015)
    assert gathering.pieces() == []
    gathering.later.pass_time(0.006)
    gathering.later.pass_time(0.003)
    assert gathering.pieces() == [[Attempted]]


def test_many_of_a_kind_do_not_wait_for_their_time(gathering):
    gathering.write(*[operation(Attempted) for _ in range(PIECE + 1)])
    assert gathering.pieces() == [[Attempted] * PIECE]


def test_the_end_takes_everything(gathering):
    gathering.write(operation(Attempted), operation(Received))
    gathering.hatch.end()
    assert gathering.pieces() == [[Attempted, Received], None]
    assert gathering.hatch.pending == 2
