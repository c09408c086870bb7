"""A peer that acknowledges acknowledgements, over real sockets: neither side goes on without end."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Suture
from tests.crash.hospital import free_ports, wait_until
from tests.engine_process import TIMEOUT_S, Sender, running
from tests.faults.peer import Elsewhere, FaultyPeer

CHANNEL = """\
channel: adt
source: {{mllp_in: {{port: {port}, ack: {ack}}}}}
destinations:
  next: {{to: next, message: {{}}}}
"""


def message(number: int) -> bytes:
    return f"MSH|^~\\&|POC|WEST|HUB|GENERAL|20260401||ADT^A08|W{number}|P|2.5.1\rPID|1||4711^^^WEST^MR\r".encode()


def acknowledging(answer: bytes) -> bytes:
    """What such a peer says to whatever it gets: accepted."""
    name, control_id = answer.split(b"|")[8], answer.split(b"|")[9]
    return b"MSH|^~\\&|POC|WEST|HUB|GENERAL|20260401||" + name + b"|P" + control_id + b"|P|2.5.1\rMSA|AA|" + control_id + b"\r"


@pytest.mark.parametrize("ack", ["after_store", "after_process"])
def test_its_acknowledgements_are_kept_and_end_there(suture: Suture, engine_url: str, tmp_path: Path, ack: str) -> None:
    (port,), site, peer = free_ports(1), tmp_path / "site", FaultyPeer("mllp")
    (site / "conf").mkdir(parents=True)
    (site / "channels" / "adt").mkdir(parents=True)
    (site / "channels" / "adt" / "channel.yaml").write_text(CHANNEL.format(port=port, ack=ack))
    with Elsewhere(peer):
        endpoints = f"endpoints: {{next: {{mllp_out: {{host: 127.0.0.1, port: {peer.port}}}}}}}"
        (site / "conf" / "base.yaml").write_text(
            f'site: {{name: W, zone: UTC}}\nhttp: {{port: 0}}\nstore: {{url: "{engine_url}"}}\n{endpoints}\n'
        )
        with running(site, tmp_path / "log"):
            sender = Sender(port)
            for number in (1, 2, 3):
                sender.say(message(number))
                answer = sender.hear()
                assert f"MSA|AA|W{number}".encode() in answer, "what is answered is the message, and not the acknowledgement before it"
                sender.say(acknowledging(answer))
            sender.close()

            def states() -> list[str]:
                return sorted(row["state"] for row in suture("message", "list", "--site", site, "--json").json)

            wait_until(lambda: states() == ["filtered"] * 3 + ["processed"] * 3, TIMEOUT_S, "all are processed")
            wait_until(lambda: len(peer.seen) == 3, TIMEOUT_S, "the messages are delivered")
            filtered = suture("message", "list", "--state", "filtered", "--site", site).out
            assert "an acknowledgement (ACK^A08) that came as a message: it is kept, and never processed" in filtered
