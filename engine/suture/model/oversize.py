"""A message that is larger than a source takes."""

from __future__ import annotations

from dataclasses import dataclass, field

FRAME_TOO_LARGE = "FRAME_TOO_LARGE"
"""The code of what is kept of one."""


@dataclass(frozen=True, slots=True)
class TooLarge:
    """A message over the limit, of which the rest was passed over. head: how it begins. size_bytes: of all of it, as far as known.

    ended: its end was found. endless: more of it came than is passed over, and nothing behind it can be read.
    """

    head: bytes = field(repr=False)
    size_bytes: int
    ended: bool
    endless: bool = False
