"""Reading what a peer answers (HL7 2.9.1 section 2.8). What we answer ourselves is in reply.py, which of it is due in due.py."""

from __future__ import annotations

import re
from collections.abc import Mapping

from suture.model.finding import Location
from suture.model.outcome import Accepted, Ambiguous, Held, Outcome, Rejected, TryLater
from suture.model.value import Value
from suture.wire.hl7v2.exchange.reply import MEANING, build
from suture.wire.hl7v2.exchange.sequence import number_of
from suture.wire.hl7v2.text.header import Header, text_of

__all__ = ["BY_THE_STANDARD", "EMPTY", "NO_MSA", "OTHER", "Header", "Said", "build", "expected_number", "outcome", "read", "text_of"]

BY_THE_STANDARD: Mapping[str, str] = {"AA": "accept", "CA": "accept", "AE": "reject", "CE": "reject", "AR": "retry", "CR": "reject"}
"""MSA-1 to accept, reject, retry or hold. AE: an error in the content, do not resend; AR: refused for now (2.9.2.2)."""

_PLACE = re.compile(rb"([A-Z][A-Z0-9]{2})\^([1-9]\d{0,4})(?:\^([1-9]\d{0,3}))?")
EMPTY, NO_MSA, OTHER = "empty", "no_msa", "other"
"""What stands in a table of meanings for an empty frame, for an answer without an MSA segment, and for codes that are not HL7's."""
_FLAWS = {EMPTY: ("EMPTY_ANSWER", "with an empty frame"), NO_MSA: ("NO_MSA", "without an MSA segment that holds a code")}
"""The codes of their outcomes where the table knows them, and what they are in words."""
_AS_WRITTEN = {code.encode(): code for code in BY_THE_STANDARD}
_BLANKS = b"\x00\t\n\r "


class Said(Value, frozen=True, gc=False):
    """An answer as it was read. code: MSA-1, without blanks and in capitals. control_id: MSA-2, as `Header.text` has MSH-10.

    flaw: EMPTY or NO_MSA, where the answer says neither. lines: its segments, ended by CR.
    """

    raw: bytes
    code: str = ""
    control_id: str = ""
    flaw: str = ""
    header: Header | None = None
    lines: bytes = b""


def read(answer: bytes) -> Said:
    """What a peer's answer says. Never raises."""
    header = Header.read(answer)
    if header is None:
        return Said(answer, flaw=NO_MSA if answer.strip(_BLANKS) else EMPTY)
    lines = _lines(answer, header)
    msa = _segment(lines, b"MSA", header.separator)
    if msa is None:
        return Said(answer, flaw=NO_MSA, header=header, lines=lines)
    code = _AS_WRITTEN.get(msa[1]) or msa[1].decode("ascii", "replace").strip().upper()[:8]
    control_id = text_of(msa[2]) if len(msa) > 2 else ""
    return Said(answer, code, control_id, "" if code or control_id.strip() else NO_MSA, header, lines)


def outcome(said: Said, meaning: Mapping[str, str] = BY_THE_STANDARD) -> Outcome:
    """Turn an answer into the outcome of the message that it is for.

    meaning: MSA-1, or EMPTY, NO_MSA or OTHER, to accept, reject, retry or hold. An answer of which it says nothing is
    Ambiguous, because the peer may have taken the message.
    """
    answer, code = said.raw, _FLAWS[said.flaw][0] if said.flaw else said.code
    word = meaning.get(said.flaw or code) or (meaning.get(OTHER) if not said.flaw and code not in BY_THE_STANDARD else None)
    if word == "accept":
        return Accepted(code, answer)
    reason = f"the peer answered {_FLAWS[said.flaw][1] if said.flaw else code + _why(said)}"
    if word == "reject":
        return Rejected(code, reason, answer)
    if word == "retry":
        return TryLater(code, reason, answer)
    if word == "hold":
        return Held(code, reason, answer)
    if said.flaw:
        return Ambiguous("ACK_UNREADABLE", f"{reason}; where that says something, say what in `meaning` ({said.flaw})", answer)
    return Ambiguous("ACK_UNKNOWN_CODE", "the answer has an MSA-1 that no table knows; say what it means in `meaning` (other)", answer)


def expected_number(answer: bytes) -> int | None:
    """MSA-4 of an answer that was placed: the sequence number that the peer expects; None when it gives none.

    Raises ValueError when it is no sequence number.
    """
    header = Header.read(answer)
    msa = _segment(_lines(answer, header), b"MSA", header.separator) if header else None
    return number_of(msa[4]) if msa and len(msa) > 4 else None


def _lines(answer: bytes, header: Header) -> bytes:
    """Segments ended by CR, in UTF-8 where the answer is in UTF-16 or 32."""
    lines = header.width.narrow(answer)
    return lines.replace(b"\n", b"\r") if b"\n" in lines else lines  # some peers end segments in their own way


def _why(said: Said) -> str:
    """What its first ERR says, as far as it is a code of table 0357 and a place: free texts may hold content."""
    header = said.header
    if header is None:
        return ""
    error = _segment(said.lines, b"ERR", header.separator)
    c = header.get(2)[:1]
    if error is None or not c:
        return ""
    place = error[2].split(header.get(2)[1:2] or b"~")[0].split(c) if len(error) > 2 else []
    number = error[3].split(c)[0] if len(error) > 3 else b""
    meaning = MEANING.get(int(number)) if number.isdigit() and len(number) < 4 else None
    if meaning is None:
        return ""
    named = _PLACE.fullmatch(b"^".join(place[:3]))
    where = Location(named[1].decode(), int(named[2]), int(named[3] or 0)) if named else None
    return f": {meaning} ({number.decode()})" + (f" at {where}" if where else "")


def _segment(message: bytes, name: bytes, separator: bytes) -> list[bytes] | None:
    start = message.find(b"\r" + name + separator)
    if start < 0:
        return None
    end = message.find(b"\r", start + 1)
    return message[start + 1 : end if end > 0 else len(message)].split(separator)
