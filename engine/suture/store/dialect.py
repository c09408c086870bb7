"""Where SQLite and PostgreSQL differ: connecting, transactions, locks, and what their errors mean to an operator."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any

from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from suture.model.errors import StoreError
from suture.store import rows
from suture.store.rows import is_sqlite

IMMEDIATE = "BEGIN IMMEDIATE"
_BEGIN = "suture_begin"
_JOURNAL = "journal"
"""The journal begins for itself, on the driver: see `Immediate`."""
_LOCK_TRY_S = 0.001
_READ_ONLY = "25006"
"""PostgreSQL's SQLSTATE of a server that takes no writes, as a standby."""
_SCHEMA_LOCK = 0x53757475
"""Key of the PostgreSQL advisory lock under which the schema changes."""

_SIGN = """INSERT INTO engine_state (name, value, updated_at_us) VALUES ('journal', $1, 0)
ON CONFLICT (name) DO UPDATE SET value = EXCLUDED.value"""

BY_INDEX = "SET enable_seqscan = off"
"""The journal asks by keys alone; a plan that PostgreSQL made while a table was small would read it whole until it is analyzed."""
PREPARED = 600
"""Prepared statements that the journal's connection to PostgreSQL keeps: one for each table and number of rows."""
SQLITE_PRAGMAS = {
    "synchronous": "FULL",
    "cache_size": -4_000,  # KiB a connection; the hot pages are few, because keys grow
    "wal_autocheckpoint": 4_000,  # pages: 16 MB of log between checkpoints, each of which costs two more fsyncs
    "journal_size_limit": 64_000_000,  # bytes of log file kept after a burst
}


def prepare_sqlite(engine: Engine, busy_timeout_s: float) -> None:
    """Set up every new connection, and begin transactions ourselves.

    The sqlite3 module begins late (not before DDL or SELECT), so that a transaction would not be one.
    """

    @event.listens_for(engine, "connect")
    def connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {int(busy_timeout_s * 1000)}")
        # To switch a new file to its log needs the file alone, and SQLite does not wait for that by itself.
        _until_free(lambda: cursor.execute("PRAGMA journal_mode = WAL"), busy_timeout_s)
        for name, value in SQLITE_PRAGMAS.items():
            cursor.execute(f"PRAGMA {name} = {value}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        statement = connection.get_execution_options().get(_BEGIN, "BEGIN")
        if statement == _JOURNAL:
            if not _driver(connection).in_transaction:
                rows.execute(connection, IMMEDIATE)
        elif statement == IMMEDIATE:
            _begin_immediate(connection, busy_timeout_s)
        else:
            connection.exec_driver_sql(statement)


def _begin_immediate(connection: Connection, timeout_s: float) -> None:
    """Take the write lock, asking every millisecond.

    SQLite's own wait sleeps up to 100 ms between tries, and against an engine that commits without a pause it may
    miss every gap between two commits.
    """
    connection.exec_driver_sql("PRAGMA busy_timeout = 0")
    try:
        _until_free(lambda: connection.exec_driver_sql(IMMEDIATE), timeout_s)
    finally:
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {int(timeout_s * 1000)}")


def _until_free(begin: Callable[[], object], timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            begin()
            return
        except (OperationalError, sqlite3.OperationalError) as error:
            if "locked" not in str(getattr(error, "orig", error)) or time.monotonic() > deadline:
                raise
            time.sleep(_LOCK_TRY_S)


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection whose reads all see one state of the store. Raises StoreError."""
    options = {} if is_sqlite(engine) else {"isolation_level": "REPEATABLE READ"}
    with explained(engine), engine.connect().execution_options(**options) as connection:
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that holds the write lock from its first statement; commits at the end. Raises StoreError."""
    with explained(engine), engine.connect() as connection:
        connection.execution_options(**{_BEGIN: IMMEDIATE})
        with connection.begin():
            yield connection


def writer(engine: Engine) -> Connection:
    """The journal's connection: its transactions hold the write lock from their first statement.

    On SQLite it leaves the log to `checkpoint.Checkpoints`.
    """
    connection = engine.connect().execution_options(**{_BEGIN: _JOURNAL})
    if is_sqlite(engine):
        rows.query(connection, "PRAGMA wal_autocheckpoint = 0")
    else:
        _driver(connection).prepared_max = PREPARED
        rows.execute(connection, BY_INDEX)
        _driver(connection).commit()
    return connection


class Immediate:
    """One transaction of the journal on SQLite, with SQLite's own wait for the lock.

    It begins and ends on the driver, hundreds of times a second; what SQLAlchemy would do around it is as dear as two
    statements. A statement that is given to SQLAlchemy in between takes part in it.
    """

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        rows.execute(self._connection, IMMEDIATE)

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        try:
            if kind is None:
                rows.execute(self._connection, "COMMIT")
        finally:
            self._end()

    def _end(self) -> None:
        connection = self._connection
        if _driver(connection).in_transaction:  # there was an error, and it has not ended the transaction
            rows.execute(connection, "ROLLBACK")
        if connection.in_transaction():
            connection.rollback()  # SQLAlchemy's own note of it; the driver has nothing left to roll back


class Pipelined:
    """One transaction of the journal on PostgreSQL whose statements are sent without waiting for the answers to them.

    Only a question (`rows.query`) and the commit wait, so that a group costs three ways to the server and back instead of
    one a statement. An error comes with a later statement or with the commit. SQLAlchemy's own statements have no place in
    it: they look at an answer at once.
    """

    __slots__ = ("_connection", "_pipeline")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._pipeline = _driver(connection).pipeline()

    def __enter__(self) -> None:
        try:
            self._pipeline.__enter__()
        except self._connection.dialect.loaded_dbapi.Error as e:
            raise rows.wrapped(self._connection, e) from None

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        driver = self._connection.dialect.loaded_dbapi
        try:
            if kind is None:
                self._connection.dialect.do_commit(_driver(self._connection))
        except driver.Error as e:
            raise rows.wrapped(self._connection, e) from None
        finally:
            self._end(driver.Error)

    def _end(self, errors: type[Exception]) -> None:
        """Collect the answers that are left, and roll back what was not committed; a connection that cannot is closed."""
        raw = _driver(self._connection)
        with suppress(errors):
            self._pipeline.__exit__(None, None, None)
        with suppress(errors):
            raw.rollback()
        if raw.info.transaction_status:  # anything but idle
            raw.close()


def transaction(connection: Connection, mixed: bool) -> AbstractContextManager[object]:
    """One transaction on a `writer`'s connection: committed at the end, rolled back on an error.

    mixed: statements of SQLAlchemy take part in it.
    """
    if is_sqlite(connection):
        return Immediate(connection)
    if mixed or not connection.dialect.loaded_dbapi.Pipeline.is_supported():
        return connection.begin()
    return Pipelined(connection)


def _driver(connection: Connection) -> Any:
    return connection.connection.dbapi_connection


def sign(connection: Connection, signature: str) -> bool:
    """Leave a signature in this transaction, to ask `was_committed` for when its commit was not answered.

    False on SQLite: a commit that fails there was not made. (The transaction's own number would not do: a server that
    was killed may give the number of a lost transaction to another one.)
    """
    if is_sqlite(connection):
        return False
    rows.execute(connection, _SIGN, (signature,))
    return True


def was_committed(connection: Connection, signature: str) -> bool:
    """Whether the transaction with this signature, the last of an earlier connection, was committed.

    That connection's session has ended: the journal's new one holds its lock (ownership.py).
    """
    with connection.begin():
        found = rows.query(connection, "SELECT value FROM engine_state WHERE name = 'journal'")
    return bool(found) and found[0][0] == signature


def refuses(error: Exception) -> bool:
    """Whether the database itself is in trouble (full disk, lost connection, read-only), and not what was written to it."""
    if isinstance(error, OperationalError | OSError):
        return True
    if not isinstance(error, DBAPIError):
        return False
    return error.connection_invalidated or getattr(error.orig, "sqlstate", "") == _READ_ONLY


def lock_schema(connection: Connection) -> None:
    """Keep another process from changing the schema in this transaction's time (SQLite: BEGIN IMMEDIATE has done it)."""
    if not is_sqlite(connection):
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _SCHEMA_LOCK})


