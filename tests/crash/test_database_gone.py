"""PostgreSQL is killed under load and started again: no acknowledged message is lost, none is stored twice."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.crash.hospital import Hospital, wait_until
from tests.crash.mortal_postgres import MortalServer


def test_the_server_is_killed_and_started_again(tmp_path: Path, mortal_postgres: MortalServer, durable_database: str) -> None:
    with Hospital(tmp_path, durable_database) as hospital:
        hospital.start()
        charges, adts = hospital.send_charges(), hospital.send_adt()
        for n in (1, 2):
            wait_until(lambda n=n: len(charges.acked) > 200 * n and len(adts.acked) > 50 * n)
            mortal_postgres.kill()
            wait_until(lambda: hospital.page("readyz")[0] == 503, what="the engine says that it is not ready")
            assert "the store takes nothing" in hospital.page("readyz")[1]
            mortal_postgres.start_again()
            wait_until(hospital.is_ready, what="the engine is ready again")
        taken = len(charges.acked)
        wait_until(lambda: len(charges.acked) > taken + 100, what="messages are taken again")
        hospital.wait_for_delivery()
        hospital.terminate()
        hospital.check()


@pytest.fixture
def careless_postgres() -> Iterator[MortalServer]:
    """A server whose default is to answer a commit before it is on the disk, and to write it there seconds later."""
    server = MortalServer({"synchronous_commit": "off", "wal_writer_delay": "10s"})
    yield server
    server.stop()


def test_a_server_that_is_killed_and_whose_default_is_careless(tmp_path: Path, careless_postgres: MortalServer) -> None:
    with Hospital(tmp_path, careless_postgres.url()) as hospital:
        hospital.start()
        charges = hospital.send_charges()
        wait_until(lambda: len(charges.acked) > 300)
        careless_postgres.kill()
        wait_until(lambda: hospital.page("readyz")[0] == 503, what="the engine says that it is not ready")
        hospital.kill()  # what it knows of it must not help
        careless_postgres.start_again()
        stored = {row[0] for row in hospital.query("SELECT control_id FROM message")}
        assert set(charges.acked) - stored == set(), "acknowledged and not in the store"
        hospital.start()
        hospital.wait_for_delivery()
        shown = hospital.suture("status").stdout
        assert "synchronous_commit on" in shown
        assert "the server's synchronous_commit is off; our connections use on" in shown
        hospital.terminate()
        hospital.check()


def test_sessions_that_an_administrator_ends_under_load(tmp_path: Path, mortal_postgres: MortalServer, durable_database: str) -> None:
    """In the midst of commits, again and again: the journal goes on, nothing is lost, doubled, parked or refused."""
    ours = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'suture' AND query ~* 'commit|insert|update'"
    stop = threading.Event()

    def terminate() -> None:
        with psycopg.connect(mortal_postgres.url(), autocommit=True) as admin:
            while not stop.wait(0.05):
                admin.execute(ours)

    with Hospital(tmp_path, durable_database) as hospital:
        hospital.start()
        charges = hospital.send_charges()
        thread = threading.Thread(target=terminate)
        thread.start()
        try:
            wait_until(lambda: hospital.said().count("the store takes nothing") >= 5, 60, "the store was in trouble some times")
        finally:
            stop.set()
            thread.join()
        wait_until(hospital.is_ready, what="the engine is ready again")
        taken = len(charges.acked)
        wait_until(lambda: len(charges.acked) > taken + 100, what="messages are taken again")
        hospital.wait_for_delivery()
        assert hospital.query("SELECT count(*) FROM exception") == [(0,)]
        hospital.terminate()
        hospital.check()
