"""Two engines on one PostgreSQL: one that has lost its store stops sending before the other begins, whatever has happened to it."""

from __future__ import annotations

import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg
import pytest

from suture.model import ending
from tests.crash.cable import Cable
from tests.crash.hospital import Hospital, free_ports, kept_charge, wait_until
from tests.crash.mortal_postgres import MortalServer
from tests.faults.peer import Ack, Seen, Slow

pytestmark = pytest.mark.slow

MESSAGES = 600
IN_FLIGHT = 8
"""Of the ERP: what was on its way when an engine lost its store may come again, under the same keys."""


class Two:
    """A hospital whose backlog is being sent slowly by engine a, and its store's second engine, b."""

    def __init__(self, hospital: Hospital, direct_url: str) -> None:
        self.hospital, self.direct_url = hospital, direct_url
        self.senders: list[tuple[str, str]] = []
        self._second: subprocess.Popen[bytes] | None = None
        hospital.erp._keep = self._keep

    def _keep(self, seen: Seen) -> tuple[str, str, str]:
        row = kept_charge(seen)
        self.senders.append((seen.headers["x-engine"], row[0]))
        return row

    def begin(self) -> None:
        """Everything is acknowledged, and about a tenth of it sent."""
        self.hospital.erp.usual = Slow(0.4)
        self.hospital.start()
        self.charges = self.hospital.send_charges(MESSAGES)
        wait_until(lambda: len(self.charges.acked) == MESSAGES, 60)
        wait_until(lambda: len(self.hospital.erp.seen) > 40)

    def start_second(self) -> None:
        charges, adt, pages = free_ports(3)
        ports = {"CHARGES_PORT": str(charges), "ADT_PORT": str(adt), "PAGES_PORT": str(pages)}
        environment = self.hospital.environment | ports | {"ENGINE": "b", "SUTURE_DATABASE_URL": self.direct_url}
        with (self.hospital.directory.parent / "second.log").open("wb") as log:
            self._second = subprocess.Popen(self.hospital.command, env=environment, stdout=log, stderr=log)
        self.hospital.starts += 1

    def second_said(self) -> str:
        return (self.hospital.directory.parent / "second.log").read_text()

    def second_ended(self) -> int | None:
        assert self._second is not None
        return self._second.poll()

    def second_delivers(self) -> None:
        """The second engine sends what the first one has not, quickly."""
        wait_until(lambda: any(who == "b" for who, _ in self.senders), 40, "the second engine sends")
        self.hospital.erp.usual = Ack()
        wait_until(lambda: set(self.charges.acked) <= {row[0] for row in list(self.hospital.erp.seen)}, 60, "all is delivered")

    def first_ends(self, code: int) -> None:
        """The first engine ends by itself."""
        assert self.hospital._process is not None
        assert self.hospital._process.wait(40) == code, self.hospital.said()[-2000:]

    def check(self) -> None:
        """Nothing of a after b; nothing twice but what was on its way."""
        order = [who for who, _ in self.senders]
        first_b = order.index("b")
        assert "a" not in order[first_b:], f"the first engine sent {order[first_b:].count('a')} after the second had begun"
        twice = sum(n - 1 for n in Counter(i for _, i in self.senders).values())
        assert twice <= 8 * IN_FLIGHT, f"{twice} went twice"

    def stop_second(self) -> None:
        assert self._second is not None
        self._second.terminate()
        assert self._second.wait(20) == 0
        self.hospital.check()

    def close(self) -> None:
        if self._second is not None and self._second.poll() is None:
            self._second.kill()
            self._second.wait(10)


@contextmanager
def two(tmp_path: Path, url: str, direct_url: str = "") -> Iterator[Two]:
    with Hospital(tmp_path, url, LEASE_S="3", STORE_TIMEOUT_S="2") as hospital:
        one = Two(hospital, direct_url or url)
        try:
            yield one
        finally:
            one.close()


def end_sessions(url: str) -> None:
    """As an administrator does, or a server that is started again."""
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'suture' AND pid <> pg_backend_pid()"
        )


