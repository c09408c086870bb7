"""A second engine on the same store, started by mistake: it says so and ends, and nothing is delivered twice."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.crash.hospital import Hospital, wait_until
from tests.faults.peer import Slow


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_a_second_engine_on_the_same_store_does_nothing(tmp_path: Path, database: str, request: pytest.FixtureRequest) -> None:
    url = request.getfixturevalue("durable_database") if database == "postgresql" else ""
    with Hospital(tmp_path, url) as hospital:
        hospital.erp.usual = hospital.lab.usual = Slow(0.02)
        hospital.start()
        charges = hospital.send_charges(3000)  # the sinks take 400 a second: they are busy all the while
        wait_until(lambda: len(charges.acked) > 200)
        other = hospital.environment | {"PAGES_PORT": "0"}
        second = subprocess.run(hospital.command, env=other, capture_output=True, text=True, timeout=30, check=False)
        assert second.returncode > 0
        assert "another engine works on this store" in second.stderr
        wait_until(lambda: len(charges.acked) > 400)
        hospital.wait_for_delivery()
        hospital.terminate()
        hospital.check()
        assert len(hospital.erp.seen) == len({row[0] for row in hospital.erp.seen}), "a charge was sent twice"
        hospital.start()  # the store is free again
        hospital.terminate()


def test_the_next_engine_starts_at_once_after_one_was_killed(hospital: Hospital) -> None:
    for _ in range(3):
        hospital.start()
        hospital.kill()
    hospital.start()
    hospital.terminate()
