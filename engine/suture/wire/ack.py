"""Reading what a peer answers (HL7 2.9.1 section 2.8). What we answer ourselves is in reply.py, which of it is due in due.py."""

from __future__ import annotations

import re
from collections.abc import Mapping

from suture.model.outcome import Accepted, Ambiguous, Held, Outcome, Rejected, TryLater
from suture.wire.finding import MEANING, Location
from suture.wire.header import Header, text_of
from suture.wire.reply import build
from suture.wire.sequence import number_of

__all__ = ["BY_THE_STANDARD", "MEANINGS", "Header", "answered", "build", "expected_number", "judge", "text_of"]

BY_THE_STANDARD: Mapping[str, str] = {"AA": "accept", "CA": "accept", "AE": "reject", "CE": "reject", "AR": "retry", "CR": "reject"}
"""MSA-1 to accept, reject, retry or hold. AE: an error in the content, do not resend; AR: refused for now (2.9.2.2)."""

_PLACE = re.compile(rb"([A-Z][A-Z0-9]{2})\^([1-9]\d{0,4})(?:\^([1-9]\d{0,3}))?")
MEANINGS = ("accept", "reject", "retry", "hold")


def judge(answer: bytes, control_id: str, meaning: Mapping[str, str] = BY_THE_STANDARD) -> Outcome | None:
    """Turn a peer's answer into an outcome; None when it answers another message than `control_id`.

    control_id: MSH-10 of what was sent, as `Header.text` has it; compared whole. meaning: MSA-1 to accept, reject, retry or hold.
    Never raises; an answer that cannot be read is Ambiguous, because the peer may have taken the message.
    """
    header = Header.read(answer)
    if header is None:
        return Ambiguous("ACK_UNREADABLE", "the answer is not an HL7 message", answer)
    lines = _lines(answer, header)
    msa = _segment(lines, b"MSA", header.separator)
    if msa is None or len(msa) < 3:
        return Ambiguous("ACK_UNREADABLE", "the answer has no MSA segment with a code and a control id", answer)
    if text_of(msa[2]) != control_id:
        return None
    code = msa[1].decode("ascii", "replace")[:8]
    verdict = meaning.get(code)
    if verdict == "accept":
        return Accepted(code, answer)
    reason = f"the peer answered {code}{_why(lines, header)}"
    if verdict == "reject":
        return Rejected(code, reason, answer)
    if verdict == "retry":
        return TryLater(code, reason, None, answer)
    if verdict == "hold":
        return Held(code, reason, answer)
    return Ambiguous("ACK_UNKNOWN_CODE", "the answer has an MSA-1 that no table knows", answer)


def answered(answer: bytes) -> str:
    """MSA-2, the control id of the message that it answers; "" when it says none."""
    header = Header.read(answer)
    msa = _segment(_lines(answer, header), b"MSA", header.separator) if header else None
    return text_of(msa[2]) if msa and len(msa) > 2 else ""


def expected_number(answer: bytes) -> int | None:
    """MSA-4 of an answer that `judge` has placed: the sequence number that the peer expects; None when it gives none.

    Raises ValueError when it is no sequence number.
    """
    header = Header.read(answer)
    msa = _segment(_lines(answer, header), b"MSA", header.separator) if header else None
    return number_of(msa[4]) if msa and len(msa) > 4 else None


def _lines(answer: bytes, header: Header) -> bytes:
    """Segments ended by CR, in UTF-8 where the answer is in UTF-16 or 32."""
    lines = answer.decode(header.wide, "replace").encode() if header.wide else answer
    return lines.replace(b"\n", b"\r") if b"\n" in lines else lines  # some peers end segments in their own way


def _why(message: bytes, header: Header) -> str:
    """What its first ERR says, as far as it is a code of table 0357 and a place: free texts may hold content."""
    error = _segment(message, b"ERR", header.separator)
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
