"""An address that is wrong or has moved: no message is blamed, the destination says what is wrong, and its backlog goes out later."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.hospital import Hospital, kept_charge, wait_until
from tests.faults.peer import Ack, FaultyPeer, Status

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (Status(404), "the address answers HTTP 404; check `url`"),
        (
            Status(308, {"Location": "https://new.example/erp?patient=ZZMARKER"}),
            "the address has moved to https://new.example (HTTP 308)",
        ),
    ],
)
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_the_destination_stops_with_its_reason_and_keeps_what_waits(
    kind: str, status: Status, says: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue("durable_database") if kind == "postgresql" else ""
    with Hospital(tmp_path, url, erp=FaultyPeer("http", keep=kept_charge, usual=status)) as hospital:
        hospital.start()
        load = hospital.send_charges(24)
        wait_until(lambda: len(load.acked) == 24)
        wait_until(lambda: hospital.query("SELECT count(*) FROM attempt WHERE outcome = 'unavailable'")[0][0] >= 5)
        wait_until(lambda: hospital.query("SELECT count(*) FROM delivery WHERE state IN ('queued', 'retrying')") == [(24,)])
        wait_until(lambda: says in hospital.suture("status", "--json").stdout, 30, "the status says what is wrong")
        hospital.erp.usual = Ack()
        wait_until(lambda: hospital.query("SELECT count(*) FROM delivery WHERE state = 'accepted'") == [(24,)])
        assert hospital.query("SELECT reason FROM exception") == []
        hospital.terminate()
