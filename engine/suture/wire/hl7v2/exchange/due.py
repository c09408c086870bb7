"""Which acknowledgements are due: original and enhanced mode (HL7 2.9.1 sections 2.8.2 and 2.8.3). Pure decisions."""

from __future__ import annotations

from typing import Literal, NamedTuple

from suture.wire.hl7v2.text.delimiters import NULL_BYTES
from suture.wire.hl7v2.text.header import Header

Fate = Literal["accepted", "error", "rejected", "unstorable", "undelivered"]
"""What came of a message, for its sender.

accepted: stored, and done as far as the answer waits for. error: its content is at fault (parked, refused by a destination).
rejected: MSH-9, MSH-11 or MSH-12 is not one that is taken. unstorable: nothing was kept. undelivered: not done in time, or
held: nothing is wrong with it, and it is kept.
"""

_COMMIT: dict[Fate, str] = {"accepted": "CA", "error": "CA", "rejected": "CR", "unstorable": "CE", "undelivered": "CA"}
_APPLICATION: dict[Fate, str] = {"accepted": "AA", "error": "AE", "rejected": "AR", "unstorable": "AR", "undelivered": "AR"}
POSITIVE = frozenset({"AA", "CA"})
_ASKS = {b"AL", b"NE", b"ER", b"SU"}


class Due(NamedTuple):
    """The codes to answer with (HL7 table 0008), None where that acknowledgement is not asked for."""

    commit: str | None
    application: str | None


SILENCE = Due(None, None)


class Wants(NamedTuple):
    """MSH-15 and MSH-16 as they are followed (HL7 table 0155). enhanced: False in original mode."""

    enhanced: bool
    commit: bytes
    application: bytes


ORIGINAL = Wants(False, b"NE", b"AL")


def wants(header: Header | None) -> Wants:
    """What the sender asks for.

    Both fields absent (or null): original mode, one application acknowledgement. The standard has both or neither; where
    one stands alone, the other counts as NE, or as AL beside an NE, so that a sender that says no to one kind is still
    answered. A value that is not of the table counts as AL.
    """
    if header is None or len(header.fields) < 15:
        return ORIGINAL
    first, second = asking(header.get(15)), asking(header.get(16))
    if not first and not second:
        return ORIGINAL
    return Wants(True, first or _other(second), second or _other(first))


def asking(field: bytes) -> bytes:
    """MSH-15 or MSH-16 as it is followed; b"" where it asks for nothing in particular."""
    if not field or field == NULL_BYTES:
        return b""
    value = field.strip().upper()
    return value if value in _ASKS or not value else b"AL"


def _other(given: bytes) -> bytes:
    return b"AL" if given == b"NE" else b"NE"


def replies(header: Header | None, fate: Fate) -> Due:
    """The acknowledgements that are due to the sender, for what came of its message.

    In enhanced mode the commit acknowledgement says whether the message is kept. A message that is not is told once: by
    the commit acknowledgement where MSH-15 asks for it, else by the application acknowledgement where MSH-16 does.
    """
    asked = wants(header)
    if not asked.enhanced:
        return Due(None, _APPLICATION[fate])
    commit = _if_asked(asked.commit, _COMMIT[fate])
    if commit is not None and commit != "CA":
        return Due(commit, None)
    return Due(commit, _if_asked(asked.application, _APPLICATION[fate]))


def _if_asked(asked: bytes, code: str) -> str | None:
    """The code, if such an answer is asked for (HL7 table 0155)."""
    good = code in POSITIVE
    return code if asked == b"AL" or (asked == b"SU" and good) or (asked == b"ER" and not good) else None
