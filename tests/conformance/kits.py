"""What the destination suite has to know of each transport: how to speak to it, and what its faults look like."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from suture.connectors.registry import DESTINATIONS, DestinationModule
from suture.model.outcome import Accepted, Ambiguous, Outcome
from suture.ports import Delivery
from tests.conformance.compliance import MARKER, Witness
from tests.faults.peer import WIRES, Fault, FaultyPeer, Seen

TIMEOUT_S = 0.4
CONNECTIONS = 3
LIMIT_BYTES = 4096
LARGE_BYTES = 40_000_000
CLOSE_S = 30.0
"""Seconds that a destination may take to close, at most: those of what is in flight."""


@dataclass(frozen=True)
class Kit:
    """One transport. oversized: what an answer over the limit comes to. has_ids: its answers say what they answer."""

    name: str
    wire: str
    settings: Callable[[int], dict[str, Any]]
    content_type: str
    oversized: type[Any]
    has_ids: bool

    @property
    def module(self) -> DestinationModule:
        """The connector."""
        return DESTINATIONS[self.name]

    def peer(self, script: Iterable[Fault] = (), **more: Any) -> FaultyPeer:
        """A peer for it."""
        return FaultyPeer(self.wire, script, **more)

    def answer(self, control_id: str, code: str = "AA") -> bytes:
        """What a peer of it says."""
        return bytes(WIRES[self.wire].answer(Seen(0, b"", control_id), code))

    def timeout(self, timeout_s: float) -> dict[str, Any]:
        """The setting of how long an answer is waited for."""
        return {"ack_timeout_s" if self.wire == "mllp" else "timeout_s": timeout_s}

    def large(self) -> Delivery:
        """One that no socket takes at once."""
        return self.delivery(1, more=b"NTE|1||" + b"x" * LARGE_BYTES + b"\r")

    def delivery(self, number: int = 1, control_id: str = "", more: bytes = b"") -> Delivery:
        """One delivery; each has a control id of which another's is a part, M1, M11, M111, unless it is given. more: segments."""
        control_id = control_id or "M" + "1" * number
        body = f"MSH|^~\\&|SUTURE|S|PEER|P|20260301||ADT^A01|{control_id}|P|2.5.1\rPID|1||7||{MARKER}^ANNA\r".encode() + more
        return Delivery(number, "c", "d", "lane", body, f"key-{number}", control_id, self.content_type, id=number)


def _mllp(port: int) -> dict[str, Any]:
    return {"host": "127.0.0.1", "port": port, "connections": CONNECTIONS, "ack_timeout_s": TIMEOUT_S, "limit_bytes": LIMIT_BYTES}


def _http(port: int) -> dict[str, Any]:
    url = f"http://127.0.0.1:{port}/in"
    return {"url": url, "connections": CONNECTIONS, "timeout_s": TIMEOUT_S, "limit_bytes": LIMIT_BYTES, "keep_response_bytes": LIMIT_BYTES}


KITS = {
    "mllp_out": Kit("mllp_out", "mllp", _mllp, "application/hl7-v2", Ambiguous, has_ids=True),
    # HTTP has said yes or no before the body begins.
    "http_out": Kit("http_out", "http", _http, "application/json", Accepted, has_ids=False),
}


@dataclass
class Sent:
    """One delivery that was handed over: its outcomes (there has to be one) as they come."""

    delivery: Delivery
    outcomes: list[Outcome] = field(default_factory=list)
    future: asyncio.Future[Outcome] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    async def outcome(self, timeout_s: float = 5) -> Outcome:
        """Wait for the outcome."""
        return await asyncio.wait_for(asyncio.shield(self.future), timeout_s)


class Sender:
    """A destination under test, and everything that it was given and that it said."""

    def __init__(self, kit: Kit, reactor: Any, port: int, **more: Any) -> None:
        self.witness = Witness()
        self.notes = self.witness.notes
        self.sent: list[Sent] = []
        self._inside = False
        config = kit.module.Config(**{**kit.settings(port), **more})
        self.destination = kit.module.Destination(config, reactor, self.witness.note)
        self.kit = kit

    def send(self, delivery: Delivery | int = 1) -> Sent:
        """Hand over one delivery."""
        one = Sent(self.kit.delivery(delivery) if isinstance(delivery, int) else delivery)

        def done(outcome: Outcome) -> None:
            assert not self._inside, "done was called inside send"
            one.outcomes.append(outcome)
            if not one.future.done():
                one.future.set_result(outcome)

        self.sent.append(one)
        self._inside = True
        self.destination.send(one.delivery, done)
        self._inside = False
        return one

    async def outcomes(self, *numbers: int) -> list[Outcome]:
        """Send these at once; their outcomes."""
        return await asyncio.gather(*[one.outcome() for one in [self.send(n) for n in numbers]])

    async def close(self) -> None:
        """Close the destination, as a channel does, and wait for it."""
        await self.witness.end(self.destination, self.destination.close(), CLOSE_S)

    def check(self) -> None:
        """What holds for every transport, whatever the peer did."""
        assert [len(one.outcomes) for one in self.sent] == [1] * len(self.sent), "each delivery has one outcome"
        said = repr([(o.code, getattr(o, "reason", "")) for one in self.sent for o in one.outcomes])
        assert MARKER not in said, "content in a reason"
        self.witness.check(self.destination)
        assert all(len(o.response) <= LIMIT_BYTES for one in self.sent for o in one.outcomes)


@asynccontextmanager
async def sender(kit: Kit, reactor: Any, port: int, **more: Any) -> AsyncIterator[Sender]:
    """A destination to that port; closed at the end, and then looked at."""
    one = Sender(kit, reactor, port, **more)
    try:
        yield one
    finally:
        await one.close()
        await asyncio.gather(*[s.outcome() for s in one.sent], return_exceptions=True)
    one.check()
