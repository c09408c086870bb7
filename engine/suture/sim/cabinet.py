"""A point-of-use cabinet: sends over MLLP, waits for the acknowledgement, and sends again until it has one."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from suture.wire import mllp
from suture.wire.hl7v2.exchange import ack
from suture.wire.hl7v2.text import er7

LIMIT_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Sent:
    """How it ended. code: MSA-1, "" when nobody answered within the cabinet's patience. tries: transmissions."""

    code: str
    tries: int


class Cabinet:
    """One connection, one message in flight. A missing answer and AR mean "again"; AA, CA, AE and CE settle a message.

    ack_timeout_s: how long one answer is waited for. patience_s: how long one message is tried at all.
    """

    def __init__(self, host: str, port: int, ack_timeout_s: float = 15, patience_s: float = 60, pause_s: float = 0.3) -> None:
        self.host, self.port = host, port
        self.ack_timeout_s, self.patience_s, self.pause_s = ack_timeout_s, patience_s, pause_s
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._unframer = mllp.Unframer(LIMIT_BYTES)

    async def send(self, raw: bytes) -> Sent:
        """Send one message until it is settled. Any bytes may be sent. Never raises for what the peer does."""
        tries = 0
        until = asyncio.get_running_loop().time() + self.patience_s
        while True:
            tries += 1
            code = await self._try(raw)
            if code and code not in ("AR", "CR"):
                return Sent(code, tries)
            if asyncio.get_running_loop().time() > until:
                return Sent(code, tries)
            await asyncio.sleep(self.pause_s)

    async def close(self) -> None:
        """Hang up."""
        streams, self._streams = self._streams, None
        if streams:
            streams[1].close()

    async def _try(self, raw: bytes) -> str:
        try:
            async with asyncio.timeout(self.ack_timeout_s):
                return await self._exchange(raw)
        except (OSError, TimeoutError, mllp.FrameTooLarge):
            await self.close()
            return ""

    async def _exchange(self, raw: bytes) -> str:
        reader, writer = self._streams or await self._connect()
        writer.write(mllp.frame(raw))
        await writer.drain()
        wanted = control_id(raw)
        while data := await reader.read(65536):
            for answer in self._unframer.feed(data):
                code = code_of(answer, wanted)
                if code:
                    return code
        raise ConnectionResetError

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        self._unframer = mllp.Unframer(LIMIT_BYTES)
        self._streams = await asyncio.open_connection(self.host, self.port)
        return self._streams


def control_id(raw: bytes) -> str:
    """MSH-10 of a message, "" when it has no header."""
    header = ack.Header.read(raw)
    return header.text(10) if header else ""


def code_of(answer: bytes, wanted: str) -> str:
    """MSA-1 of an answer to the message with this control id, else ""."""
    if ack.Header.read(answer) is None:
        return ""
    message = er7.Message.parse(answer)
    return message.get("MSA-1") if message.get("MSA-2") == wanted else ""
