"""Where SQLite and PostgreSQL differ: connecting, transactions, locks, and what their errors mean to an operator."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Any

from sqlalchemy import Connection, Engine, event, false, select, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from suture.model.errors import StoreError
from suture.store import faults, patience, rows, tables
from suture.store.rows import is_sqlite

IMMEDIATE = "BEGIN IMMEDIATE"
_BEGIN = "suture_begin"
_JOURNAL = "journal"
"""The journal begins for itself, on the driver: see `Immediate`."""
_LOCK_TRY_S = 0.001
_SCHEMA_LOCK = 0x53757475
"""Key of the PostgreSQL advisory lock under which the schema changes."""

_PROBE = """INSERT INTO engine_state (name, value, updated_at_us) VALUES ('probe', '', 0)
ON CONFLICT (node, name) DO UPDATE SET value = EXCLUDED.value"""

_DURABLE = "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') <> 'remote_apply'"

_UNHURRIED = ("statement_timeout", "idle_in_transaction_session_timeout", "transaction_timeout")
_KNOWN = f"SELECT name FROM pg_settings WHERE name IN {_UNHURRIED}"
"""PostgreSQL 17 has more of them."""

BY_INDEX = "SELECT set_config(name, 'off', {0}) FROM (VALUES ('enable_seqscan'), ('enable_hashjoin'), ('enable_mergejoin')) AS v (name)"
"""The journal asks by keys alone; a plan that PostgreSQL made while a table was small would read it whole until it is analyzed, and
one that it makes of a view reads all attempts to look at those of a few deliveries, because it cannot tell how many are open."""
LEFT = 4
"""A session that has said nothing for so many times the timeout is ended by the server: its engine is frozen, and another may come."""
_IDLE_SESSIONS = 140_000
"""The version of PostgreSQL from which sessions can be ended that are idle outside a transaction."""
PREPARED = 600
"""Prepared statements that the journal's connection to PostgreSQL keeps: one for each table and number of rows."""
SQLITE_PRAGMAS = {
    "synchronous": "FULL",
    "cache_size": -4_000,  # KiB a connection; the hot pages are few, because keys grow
    "wal_autocheckpoint": 0,  # one connection checkpoints: see checkpoint.py
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


def postgresql_arguments(timeout_s: float) -> dict[str, Any]:
    """How to connect: a server that is silent so long is given up, also on a network that has gone without a word.

    `connect_timeout` is of whole seconds, and two are its least; the others are of libpq and the kernel (they do nothing on a
    Unix socket).
    """
    names = {"application_name": "suture", "connect_timeout": max(2, min(5, round(timeout_s)))}
    return names | {name.replace("tcp_keep", "keep"): value for name, value in _given_up(timeout_s).items()}


def _given_up(timeout_s: float) -> dict[str, int]:
    """When a network is given up that has gone without a word: the server's settings; libpq's `keepalives` have no `tcp_` before."""
    return {
        "tcp_keepalives_idle": max(1, round(timeout_s / 3)),
        "tcp_keepalives_interval": max(1, round(timeout_s / 6)),
        "tcp_keepalives_count": 3,
        "tcp_user_timeout": round(timeout_s * 1000),
    }


def prepare_postgresql(engine: Engine, timeout_s: float) -> None:
    """Set up every new connection.

    What is committed over it is durable, whatever the server's default is: `off` may lose what was acknowledged; `local` and
    `remote_write` may, where there is a synchronous standby, when that takes over. `remote_apply` promises more than `on`, and
    stays. And the server gives up on us as we do on it, so that a session that nobody is at any more keeps no lock.
    """
    ms = round(timeout_s * 1000)
    settings = _given_up(timeout_s) | {"lock_timeout": ms, "idle_in_transaction_session_timeout": LEFT * ms}

    @event.listens_for(engine, "connect")
    def connect(connection: Any, _record: Any) -> None:
        asked = settings | ({"idle_session_timeout": LEFT * ms} if connection.info.server_version >= _IDLE_SESSIONS else {})
        connection.execute("; ".join([_DURABLE, *(f"SET {name} = {value}" for name, value in asked.items())]))
        connection.commit()


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
        except Exception as error:
            if not faults.is_busy(error) or time.monotonic() > deadline:
                raise
            time.sleep(_LOCK_TRY_S)


@contextmanager
def reading(engine: Engine, within_s: float | None = None) -> Iterator[Connection]:
    """A connection whose reads all see one state of the store. Raises StoreError; so, too, after within_s seconds (patience.py)."""
    options = {} if is_sqlite(engine) else {"isolation_level": "REPEATABLE READ"}
    with explained(engine, within_s), engine.connect().execution_options(**options) as connection:
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that holds the write lock from its first statement; commits at the end. Raises StoreError."""
    with explained(engine), engine.connect() as connection:
        connection.execution_options(**{_BEGIN: IMMEDIATE})
        with connection.begin():
            yield connection


@contextmanager
def unhurried_writing(connection: Connection) -> Iterator[None]:
    """As `writing`, on a connection that is there; no statement of the transaction takes too long."""
    connection.execution_options(**{_BEGIN: IMMEDIATE})
    with connection.begin():
        unhurried(connection)
        yield


def checkpoint(connection: Connection) -> None:
    """SQLite: copy the log into the file, so that the next transaction begins it anew. For whoever is alone on a store (ownership.py),
    between two of its transactions: see checkpoint.py."""
    if is_sqlite(connection):
        rows.query(connection, "PRAGMA wal_checkpoint(PASSIVE)")


def vacuum(engine: Engine, names: list[str]) -> None:
    """PostgreSQL: make the room of rows that are gone free again, and count anew. Where that cannot be now, the server does it later."""
    with suppress(SQLAlchemyError), engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        quoted = ", ".join(f'"{name}"' for name in names)
        connection.execute(text(f"VACUUM (ANALYZE) {quoted}"))


def writer(engine: Engine) -> Connection:
    """The journal's connection: its transactions hold the write lock from their first statement."""
    connection = engine.connect().execution_options(**{_BEGIN: _JOURNAL})
    if not is_sqlite(engine):
        _driver(connection).prepared_max = PREPARED
        with connection.begin():
            rows.query(connection, BY_INDEX.format("false"))
    return connection


def is_healthy(connection: Connection) -> bool:
    """Does the store take a small write, and has it every table, column and right that the journal needs?

    For a `writer`'s connection, between two transactions.
    """
    try:
        with transaction(connection, mixed=True):
            for table in tables.metadata.sorted_tables:
                none = select(*table.c).where(false())
                connection.execute(table.insert().from_select([column.name for column in table.c], none))
            rows.execute(connection, _PROBE)
    except Exception:
        return False
    return True


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
        connection = self._connection
        try:
            if kind is None:
                rows.execute(connection, "COMMIT")
        finally:
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


def by_index(connection: Connection) -> None:
    """In this transaction few rows of much are asked for: see BY_INDEX."""
    if not is_sqlite(connection):
        rows.query(connection, BY_INDEX.format("true"))


def for_update(connection: Connection) -> str:
    """At the end of a SELECT: no other writer changes the rows before this transaction has ended (SQLite has one writer at a time)."""
    return "" if is_sqlite(connection) else " FOR NO KEY UPDATE"


def unhurried(connection: Connection) -> None:
    """In this transaction no time is too long."""
    if not is_sqlite(connection):
        for name in connection.execute(text(_KNOWN)).scalars().all():
            connection.execute(text(f"SET LOCAL {name} = 0"))


def lock_schema(connection: Connection) -> None:
    """Keep another process from changing the schema in this transaction's time (SQLite: BEGIN IMMEDIATE has done it)."""
    if not is_sqlite(connection):
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _SCHEMA_LOCK})


@contextmanager
def explained(engine: Engine, within_s: float | None = None) -> Iterator[None]:
    """Turn the database's errors into StoreError with a text for an operator; so, too, its silence, where somebody waits."""
    waits = engine.get_execution_options().get(patience.OPTION)
    try:
        with waits.limited(within_s) if waits is not None else nullcontext():
            yield
    except SQLAlchemyError as error:
        raise explain(error, engine.url) from error


def explain(error: SQLAlchemyError, url: URL) -> StoreError:
    """What a database error means and what to do. Holds no statement, no values (PHI) and no password."""
    return StoreError(f"the database {name_of(url)}: {faults.sort(error).text}")


def file_of(bind: Engine | Connection) -> str:
    """The path of the database's file; "" for a server's, which other machines can have too."""
    return str(bind.engine.url.database) if is_sqlite(bind) else ""


def name_of(url: URL) -> str:
    """How the database is called in texts: its file, or host, port and name; never its password."""
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    host = url.host or url.query.get("host") or "localhost"
    return f"{host if isinstance(host, str) else ','.join(host)}:{url.port or 5432}/{url.database or ''}"
