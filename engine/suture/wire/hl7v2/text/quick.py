"""A few values of many messages, read without making messages: what `suture hl7 get` does, and a router would.

Most messages are UTF-8 in the standard's delimiters, with lines that are as they should be; of these only the segments that are
asked for are cut. Any other message, and any value that is more than letters and digits, is read by the way of er7.Message.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from suture.wire.hl7v2.text import charsets
from suture.wire.hl7v2.text.delimiters import HEADERS
from suture.wire.hl7v2.text.er7 import Message
from suture.wire.hl7v2.text.lines import by_head
from suture.wire.hl7v2.text.path import Path
from suture.wire.hl7v2.text.reading import getter, is_first

Read = Callable[[bytes], list[str]]
_USUAL = b"MSH|^~\\&|"
_Wanted = tuple[int, int, bool]
"""Where in the answer, which field of the segment, and whether its first component is meant."""


def reader(places: Sequence[Path], encoding: str = charsets.UTF_8, told: Callable[[Message], None] = lambda message: None) -> Read:
    """Compile paths to a function from the bytes of a message to their values, "" for what is absent.

    encoding: the codec of messages whose MSH-18 is empty. told(message): called with every message of which
    there may be something to say. Raises ValueError for a path to several values. The function raises MessageError (stage
    parse) for bytes that are not an HL7 v2 message.
    """
    getters = [getter(place) for place in places]
    wanted: dict[str, list[_Wanted]] = {}
    for number, place in enumerate(places):
        wanted.setdefault(f"{place.segment}|", []).append((number, place.index, place.component == 1))
    simple = all(map(_is_simple, places))
    blank = [""] * len(places)

    def read(raw: bytes) -> list[str]:
        if not simple or not raw.startswith(_USUAL) or charsets.codec_for(raw, encoding) != charsets.UTF_8:
            return slowly(raw)
        try:
            text = raw.decode()
        except UnicodeError:
            return slowly(raw)
        _, found, _ = by_head(text)
        if found is None:
            return slowly(raw)
        values = blank.copy()
        for head, meant in wanted.items():
            if head[:3] in found:  # a name alone, which may stand before the others
                return slowly(raw)
            if head in found and not _take(found[head][0].split("|"), meant, values):
                return slowly(raw)
        return values

    def slowly(raw: bytes) -> list[str]:
        message = Message.parse(raw, encoding)
        told(message)
        return [get(message, None) for get in getters]

    return read


def _is_simple(place: Path) -> bool:
    """A field, or its first component, of the first segment of that name."""
    return place.own and is_first(place) and not (place.segment in HEADERS and place.field <= 2)


def _take(fields: list[str], wanted: list[_Wanted], values: list[str]) -> bool:
    """Put the values of a segment in their places; False when one of them takes a closer look."""
    size = len(fields)
    for number, index, head in wanted:
        if index < size:
            text = fields[index]
            if head:
                text = text.partition("^")[0]
            if not text.isalnum() and ("~" in text or "\\" in text or "&" in text or "^" in text):
                return False
            values[number] = text
    return True
