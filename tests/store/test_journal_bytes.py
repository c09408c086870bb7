"""What the journal holds, in bytes: counted to the last one, committed in groups of some megabytes, told in parts."""

from __future__ import annotations

import contextlib
import gc
import queue
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine, text

from suture.model.message import Message
from suture.ports import Delivery, Processed, Received, Settled, Work
from suture.store import rows
from suture.store.hatch import A_TURN, GROUP_BYTES
from suture.store.journal import Journal
from tests import contents
from tests.doubles import Listening

MB = 1_000_000


class Desk:
    """A journal whose callbacks and timers a test runs by hand; it begins to write when it is told to."""

    def __init__(self, engine: Engine) -> None:
        self.calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self.later: list[Callable[[], None]] = []
        self.seen, self.bugs = Listening(), list[Exception]()
        self.journal = Journal(engine, self.calls.put, self.seen, lambda t: None, self.bugs.append, self._later, retry_s=0.01)

    def _later(self, seconds: float, call: Callable[[], None]) -> None:
        self.later.append(call)

    def timers(self) -> None:
        now, self.later[:] = list(self.later), []
        for call in now:
            call()

    def settle(self) -> None:
        while self.journal.pending():
            self.timers()
            with contextlib.suppress(queue.Empty):
                self.calls.get(timeout=0.01)()

    def stop(self) -> None:
        self.journal.stop()
        self.journal.join(30)
        assert not self.journal.is_alive()


@pytest.fixture
def desk(engine_db: Engine) -> Any:
    desk = Desk(engine_db)
    yield desk
    desk.stop()


def received(number: int, size_bytes: int, told: list[Any]) -> Received:
    return Received(Message("c", b"x" * size_bytes, 1, f"M{number}"), 0, lambda state, m: told.append(m.id), told.append)


def processed(message: Message, bodies: list[bytes], told: list[Any], destination: str | None = "d") -> Processed:
    """destination None breaks the rule of its column."""
    key = f"k{message.control_id}"
    deliveries = [Delivery(message.id, "c", destination, "", body, f"{key}{n}") for n, body in enumerate(bodies)]  # type: ignore[arg-type]
    settled = Settled("processed", "", (), (), deliveries, ())
    return Processed(message, 2, 0, (), settled, lambda c, s: settled, (), (), 0, told.append, told.append)


def test_every_byte_is_counted_until_it_is_told_whatever_becomes_of_it(desk: Desk, engine_db: Engine) -> None:
    journal, told = desk.journal, list[Any]()
    messages = []
    for number in range(3):
        operation = received(number, 1000, told)
        messages.append(operation.message)
        journal.write(operation)
    assert journal.held.bytes == 3000
    journal.start()
    desk.settle()
    assert journal.held.bytes == 0
    journal.write(processed(messages[0], [b"y" * 500, messages[0].raw], told))
    assert journal.held.bytes == 1500, "what is passed on as it came is there once"
    journal.write(processed(messages[1], [b"z" * 70], told, destination=None))
    journal.write(Work("w", lambda c: c.execute(text("SELECT 1")).scalar(), told.append, told.append))
    desk.settle()
    assert journal.held.bytes == 0
    assert sum(isinstance(one, Exception) for one in told) == 1


def test_a_group_is_closed_when_it_has_some_megabytes(desk: Desk) -> None:
    told: list[Any] = []
    for number in range(40):
        desk.journal.write(received(number, MB, told))
    desk.journal.start()
    desk.settle()
    assert len(told) == 40
    assert max(desk.seen.groups) <= GROUP_BYTES // MB + 1
    assert sum(desk.seen.groups) == 40


def test_a_message_larger_than_a_group_is_written_alone(desk: Desk) -> None:
    told: list[Any] = []
    for number in range(3):
        desk.journal.write(received(number, GROUP_BYTES + 1, told))
    desk.journal.start()
    desk.settle()
    assert desk.seen.groups == [1, 1, 1]


def test_a_group_is_told_a_part_at_a_time_and_in_order(desk: Desk) -> None:
    told: list[Any] = []
    for number in range(A_TURN * 3):
        desk.journal.write(received(number, 10, told))
    desk.journal.start()
    told_by_turn: list[int] = []
    while desk.journal.pending():
        before = len(told)
        desk.timers()
        with contextlib.suppress(queue.Empty):
            desk.calls.get(timeout=0.01)()
        told_by_turn.append(len(told) - before)
    assert max(told_by_turn) <= 2 * A_TURN, "the rest of one group and the first part of the next"
    assert told == sorted(told)
    assert not desk.journal.telling()


def test_large_bodies_are_written_whole_among_small_ones(desk: Desk, engine_db: Engine) -> None:
    told: list[Any] = []
    sizes = [10, rows.LARGE_BYTES + 1, 20, 2 * rows.LARGE_BYTES, rows.LARGE_BYTES]
    for number, size in enumerate(sizes):
        desk.journal.write(received(number, size, told))
    desk.journal.start()
    desk.settle()
    with engine_db.connect() as connection:
        assert [len(body) for body in contents.raws(connection).values()] == sizes


def test_the_writer_keeps_nothing_of_the_last_group(desk: Desk) -> None:
    """What it holds while it waits for more would be there for as long as nothing comes."""
    told: list[Any] = []
    body = b"y" * 70_000  # more than a dictionary is made of
    desk.journal.write(Received(Message("c", body, 1, "M1"), 0, lambda state, m: told.append(m.id), told.append))
    desk.journal.start()
    desk.settle()
    gc.collect()
    deadline_s = time.monotonic() + 30
    while (left := sys.getrefcount(body) - 2) and time.monotonic() < deadline_s:
        time.sleep(0.01)
    assert left == 0
