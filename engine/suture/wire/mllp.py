"""MLLP framing, sans-I/O: 0x0B, payload, 0x1C 0x0D (HL7 Transport Specification: MLLP, Release 1)."""

from __future__ import annotations

START = b"\x0b"
END = b"\x1c\r"


class FrameTooLarge(Exception):
    """A frame grew over the limit without an end block."""


def frame(payload: bytes) -> bytes:
    """Wrap one message for the wire."""
    return b"\x0b" + payload + b"\x1c\r"


class Unframer:
    """Cuts a byte stream into messages; any chunking gives the same messages.

    limit_bytes: a frame larger than this raises FrameTooLarge. stray: bytes seen outside frames, which are dropped.
    """

    __slots__ = ("_buffer", "_limit", "_searched", "stray")

    def __init__(self, limit_bytes: int) -> None:
        self._buffer = bytearray()
        self._limit = limit_bytes
        self._searched = 0
        self.stray = 0

    @property
    def partial(self) -> bool:
        """A frame has begun and not ended."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> list[bytes]:
        """Take what arrived; return the payloads completed by it, in order. Raises FrameTooLarge."""
        if not self._buffer and data[:1] == START and data.endswith(END) and data.find(END, 0, -2) < 0 and len(data) <= self._limit:
            return [data[1:-2]]
        self._buffer += data
        found: list[bytes] = []
        while self._next(found):
            pass
        if len(self._buffer) > self._limit:
            raise FrameTooLarge
        return found

    def _next(self, found: list[bytes]) -> bool:
        buffer = self._buffer
        if buffer[:1] != START:
            start = buffer.find(START)
            drop = len(buffer) if start < 0 else start
            self.stray += drop
            del buffer[:drop]
            self._searched = 0
            if not buffer:
                return False
        end = buffer.find(END, max(self._searched - 1, 1))
        if end < 0:
            self._searched = len(buffer)
            return False
        if end - 1 > self._limit:
            raise FrameTooLarge
        found.append(bytes(buffer[1:end]))
        del buffer[: end + 2]
        self._searched = 0
        return bool(buffer)
