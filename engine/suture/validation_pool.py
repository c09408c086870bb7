"""Standard validation of large messages in processes of their own, so that the reactor goes on; small ones are quick enough here.

A message of 1 kB takes a quarter of a millisecond, and the way to another process and back costs half of that; a megabyte
takes a quarter of a second. Processes and not threads, because validation is Python and would hold the interpreter's lock.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from suture.config.conf import ValidationSection
from suture.model import finding
from suture.model.finding import Finding
from suture.wire.hl7v2.standard.validate import Rules, validate

Done = Callable[[Sequence[Finding]], None]

TRIES = 2
"""A message whose process died under it is tried so often."""


@dataclass(slots=True, eq=False)
class _Job:
    """One message on its way through the pool. order: of its channel's messages. found: None until it is validated."""

    raw: bytes = field(repr=False)
    validate: Callable[[bytes], list[Finding]]
    done: Done
    order: deque[_Job] = field(repr=False)
    tries: int = 0
    timer: Any = None
    found: Sequence[Finding] | None = None


class ValidationPool:
    """A few processes that all channels share; they are started with the first large message.

    full: ask the sources to stop reading, as with a full journal. held: messages that were given and not yet called back.
    """

    def __init__(self, reactor: Any, settings: ValidationSection) -> None:
        self._reactor, self._settings = reactor, settings
        self._executor: ProcessPoolExecutor | None = None
        self._waiting: deque[_Job] = deque()
        self._running: set[_Job] = set()
        self.held = 0

    @property
    def full(self) -> bool:
        """Are there as many messages as may wait?"""
        return self.held >= self._settings.waiting

    def take(self, job: _Job) -> None:
        """Validate a message: a small one at once, a large one in a process. job.done is called when those before it are done."""
        self.held += 1
        job.order.append(job)
        if len(job.raw) > self._settings.inline_bytes:
            self._waiting.append(job)
            self._fill()
        else:
            self._found(job, job.validate(job.raw))

    def _found(self, job: _Job, found: Sequence[Finding]) -> None:
        job.found = found
        while job.order and job.order[0].found is not None:
            first = job.order.popleft()
            self.held -= 1
            first.done(first.found or ())

    def close(self) -> None:
        """End the processes; what is not done is not called back."""
        self._restart()
        self._waiting.clear()

    def _fill(self) -> None:
        while self._waiting and len(self._running) < self._settings.processes:
            self._start(self._waiting.popleft())

    def _start(self, job: _Job) -> None:
        job.tries += 1
        job.timer = self._reactor.callLater(self._settings.timeout_s, self._late, job)
        self._running.add(job)
        if self._executor is None:
            spawn = multiprocessing.get_context("spawn")  # a fork would copy the reactor's sockets and locks
            self._executor = ProcessPoolExecutor(self._settings.processes, spawn, _prepare)
        try:
            future = self._executor.submit(job.validate, job.raw)
        except RuntimeError as error:  # BrokenProcessPool is one: a process died while it had nothing to do
            self._reactor.callLater(0, self._ended, job, job.tries, None, error)
        else:
            future.add_done_callback(partial(self._back, job, job.tries))

    def _restart(self) -> None:
        """New processes: what was with the old ones goes back to the head of those that wait."""
        if self._executor is not None:
            # The executor has no public way to end a process that is busy, and a busy one would be busy in vain.
            processes = list((getattr(self._executor, "_processes", None) or {}).values())
            self._executor.shutdown(wait=False, cancel_futures=True)
            self._executor = None
            for process in processes:
                process.terminate()
        for job in self._running:
            job.timer.cancel()
            job.tries -= 1
            self._waiting.appendleft(job)
        self._running.clear()

    def _back(self, job: _Job, number: int, future: Future[list[Finding]]) -> None:
        """On a thread of the executor."""
        error = CancelledError() if future.cancelled() else future.exception()
        self._reactor.callFromThread(self._ended, job, number, None if error else future.result(), error)

    def _ended(self, job: _Job, number: int, found: list[Finding] | None, error: BaseException | None) -> None:
        if job not in self._running or number != job.tries:
            return
        self._running.discard(job)
        job.timer.cancel()
        if error is not None:
            self._restart()
        if error is not None and job.tries < TRIES:
            self._waiting.appendleft(job)
        else:
            self._found(job, found if found is not None else [_broken("validation broke off")])
        self._fill()

    def _late(self, job: _Job) -> None:
        if job in self._running:
            self._running.discard(job)
            self._restart()
            self._found(job, [_broken(f"validation took longer than {self._settings.timeout_s:g} seconds")])
            self._fill()


def _broken(text: str) -> Finding:
    return Finding(finding.APPLICATION_ERROR, finding.ERROR, None, f"{text}; the message was not judged by the standard")


def _prepare() -> None:
    """In a new process: Ctrl-C is the parent's to handle, and a process whose parent is gone ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: Any) -> None:
    parent.join()
    os._exit(0)


class ChannelValidator:
    """Implements ports.Validator: what comes first is called back first, however long it takes. encoding, override: as of `validate`."""

    def __init__(self, pool: ValidationPool, rules: Rules, encoding: str, override: str = "") -> None:
        self._pool, self._validate = pool, partial(validate, rules=rules, encoding=encoding, override=override)
        self._order: deque[_Job] = deque()

    def check(self, raw: bytes, done: Done) -> None:
        """Validate one message: at once when it is small and none waits before it, else done is called later."""
        self._pool.take(_Job(raw, self._validate, done, self._order))
