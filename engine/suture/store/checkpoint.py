"""Moving SQLite's write-ahead log into the database file without holding up the writer.

SQLite's own automatic checkpoint runs inside a commit, and whoever waits for that commit waits for it too. Here a
thread of its own copies the pages while the writer goes on (a passive checkpoint); only the end of it, when the log
has grown long, holds the writer up: what little is left is copied and the log begins anew.

Up to 3.51.2 SQLite can damage a database where a checkpoint begins on a log that is copied wholly, while another
connection's transaction begins that log anew (https://sqlite.org/wal.html, "The WAL-Reset Bug"). So one connection
checkpoints, this thread's; every other one is told not to. And it begins only when the journal has committed something
since the last one ended: no transaction of any process can begin the log anew then, before it ends. The last connection
to be closed checkpoints too, by SQLite's own rule; it has the file to itself.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from suture.store import faults, rows

PERIOD_S = 0.2
OPERATIONS = 1000
"""Operations since the last checkpoint that are worth one."""
QUIET_PERIODS = 50
"""Periods after which few operations are worth one, too."""
LOG_PAGES = 4_000
"""Length of the log (of 4 KiB pages) at which it is begun anew."""
COMMIT_S = 0.002
"""How often a commit is looked for that has to come before a checkpoint."""
READERS_MS = 50
"""How long the writer is held up, at most, for readers that keep the log from beginning anew."""


class Checkpoints(threading.Thread):
    """The thread. `open` and `transaction` are the writer's; damaged(error): a checkpoint has met damage, told on this thread."""

    def __init__(self, engine: Engine, damaged: Callable[[Exception], None]) -> None:
        super().__init__(name="checkpoints", daemon=True)
        self._engine, self._damaged = engine, damaged
        self._connection: Connection | None = None
        self._ending = threading.Event()
        self._writing = threading.Lock()
        self._checkpointing = threading.Lock()
        self._driver: Any = None
        self._operations = self._before = self._written = 0
        self._grown = False
        self.worry = ""

    def open(self) -> None:
        """Open the one connection, which stays open: while it is, no other process can take the log away in good order."""
        if self._connection is None:
            connection = self._engine.connect()
            rows.query(connection, f"PRAGMA busy_timeout = {READERS_MS}")
            rows.query(connection, "SELECT count(*) FROM sqlite_master")  # only now the files are open and locked
            self._connection = connection

    def transaction(self, connection: Connection, operations: int) -> Checkpoints:
        """Around each transaction of the writer, of so many operations (`with`). When a checkpoint holds the writer up, it waits."""
        self._driver, self._operations = connection.connection.dbapi_connection, operations
        self._before = self._driver.total_changes
        return self

    def __enter__(self) -> None:
        self._writing.acquire()

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        try:
            if kind is None:
                self._written += self._operations
                self._grown = self._grown or self._driver.total_changes != self._before
        finally:
            self._writing.release()

    def save(self) -> bool:
        """Copy the whole log into the database file; whether that could be done. For a log whose file has lost its name."""
        with self._writing, self._checkpointing:
            busy, pages, copied = self._checkpoint("FULL")
            return not busy and pages == copied

    def stop(self) -> None:
        """End soon."""
        self._ending.set()

    def run(self) -> None:
        done = quiet = 0
        while not self._ending.wait(PERIOD_S):
            quiet += 1
            new = self._written - done
            if new >= OPERATIONS or (new and quiet >= QUIET_PERIODS):
                done, quiet = self._written, 0
                self._move()
        with self._checkpointing:
            if self._connection is not None:
                self._connection.invalidate()
                self._connection.close()

    def _move(self) -> None:
        """One passive checkpoint; and when the log is long, what was written meanwhile, and the log begun anew."""
        if not self._has_grown():
            return
        with self._checkpointing:
            pages = self._checkpoint("PASSIVE")[1]
        self._has_grown(forget=True)
        if pages > LOG_PAGES and self._soon_grown():
            with self._writing, self._checkpointing:
                self._checkpoint("RESTART")
                self._grown = False

    def _has_grown(self, forget: bool = False) -> bool:
        """Has the journal committed something since the last checkpoint ended? No transaction of its is under way then."""
        with self._writing:
            grown, self._grown = self._grown, self._grown and not forget
            return grown

    def _soon_grown(self) -> bool:
        """Wait for a commit; a log that is copied wholly, and that nobody writes to, the next transaction begins anew."""
        deadline_s = time.monotonic() + PERIOD_S
        while not self._grown and time.monotonic() < deadline_s:
            self._ending.wait(COMMIT_S)
        return self._grown

    def _checkpoint(self, kind: str) -> tuple[int, int, int]:
        """(1 if something was in the way, pages in the log, pages copied); (1, 0, 0) when it failed."""
        if self._connection is None:
            return 1, 0, 0
        try:
            ((busy, pages, copied),) = rows.query(self._connection, f"PRAGMA wal_checkpoint({kind})")
        except DBAPIError as e:
            fault = faults.sort(e)
            self.worry = f"its log cannot be copied into its file ({fault.text})"
            if fault.kind == faults.DAMAGED:
                self._damaged(e)
            return 1, 0, 0
        self.worry = ""
        return busy, pages, copied
