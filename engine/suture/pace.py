"""How much is read: sources go on as long as what they bring can be dealt with, in operations and in bytes; and memory given back."""

from __future__ import annotations

import ctypes
import resource
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from suture.config.conf import Conf
from suture.connectors.net.aside import Aside
from suture.connectors.net.room import Room
from suture.ports import Held
from suture.runtime import RunningChannel
from suture.store.journal import Journal
from suture.validation_pool import ValidationPool

FULL_CHECK_S = 0.02
PULSE_S = 0.05
"""Seconds between two looks at how late the loop is; a piece of work that takes longer is always seen."""
GROWN_BYTES = 8_388_608
"""Growth of the process after which it is looked whether there is something to give back."""
BUSY_BYTES = 4_194_304
"""With more in work the memory is in use, or soon will be again."""


class Pace:
    """The pace of one engine. full: no source is read at present. late(seconds): told how late a timer was called.

    room: for what has come of messages that have not ended. heap: gives memory back, by way of aside.
    """

    def __init__(
        self,
        conf: Conf,
        journal: Journal,
        validation: ValidationPool,
        reactor: Any,
        channels: Callable[[], Iterable[RunningChannel]],
        late: Callable[[float], None],
        aside: Aside,
    ) -> None:
        self._journal, self._validation, self._reactor = journal, validation, reactor
        self._operations_max, self._bytes_max = conf.journal.limit, conf.limits.memory_bytes
        self._channels, self._late = channels, late
        self.room = Room(conf.limits.memory_bytes, journal.held, reactor.callLater)
        self.full = self._ended = False
        self.heap = Heap(journal.held, aside, trimmer(), resident_bytes)

    def begin(self) -> None:
        """Look after the loop."""
        self._pulse(self._reactor.seconds())

    def stop(self) -> None:
        """Look after nothing any more."""
        self._ended = True

    def hold_back(self) -> None:
        """Stop reading when there is enough to do; to be called after each message."""
        if not self.full and self._has_enough(1):
            self._set_full(True)
            self._reactor.callLater(FULL_CHECK_S, self._let_go)

    def _has_enough(self, share: int) -> bool:
        """Is as much in work, in operations or in bytes, as this part of what may be?"""
        journal = self._journal
        return (
            journal.pending() > (self._operations_max - 1) // share
            or journal.held.bytes > (self._bytes_max - 1) // share
            or self._validation.full
        )

    def _let_go(self) -> None:
        if not self._has_enough(2):
            self._set_full(False)
        else:
            self._reactor.callLater(FULL_CHECK_S, self._let_go)

    def _set_full(self, full: bool) -> None:
        self.full = full
        for channel in self._channels():
            channel.source.set_full(full)

    def _pulse(self, due_s: float) -> None:
        """Note how late the loop is."""
        now_s = self._reactor.seconds()
        self._late(max(0.0, now_s - due_s))
        if not self._ended:
            self._reactor.callLater(PULSE_S, self._pulse, now_s + PULSE_S)


def trimmer() -> Callable[[], Any] | None:
    """What gives free memory back; None where the C library is not glibc, which alone has to be asked."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return None if trim is None else lambda: trim(0)


def resident_bytes() -> int:
    """Memory of this process that is in RAM; 0 where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:
        return 0


class Heap:
    """glibc keeps what was freed between blocks that are still in use: after a burst of large messages, as much as they took.

    held: what is in work. aside(work, done): runs the giving back beside the reactor.
    """

    def __init__(self, held: Held, aside: Callable[..., None], trim: Callable[[], Any] | None, resident: Callable[[], int]) -> None:
        self._held, self._aside, self._trim, self._resident = held, aside, trim, resident
        self._left_bytes = 0
        self._used = False

    def look(self) -> None:
        """To be called every second or so: when it is quiet after a burst, give back what that has left."""
        busy = self._held.bytes > BUSY_BYTES
        self._used = self._used or busy or self._resident() > self._left_bytes + GROWN_BYTES
        if self._used and not busy and self._trim is not None:
            self._used = False
            self._aside(self._trim, self._trimmed)

    def _trimmed(self, _: Any) -> None:
        self._left_bytes = self._resident()
