"""One engine a store: a second one, started by mistake, would process and send everything a second time.

SQLite: a lock on the database's file and one on a file beside it, held as long as the process lives; the first holds whatever
the file is called, the second whatever is put in its place. PostgreSQL: an advisory lock, held by the journal's connection,
without which it writes nothing; it is gone with the session, which may end before the process does, so that what counts in
the end is the tenure (tenure.py).
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial

from sqlalchemy import Connection, Engine, text

from suture.model.errors import StoreError, StoreRefused
from suture.store import dialect
from suture.store.switch import LOCK

PATIENCE_S = 5.0
"""How long an engine that was killed may take to be gone."""
_KEY = 0x53757476
TAKEN = "another engine works on this store"


_HELD = """SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid = 0 AND objid = :key AND objsubid = 1
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""


def take(engine: Engine) -> None:
    """Make this process the store's engine until it ends. Raises StoreError when another one is."""
    if file := dialect.file_of(engine):
        _wait_for(partial(_lock_file, _beside(engine)), engine)
        # Never closed: to close any descriptor of the database would let go of SQLite's own locks on it.
        _wait_for(partial(_lock, _open(os.path.realpath(file))), engine)
    else:
        _wait_for(partial(_is_free, engine), engine)


def lock(connection: Connection) -> bool:
    """PostgreSQL: take the lock with the journal's new connection; False while another session has it."""
    if dialect.file_of(connection):
        return True
    with connection.begin():
        return bool(connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": _KEY}).scalar())


def is_held(connection: Connection) -> bool | None:
    """Whether an engine holds the store at this moment, asked by somebody who does not want it; None where that is not shown."""
    if not dialect.file_of(connection):
        return connection.execute(text(_HELD), {"key": _KEY}).first() is not None
    try:
        file = os.open(_beside(connection.engine), os.O_RDONLY)
    except FileNotFoundError:
        return False
    except OSError:
        return None
    try:
        return not _lock(file, fcntl.LOCK_SH)
    finally:
        os.close(file)


def _beside(engine: Engine) -> str:
    """The file beside a database of SQLite by whose lock its engine is known."""
    return os.path.realpath(dialect.file_of(engine)) + LOCK


@contextmanager
def alone(engine: Engine) -> Iterator[None]:
    """SQLite: let no engine work on the store for this while. Raises StoreError when one does.

    Nobody in this process may have the database open at the end: its file is closed then, and SQLite's locks on it are gone.
    """
    files: list[int] = []
    try:
        for name in (_beside(engine), os.path.realpath(dialect.file_of(engine))):
            files.append(_open(name))  # the second when the first is locked: nobody puts another in its place any more
            _wait_for(partial(_lock, files[-1]), engine)
        if os.geteuid() == 0:  # or the engine's user could not open a lock that root has made
            there = os.fstat(files[1])
            os.fchown(files[0], there.st_uid, there.st_gid)
        yield
    finally:
        for file in files:
            os.close(file)


@contextmanager
def holding(engine: Engine) -> Iterator[Connection]:
    """A connection for somebody who changes the store over many transactions: no engine works on it meanwhile, nor another of these.

    Raises StoreRefused when one does. On PostgreSQL the lock is this connection's, so that who has lost it writes nothing more; on
    SQLite nobody else in this process may have the database open.
    """
    if dialect.file_of(engine):
        engine.dispose()  # what it has open may be a file that a restore has put aside meanwhile
        with alone(engine):
            try:
                with engine.connect() as connection:
                    yield connection
            finally:
                engine.dispose()  # before `alone` closes the file, and with that lets go of SQLite's locks on it
        return
    with engine.connect() as connection:
        _wait_for(partial(lock, connection), engine)
        try:
            yield connection
        finally:
            connection.invalidate()  # the lock ends with the session


def exclude(connection: Connection) -> None:
    """PostgreSQL: let no engine work on the store until the end of this transaction. Raises StoreError when one does."""
    _wait_for(partial(_excluded, connection), connection.engine)


def _wait_for(free: Callable[[], bool], engine: Engine) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not free():
        if time.monotonic() > deadline_s:
            raise StoreRefused(f"the database {dialect.name_of(engine.url)}: {TAKEN}, or an upgrade or restore of it; stop that one first")
        time.sleep(0.05)


def _open(path: str) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StoreError(f"the file {path} cannot be opened: {error.strerror}") from None


def _lock_file(path: str) -> bool:
    """Lock the file that this name is of: one that was deleted meanwhile keeps nobody out."""
    file = _open(path)
    if _lock(file):
        with suppress(OSError):
            if os.path.samestat(os.fstat(file), os.stat(path)):
                return True
    os.close(file)
    return False


def _lock(file: int, kind: int = fcntl.LOCK_EX) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_free(engine: Engine) -> bool:
    with dialect.explained(engine), engine.begin() as connection:
        return _excluded(connection)


def _excluded(connection: Connection) -> bool:
    return bool(connection.execute(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": _KEY}).scalar())
