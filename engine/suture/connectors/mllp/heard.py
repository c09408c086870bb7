"""What an MLLP peer has said on one connection, as far as it is no answer yet."""

from __future__ import annotations

from suture.connectors.net.complaints import Complaints
from suture.wire import mllp

END_WAIT_S = 1.0
"""Seconds after which an end byte counts though nothing follows it."""
ODD_BYTES = 1024
"""As much as is kept of what came and is no whole frame."""


class Heard:
    """anything: the peer has sent something. odd: how that begins which came since its last answer."""

    def __init__(self, limit_bytes: int, framing: mllp.Framing, complaints: Complaints) -> None:
        self.unframer = mllp.Unframer(limit_bytes, framing)
        self._complaints = complaints
        self.anything = False
        self.odd = b""
        self._quirks = 0
        self._lone_end_s: float | None = None

    def settled(self, now_s: float) -> list[bytes]:
        """The answer that ends with a lone end byte, when nothing has followed it for long enough; else none."""
        if not self.unframer.may_have_ended:
            self._lone_end_s = None
        elif self._lone_end_s is None:
            self._lone_end_s = now_s
        elif now_s - self._lone_end_s >= END_WAIT_S:
            return self.unframer.settle()
        return []

    def complain(self) -> None:
        """Say what is odd about the framing."""
        if len(self.unframer.quirks) != self._quirks:
            self._quirks = len(self.unframer.quirks)
            for code in self.unframer.quirks:
                self._complaints.framing(code)
