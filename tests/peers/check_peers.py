"""Programs of others deliver 1,000 messages once each, with the settings of docs/mllp.md: `make test-peers`.

Not collected with the other tests: npm has to install the programs first, at the versions that the documentation names.
"""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from tests.crash.hospital import wait_until
from tests.crash.load import Load
from tests.faults.peer import Elsewhere, FaultyPeer
from tests.peers.peers import COUNT, DRIVERS, Engine, Peer, command, documented

PEERS = documented()
SENDERS = [peer for peer in PEERS if peer.sends is not None]
RECEIVERS = [peer for peer in PEERS if peer.receives is not None]
WITHIN_S = 120


def message(control_id: str, account: int) -> bytes:
    """A charge of a patient whose name is not ASCII."""
    return (
        f"MSH|^~\\&|CABINET|OR|SUTURE|GENERAL|20260512090210||DFT^P03^DFT_P03|{control_id}|P|2.5.1||||||UNICODE UTF-8\r"
        f"EVN|P03|20260512090210\rPID|1||7{account}^^^GENERAL^MR||Müller^Zoë|||||||||||||{account}\r"
        f"FT1|1|{control_id}||20260512090210||CG|IMP-1|||1\r"
    ).encode()


def test_the_documentation_names_the_peers_that_are_driven_and_installed() -> None:
    assert {peer.name for peer in PEERS} == set(DRIVERS)
    assert {peer.name: peer.installed for peer in PEERS} == {peer.name: peer.version for peer in PEERS}
    assert {peer.name: (peer.sends is not None, peer.receives is not None) for peer in PEERS} == {
        name: (bool(sends), bool(receives)) for name, (sends, receives) in DRIVERS.items()
    }


@pytest.mark.parametrize("peer", SENDERS, ids=str)
def test_what_it_sends_is_answered_and_goes_on_once(peer: Peer, tmp_path: Path) -> None:
    assert peer.sends is not None
    sink = FaultyPeer("http", keep=lambda seen: seen.body.split(b"|")[9].decode())
    with Elsewhere(sink), Engine(tmp_path, peer.sends, {"http_out": {"url": f"http://127.0.0.1:{sink.port}/"}}) as engine:
        sent = subprocess.run(command(DRIVERS[peer.name][0], engine.port, COUNT), capture_output=True, text=True, timeout=WITHIN_S)
        assert sent.returncode == 0, sent.stderr[-3000:]
        assert json.loads(sent.stdout.splitlines()[-1]) == {"codes": {"AA": COUNT}, "foreign": 0}
        wait_until(lambda: engine.count("SELECT COUNT(*) FROM delivery WHERE state = 'accepted'") >= COUNT, WITHIN_S, "all are delivered")
        wait_until(lambda: engine.count("SELECT COUNT(*) FROM message WHERE state = 'received'") == 0, WITHIN_S, "nothing is left")
        assert engine.rows("SELECT COUNT(*), COUNT(DISTINCT control_id) FROM message WHERE state = 'processed'") == [(COUNT, COUNT)]
        assert engine.count("SELECT COUNT(*) FROM delivery") == COUNT
        assert {kind for (kind,) in engine.rows("SELECT DISTINCT type FROM message WHERE state <> 'processed'")} <= {"ACK", "ACK^P03"}
        assert Counter(sink.seen) == {f"S{n}": 1 for n in range(COUNT)}


@pytest.mark.parametrize("peer", RECEIVERS, ids=str)
def test_what_it_is_sent_it_takes_once(peer: Peer, tmp_path: Path) -> None:
    assert peer.receives is not None
    server = subprocess.Popen(command(DRIVERS[peer.name][1], 0, COUNT), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    port = json.loads(server.stdout.readline())["port"]
    settings = {"host": "127.0.0.1", "port": port, "connections": 4, **peer.receives}
    try:
        with Engine(tmp_path, {}, {"mllp_out": settings}) as engine:
            load = Load(engine.port, message, "R", COUNT, 8)
            load.start()
            load.join(WITHIN_S)
            assert len(load.acked) == COUNT
            wait_until(lambda: engine.count("SELECT COUNT(*) FROM delivery WHERE state = 'accepted'") >= COUNT, WITHIN_S, engine.said)
            assert engine.rows("SELECT COUNT(*), MAX(attempts) FROM delivery") == [(COUNT, 1)]
            assert engine.count("SELECT COUNT(*) FROM exception") == 0
    finally:
        report, _ = server.communicate(timeout=WITHIN_S)
    assert Counter(json.loads(report)["taken"]) == {f"R{n}": 1 for n in range(COUNT)}
