"""A point-of-use cabinet: sends over MLLP, waits for the acknowledgement, and sends again until it has one."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from suture.connectors.mllp.conversing import Line, Patience, connect


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
        self._line: Line | None = None

    async def send(self, raw: bytes) -> Sent:
        """Send one message until it is settled. Any bytes may be sent. Never raises for what the peer does."""
        tries = 0
        until = asyncio.get_running_loop().time() + self.patience_s
        while True:
            tries += 1
            code = await asyncio.to_thread(self._try, raw)
            if code and code not in ("AR", "CR"):
                return Sent(code, tries)
            if asyncio.get_running_loop().time() > until:
                return Sent(code, tries)
            await asyncio.sleep(self.pause_s)

    async def close(self) -> None:
        """Hang up."""
        line, self._line = self._line, None
        if line:
            line.close()

    def _try(self, raw: bytes) -> str:
        """MSA-1 of the answer, "" when none came; a thread waits for it, for the cabinet's client is that of `suture send`."""
        try:
            line = self._line or Line(connect(self.host, self.port, self.ack_timeout_s))
        except OSError:
            return ""
        reply = line.exchange(raw, Patience(self.ack_timeout_s, self.ack_timeout_s))
        if reply.fault:
            line.close()
        self._line = None if reply.fault else line
        return "" if reply.fault else reply.code
