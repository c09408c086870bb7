"""Memory that the C library keeps after a burst, given back to the system."""

from __future__ import annotations

import ctypes
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

from suture.ports import Held

GROWN_BYTES = 8_388_608
"""Growth of the process after which it is looked whether there is something to give back."""
BUSY_BYTES = 4_194_304
"""With more in work the memory is in use, or soon will be again."""


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
