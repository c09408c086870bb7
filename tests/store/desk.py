"""A journal that writes what it is given as one group, for tests that decide when that is."""

from __future__ import annotations

import queue
from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine, select

from suture.model.message import Message
from suture.store.journal import Journal
from tests.doubles import Silent


class Kept:
    """A message that is handed to the journal; when that has told of it, the message as it is stored."""

    def __init__(self, message: Message) -> None:
        self.message = message

    def __getattr__(self, name: str) -> Any:
        return getattr(self.message, name)

    def told(self, message: Message) -> None:
        self.message = message


class Desk:
    """Journals on one database: each writes what it was given as one group, and ends.

    One may find the session of the one before it still there, and wait for that: it is no bug.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine, self.bugs, self.trouble = engine, [], []

    def written(self, operations: list[Any]) -> None:
        calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        journal = Journal(self.engine, calls.put, Silent(), self.trouble.append, self.bugs.append, retry_s=0.01)
        for operation in operations:
            journal.write(operation)
        journal.start()
        while journal.pending():
            calls.get(timeout=10)()
        journal.stop()
        journal.join(10)
        assert not journal.is_alive()

    def column(self, column: Any) -> list[Any]:
        with self.engine.connect() as c:
            return sorted(c.execute(select(column)).scalars())
