"""Errors under the journal: the store's are waited for, an operation's own are told alone, and its thread outlives all of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, text

from suture.store import backlog, dialect, faults, rows, schema
from suture.store.engine import open_engine
from tests.store.running import Running, running


@pytest.fixture
def desk(engine_db: Engine) -> Iterator[Running]:
    with running(engine_db) as one:
        yield one


@pytest.fixture
def on_postgresql(postgres_database: str) -> Iterator[Running]:
    engine = open_engine(postgres_database, site=None)
    schema.upgrade(engine)
    with running(engine) as one:
        yield one
    engine.dispose()


def fails(error: Exception, times: int = 10**9) -> Callable[[Any], str]:
    """Work that raises so often, then goes well."""
    left = [times]

    def run(connection: Any) -> str:
        if left[0]:
            left[0] -= 1
            raise error
        return "done"

    return run


UNEXPECTED = [
    RuntimeError("x"),
    AssertionError("x"),
    MemoryError(),
    OverflowError("x"),
    RecursionError("x"),
    KeyError("x"),
    OSError(2, "x"),
]


@pytest.mark.parametrize("error", UNEXPECTED, ids=lambda e: type(e).__name__)
def test_an_error_that_nobody_expected_is_told_alone_and_nobody_waits_for_it(desk: Running, error: Exception) -> None:
    desk.receive("M1", "M2")
    desk.work("bad", fails(error))
    desk.receive("M3")
    desk.settle()
    assert desk.results == {"M1": "received", "M2": "received", "bad": error, "M3": "received"}
    assert desk.stored() == ["M1", "M2", "M3"]


@pytest.mark.parametrize("error", UNEXPECTED, ids=lambda e: type(e).__name__)
def test_one_that_passes_blames_nobody(desk: Running, error: Exception) -> None:
    desk.work("again", fails(error, faults.UNCLEAR_TRIES - 1))
    desk.settle()
    assert desk.results == {"again": "done"}


def test_an_operation_that_is_refused_on_purpose_is_told_at_once(desk: Running) -> None:
    from suture.model.errors import CommandError

    runs = []

    def run(connection: Any) -> None:
        runs.append(1)
        raise CommandError("there is nothing to do")

    desk.work("bad", run)
    desk.settle()
    assert isinstance(desk.results["bad"], CommandError)
    assert len(runs) == 1
    assert desk.told == []


def test_a_table_that_is_missing_is_the_stores_fault(desk: Running) -> None:
    """Every operation would fail and nobody is to blame: all wait until it is back."""
    desk.receive("M1")
    desk.settle()
    _rename(desk.engine, "message_body", "elsewhere")
    desk.receive("M2", "M3")
    desk.work("w", lambda c: c.execute(text("SELECT 42")).scalar())
    desk.until(lambda: desk.told, "trouble is told")
    assert set(desk.results) == {"M1"}
    _rename(desk.engine, "elsewhere", "message_body")
    desk.settle()
    assert desk.results == {"M1": "received", "M2": "received", "M3": "received", "w": 42}
    assert desk.told[-1] == ""
    assert desk.stored() == ["M1", "M2", "M3"]


def _rename(engine: Engine, old: str, new: str) -> None:
    with dialect.writing(engine) as connection:
        connection.execute(text(f"ALTER TABLE {old} RENAME TO {new}"))


def test_a_number_that_somebody_else_took_is_taken_anew(desk: Running) -> None:
    """As after a restore, or a second writer: the message is not to blame."""
    desk.receive("M1")
    desk.settle()
    with dialect.writing(desk.engine) as connection:
        row = {"id": 2, "channel": "c", "at": 1, "state": "received", "none": ""}
        names = "id, channel, received_at_us, state, control_id, type, sender, peer, size_bytes, reason"
        connection.execute(
            text(f"INSERT INTO received ({names}) VALUES (:id, :channel, :at, :state, :none, :none, :none, :none, 0, :none)"), row
        )
    desk.receive("M2")
    desk.settle()
    assert desk.results == {"M1": "received", "M2": "received"}


def test_what_takes_the_connection_along_each_time_does_not_hold_up_the_others_for_ever(on_postgresql: Running) -> None:
    desk = on_postgresql
    desk.receive("M1")
    desk.work("poison", lambda c: c.execute(text("SELECT pg_terminate_backend(pg_backend_pid())")))
    desk.receive("M2")
    desk.settle()
    assert isinstance(desk.results.pop("poison"), Exception)
    assert desk.results == {"M1": "received", "M2": "received"}
    assert desk.told[-1] == ""


def raises(condition: str) -> Callable[[Any], Any]:
    return lambda c: rows.execute(c, f"DO $$ BEGIN RAISE {condition}; END $$")


def test_a_fault_of_the_servers_own_is_tried_again(on_postgresql: Running) -> None:
    tries = []

    def run(connection: Any) -> str:
        tries.append(1)
        if len(tries) == 1:
            raises("internal_error")(connection)
        return "done"

    on_postgresql.work("w", run)
    on_postgresql.settle()
    assert on_postgresql.results == {"w": "done"}


@pytest.mark.parametrize("condition", ["disk_full", "admin_shutdown", "cannot_connect_now", "deadlock_detected", "lock_not_available"])
def test_what_is_the_servers_is_waited_for(on_postgresql: Running, condition: str) -> None:
    tries = []

    def run(connection: Any) -> str:
        tries.append(1)
        if len(tries) < 5:
            raises(condition)(connection)
        return "done"

    on_postgresql.receive("M1")
    on_postgresql.work("w", run)
    on_postgresql.settle()
    assert on_postgresql.results == {"M1": "received", "w": "done"}
    assert len(on_postgresql.told) >= 2
    assert on_postgresql.told[-1] == ""


def test_a_database_that_becomes_read_only_blames_nobody(on_postgresql: Running) -> None:
    desk = on_postgresql
    desk.receive("M1")
    desk.settle()
    name = desk.engine.url.database
    with desk.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as admin:
        admin.execute(text(f"ALTER DATABASE {name} SET default_transaction_read_only = on"))
        admin.execute(
            text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()")
        )
        desk.receive("M2")
        desk.until(lambda: any("takes no writes" in said for said in desk.told), "it says why")
        assert "M2" not in desk.results
        admin.execute(text(f"ALTER DATABASE {name} RESET default_transaction_read_only"))
        admin.execute(
            text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()")
        )
    desk.settle()
    assert desk.results == {"M1": "received", "M2": "received"}


@pytest.mark.parametrize("mixed", [False, True], ids=["in a pipeline", "with statements of SQLAlchemy"])
def test_sessions_that_are_ended_again_and_again_end_no_thread(on_postgresql: Running, mixed: bool) -> None:
    """In every phase: connecting, setting up, statements, commits. Nothing is lost, doubled or blamed."""
    desk, stop, ended = on_postgresql, threading.Event(), []

    def terminate() -> None:
        ours = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'suture' AND datname = current_database()"
        with psycopg.connect(desk.engine.url.render_as_string(False).replace("+psycopg", ""), autocommit=True) as admin:
            while not stop.wait(0.01):
                ended.extend(admin.execute(ours).fetchall())

    thread = threading.Thread(target=terminate)
    thread.start()
    try:
        number, until_s = 0, time.monotonic() + 60
        while len(ended) < 250 and time.monotonic() < until_s:
            number += 1
            desk.receive(f"M{number:05}")
            if mixed:
                desk.work(f"w{number:05}", lambda c: c.execute(text("SELECT 1")).scalar())
            before = len(ended)
            desk.until(lambda before=before: len(ended) > before or not desk.journal.pending(), "something happens")
            assert desk.journal.is_alive()
    finally:
        stop.set()
        thread.join()
    assert len(ended) >= 50, "the journal's sessions were hardly ever ended"
    desk.settle()
    assert {name: what for name, what in desk.results.items() if what not in ("received", 1)} == {}
    assert desk.stored() == [f"M{n:05}" for n in range(1, number + 1)]


@pytest.mark.parametrize("condition", ["data_corrupted", "index_corrupted"])
def test_damage_ends_the_writing_for_good_and_says_so(on_postgresql: Running, condition: str) -> None:
    desk = on_postgresql
    desk.work("w", raises(condition))
    desk.until(lambda: desk.told, "it is told")
    assert "damaged" in desk.told[0]
    assert "restore a backup" in desk.told[0]
    assert desk.journal.lost == faults.DAMAGED
    desk.receive("M1")
    desk.until(lambda: _noted(desk.engine), "a note is left")
    assert desk.results == {}
    assert desk.journal.is_alive()


def _noted(engine: Engine) -> str:
    with engine.connect() as c:
        return c.execute(text("SELECT value FROM engine_state WHERE name = 'store_damage'")).scalar() or ""


def test_damage_that_a_reader_meets_ends_the_writing_too(on_postgresql: Running) -> None:
    desk, later = on_postgresql, []
    bugs: list[Exception] = []
    reader = backlog.Reader(desk.engine, lambda f: f(), lambda s, f: later.append(f), bugs.append, desk.journal.give_up, 1)
    reader.read(raises("data_corrupted"), lambda r: None)
    desk.until(lambda: later, "the read has failed")
    desk.receive("M1")
    desk.until(lambda: desk.told, "it is told")
    assert (desk.journal.lost, desk.results, bugs) == (faults.DAMAGED, {}, [])
    reader.stop()


def test_a_reader_waits_for_the_store_and_tells_of_bugs(on_postgresql: Running) -> None:
    desk, later = on_postgresql, []
    bugs: list[Exception] = []
    reader = backlog.Reader(desk.engine, lambda f: f(), lambda s, f: later.append(f), bugs.append, desk.journal.give_up, 1)
    reader.read(raises("cannot_connect_now"), lambda r: None)
    desk.until(lambda: len(later) == 1, "the read has failed")
    assert bugs == []
    reader.read(fails(ValueError("x")), lambda r: None)
    desk.until(lambda: len(later) == 2, "the read has failed")
    assert [type(bug) for bug in bugs] == [ValueError]
    assert desk.journal.lost == ""
    reader.stop()


def test_metrics_that_fail_keep_nobody_from_being_told(desk: Running) -> None:
    def batch(size: int, seconds: float) -> None:
        raise RuntimeError("x")

    desk.journal._observer.batch = batch  # type: ignore[method-assign]
    desk.receive("M1")
    desk.settle()
    desk.until(lambda: desk.bugs, "the bug is told")
    assert desk.results == {"M1": "received"}
