"""A journal that runs, with everything that it called back, for tests of what happens to it."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, select

from suture.model.message import Message
from suture.ports import Received, Work
from suture.store import views
from suture.store.journal import Journal
from tests.doubles import Silent

TIMEOUT_S = 30


class Running:
    """told: the texts of trouble. results: by the name of the operation, what came of it."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.told, self.bugs = engine, [], []
        self.results: dict[str, Any] = {}
        self._calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self.journal = Journal(engine, self._calls.put, Silent(), self.told.append, self.bugs.append, retry_s=0.01)

    def receive(self, *names: str) -> None:
        """Hand over messages, as one group if nothing runs."""
        for name in names:
            message = Message("c", name.encode(), 1_000, name, "DFT^P03", "A|B", "peer")
            self.journal.write(Received(message, 0, self._noted(name), self._noted(name)))

    def work(self, name: str, run: Callable[[Any], Any]) -> None:
        """Hand over any other write."""
        self.journal.write(Work(name, run, self._noted(name), self._noted(name)))

    def _noted(self, name: str) -> Callable[..., None]:
        return lambda *what: self.results.__setitem__(name, what[0])

    def until(self, true: Callable[[], Any], what: str = "") -> None:
        """Run callbacks until something is true."""
        deadline_s = time.monotonic() + TIMEOUT_S
        while not true():
            assert time.monotonic() < deadline_s, f"not within {TIMEOUT_S} s: {what}; told: {self.told[-3:]}"
            try:
                self._calls.get(timeout=0.01)()
            except queue.Empty:
                continue

    def settle(self) -> None:
        """Wait until everything that was handed over is called back."""
        self.until(lambda: not self.journal.pending(), "all is called back")

    def stored(self) -> list[str]:
        """The control ids of the messages in the store."""
        with self.engine.connect() as c:
            return sorted(c.execute(select(views.message.c.control_id)).scalars())


@contextmanager
def running(engine: Engine, start: bool = True) -> Iterator[Running]:
    """One that runs, and is stopped at the end."""
    one = Running(engine)
    if start:
        one.journal.start()
    yield one
    if not one.journal.is_alive() and one.journal.ident is None:
        one.journal.start()
    one.journal.stop()
    one.journal.join(TIMEOUT_S)
    assert not one.journal.is_alive()
