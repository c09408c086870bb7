"""MLLP out: what acknowledgement codes mean, and whose acknowledgement an answer is."""

from __future__ import annotations

from typing import Any

import pytest

from suture.connectors.mllp_out import Destination
from suture.model.message import Message
from suture.model.outcome import Accepted, Ambiguous, Held, Outcome, Rejected, TryLater
from suture.pipeline.process import Output, Plan, process
from tests.conformance.kits import KITS, sender
from tests.faults.peer import Ack, Raw

KIT = KITS["mllp_out"]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Destination, "SWEEP_S", 0.05)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("AA", Accepted),
        ("CA", Accepted),
        ("AE", Rejected),
        ("CE", Rejected),
        ("CR", Rejected),
        ("AR", TryLater),
        ("ZZ", Ambiguous),
        ("", Ambiguous),
    ],
)
async def test_what_a_code_means(reactor: Any, code: str, kind: type[Outcome]) -> None:
    async with KIT.peer([Ack(code)]) as peer, sender(KIT, reactor, peer.port) as s:
        assert type(await s.send(1).outcome()) is kind


@pytest.mark.parametrize(
    ("code", "word", "kind"), [("AE", "retry", TryLater), ("AR", "reject", Rejected), ("CE", "hold", Held), ("AE", "accept", Accepted)]
)
async def test_a_table_of_the_destination_goes_before_the_standard(reactor: Any, code: str, word: str, kind: type[Outcome]) -> None:
    async with KIT.peer([Ack(code)]) as peer, sender(KIT, reactor, peer.port, meaning={code: word}) as s:
        assert type(await s.send(1).outcome()) is kind


@pytest.mark.parametrize(
    "control_id", [b"M1", b"A^B", b"A&B", b"A~B", b"A\\T\\B", b"\xe9\xe8", "é".encode(), b" 1 ", b"1" * 199, b"x" * 500, b"", b"\x00a"]
)
async def test_whatever_a_sender_puts_into_msh_10_is_recognised_when_it_comes_back(reactor: Any, control_id: bytes) -> None:
    raw = b"MSH|^~\\&|S|F|R|RF|20260301||ADT^A01|" + control_id + b"|P|2.5.1\rPID|1\r"
    plan = Plan("c", [Output("d", changes={})])
    work = process(plan, Message("c", raw, 0, id=1), 0)
    assert work.ready is not None
    (delivery,) = work.ready.deliveries
    async with KIT.peer() as peer, sender(KIT, reactor, peer.port) as s:
        assert isinstance(await s.send(delivery).outcome(), Accepted)
        assert peer.seen[0].body == raw


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
async def test_peers_that_end_segments_in_their_own_way_are_understood(reactor: Any, end: str) -> None:
    answer = end.join(["MSH|^~\\&|P|P|S|S|20260301||ACK|1|P|2.5.1", "MSA|AA|M1", ""])
    async with KIT.peer([Raw(b"\x0b" + answer.encode() + b"\x1c\r")]) as peer, sender(KIT, reactor, peer.port) as s:
        assert isinstance(await s.send(1).outcome(), Accepted)


async def test_an_answer_with_other_separators_is_understood(reactor: Any) -> None:
    async with (
        KIT.peer([Raw(b"\x0bMSH#*~\\&#P#P#S#S#20260301##ACK#1#P#2.5.1\rMSA#AE#M1\r\x1c\r")]) as peer,
        sender(KIT, reactor, peer.port) as s,
    ):
        assert isinstance(await s.send(1).outcome(), Rejected)
