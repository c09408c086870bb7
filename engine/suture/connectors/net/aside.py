"""A thread beside the reactor's, for work that would keep everybody else waiting: a large message, the files of a channel.

A thread and not a process, because what comes of the work is functions and objects of the running channels; the interpreter
changes hands often enough (`sys.setswitchinterval`) that the reactor goes on meanwhile.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

Job = Callable[[], Callable[[], None]]


class Aside:
    """One thread, begun with the first work; one piece of work after another. soon(f): run f on the reactor, from any thread.

    It ends with the process, whatever it is at: what it does is not durable before the reactor knows of it.
    """

    def __init__(self, name: str, soon: Callable[[Callable[[], None]], Any]) -> None:
        self._name, self._soon = name, soon
        self._jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def __call__(self, work: Callable[[], Any], done: Callable[[Any], None], failed: Callable[[Exception], None] | None = None) -> None:
        """Call done(work()) later, on the reactor; or failed(what it raised), without which work may not raise."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        self._jobs.put(partial(_outcome, work, done, failed))

    def _run(self) -> None:
        while True:
            self._soon(self._jobs.get()())


def _outcome(work: Callable[[], Any], done: Callable[[Any], None], failed: Callable[[Exception], None] | None) -> Callable[[], None]:
    """Do the work; what is to be called with what came of it."""
    try:
        return partial(done, work())
    except Exception as e:
        if failed is None:
            raise
        return partial(failed, e)


def alone(work: Callable[[], None]) -> None:
    """Do it on a thread of its own, which ends with it; at once where no thread can be begun any more."""
    try:
        threading.Thread(target=work, name="alone", daemon=True).start()
    except RuntimeError:
        work()
