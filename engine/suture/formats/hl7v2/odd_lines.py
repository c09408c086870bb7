"""What becomes of a message whose lines are not all segments as they should be: it waits for a person, or goes on with a word."""

from __future__ import annotations

from suture.model.errors import MessageError
from suture.model.message import Note
from suture.wire.hl7v2.text import er7
from suture.wire.hl7v2.text.lines import BROKEN


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
