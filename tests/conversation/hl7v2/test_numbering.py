"""Sequence numbers on the way out, over a real store: in step with the receiver, across lost answers, crashes and refusals."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import Engine
from twisted.internet.task import Clock

from suture.conversation.hl7v2.numbering import Numbered
from suture.model.outcome import Accepted, Ambiguous, Held, Outcome, Rejected, TryLater, Unavailable
from suture.ports import Delivery
from suture.store.journal import Journal
from suture.store.past import last_sent
from suture.wire.hl7v2.exchange import ack
from suture.wire.hl7v2.exchange.reply import Reply, written
from suture.wire.hl7v2.exchange.sequence import arrival, number_of
from suture.wire.hl7v2.text.header import Header
from tests.doubles import Silent, world
from tests.pipeline.house import BEGIN_S

LOST = Ambiguous("CONNECTION_LOST", "the connection closed before the acknowledgement came")


@dataclass
class Receiver:
    """A peer that follows the protocol. faults: "" for none, or what happens to one message: lost, unanswered, or MSA-1."""

    expected: int | None = None
    faults: list[str] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)
    seen: list[tuple[int | None, int]] = field(default_factory=list)
    """(MSH-13, segments) of each that came."""
    waiting: list[tuple[Delivery, Callable[[Outcome], None]]] = field(default_factory=list)
    before: str = "AA"
    keeps_time: bool = True
    closed: bool = False

    def send(self, delivery: Delivery, done: Callable[[Outcome], None]) -> None:
        self.waiting.append((delivery, done))

    def close(self) -> None:
        self.closed = True

    def work(self) -> None:
        """Answer what has come."""
        while self.waiting:
            delivery, done = self.waiting.pop(0)
            done(self.answer(delivery.body, delivery.control_id))

    def answer(self, body: bytes, control_id: str) -> Outcome:
        header = Header.read(body)
        assert header is not None and header.text(10) == control_id
        sent = number_of(header.get(13))
        self.seen.append((sent, body.count(b"\r")))
        fault = self.faults.pop(0) if self.faults and (sent or 0) > 0 else ""
        if fault == "lost":
            return LOST
        came = arrival(self.expected, sent)
        code = "AA"
        if came.kind == "take" and sent:
            code = self.before = fault if len(fault) == 2 else "AA"
            if code == "AA":
                self.taken.append(control_id)
        elif came.kind == "repeat":
            code = self.before
        elif came.kind == "refuse":
            code = "CE"
        self.expected = came.expected
        if fault == "unanswered":
            return LOST
        reply = written(header, Reply(code, "A", "20261125", expected=came.reply if self.keeps_time else None))
        said = ack.read(reply)
        assert said.control_id == control_id
        return ack.outcome(said)


class Run:
    """One run of the engine, as far as a numbered destination can see it."""

    def __init__(self, database: Engine, receiver: Receiver) -> None:
        self.calls: list[Callable[[], None]] = []
        self.clock, self.receiver, self.notes = Clock(), receiver, []
        self.clock.advance(BEGIN_S)
        self.journal = Journal(database, self.calls.append, Silent(), self._bug, self._bug, retry_s=0.01)
        self.journal.start()
        self.numbered = Numbered(receiver, "c", "d", world(self.journal, self.clock), lambda *note: self.notes.append(note))
        with database.connect() as connection:
            self.numbered.load(last_sent(connection, "c", "d"))

    def _bug(self, error: Any) -> None:
        assert not error, error

    def send(self, *numbers: int) -> list[Outcome]:
        """Send deliveries of these numbers at once; their outcomes."""
        outcomes: list[Outcome] = []
        for number in numbers:
            self.numbered.send(delivery(number), outcomes.append)
        until = threading.Event()
        while len(outcomes) < len(numbers):
            for call in [self.calls.pop(0) for _ in range(len(self.calls))]:
                call()
            self.receiver.work()
            self.clock.advance(0)
            until.wait(0.001)
        return outcomes

    def kinds(self, *numbers: int) -> list[str]:
        """The same, as names."""
        return [type(outcome).__name__ for outcome in self.send(*numbers)]

    def stop(self) -> None:
        self.journal.stop()
        self.journal.join(10)


def delivery(number: int) -> Delivery:
    body = f"MSH|^~\\&|SUTURE|S|PEER|P|20260301||ADT^A01|M{number}|P|2.5.1\rPID|1||7||DOE^JANE\r".encode()
    return Delivery(number, "c", "d", "", body, f"key-{number}", f"M{number}", "application/hl7-v2", id=number)


@pytest.fixture
def start(database: Engine) -> Iterator[Callable[[Receiver], Run]]:
    """Start a run of the engine; the one before ends as in a crash."""
    runs: list[Run] = []

    def started(receiver: Receiver) -> Run:
        for run in runs:
            run.stop()
        runs.append(Run(database, receiver))
        return runs[-1]

    yield started
    for run in runs:
        run.stop()


def test_a_sender_asks_where_the_receiver_stands_and_then_counts(start):
    receiver = Receiver()
    run = start(receiver)
    assert run.kinds(1, 2) == ["Accepted", "Accepted"]
    assert receiver.seen == [(0, 1), (1, 2), (2, 2)]
    assert run.kinds(3) == ["Accepted"]
    assert receiver.taken == ["M1", "M2", "M3"]


def test_the_stored_payload_is_not_changed(start):
    one = delivery(1)
    before = one.body
    run = start(Receiver())
    run.numbered.send(one, lambda outcome: None)
    run.send(2)
    assert one.body == before


def test_a_new_sender_goes_on_with_the_number_that_the_receiver_expects(start):
    receiver = Receiver(expected=41)
    assert start(receiver).kinds(1) == ["Accepted"]
    assert receiver.expected == 42


@pytest.mark.parametrize("fault", ["lost", "unanswered"])
@pytest.mark.parametrize("crash", [False, True])
def test_a_message_without_an_answer_goes_again_under_its_number_and_is_taken_once(start, fault, crash):
    receiver = Receiver(faults=["", fault])
    run = start(receiver)
    assert run.kinds(1, 2) == ["Accepted", "Ambiguous"]
    if crash:
        run = start(receiver)
    assert run.kinds(2, 3) == ["Accepted", "Accepted"]
    assert receiver.taken == ["M1", "M2", "M3"]
    assert [number for number, _ in receiver.seen if number] == [1, 2, 2, 3]


@pytest.mark.parametrize(("fault", "number"), [("lost", 2), ("unanswered", 3)])
@pytest.mark.parametrize("crash", [False, True])
def test_when_another_message_comes_instead_the_receiver_is_asked(start, fault, number, crash):
    receiver = Receiver(faults=["", fault])
    run = start(receiver)
    run.send(1, 2)
    if crash:
        run = start(receiver)
    assert run.kinds(7) == ["Accepted"]
    assert receiver.seen[-2:] == [(0, 1), (number, 2)]
    assert receiver.taken[-1] == "M7"


def test_after_a_restart_it_goes_on_with_the_next_number(start):
    receiver = Receiver()
    start(receiver).send(1, 2, 3)
    assert start(receiver).kinds(4) == ["Accepted"]
    assert receiver.seen[-2:] == [(0, 1), (4, 2)]


@pytest.mark.parametrize(("code", "kind"), [("AE", Rejected), ("AR", TryLater)])
def test_a_refusal_is_the_message_s_own_and_the_count_goes_on(start, code, kind):
    receiver = Receiver(faults=["", code])
    run = start(receiver)
    assert isinstance(run.send(1, 2)[1], kind)
    assert run.kinds(3) == ["Accepted"]
    assert receiver.taken == ["M1", "M3"]


def test_a_message_that_is_to_be_tried_later_goes_under_a_new_number_when_it_was_counted(start):
    receiver = Receiver(faults=["AR"])
    run = start(receiver)
    assert run.kinds(1) == ["TryLater"]
    assert run.kinds(1) == ["Accepted"]
    assert [number for number, _ in receiver.seen] == [0, 1, 0, 2]


def test_a_refusal_that_was_lost_is_held_for_a_person_when_the_repetition_hears_it(start):
    receiver = Receiver(faults=["AE"])
    run = start(receiver)
    answer, receiver.answer = receiver.answer, lambda body, control_id: (answer(body, control_id), LOST)[1]
    assert run.kinds(1) == ["Unavailable"]  # the start was not answered
    receiver.answer = lambda body, control_id: (
        LOST if Header.read(body).get(13) == b"1" and answer(body, control_id) else answer(body, control_id)
    )
    assert run.kinds(1) == ["Ambiguous"]
    receiver.answer = answer
    (outcome,) = run.send(1)
    assert isinstance(outcome, Held)
    assert "had it before" in outcome.reason


def test_a_repetition_that_is_refused_for_its_number_was_taken(start):
    receiver = Receiver(faults=["unanswered"])
    run = start(receiver)
    run.send(1)
    receiver.before = "CE"
    assert run.kinds(1, 2) == ["Accepted", "Accepted"]
    assert receiver.taken == ["M1", "M2"]


@pytest.mark.parametrize("expected", [2, 9])
def test_where_messages_are_missing_nothing_is_sent_and_the_reason_says_what_to_do(start, expected):
    receiver = Receiver()
    start(receiver).send(1, 2, 3)
    receiver.expected = expected
    run = start(receiver)
    for _ in range(2):
        (outcome,) = run.send(4)
        assert isinstance(outcome, Unavailable)
        assert f"expects sequence number {expected}" in outcome.reason
        assert "suture channel resync c d" in outcome.reason
    assert receiver.taken == ["M1", "M2", "M3"]
    receiver.expected = 4  # somebody has put it right over there
    assert run.kinds(4) == ["Accepted"]


def test_a_person_lets_it_go_on(start):
    receiver = Receiver()
    start(receiver).send(1, 2, 3)
    receiver.expected = 9
    run = start(receiver)
    assert run.kinds(4) == ["Unavailable"]
    run.numbered.resync()
    assert run.kinds(4, 5) == ["Accepted", "Accepted"]
    assert receiver.seen[-3:] == [(-1, 1), (4, 2), (5, 2)]
    assert run.notes == [("SEQUENCE_RESYNC", "the peer was told to take any sequence number")]


def test_a_receiver_that_is_set_back_in_between_is_noticed(start):
    receiver = Receiver()
    run = start(receiver)
    run.send(1, 2, 3)
    receiver.expected = 2
    assert run.kinds(4) == ["Unavailable"]
    (outcome,) = run.send(4)
    assert "expects sequence number 2, and 4 is next here" in outcome.reason
    assert receiver.taken == ["M1", "M2", "M3"]


def test_a_peer_that_gives_no_numbers_is_sent_to_all_the_same(start):
    receiver = Receiver(keeps_time=False)
    assert start(receiver).kinds(1, 2) == ["Accepted", "Accepted"]


def test_a_peer_that_refuses_the_start_takes_nothing(start):
    receiver = Receiver()
    receiver.answer = lambda body, control_id: Rejected("AE", "the peer answered AE", b"MSH|^~\\&|\rMSA|AE|x\r")
    (outcome,) = start(receiver).send(1)
    assert isinstance(outcome, Unavailable)
    assert "refuses to say" in outcome.reason


@pytest.mark.parametrize("number", [b"x", b"-7"])
def test_a_peer_whose_numbers_are_none_takes_nothing(start, number):
    receiver = Receiver()
    receiver.answer = lambda body, control_id: Accepted("AA", b"MSH|^~\\&|\rMSA|AA|x||" + number + b"\r")
    (outcome,) = start(receiver).send(1)
    assert isinstance(outcome, Unavailable)
    assert "is none" in outcome.reason


def test_a_payload_that_is_not_hl7_is_the_payload_s_fault(start):
    run = start(Receiver())
    outcomes: list[Outcome] = []
    run.numbered.send(Delivery(1, "c", "d", "", b"{}", id=1), outcomes.append)
    assert outcomes == []
    run.clock.advance(0)
    assert [type(outcome) for outcome in outcomes] == [Rejected]
    assert run.kinds(2) == ["Accepted"]


def test_the_number_is_durable_before_the_message_leaves_the_house(start, database):
    receiver = Receiver()
    run = start(receiver)
    stored = []

    def work() -> None:
        while receiver.waiting:
            with database.connect() as connection:
                stored.append(last_sent(connection, "c", "d"))
            one, done = receiver.waiting.pop(0)
            done(receiver.answer(one.body, one.control_id))

    receiver.work = work
    run.send(11, 12)
    assert stored == [None, (1, 11), (2, 12)]
