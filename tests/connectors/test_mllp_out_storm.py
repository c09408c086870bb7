"""MLLP out against peers that do anything: each delivery has one outcome, and none is accepted that the peer did not accept."""

from __future__ import annotations

import random
from typing import Any

import pytest

from suture.connectors.mllp_out import Destination
from suture.model.outcome import Accepted, Rejected
from tests.conformance.kits import KITS, sender
from tests.faults.peer import Ack, Close, Fault, FaultyPeer, Late, Pieces, Raw, Reset, Seen, Silence, Twice, WrongId

KIT = KITS["mllp_out"]
FAULTS: list[Fault] = [
    Ack("AA"),
    Ack("AE"),
    Ack("AR"),
    Ack("ZZ"),
    Pieces(1),
    Twice(),
    Silence(),
    Reset(0),
    Reset(9),
    Close(0),
    Close(30),
    WrongId(),
    WrongId(lambda right: right + "1"),
    Raw(b"\x0b\x1c\r"),
    Raw(b"\x0bMSH|^~\\&|x\r\x1c\r"),
    Raw(b"noise"),
]


class Remembering(FaultyPeer):
    """Knows what it did to each message."""

    def __init__(self, script: list[Fault]) -> None:
        super().__init__("mllp", script)
        self.did: list[tuple[str, Fault]] = []

    async def _do(self, fault: Fault, seen: Seen, writer: Any) -> None:
        self.did.append((seen.control_id, fault))
        await super()._do(fault, seen, writer)


def may_be_accepted(control_id: str, fault: Fault, did: list[tuple[str, Fault]]) -> bool:
    """Whether the peer said AA for this control id, be it in answer to another message."""
    if isinstance(fault, Pieces | Twice | Late) or fault == Ack("AA"):
        return True
    return any(isinstance(other, WrongId) and other.id(of) == control_id for of, other in did)


@pytest.mark.parametrize("seed", range(8))
async def test_a_storm_of_faults(reactor: Any, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    monkeypatch.setattr(Destination, "SWEEP_S", 0.02)
    chance = random.Random(seed)
    script = [chance.choice(FAULTS) for _ in range(36)]
    settings = {
        "connections": chance.choice([1, 2, 5]),
        "pipeline": chance.choice([1, 3, 8]),
        "reconnect_max_s": 0.02,
        "ack_timeout_s": 0.1,
    }
    async with Remembering(script) as peer, sender(KIT, reactor, peer.port, **settings) as s:
        for start in range(1, 37, 12):
            await s.outcomes(*range(start, start + 12))
        did = dict(peer.did)
        for one in s.sent:
            (outcome,) = one.outcomes
            fault = did.get(one.delivery.control_id)
            if isinstance(outcome, Accepted):
                assert fault is not None
                assert may_be_accepted(one.delivery.control_id, fault, peer.did)
            if isinstance(outcome, Rejected):
                assert fault == Ack("AE")
        peer.script.clear()
        assert isinstance(await s.send(70).outcome(), Accepted)
