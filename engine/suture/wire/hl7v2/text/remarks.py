"""What is odd about a message's characters and separators and was read all the same: kinds, places and words, no content."""

from __future__ import annotations

from suture.model.finding import Location
from suture.model.value import Value
from suture.wire.hl7v2.text.delimiters import DOUBLED, HEADERS, NEEDLESS, STANDARD, UNCLEAR
from suture.wire.hl7v2.text.er7 import Message, Segment
from suture.wire.hl7v2.text.escapes import before_c1
from suture.wire.hl7v2.text.windows import C1, READERS, part_of

C1_BYTES, MSH2_TWICE = "c1_bytes", "msh2_twice"

_TWICE = {
    DOUBLED: "the escape character is doubled; it is read as one, and the character after it separates subcomponents",
    NEEDLESS: "the fifth character has another meaning already, which it keeps",
    UNCLEAR: "a character has two meanings, so that values cannot be told from separators",
}
_READ = "bytes 80 to 9F, for which ISO 8859 has no characters, are read as Windows-1252 has them; have the sender declare it in MSH-18"


class Remark(Value, frozen=True):
    """One such thing. kind: C1_BYTES or MSH2_TWICE."""

    kind: str
    place: Location
    text: str


def remarks(message: Message) -> list[Remark]:
    """All that there is to remark; at most one of a kind."""
    found = []
    if message.delimiters is not STANDARD and message.delimiters.repeats:
        found.append(Remark(MSH2_TWICE, Location("MSH", 1, 2), _TWICE[message.delimiters.repeats]))
    if (message.encoding in READERS or message.encoding == "ascii") and not message.undecodable:
        odd = [(segment, before) for segment in message.segments if (before := _before(segment)) is not None]
        if odd:
            found.append(_c1(message, *odd[0], len(odd)))
    return found


def _c1(message: Message, segment: Segment, before: str, count: int) -> Remark:
    """The first place with such a byte that was read, and how many segments have one."""
    sequence = [one for one in message.segments if one.name == segment.name].index(segment) + 1
    number = before.count(segment.delimiters.field) + (segment.name in HEADERS)
    more = f" ({count} segments have some)" if count > 1 else ""
    return Remark(C1_BYTES, Location(segment.shown, sequence, number), f"{_READ}{more}")


def _before(segment: Segment) -> str | None:
    """The text before the first such byte, None when there is none."""
    kept = bytes(getattr(segment, "kept", b""))
    if match := C1.search(kept):
        return kept[: match.start()].decode("latin-1")
    return before_c1(segment.text, segment.delimiters, part_of(segment.encoding))
