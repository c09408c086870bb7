"""Moving SQLite's write-ahead log into the database file without holding up the writer.

SQLite's own automatic checkpoint runs inside a commit, and whoever waits for that commit waits for it too. Here a
thread of its own copies the pages while the writer goes on (a passive checkpoint); only the end of it, when the log
has grown long, is done by the writer: what little is left is copied and the log begins anew.
"""

from __future__ import annotations

import contextlib
import threading

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from suture.store import rows

PERIOD_S = 0.2
OPERATIONS = 1000
"""Operations since the last checkpoint that are worth one."""
QUIET_PERIODS = 50
"""Periods after which few operations are worth one, too."""
LOG_PAGES = 4_000
"""Length of the log (of 4 KiB pages) at which the writer is asked to begin it anew."""


class Checkpoints(threading.Thread):
    """The thread. wrote(n) and finish(connection) are the writer's."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(name="checkpoints", daemon=True)
        self._engine = engine
        self._ending = threading.Event()
        self._written = 0
        self._long = False

    def wrote(self, operations: int) -> None:
        """The writer has committed so many operations."""
        self._written += operations

    def finish(self, connection: Connection) -> None:
        """Begin the log anew if it is long; called by the writer between two transactions."""
        if self._long:
            self._long = False
            with contextlib.suppress(DBAPIError):  # a reader holds the log: next time
                rows.query(connection, "PRAGMA wal_checkpoint(RESTART)")

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
                self._passive()

    def _passive(self) -> None:
        with contextlib.suppress(DBAPIError), self._engine.connect() as connection:
            found = rows.query(connection, "PRAGMA wal_checkpoint(PASSIVE)")
            self._long = found[0][1] > LOG_PAGES
