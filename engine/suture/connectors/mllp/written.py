"""What was written on a connection to an MLLP peer, and how much of it has left."""

from __future__ import annotations

from typing import Any

from suture.connectors.mllp.answers import InFlight
from suture.connectors.net.writing import unsent_bytes


class Written:
    """Of one connection. at_s: when it was last written on, or begun. size_bytes: all that was written; messages: in so many."""

    __slots__ = ("at_s", "messages", "size_bytes")

    def __init__(self, now_s: float) -> None:
        self.at_s, self.messages, self.size_bytes = now_s, 0, 0

    def lacks(self, one: InFlight, transport: Any) -> bool:
        """Whether a part of it has not left, without which the peer cannot take it."""
        return self.size_bytes - unsent_bytes(transport) < one.whole_at