@contextmanager
def explained(engine: Engine) -> Iterator[None]:
    """Turn the database's errors into StoreError with a text for an operator."""
    try:
        yield
    except SQLAlchemyError as error:
        raise explain(error, engine.url) from error


_MEANINGS = (
    ("no such table", "it holds no schema; `suture db upgrade` makes one"),
    ("locked", "another process holds it locked; try again, and look for a process that keeps it open"),
    ("disk is full", "the disk is full; free some space"),
    ("unable to open", "its file cannot be opened; look at the permissions of the file and its directory"),
    ("readonly", "its file is read-only for this user"),
    ("not a database", "the file is not a SQLite database"),
    ("malformed", "the file is damaged; restore a backup"),
    ("disk i/o", "the disk reports an error"),
    ("no space left", "its disk is full; free some space there"),
    ("password authentication failed", "it refuses the user or the password"),
    ("no password supplied", "it asks for a password and the URL has none"),
    ("connection refused", "nothing answers there; is PostgreSQL running?"),
    ("timeout expired", "no answer in time; look at the host, the port and any firewall"),
    ("could not translate host name", "the host name is unknown"),
    ("failed to resolve host", "the host name is unknown"),
    ("permission denied", "this user has no right to do that"),
)


def explain(error: SQLAlchemyError, url: URL) -> StoreError:
    """What a database error means and what to do. Holds no statement, no values (PHI) and no password."""
    if isinstance(error, PoolTimeout):
        return StoreError(f"the database {name_of(url)} is busy: no connection came free in time")
    return StoreError(f"the database {name_of(url)}: {_meaning(_primary(error))}")


def _primary(error: SQLAlchemyError) -> str:
    """The driver's own message without details, which may quote rows."""
    if not isinstance(error, DBAPIError) or error.orig is None:
        return type(error).__name__
    diagnosis = getattr(getattr(error.orig, "diag", None), "message_primary", None)
    return str(diagnosis or error.orig).strip()


def _meaning(primary: str) -> str:
    lowered = primary.lower()
    for words, meaning in _MEANINGS:
        if words in lowered:
            return meaning
    if lowered.startswith("relation") and "does not exist" in lowered:
        return "it holds no schema; `suture db upgrade` makes one"
    if lowered.startswith("database") and "does not exist" in lowered:
        return "there is no such database on that server; `createdb` makes one"
    return primary.splitlines()[0] if primary else "unknown error"


def name_of(url: URL) -> str:
    """How the database is called in texts: its file, or host, port and name; never its password."""
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    host = url.host or url.query.get("host") or "localhost"
    return f"{host if isinstance(host, str) else ','.join(host)}:{url.port or 5432}/{url.database or ''}"
