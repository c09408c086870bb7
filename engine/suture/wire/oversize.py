"""A message over the limit on its way past: its beginning and its end are kept, and what is between them is dropped."""

from __future__ import annotations

from collections import Counter

from suture.model.oversize import TooLarge

TAIL = 16
"""Bytes that are kept to find the end by: an end or beginning, and line ends before it."""
HEAD_BYTES = 1024
"""The beginning that is kept, for its header; at most half of the limit."""


class FrameTooLarge(Exception):
    """A frame grew over the limit without an end block."""


class Passing:
    """How much of a message has come. over: it is over the limit. told: what is known of it, when it has ended.

    skip_bytes: how much over the limit it may be; None: it may not (FrameTooLarge). quirks: where each is counted.
    """

    def __init__(self, limit_bytes: int, skip_bytes: int | None, quirks: Counter[str]) -> None:
        self._limit_bytes, self._quirks = limit_bytes, quirks
        self._most = None if skip_bytes is None else limit_bytes + skip_bytes
        self._head_bytes = min(HEAD_BYTES, limit_bytes // 2)
        self._head = b""
        self.dropped_bytes = 0
        self.over = self._endless = False
        self.told: TooLarge | None = None

    def grown(self, size_bytes: int) -> None:
        """It is over the limit, and has at least this size. Raises FrameTooLarge where that may not be."""
        if self._most is None:
            raise FrameTooLarge
        self.over = True
        self._endless = self._endless or size_bytes > self._most

    def held(self, more_bytes: int) -> None:
        """What ends by what follows it has its limit where it would have had it if it had come byte by byte."""
        size_bytes = self.dropped_bytes + more_bytes
        if size_bytes >= self._limit_bytes:
            self.grown(size_bytes + 1)

    def drop(self, buffer: bytearray) -> None:
        """Keep the beginning and the end of what has come; all of it goes, and it is told, when there was too much."""
        self._head = self._head or bytes(buffer[: self._head_bytes])
        if self._endless:
            self.end(buffer, 0, len(buffer), False)
            buffer.clear()
        elif len(buffer) > TAIL:
            self.dropped_bytes += len(buffer) - TAIL
            del buffer[:-TAIL]

    def end(self, buffer: bytearray, at: int, end: int, ended: bool) -> None:
        """It is over: what is left of it stands in the buffer from at to end."""
        assert self._most is not None
        head = self._head or bytes(buffer[at : min(end, at + self._head_bytes)])
        size_bytes = self._most if self._endless else self.dropped_bytes + end - at
        self.told = TooLarge(head, size_bytes, ended and not self._endless, self._endless)
        self._quirks["FRAME_TOO_LARGE"] += 1
        self._head, self.dropped_bytes, self.over, self._endless = b"", 0, False, False
