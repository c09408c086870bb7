"""A sender that writes the same MSH-10 into every message, and a peer that answers twice: a real engine keeps them apart."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from tests.crash.hospital import Hospital, kept_adt, wait_until
from tests.crash.load import adt
from tests.faults.peer import Ack, Fault, FaultyPeer, Seen

pytestmark = pytest.mark.slow

REFUSED = "7"
"""The account that the peer refuses."""
COUNT = 12


class Echoing(FaultyPeer):
    """Says again what it said to the message before, and then refuses one account and takes the others."""

    def __init__(self) -> None:
        super().__init__("mllp", keep=kept_adt)
        self._before = b""

    async def _do(self, fault: Fault, seen: Seen, writer: Any) -> None:
        code = "AE" if kept_adt(seen)[2] == REFUSED else "AA"
        writer.write(self._before)
        self._before = self._wire.answer(seen, code)
        await super()._do(Ack(code), seen, writer)


@pytest.mark.parametrize("control_id", ["1", ""])
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_each_message_gets_its_own_answer_and_its_attempt_says_under_which_id(
    kind: str, control_id: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue("durable_database") if kind == "postgresql" else ""
    with Hospital(tmp_path, url, Echoing(), LAB_CONNECTIONS="1") as hospital:
        hospital.start()
        for account in range(COUNT):
            send(hospital.adt_port, adt(control_id, account))
        wait_until(lambda: hospital.query("SELECT count(*) FROM delivery WHERE state IN ('accepted', 'dead')") == [(COUNT,)])
        assert hospital.query("SELECT lane FROM delivery WHERE state = 'dead'") == [(REFUSED,)]
        seen = {account: name for name, _, account in hospital.lab.seen}
        assert len(set(seen.values())) == len(seen) == COUNT
        told = hospital.query("SELECT lane, attempt.reason FROM attempt JOIN delivery ON delivery.id = attempt.delivery_id")
        assert all(reason.endswith(f"sent under the control id {seen[lane]}") for lane, reason in told if seen[lane] != control_id)
        assert sum(bool(reason) for _, reason in told) >= COUNT - 1
        hospital.terminate()


def send(port: int, message: bytes) -> None:
    """Send one message and wait for its answer."""
    with socket.create_connection(("127.0.0.1", port), 10) as sender:
        sender.sendall(b"\x0b" + message + b"\x1c\r")
        answer = b""
        while not answer.endswith(b"\x1c\r"):
            answer += sender.recv(65_536)
        assert b"MSA|AA|" in answer
