"""The pool of processes that validates large messages: order is kept, a death is survived, nothing waits for ever."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from queue import Queue
from typing import Any

import pytest
from twisted.internet import task

from suture.config.conf import ValidationSection
from suture.validation_pool import ChannelValidator, ValidationPool
from suture.wire.hl7v2.standard.validate import Rules

HEAD = b"MSH|^~\\&|CAB|OR|X|Y|20260302101500||DFT^P03^DFT_P03|C1|P|2.5.1\rEVN||20260302101500\rPID|1||MRN1^^^H^MR||DOE^JANE\r"
CHARGE = b"FT1|1|T1||20260302101500||CG|IMP-1|||2\r"


class FakeReactor(task.Clock):
    """A clock, and the calls of other threads, which the test runs itself."""

    def __init__(self) -> None:
        super().__init__()
        self.from_threads: Queue[tuple[Callable[..., None], tuple[Any, ...]]] = Queue()

    def callFromThread(self, call: Callable[..., None], *args: Any) -> None:  # noqa: N802
        self.from_threads.put((call, args))

    def until(self, true: Callable[[], bool]) -> None:
        while not true():
            call, args = self.from_threads.get(timeout=60)
            call(*args)


@pytest.fixture
def reactor() -> FakeReactor:
    return FakeReactor()


@pytest.fixture
def pool(reactor: FakeReactor) -> Iterator[ValidationPool]:
    pool = ValidationPool(reactor, ValidationSection(inline_bytes=200, waiting=3, timeout_s=30))
    yield pool
    pool.close()


def test_a_small_message_is_validated_at_once(pool: ValidationPool):
    found: list[Any] = []
    ChannelValidator(pool, Rules(), "utf-8").check(HEAD, found.append)
    assert [str(one.location) for one in found[0]] == ["FT1"]
    assert pool.held == 0


def test_a_small_message_does_not_overtake_a_large_one(pool: ValidationPool, reactor: FakeReactor):
    order: list[str] = []
    validator = ChannelValidator(pool, Rules(), "utf-8")
    validator.check(HEAD + CHARGE * 50, lambda found: order.append("large"))
    validator.check(HEAD, lambda found: order.append("small"))
    assert order == []
    reactor.until(lambda: len(order) == 2)
    assert order == ["large", "small"]


def test_one_channel_does_not_wait_for_another(pool: ValidationPool, reactor: FakeReactor):
    order: list[str] = []
    ChannelValidator(pool, Rules(), "utf-8").check(HEAD + CHARGE * 50, lambda found: order.append("large"))
    ChannelValidator(pool, Rules(), "utf-8").check(HEAD, lambda found: order.append("other"))
    assert order == ["other"]
    reactor.until(lambda: len(order) == 2)


def test_it_asks_to_read_no_more_when_enough_wait(pool: ValidationPool, reactor: FakeReactor):
    done: list[Any] = []
    validator = ChannelValidator(pool, Rules(), "utf-8")
    for _ in range(3):
        validator.check(HEAD + CHARGE * 50, done.append)
    assert pool.full
    reactor.until(lambda: len(done) == 3)
    assert not pool.full


def kill(pool: ValidationPool) -> None:
    assert pool._executor is not None
    for process in list(pool._executor._processes.values()):
        os.kill(process.pid, signal.SIGKILL)


def test_a_message_whose_process_died_is_tried_again_and_then_told(pool: ValidationPool, reactor: FakeReactor):
    first: list[Any] = []
    validator = ChannelValidator(pool, Rules(), "utf-8")
    validator.check(HEAD + CHARGE * 50, first.append)
    kill(pool)
    reactor.until(lambda: len(first) == 1)
    assert [one.code for one in first[0]] == []
    second: list[Any] = []
    ChannelValidator(pool, Rules(), "utf-8").check(HEAD + CHARGE * 200_000, second.append)
    killed = 0
    while not second:
        if pool._executor is not None and killed < 2 and pool._executor._processes:
            kill(pool)
            killed += 1
            call, args = reactor.from_threads.get(timeout=60)
            call(*args)
            reactor.advance(0)
    assert [(one.code, one.severity) for one in second[0]] == [(207, "E")]
    assert "not judged" in second[0][0].text


def test_a_message_that_takes_too_long_is_not_waited_for(pool: ValidationPool, reactor: FakeReactor):
    found: list[Any] = []
    validator = ChannelValidator(pool, Rules(), "utf-8")
    validator.check(HEAD + CHARGE * 200_000, found.append)
    validator.check(HEAD + CHARGE * 50, found.append)
    reactor.advance(30)
    assert [one.code for one in found[0]] == [207]
    reactor.until(lambda: len(found) == 2)
    assert list(found[1]) == []


def test_closing_ends_the_processes(pool: ValidationPool, reactor: FakeReactor):
    done: list[Any] = []
    ChannelValidator(pool, Rules(), "utf-8").check(HEAD + CHARGE * 50, done.append)
    reactor.until(lambda: bool(done))
    assert pool._executor is not None
    processes = list(pool._executor._processes.values())
    pool.close()
    deadline = time.monotonic() + 30
    while any(process.is_alive() for process in processes) and time.monotonic() < deadline:
        threading.Event().wait(0.02)
    assert not any(process.is_alive() for process in processes)
    assert reactor.getDelayedCalls() == []
