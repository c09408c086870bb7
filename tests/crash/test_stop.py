"""SIGTERM under load: the end comes within ten seconds, nothing is lost, and nothing is doubled."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.crash.hospital import Hospital, wait_until
from tests.faults.peer import Ack, Silence, Slow


@pytest.mark.parametrize("times", [2])
def test_asked_to_end_under_load(hospital: Hospital, times: int) -> None:
    hospital.erp.usual = hospital.lab.usual = Slow(0.03)  # so that there is always something on its way
    hospital.start()
    charges, adts = hospital.send_charges(), hospital.send_adt()
    for n in range(1, times + 1):
        wait_until(lambda n=n: len(charges.acked) > 200 * n and len(adts.acked) > 50 * n)
        assert hospital.terminate() < 10
        hospital.start()
    hospital.wait_for_delivery()
    hospital.terminate()
    hospital.check()
    assert len(hospital.erp.seen) == len({row[0] for row in hospital.erp.seen}), "a charge was sent twice"
    assert len(hospital.lab.seen) == len({row[0] for row in hospital.lab.seen}), "an ADT was sent twice"
    assert not re.search(r"warning|error|unclosed", hospital.said(), re.IGNORECASE), hospital.said()


def test_asked_to_end_while_the_sinks_are_silent(tmp_path: Path) -> None:
    with Hospital(tmp_path, SINK_TIMEOUT_S="60") as hospital:
        hospital.erp.usual = hospital.lab.usual = Silence()
        hospital.start()
        charges, adts = hospital.send_charges(), hospital.send_adt()
        wait_until(lambda: len(charges.acked) > 200 and len(adts.acked) > 50)
        assert hospital.terminate(15) < 10
        assert hospital.erp.seen
        hospital.erp.usual = hospital.lab.usual = Ack()
        hospital.start()
        hospital.wait_for_delivery()
        hospital.terminate()
        hospital.check()
