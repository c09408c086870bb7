"""Room in memory: which connections may go on reading while it is short.

What is counted, in bytes: frames that have begun and not ended, of all sources, and messages that have been handed on and
are not processed yet. While there is room everyone reads. When it is short, frames that are large already wait, and those
that began first go on as far as there is room; where unfinished frames alone fill it, the oldest goes on beyond the limit,
for they would wait for each other for ever. Small messages go on meanwhile: they would else wait behind the large ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from suture.ports import Held

READ_BYTES = 65_536
"""What one read of a socket brings, at most. A frame that is no larger is small."""
LOOK_S = 0.02
"""Seconds between two looks at whether there is room again."""
WORK_SHARE = 4
"""A frame goes on beyond the limit while what is in work takes no more than this part of it: that ends by itself."""


class Reading(Protocol):
    """A connection in the middle of a frame."""

    def make_wait(self, waits: bool) -> None:
        """Read no further, or go on."""


class Room:
    """The room of one engine. held: messages in work. later(s, f): run f after so many seconds.

    frames_bytes: of all unfinished frames.
    """

    def __init__(self, limit_bytes: int, held: Held, later: Callable[[float, Callable[[], None]], Any]) -> None:
        self.limit_bytes, self.frames_bytes = limit_bytes, 0
        self._held, self._later = held, later
        self._large: dict[Reading, bool] = {}  # the oldest first; whether it waits
        self._beyond: Reading | None = None
        self._looking = False

    @property
    def taken_bytes(self) -> int:
        """All that is counted."""
        return self.frames_bytes + self._held.bytes

    @property
    def waiting(self) -> int:
        """Connections that are read no further, because there is no room for the rest of their frames."""
        return sum(self._large.values())

    def changed(self, frame: Reading, before_bytes: int, now_bytes: int) -> None:
        """An unfinished frame had so many bytes, and has so many now; 0: it has not begun, or it has ended."""
        self.frames_bytes += now_bytes - before_bytes
        if now_bytes < before_bytes and frame in self._large:
            self._forget(frame)
        if now_bytes > READ_BYTES:
            self._large.setdefault(frame, False)
        taken_bytes = self.taken_bytes
        if not now_bytes or taken_bytes < self.limit_bytes or frame is self._beyond:
            return
        if now_bytes > READ_BYTES or taken_bytes >= 2 * self.limit_bytes:
            self._large[frame] = True
            frame.make_wait(True)
            self._look()

    def _forget(self, frame: Reading) -> None:
        """Its frame has ended, or it is gone."""
        waited = self._large.pop(frame)
        if frame is self._beyond:
            self._beyond = None
        if waited:
            frame.make_wait(False)
        self._let_go()

    def _look(self) -> None:
        if not self._looking and self.waiting:
            self._looking = True
            self._later(LOOK_S, self._looked)

    def _looked(self) -> None:
        self._looking = False
        self._let_go()
        self._look()

    def _let_go(self) -> None:
        """Let those go on that there is room for, the oldest first; or the oldest alone."""
        free_bytes = self.limit_bytes - self.taken_bytes
        for frame, waits in list(self._large.items()):
            if not waits:
                continue
            if free_bytes < READ_BYTES:
                break
            free_bytes -= READ_BYTES
            self._go_on(frame)
        if self._beyond is None and self._held.bytes <= self.limit_bytes // WORK_SHARE:
            self._beyond = next((frame for frame, waits in self._large.items() if waits), None)
            if self._beyond is not None:
                self._go_on(self._beyond)

    def _go_on(self, frame: Reading) -> None:
        self._large[frame] = False
        frame.make_wait(False)