def end_session_of_the_owner(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted")


def is_free(url: str) -> bool:
    with psycopg.connect(url, autocommit=True) as admin:
        return not admin.execute("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted").fetchall()


def test_an_engine_that_was_stopped_for_a_while_sends_nothing_when_it_goes_on(tmp_path: Path, durable_database: str) -> None:
    with two(tmp_path, durable_database) as engines:
        engines.begin()
        first = engines.hospital.process
        first.suspend()
        end_sessions(durable_database)
        engines.start_second()
        engines.second_delivers()
        first.resume()
        engines.first_ends(ending.TAKEN_OVER)
        assert "another engine has taken this store over" in engines.hospital.said()
        engines.check()
        engines.stop_second()


def test_an_engine_whose_network_was_cut_stops_sending_before_the_other_begins(
    tmp_path: Path, mortal_postgres: MortalServer, durable_database: str
) -> None:
    near = tmp_path / "n"
    near.mkdir()
    cable = Cable(near, mortal_postgres._home)
    url = durable_database.replace(str(mortal_postgres._home), str(near))
    with two(tmp_path, url, durable_database) as engines:
        engines.begin()
        cable.cut()
        engines.start_second()
        engines.second_delivers()
        wait_until(lambda: engines.hospital.page("readyz")[0] == 503, what="the first engine is not ready")
        cable.heal()
        engines.first_ends(ending.TAKEN_OVER)
        engines.check()
        engines.stop_second()
    cable.close()


def test_an_engine_that_stays_stopped_loses_its_store_and_another_may_begin(tmp_path: Path, durable_database: str) -> None:
    """Nobody ends its sessions: the server does, when they have been silent for long enough (4 x store.timeout_s)."""
    with two(tmp_path, durable_database) as engines:
        engines.begin()
        first = engines.hospital.process
        first.suspend()
        wait_until(lambda: is_free(durable_database), 40, "the server has ended the silent sessions")
        engines.start_second()
        engines.second_delivers()
        first.resume()
        engines.first_ends(ending.TAKEN_OVER)
        engines.check()
        engines.stop_second()


@pytest.mark.parametrize("again", range(2))
def test_when_sessions_are_ended_one_of_two_engines_goes_on_and_only_one(tmp_path: Path, durable_database: str, again: int) -> None:
    with two(tmp_path, durable_database) as engines:
        engines.begin()
        engines.start_second()
        deadline_s = time.monotonic() + 30
        while engines.second_ended() is None and "another engine has taken" not in engines.hospital.said():
            end_sessions(durable_database)
            assert time.monotonic() < deadline_s
            time.sleep(0.3)
        if engines.second_ended() is None:
            engines.second_delivers()
            engines.first_ends(ending.TAKEN_OVER)
            engines.check()
            engines.stop_second()
        else:
            said = engines.second_said()  # its own session may have been ended too, while it asked
            assert "another engine works on this store" in said or "terminating connection" in said
            engines.hospital.erp.usual = Ack()
            engines.hospital.wait_for_delivery(60)
            engines.hospital.terminate()
            engines.hospital.check()


def test_an_engine_whose_sessions_are_ended_goes_on_by_itself(tmp_path: Path, durable_database: str) -> None:
    with Hospital(tmp_path, durable_database) as hospital:
        hospital.start()
        charges = hospital.send_charges()
        for n in range(1, 4):
            wait_until(lambda n=n: len(charges.acked) > 200 * n)
            end_sessions(durable_database)
        wait_until(lambda: len(charges.acked) > 1000)
        hospital.wait_for_delivery()
        status = hospital.suture("status")
        assert status.returncode == 0 and ", epoch 1" in status.stdout, status.stdout
        hospital.terminate()
        hospital.check()
        hospital.start()
        assert ", epoch 2" in hospital.suture("status").stdout
        hospital.terminate()
        assert hospital.suture("status").returncode == 4


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_an_engine_that_may_still_send_from_another_machine_is_waited_for(
    tmp_path: Path, database: str, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue("durable_database") if database == "postgresql" else ""
    with Hospital(tmp_path, url, LEASE_S="6") as hospital:
        hospital.start()
        hospital.kill()
        hospital.execute("""UPDATE engine_state SET value = replace(value, '"process": "', '"process": "x') WHERE name = 'owner'""")
        begin_s = time.monotonic()
        hospital.start(wait=False)
        wait_until(lambda: "the last engine did not say goodbye" in hospital.page("readyz")[1])
        assert hospital.page("readyz")[0] == 503
        told = hospital.suture("status")
        assert "engine starting" in told.stdout and told.returncode == 1
        hospital.wait_until_ready()
        assert time.monotonic() - begin_s > 6
        assert "engine running" in hospital.suture("status").stdout
        hospital.terminate()


def test_an_engine_that_was_killed_here_is_not_waited_for(tmp_path: Path, durable_database: str) -> None:
    with Hospital(tmp_path, durable_database, LEASE_S="600") as hospital:
        hospital.start()
        assert psutil.pid_exists(hospital.process.pid)
        hospital.kill()
        hospital.start()
        hospital.terminate()
