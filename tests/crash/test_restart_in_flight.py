"""A channel that is stopped, restarted or reloaded while its sinks take longer to answer than the stop waits."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.hospital import Hospital, wait_until
from tests.faults.peer import Ack, Slow

LONGER_S = 6.0
"""So long the sinks take to answer; the site's `limits.drain_s` is 2."""


RESTARTS = ("restart", "restart")
CASES = [(kind, verbs) for kind in ("sqlite", "postgresql") for verbs in (("stop", "start"), RESTARTS, ("reload",))]
"""Each takes some 15 s, most of it waiting: one of them belongs to the quick tests."""


@pytest.mark.parametrize(
    ("kind", "verbs"), [pytest.param(*case, marks=() if case == ("sqlite", RESTARTS) else pytest.mark.slow) for case in CASES]
)
def test_nothing_goes_out_twice_and_no_answer_is_lost(
    kind: str, verbs: tuple[str, ...], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue("durable_database") if kind == "postgresql" else ""
    with Hospital(tmp_path, url, LAB_ON_AMBIGUOUS="hold", SINK_TIMEOUT_S="20") as hospital:
        hospital.erp.usual = hospital.lab.usual = Slow(LONGER_S)
        hospital.start()
        charges, adts = hospital.send_charges(40), hospital.send_adt(20)
        wait_until(lambda: len(charges.acked) == 40 and len(adts.acked) == 20)
        wait_until(lambda: hospital.erp.seen and hospital.lab.seen)
        for verb in verbs:
            for channel in ("charges", "adt"):
                told = hospital.suture("channel", verb, channel)
                assert told.returncode == 0, told.stderr + told.stdout
        hospital.erp.usual = hospital.lab.usual = Ack()
        hospital.wait_for_delivery(60)
        wait_until(lambda: hospital.query("SELECT count(*) FROM delivery WHERE state <> 'accepted'") == [(0,)])
        hospital.terminate(20)
        hospital.check()
        for sink in (hospital.erp, hospital.lab):
            sent = [row[0] for row in sink.seen]
            assert len(sent) == len(set(sent)), "sent twice"
