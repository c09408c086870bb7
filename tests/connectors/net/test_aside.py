"""Work beside the reactor, and memory given back."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any

import pytest

from suture.connectors.net.aside import Aside
from suture.pace import BUSY_BYTES, GROWN_BYTES, Heap
from suture.ports import Held

MB = 1_000_000


@pytest.fixture
def calls() -> queue.SimpleQueue[Callable[[], None]]:
    return queue.SimpleQueue()


def test_what_it_came_to_is_told_on_the_other_thread_in_order(calls: queue.SimpleQueue[Callable[[], None]]) -> None:
    aside, told, threads = Aside("aside", calls.put), list[int](), set[int]()

    def work(number: int) -> int:
        threads.add(threading.get_ident())
        return number

    for number in range(5):
        aside(lambda number=number: work(number), told.append)
    for _ in range(5):
        calls.get(timeout=30)()
    assert told == [0, 1, 2, 3, 4]
    assert len(threads) == 1 and threading.get_ident() not in threads


def test_an_error_is_told_and_the_next_work_done(calls: queue.SimpleQueue[Callable[[], None]]) -> None:
    aside, told, failed = Aside("aside", calls.put), list[Any](), list[Exception]()
    aside(lambda: 1 // 0, told.append, failed.append)
    aside(lambda: 7, told.append)
    for _ in range(2):
        calls.get(timeout=30)()
    assert told == [7]
    assert [type(one) for one in failed] == [ZeroDivisionError]


class Process:
    """A process whose memory a test sets."""

    def __init__(self) -> None:
        self.held, self.resident, self.trims = Held(), 100 * MB, 0
        self.heap = Heap(self.held, lambda work, done: done(work()), self.trim, lambda: self.resident)

    def trim(self) -> None:
        self.trims += 1


def test_a_burst_is_given_back_once_when_it_is_over() -> None:
    process = Process()
    process.heap.look()
    trims = process.trims
    process.held.bytes = BUSY_BYTES + 1
    for _ in range(3):
        process.heap.look()
    assert process.trims == trims, "it is in use"
    process.held.bytes = 0
    for _ in range(3):
        process.heap.look()
    assert process.trims == trims + 1


def test_a_burst_between_two_looks_is_seen_by_the_memory_it_has_left() -> None:
    process = Process()
    process.heap.look()
    trims = process.trims
    process.resident += GROWN_BYTES + 1
    process.heap.look()
    process.heap.look()
    assert process.trims == trims + 1
