"""PostgreSQL is killed under load and started again: no acknowledged message is lost, none is stored twice."""

from __future__ import annotations

from pathlib import Path

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
