"""Reading what waits: a read that fails is told and tried again, and what it brings at a time has a size."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import TimeoutError as PoolTimeout

from suture.store import backlog
from suture.store.backlog import Reader
from tests.filling import Store


class Room:
    """A reader whose answers are run here."""

    def __init__(self, engine: Engine) -> None:
        self.calls: list[Callable[[], None]] = []
        self.came = threading.Semaphore(0)
        self.bugs: list[Exception] = []
        self.reader = Reader(engine, self._call, lambda seconds, f: f(), bug=self.bugs.append)

    def _call(self, call: Callable[[], None]) -> None:
        self.calls.append(call)
        self.came.release()

    def turn(self) -> None:
        assert self.came.acquire(timeout=10), "no answer"
        self.calls.pop(0)()

    def until(self, found: list[Any]) -> None:
        while not found:
            self.turn()


@pytest.fixture
def room(engine_db: Engine) -> Room:
    return Room(engine_db)


@pytest.mark.parametrize("error", [ValueError("MRN-SECRET"), PoolTimeout("no connection came free")])
def test_a_read_that_fails_in_any_way_is_tried_again(room: Room, error: Exception) -> None:
    errors, found = [error], list[int]()

    def query(connection: Connection) -> int:
        if errors:
            raise errors.pop()
        return 1

    room.reader.read(query, found.append)
    room.until(found)
    assert found == [1]
    assert room.bugs == ([error] if isinstance(error, ValueError) else [])


def test_large_deliveries_are_read_a_few_at_a_time_and_none_is_left_out(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog, "READ_BYTES", 1000)
    store = Store(room.reader._engine)
    message = store.message()
    sizes = [10, 600, 600, 5000, 1, 1, 1]
    for size in sizes:
        store.delivery(message, state="queued", body=b"x" * size, lane="a")
    for lane in (None, "a"):
        after, parts = 0, list[list[int]]()
        while True:
            found: list[Any] = []
            room.reader.load("or-supply", "erp", lane, after, 100, lambda got, more, found=found: found.append((got, more)))
            room.until(found)
            ((got, more),) = found
            parts.append([len(d.body) for d in got])
            after = got[-1].id
            if not more:
                break
        assert parts == [[10, 600], [600], [5000], [1, 1, 1]]


def test_large_messages_are_recovered_a_few_at_a_time(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog, "READ_BYTES", 1000)
    store = Store(room.reader._engine)
    for size in (400, 400, 5000, 1):
        store.message("received", raw=b"x" * size)
    after, parts = 0, list[list[int]]()
    while True:
        found: list[Any] = []
        room.reader.load_received("or-supply", after, 100, found.append)
        room.until(found)
        if not found[0]:
            break
        parts.append([len(m.raw) for m in found[0]])
        after = found[0][-1].id
    assert parts == [[400, 400], [5000], [1]]


def test_how_long_a_read_has_been_waiting_is_known_also_while_it_is_tried_again(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = [100.0]
    monkeypatch.setattr(room.reader, "_now", lambda: now_s[0])
    errors, found = [PoolTimeout("no connection came free")], list[int]()

    def query(connection: Connection) -> int:
        if errors:
            raise errors.pop()
        return 1

    assert room.reader.waiting_s() == 0
    room.reader.read(query, found.append)
    now_s[0] += 7
    assert room.reader.waiting_s() == 7
    room.turn()
    assert room.reader.waiting_s() == 7
    room.until(found)
    assert room.reader.waiting_s() == 0


def test_a_read_that_hangs_keeps_no_process_from_ending(room: Room) -> None:
    begun, over = threading.Event(), threading.Event()

    def hang(connection: Connection) -> None:
        begun.set()
        over.wait(20)

    room.reader.read(hang, lambda result: None)
    assert begun.wait(10)
    hanging = [thread for thread in threading.enumerate() if thread.name.startswith("reader") and not thread.daemon]
    room.reader.stop()
    over.set()
    assert hanging == []
