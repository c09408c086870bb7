"""Whose fault an error is: the tables, and the errors that real databases of both kinds give."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError, InvalidRequestError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from suture.model.errors import CommandError, StoreError
from suture.store import faults, rows, sqlite
from suture.store.engine import open_engine
from suture.store.faults import AGAIN, CUT, DAMAGED, GONE, LOST, OWN, STORE, UNCLEAR, WAIT, StoreMoved

OWN_BY_SQLITE = {18, 19, 20, 25}
DAMAGED_BY_SQLITE = {11, 26}
UNCLEAR_BY_SQLITE = {1, 2, 4, 7, 12, 16, 17, 21, 24, 27, 28}


def of_sqlite(code: int) -> Exception:
    error = sqlite3.DatabaseError("Jane Doe")
    error.sqlite_errorcode = code
    return DBAPIError.instance(None, None, error, sqlite3.Error)  # type: ignore[return-value]


def of_postgresql(state: str, kind: type[Exception] = psycopg.Error) -> Exception:
    class Error(kind):  # type: ignore[misc, valid-type]
        sqlstate = state

    return Error("Jane Doe")


@pytest.mark.parametrize("code", range(1, 29))
def test_every_result_code_of_sqlite_has_its_place(code: int) -> None:
    expected = {c: k for k, codes in ((OWN, OWN_BY_SQLITE), (DAMAGED, DAMAGED_BY_SQLITE), (UNCLEAR, UNCLEAR_BY_SQLITE)) for c in codes}
    assert faults.sort(of_sqlite(code)).kind == expected.get(code, STORE)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (266, STORE),  # IOERR_READ
        (1034, STORE),  # IOERR_FSYNC
        (522, DAMAGED),  # IOERR_SHORT_READ
        (8458, DAMAGED),  # IOERR_CORRUPTFS
        (779, DAMAGED),  # CORRUPT_INDEX
        (1032, STORE),  # READONLY_DBMOVED
        (264, STORE),  # READONLY_RECOVERY
        (270, STORE),  # CANTOPEN_NOTEMPDIR
        (517, STORE),  # BUSY_SNAPSHOT
        (262, STORE),  # LOCKED_SHAREDCACHE
        (1299, OWN),  # CONSTRAINT_NOTNULL
        (275, OWN),  # CONSTRAINT_CHECK
        (1555, UNCLEAR),  # CONSTRAINT_PRIMARYKEY: the journal gives the numbers
    ],
)
def test_extended_codes_of_sqlite(code: int, kind: str) -> None:
    assert faults.sort(of_sqlite(code)).kind == kind


@pytest.mark.parametrize(
    ("states", "kind"),
    [
        (("08000", "08006", "57P01", "57P02", "57P03", "57P05", "25P03", "25P04", "40003"), LOST),
        (("53000", "53100", "53300", "57014", "57P04", "58000", "58030", "25006", "28000", "28P01", "3D000", "3F000"), STORE),
        (("40001", "40P01", "55P03", "55006", "42501", "42P01", "42703", "F0001"), STORE),
        (("XX001", "XX002", "58P01"), DAMAGED),
        (("22001", "22003", "22P02", "22021", "23502", "23503", "23514", "40002", "44000", "54000"), OWN),
        (("XX000", "42601", "42804", "0A000", "26000", "25P02", "23505", "53200", "P0001", "21000", "34000"), UNCLEAR),
    ],
)
def test_sqlstates(states: tuple[str, ...], kind: str) -> None:
    assert {state: faults.sort(of_postgresql(state)).kind for state in states} == dict.fromkeys(states, kind)


@pytest.mark.parametrize("state", sorted(psycopg.errors._sqlcodes))
def test_every_sqlstate_that_the_driver_knows_is_sorted_and_says_nothing_of_the_data(state: str) -> None:
    fault = faults.sort(of_postgresql(state))
    assert fault.kind in (OWN, UNCLEAR, LOST, STORE, DAMAGED)
    assert fault.text
    assert fault.kind in (STORE, LOST) or "Jane" not in fault.text


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (psycopg.OperationalError("the connection is closed"), LOST),
        (psycopg.InterfaceError("the connection is closed"), LOST),
        (psycopg.errors.PipelineAborted("pipeline aborted"), UNCLEAR),
        (psycopg.DataError("text fields cannot contain NUL"), OWN),
        (psycopg.ProgrammingError("cannot adapt"), UNCLEAR),
        (sqlite3.InterfaceError("Error binding parameter"), UNCLEAR),
        (sqlite3.DataError("string or blob too big"), OWN),
        (sqlite3.ProgrammingError("Cannot operate on a closed database."), UNCLEAR),
        (OperationalError(None, None, Exception("another engine works on this store")), LOST),
        (PoolTimeout("no connection"), STORE),
        (InvalidRequestError("a transaction is already begun"), UNCLEAR),
        (OSError(errno.ENOSPC, "No space left on device"), STORE),
        (OSError(errno.EMFILE, "Too many open files"), STORE),
        (FileNotFoundError(errno.ENOENT, "No such file"), UNCLEAR),
        (MemoryError(), UNCLEAR),
        (RuntimeError("Jane Doe"), UNCLEAR),
        (AssertionError("Jane Doe"), UNCLEAR),
        (OverflowError("Python int too large"), UNCLEAR),
        (RecursionError(), UNCLEAR),
        (CommandError("there is nothing to do"), OWN),
        (StoreError("full"), STORE),
        (StoreMoved("gone"), STORE),
        (StoreMoved("gone", for_good=True), GONE),
    ],
)
def test_what_has_no_code(error: Exception, kind: str) -> None:
    assert faults.sort(error).kind == kind
    assert "Jane" not in faults.sort(error).text


def test_an_unclear_error_over_a_connection_that_went_is_a_lost_connection() -> None:
    error = DBAPIError(None, None, RuntimeError("x"), connection_invalidated=True)
    assert faults.sort(error).kind == LOST


@pytest.mark.parametrize(
    ("kind", "fails", "alone", "verdict"),
    [
        (OWN, 1, False, CUT),
        (OWN, 1, True, CUT),
        (STORE, 10_000, True, WAIT),
        (DAMAGED, 1, False, WAIT),
        (GONE, 1, False, WAIT),
        (UNCLEAR, 1, False, CUT),
        (UNCLEAR, faults.UNCLEAR_TRIES - 1, True, AGAIN),
        (UNCLEAR, faults.UNCLEAR_TRIES, True, CUT),
        (LOST, faults.LOST_TRIES - 1, False, WAIT),
        (LOST, faults.LOST_TRIES, False, CUT),
    ],
)
def test_what_becomes_of_a_group(kind: str, fails: int, alone: bool, verdict: str) -> None:
    assert faults.verdict(kind, fails, alone) == verdict


# -- real databases ----------------------------------------------------------------------------------------------------


def caught(engine: Engine, sql: str, values: tuple[Any, ...] = ()) -> faults.Fault:
    with engine.connect() as connection, pytest.raises(Exception) as error:
        rows.execute(connection, sql, values)
    return faults.sort(error.value)


def test_both_say_whose_fault_it_is(engine_db: Engine) -> None:
    assert caught(engine_db, "SELECT nothing FROM nowhere").kind in (STORE, UNCLEAR)
    assert caught(engine_db, "INSERT INTO engine_state (name, updated_at_us) VALUES ('x', 0)").kind == OWN


@pytest.fixture
def small(tmp_path: Path) -> Engine:
    engine = open_engine(f"sqlite:///{tmp_path / 'a.db'}", site=None, busy_timeout_s=0.05)
    with engine.connect() as connection:
        rows.execute(connection, "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT NOT NULL) STRICT")
    return engine


def full(connection: Any) -> None:
    rows.execute(connection, "PRAGMA max_page_count = 3")
    rows.execute(connection, "INSERT INTO t VALUES (1, ?)", ("x" * 100_000,))


def locked(connection: Any) -> None:
    other = sqlite.module().connect(connection.engine.url.database, isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        rows.execute(connection, "INSERT INTO t VALUES (1, 'x')")
    finally:
        other.close()


def read_only(connection: Any) -> None:
    rows.execute(connection, "PRAGMA query_only = 1")
    rows.execute(connection, "INSERT INTO t VALUES (1, 'x')")


@pytest.mark.parametrize(
    ("act", "kind", "says"),
    [
        (full, STORE, "the disk is full"),
        (locked, STORE, "another process holds it locked"),
        (read_only, STORE, "read-only"),
        (lambda c: rows.execute(c, "INSERT INTO t VALUES (1, NULL)"), OWN, "breaks a rule"),
        (lambda c: rows.execute(c, "INSERT INTO t VALUES ('Jane', 'x')"), OWN, "wrong kind"),
        (lambda c: [rows.execute(c, "INSERT INTO t VALUES (1, 'x')") for _ in range(2)], UNCLEAR, "taken already"),
        (lambda c: rows.execute(c, "INSERT INTO t VALUES (1, zeroblob(1000000001))"), OWN, "too large"),
        (lambda c: rows.execute(c, "INSERT INTO t VALUES (?, 'x')", (2**70,)), UNCLEAR, "OverflowError"),
        (lambda c: rows.execute(c, "INSERT INTO t VALUES (1, ?)", (object(),)), UNCLEAR, "unexpected"),
    ],
)
def test_sqlite_itself(small: Engine, act: Callable[[Any], None], kind: str, says: str) -> None:
    with small.connect() as connection, pytest.raises(Exception) as error:
        act(connection)
    fault = faults.sort(error.value)
    assert (fault.kind, says in fault.text) == (kind, True), fault
    assert "Jane" not in fault.text


@pytest.mark.parametrize(
    ("sql", "values", "kind"),
    [
        ("INSERT INTO engine_state (name, value, updated_at_us) VALUES ($1, '', 0)", ("a\0b",), OWN),
        ("INSERT INTO engine_state (name, value, updated_at_us) VALUES ('x', '', 'Jane')", (), OWN),
        ("INSERT INTO engine_state (name, value, updated_at_us) VALUES ('x', '', 99999999999999999999)", (), OWN),
        ("SELECT pg_terminate_backend(pg_backend_pid())", (), LOST),
        ("SET TRANSACTION READ ONLY; CREATE TABLE t (a int)", (), STORE),
        ("SET LOCAL statement_timeout = 1; SELECT pg_sleep(5)", (), STORE),
        ("DO $$ BEGIN RAISE data_corrupted; END $$", (), DAMAGED),
        ("DO $$ BEGIN RAISE internal_error; END $$", (), UNCLEAR),
        ("DO $$ BEGIN RAISE disk_full; END $$", (), STORE),
        ("DO $$ BEGIN RAISE EXCEPTION 'Jane'; END $$", (), UNCLEAR),
        ("SELECT * FROM nowhere", (), STORE),
    ],
)
def test_postgresql_itself(postgres_database: str, sql: str, values: tuple[Any, ...], kind: str) -> None:
    from suture.store import schema

    engine = open_engine(postgres_database, site=None)
    try:
        schema.upgrade(engine)
        with engine.connect() as connection, pytest.raises(Exception) as error:
            for statement in sql.split("; ") if not sql.startswith("DO") else [sql]:
                rows.execute(connection, statement, values)
        fault = faults.sort(error.value)
        assert fault.kind == kind
        assert "Jane" not in fault.text
    finally:
        engine.dispose()


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    engine = open_engine(f"postgresql://u@/x?host={tmp_path}", site=None)
    with pytest.raises(Exception) as error, engine.connect() as connection:
        connection.execute(text("SELECT 1"))
    assert faults.sort(error.value).kind == LOST
