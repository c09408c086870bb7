"""What a message's lines, characters and separators allow: remarks where they are odd, an error where a value would not be the sender's."""

from __future__ import annotations

from collections.abc import Sequence

from suture.model.errors import MessageError
from suture.model.message import Note
from suture.wire.hl7v2.text import er7
from suture.wire.hl7v2.text.charsets import UTF_8, part_of
from suture.wire.hl7v2.text.delimiters import STANDARD, UNCLEAR
from suture.wire.hl7v2.text.lines import BROKEN
from suture.wire.hl7v2.text.remarks import C1_BYTES, MSH2_TWICE, remarks
from suture.wire.hl7v2.text.segment import UNNAMED

CHARSET = "CHARSET"
_CODES = {C1_BYTES: "C1_BYTES", MSH2_TWICE: "MSH2_TWICE"}
_MEND = "set MSH-18 or the channel's `hl7v2.encoding`"


def line_notes(parsed: er7.Message, strays: bool) -> list[Note]:
    """What is remarked about the lines of a message. strays: a stray byte in a segment's name is only remarked, too.

    Raises MessageError (BAD_SEGMENT) where a line is no segment: its bytes are nobody's, and are not passed over.
    """
    odd = parsed.odd
    for line in odd.broken:
        if not (strays and line in odd.stray):
            more = f" (and {len(odd.broken) - 1} more)" if len(odd.broken) > 1 else ""
            raise MessageError("parse", "BAD_SEGMENT", line.place, f"{BROKEN}: line {line.number}, behind this segment{more}")
    remarks = (
        (odd.broken, "STRAY_NAME", "is passed over: its name has bytes of no character"),
        (odd.trimmed, "BLANKS_TRIMMED", "has blanks before the segment's name; they are left out"),
        (odd.around, "ENVELOPE_LINE", "is a segment around messages, and stands in one; it stays there"),
        (odd.joined, "LINE_JOINED", "is no segment; it is joined to the field before it"),
    )
    return [Note(0, code, line.place, f"line {line.number} {what}") for lines, code, what in remarks for line in lines]


def notes_of(parsed: er7.Message) -> Sequence[Note]:
    """What is to be remarked about a message that has come."""
    if parsed.delimiters is STANDARD and parsed.encoding == UTF_8:
        return ()
    return [Note(0, _CODES[one.kind], str(one.place), one.text) for one in remarks(parsed)]


def check_bytes(parsed: er7.Message, stage: str = "parse", strays: bool = False) -> None:
    """Raise MessageError for bytes that the character set does not have, and separators that cannot be told apart.

    Whoever changes such a message may change another place of it than is named. strays: as of `line_notes`.
    """
    if parsed.undecodable and not (strays and parsed.only_names_undecodable):
        raise MessageError(stage, CHARSET, "MSH-18", f"bytes that are not {part_of(parsed.encoding)}; {_MEND}")
    if parsed.delimiters is not STANDARD and parsed.delimiters.repeats == UNCLEAR:
        reason = "a character has two meanings, so that values cannot be told from separators; ask the sender for ^~\\&"
        raise MessageError(stage, "BAD_DELIMITER", "MSH-2", reason)


def check_values(parsed: er7.Message, strays: bool) -> None:
    """The same, and for NUL bytes: a value must never change in silence, and none holds a NUL."""
    if parsed.undecodable or parsed.delimiters is not STANDARD or 0 in parsed.raw:
        check_bytes(parsed, strays=strays)
        if 0 in parsed.raw and any("\0" in one.text and one.shown != UNNAMED for one in parsed.segments):
            raise MessageError("parse", CHARSET, "", "a NUL byte, which is no character; ask the sender to leave it out")
