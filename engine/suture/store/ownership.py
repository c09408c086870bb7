"""One engine a store: a second one, started by mistake, would process and send everything a second time.

SQLite: a lock on a file beside the database, held as long as the process lives. PostgreSQL: an advisory lock, held by
the journal's connection, without which it writes nothing.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable
from functools import partial

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError

from suture.model.errors import StoreError
from suture.store import dialect, rows

PATIENCE_S = 5.0
"""How long an engine that was killed may take to be gone."""
_KEY = 0x53757476
_TAKEN = "another engine works on this store"


def take(engine: Engine) -> None:
    """Make this process the store's engine until it ends. Raises StoreError when another one is."""
    if rows.is_sqlite(engine):
        _wait_for(partial(_lock, _open(f"{engine.url.database}-lock")), engine)
    else:
        _wait_for(partial(_is_free, engine), engine)


def hold(connection: Connection) -> None:
    """PostgreSQL: take the lock with the journal's new connection. Raises OperationalError while another engine has it."""
    if rows.is_sqlite(connection):
        return
    with connection.begin():
        if not connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": _KEY}).scalar():
            raise OperationalError(None, None, Exception(_TAKEN))


class DatabaseFile:
    """The file of a SQLite database, as it was at first: one that is deleted while it is open takes writes, and keeps none."""

    def __init__(self, engine: Engine) -> None:
        self._path = str(engine.url.database) if rows.is_sqlite(engine) else None
        self._was = self._identity()

    def check(self) -> None:
        """Raise OperationalError when it is not where it was."""
        if self._path is not None and self._identity() != self._was:
            raise OperationalError(None, None, Exception("its file was deleted or replaced; put it back, or stop the engine"))

    def _identity(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self._path) if self._path is not None else None
        except OSError:
            return None
        return None if found is None else (found.st_dev, found.st_ino)


def _wait_for(free: Callable[[], bool], engine: Engine) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not free():
        if time.monotonic() > deadline_s:
            raise StoreError(f"the database {dialect.name_of(engine.url)}: {_TAKEN}; stop that one first")
        time.sleep(0.05)


def _open(path: str) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StoreError(f"the file {path} cannot be made: {error.strerror}") from None


def _lock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_free(engine: Engine) -> bool:
    with dialect.explained(engine), engine.begin() as connection:
        return bool(connection.execute(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": _KEY}).scalar())
