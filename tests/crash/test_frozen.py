"""A store that does not answer: the engine says so, ends in its time, and commands do not wait without end."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from suture.model import ending
from tests.crash.hospital import Hospital, wait_until
from tests.crash.mortal_postgres import MortalServer
from tests.faults.peer import Silence

pytestmark = pytest.mark.slow

STOP_S = 2 + 8 + 3
"""drain_s of this site, what docs/operations.md says is added to it, and some slack for a busy machine."""


@contextmanager
def frozen(server: MortalServer) -> Iterator[None]:
    server.freeze()
    try:
        yield
    finally:
        server.thaw()


@contextmanager
def locked_file(hospital: Hospital) -> Iterator[None]:
    """Somebody's transaction in the file of SQLite that does not end."""
    with sqlite3.connect(hospital.directory / "suture.db", isolation_level=None) as other:
        other.execute("PRAGMA busy_timeout = 20000")
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")
    other.close()


@contextmanager
def locked_table(url: str, table: str) -> Iterator[None]:
    with psycopg.connect(url) as other:
        other.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        yield
        other.rollback()


def timed(hospital: Hospital, *arguments: str) -> tuple[float, int, str, str]:
    begin_s = time.monotonic()
    ran = hospital.suture(*arguments)
    return time.monotonic() - begin_s, ran.returncode, ran.stdout, ran.stderr


def ended(hospital: Hospital, timeout_s: float) -> int:
    assert hospital._process is not None
    return hospital._process.wait(timeout_s)


def not_ready(hospital: Hospital, words: str) -> None:
    wait_until(lambda: hospital.page("readyz")[0] == 503, what="the engine is not ready")
    wait_until(lambda: words in hospital.page("readyz")[1], what=words)


def works_again(hospital: Hospital) -> None:
    """Ready once more; all that was acknowledged is delivered, once; and the end is clean."""
    wait_until(hospital.is_ready, what="the engine is ready again")
    hospital.wait_for_delivery()
    hospital.terminate()
    hospital.check()


def test_a_frozen_server_is_said_by_readiness_metrics_and_status(
    tmp_path: Path, mortal_postgres: MortalServer, durable_database: str
) -> None:
    with Hospital(tmp_path, durable_database) as hospital:
        hospital.start()
        charges = hospital.send_charges()
        wait_until(lambda: len(charges.acked) > 100)
        usual_s = timed(hospital, "status")[0]
        with frozen(mortal_postgres):
            not_ready(hospital, "the store does not answer")
            acked = len(charges.acked)
            oldest = next(line for line in hospital.page("metrics")[1].splitlines() if line.startswith("suture_journal_oldest_seconds "))
            assert float(oldest.split()[1]) >= 5
            assert "suture_ready 0.0" in hospital.page("metrics")[1]
            took_s, code, out, err = timed(hospital, "status")
            assert code == 4 and took_s < 1.2 + 3 * usual_s, took_s
            assert "NOT READY" in out and "the store does not answer" in out
            assert "not known: the store" in err and "has not answered within" in err
            found = json.loads(timed(hospital, "status", "--json")[2])
            assert found["health"]["state"] == "not ready" and found["missing"]
            took_s, code, out, err = timed(hospital, "channel", "list", "--timeout", "1")
            assert code == 4 and took_s < 1 + 3 * usual_s and "has not answered within 1 s" in err and "--timeout" in err
            took_s, code, out, err = timed(hospital, "channel", "stop", "adt", "--timeout", "1")
            assert code == 4 and took_s < 1 + 3 * usual_s and "has not answered within 1 s" in err
            assert len(charges.acked) == acked, "acknowledged while the store could not take it"
        works_again(hospital)


def test_a_store_that_hangs_is_said_where_nothing_comes_in(tmp_path: Path, mortal_postgres: MortalServer, durable_database: str) -> None:
    with Hospital(tmp_path, durable_database) as hospital:
        hospital.start()
        with frozen(mortal_postgres):
            not_ready(hospital, "the store does not answer")
        works_again(hospital)


def test_a_locked_table_is_said(tmp_path: Path, durable_database: str) -> None:
    with Hospital(tmp_path, durable_database) as hospital:
        hospital.start()
        with locked_table(durable_database, "message"):
            charges = hospital.send_charges(20)
            not_ready(hospital, "the store does not answer")
            took_s, code, out, err = timed(hospital, "status")
            assert code == 1 and "NOT READY" in out and "messages, deliveries and exceptions are not counted" in err, (out, err)
        wait_until(lambda: len(charges.acked) == 20)
        works_again(hospital)


def test_a_locked_file_is_said(hospital: Hospital) -> None:
    hospital.start()
    with locked_file(hospital):
        charges = hospital.send_charges(20)
        not_ready(hospital, "the store")
        took_s, code, out, _ = timed(hospital, "status")
        assert code == 1 and "NOT READY" in out, out
        assert not charges.acked
    wait_until(lambda: len(charges.acked) == 20)
    works_again(hospital)


def test_the_end_comes_in_its_time_though_the_server_is_frozen(
    tmp_path: Path, mortal_postgres: MortalServer, durable_database: str
) -> None:
    with Hospital(tmp_path, durable_database) as hospital:
        hospital.start()
        charges = hospital.send_charges()
        wait_until(lambda: len(charges.acked) > 100)
        with frozen(mortal_postgres):
            not_ready(hospital, "the store does not answer")
            hospital.process.terminate()
            assert ended(hospital, STOP_S) == ending.UNCLEAN
            took_s, code, out, err = timed(hospital, "status")
            assert code == 4 and "NOT KNOWN" in out, out
        hospital.start()
        works_again(hospital)


def test_the_end_comes_in_its_time_though_the_file_is_locked(hospital: Hospital) -> None:
    hospital.start()
    charges = hospital.send_charges()
    wait_until(lambda: len(charges.acked) > 100)
    with locked_file(hospital):
        not_ready(hospital, "the store")
        hospital.process.terminate()
        assert ended(hospital, STOP_S) == ending.UNCLEAN
        assert "engine NOT RUNNING: it ended without a goodbye" in hospital.suture("status").stdout
    hospital.start()
    works_again(hospital)


def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    with Hospital(tmp_path, SINK_TIMEOUT_S="60", DRAIN_S="60") as hospital:
        hospital.erp.usual = Silence()
        hospital.start()
        hospital.send_charges(20)
        wait_until(lambda: hospital.erp.seen)
        hospital.process.terminate()
        wait_until(lambda: "stopping" in hospital.said())
        begin_s = time.monotonic()
        hospital.process.terminate()
        assert ended(hospital, 20) == ending.UNCLEAN
        assert time.monotonic() - begin_s < 8


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_a_frozen_engine_is_not_said_to_run(tmp_path: Path, database: str, request: pytest.FixtureRequest) -> None:
    url = request.getfixturevalue("durable_database") if database == "postgresql" else ""
    with Hospital(tmp_path, url) as hospital:
        hospital.start()
        hospital.process.suspend()
        wait_until(lambda: "SILENT" in hospital.suture("status").stdout, what="the engine is seen to be silent")

        def said_of_a_stop() -> bool:
            """A command goes by the heartbeat alone, which is young for some seconds more."""
            found = hospital.suture("channel", "stop", "adt", "--wait", "1")
            assert found.returncode == 4, found.stderr
            return "gives no sign of life" in found.stderr or "holds it locked" in found.stderr

        wait_until(said_of_a_stop, what="a command says that the engine gives no sign of life")
        hospital.process.resume()
        wait_until(lambda: hospital.suture("status").returncode == 0)
        hospital.terminate()
