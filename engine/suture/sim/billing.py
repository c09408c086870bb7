"""A billing system that speaks MLLP: takes DFT^P03, answers AA, and refuses the charges it is told to refuse."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal

from suture.model.errors import MessageError
from suture.sim.faults import Answer, Fault, Reset, Script, Silence, Wait
from suture.wire import mllp
from suture.wire.hl7v2.exchange import ack
from suture.wire.hl7v2.text import er7

LIMIT_BYTES = 1 << 20


@dataclass(slots=True)
class Billing:
    """Patient accounting. nack: transaction number (FT1-2) to the MSA-1 it is refused with.

    A control id it has accepted is answered again and charges nothing.
    """

    nack: dict[str, str] = field(default_factory=dict)
    accepted: set[str] = field(default_factory=set)
    charges: Counter[tuple[str, str]] = field(default_factory=Counter)
    amount: Decimal = Decimal(0)
    counts: Counter[str] = field(default_factory=Counter)

    def take(self, message: er7.Message) -> str:
        """Take one DFT; returns MSA-1."""
        control_id = message.get("MSH-10")
        if control_id in self.accepted:
            self.counts["repeated"] += 1
            return "AA"
        lines = message.named("FT1")
        refused = next((self.nack[line.get(2)] for line in lines if line.get(2) in self.nack), None)
        if refused:
            self.counts["refused"] += 1
            return refused
        self.accepted.add(control_id)
        for line in lines:
            self._charge(line)
        return "AA"

    def _charge(self, line: er7.Segment) -> None:
        kind = line.get(6)
        self.charges[line.get(2), kind] += 1
        amount = Decimal(line.get(11) or "0")
        self.amount += -amount if kind == "CD" else amount

    def stats(self) -> dict[str, object]:
        """Counts for checks: doubled lists the transactions charged more than once."""
        return {
            "messages": len(self.accepted),
            "charges": sum(self.charges.values()),
            "transactions": len(self.charges),
            "doubled": sorted(number for (number, _), times in self.charges.items() if times > 1),
            "amount": str(self.amount),
            "repeated": self.counts["repeated"],
            "refused": self.counts["refused"],
            "unreadable": self.counts["unreadable"],
        }


class BillingServer:
    """The billing system on a port, with its faults."""

    def __init__(self, billing: Billing, port: int) -> None:
        self.billing, self.port = billing, port
        self.script = Script()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._answers = 0

    async def open(self) -> None:
        """Listen. port 0 takes a free one, which `port` then says."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening and drop the connections."""
        if self._server is not None:
            self._server.close()
        for writer in list(self._writers):
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        unframer = mllp.Unframer(LIMIT_BYTES)
        try:
            while data := await reader.read(65536):
                for raw in unframer.feed(data):
                    await self._exchange(raw, writer)
        except (ConnectionError, mllp.FrameTooLarge):
            self.billing.counts["broken"] += 1
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _exchange(self, raw: bytes, writer: asyncio.StreamWriter) -> None:
        fault = self.script.next()
        code = self._code(raw, fault)
        if isinstance(fault, Reset):
            raise ConnectionResetError
        if isinstance(fault, Wait):
            await asyncio.sleep(fault.seconds)
        if not isinstance(fault, Silence):
            writer.write(mllp.frame(self._answer(raw, code)))
            await writer.drain()

    def _code(self, raw: bytes, fault: Fault | None) -> str:
        if isinstance(fault, Answer):
            return fault.code
        if isinstance(fault, Silence | Reset) and not fault.taken:
            return ""
        try:
            return self.billing.take(er7.Message.parse(raw))
        except (MessageError, ArithmeticError):
            self.billing.counts["unreadable"] += 1
            return "AE"

    def _answer(self, raw: bytes, code: str) -> bytes:
        self._answers += 1
        text = "" if code == "AA" else "charge refused: account is closed to new charges"
        return ack.build(ack.Header.read(raw), code, f"BIL{self._answers:07d}", datetime.now(UTC).strftime("%Y%m%d%H%M%S"), text)
