"""A message that a peer never takes: it closes the connection on it, or refuses it again and again, and takes all others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.crash.hospital import Hospital, kept_adt, kept_charge, wait_until
from tests.crash.load import Load, adt
from tests.faults.peer import Ack, Close, Fault, FaultyPeer, Seen

POISON = "7"
"""The account whose messages are never taken."""


class Choosy(FaultyPeer):
    """Does `fault` to what is for one account."""

    def __init__(self, wire: str, keep: Any, fault: Fault) -> None:
        super().__init__(wire, keep=keep)
        self._fault, self._account = fault, keep

    async def _do(self, fault: Fault, seen: Seen, writer: Any) -> None:
        poison = self._account(seen)[2] == POISON
        await super()._do(self._fault if poison else fault, seen, writer)


@pytest.mark.parametrize("fault", [Close(), pytest.param(Ack("AR"), marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def test_the_others_go_out_within_seconds_and_it_is_given_up_with_its_reason(
    kind: str, fault: Fault, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue("durable_database") if kind == "postgresql" else ""
    with Hospital(tmp_path, url, Choosy("mllp", kept_adt, fault), Choosy("http", kept_charge, fault)) as hospital:
        hospital.start()
        for load in (hospital.send_adt(24), hospital.send_charges(24)):  # one message an account
            wait_until(lambda load=load: len(load.acked) == 24)
        accepted = "SELECT count(*) FROM delivery WHERE state = 'accepted'"
        wait_until(lambda: hospital.query(accepted) == [(46,)], 20)
        wait_until(lambda: hospital.query("SELECT count(*) FROM attempt WHERE outcome <> 'accepted'")[0][0] >= 12, 20)
        later = hospital._send(Load(hospital.adt_port, adt, "B", 24, 2))
        wait_until(lambda: later.over)
        wait_until(lambda: hospital.query(accepted) == [(69,)], 5)
        dead = "SELECT DISTINCT destination FROM delivery WHERE state = 'dead' ORDER BY destination"
        wait_until(lambda: hospital.query(dead) == [("erp",), ("lab",)], 120)  # each in its own time, one after the other or at once
        reasons = hospital.query("SELECT reason FROM exception WHERE stage = 'deliver'")
        assert len(reasons) >= 2
        assert all("while the destination took others" in reason for (reason,) in reasons)
        hospital.terminate()
