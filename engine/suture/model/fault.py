"""Why a message, or a line of it, waits for a person."""

from __future__ import annotations

from suture.model.value import Value


class Fault(Value, frozen=True, gc=False):
    """An exception of a message, before it is stored and after.

    code: as in docs/errors.md. stage: parse, map, validate or batch. place: FT1-7.1, "" when unknown. reason: why, for a person,
    with the place in it where that tells more; it holds no content. line: 0 for the whole message.
    """

    code: str
    stage: str
    place: str
    reason: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.code}: {self.reason}"


GIVEN_UP = ("CONTINUATION_TIMEOUT", "CONTINUATION_TOO_LARGE", "CONTINUATION_UNKNOWN")
"""The codes of a fragment that was given up: it is to be sent again, and is gathered anew when it is."""
