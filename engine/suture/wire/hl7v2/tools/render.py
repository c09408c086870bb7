"""A message for the eye and for scripts: a tree with names, a hex dump, and nested JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from suture.model.value import Value
from suture.wire.hl7v2.standard import dictionary
from suture.wire.hl7v2.text.delimiters import NULL_TEXT
from suture.wire.hl7v2.text.er7 import Message, Segment, unescape
from suture.wire.hl7v2.tools import parts

CONTROL_NAMES = (
    *("NUL", "SOH", "STX", "ETX", "EOT", "ENQ", "ACK", "BEL", "BS", "HT", "LF", "VT", "FF", "CR", "SO", "SI"),
    *("DLE", "DC1", "DC2", "DC3", "DC4", "NAK", "SYN", "ETB", "CAN", "EM", "SUB", "ESC", "FS", "GS", "RS", "US"),
)
"""ASCII 0 to 31."""


class Line(Value, frozen=True):
    """A line of the tree: a segment's (with its place and name alone) or a value's."""

    place: str
    name: str
    value: str | None = None
    null: bool = False


def tree(message: Message, version: str = "") -> Iterator[Line]:
    """The segments and their filled values, in order."""
    version = parts.version_of(message, version)
    broken, trimmed = ({line.number for line in odd} for odd in (message.odd.broken, message.odd.trimmed))
    for number, (place, segment) in enumerate(parts.places(message), 1):
        if number in broken:
            yield Line(f"line {number}", "BAD_SEGMENT: it does not begin with a segment's name and the field separator")
            yield Line("", "", visible(segment.text))
            continue
        remark = "  (blanks before it are left out)" if number in trimmed else ""
        yield Line(visible(place), dictionary.segment_name(version, segment.name) + remark)
        for leaf in parts.leaves(segment):
            composite = bool(dictionary.components(version, parts.datatype_of(version, segment, leaf.field)))
            text, name = parts.value(segment, leaf), parts.name_of(version, segment, leaf)
            yield Line(visible(leaf.path(place, composite)), name, visible(text), leaf.raw == NULL_TEXT)


def visible(text: str) -> str:
    """The text with nothing in it that cannot be seen: control characters as pictures, others by number, outer blanks marked.

    A byte that is not of the message's character set is shown as <xE9>.
    """
    if text.isprintable() and text[:1] != " " and text[-1:] != " ":
        return text
    body = text.strip(" ")
    lead = len(text) - len(text.lstrip(" ")) if body else len(text)
    shown = "".join(c if c.isprintable() else _sign(c) for c in body)
    return "␠" * lead + shown + "␠" * (len(text) - lead - len(body))


def _sign(c: str) -> str:
    code = ord(c)
    if code < 32:
        return chr(0x2400 + code)
    if code == 127:
        return "␡"
    return f"<x{code - 0xDC00:02X}>" if 0xDC80 <= code <= 0xDCFF else f"<U+{code:04X}>"


def hex_lines(raw: bytes, offset: int = 0) -> Iterator[str]:
    """Rows of at most 16 bytes: offset, hex, ASCII, and the names of control characters. A row ends at a line end or a frame's."""
    begin = 0
    while begin < len(raw):
        row = raw[begin : begin + 16]
        end = next((i for i, byte in enumerate(row) if byte in b"\r\n" and row[i + 1 : i + 2] not in (b"\n", b"\r")), len(row) - 1) + 1
        row = row[:end]
        text = "".join(chr(b) if 32 <= b < 127 else _sign(chr(b)) if b < 128 else "·" for b in row)
        names = " ".join(CONTROL_NAMES[b] if b < 32 else "DEL" for b in row if b < 32 or b == 127)
        yield f"{offset + begin:08x}  {row.hex(' '):<47}  {text:<16}  {names}".rstrip()
        begin += end


def nested(message: Message, version: str = "") -> dict[str, Any]:
    """The message as JSON has it; what is empty is left out, and HL7's null is null.

    {version, type, control_id, encoding, segments: [{segment, place, name, fields: [{field, name, datatype, raw,
    repetitions: [...]}]}]}; one that is no segment has its text and no fields. A repetition is {value} or
    {components: [{component, name, datatype, value or subcomponents: [{subcomponent, name, datatype, value}]}]}.
    """
    version = parts.version_of(message, version)
    broken = {line.number for line in message.odd.broken}
    return {
        "version": version,
        "type": message.get("MSH-9"),
        "control_id": message.get("MSH-10"),
        "encoding": message.encoding,
        "segments": [
            _no_segment(number, segment) if number in broken else _segment(version, place, segment)
            for number, (place, segment) in enumerate(parts.places(message), 1)
        ],
    }


def _no_segment(number: int, line: Segment) -> dict[str, Any]:
    return {"segment": "", "place": f"line {number}", "name": "BAD_SEGMENT", "fields": [], "text": line.text}


def _segment(version: str, place: str, segment: Segment) -> dict[str, Any]:
    fields = [_field(version, segment, number, raw) for number, raw in parts.filled(segment)]
    return {"segment": segment.name, "place": place, "name": dictionary.segment_name(version, segment.name), "fields": fields}


def _field(version: str, segment: Segment, number: int, raw: str) -> dict[str, Any]:
    spec, datatype = dictionary.field(version, segment.name, number), parts.datatype_of(version, segment, number)
    if parts.is_separators(segment, number):
        repetitions = [{"value": raw}]
    else:
        repetitions = [_value(version, datatype, each, segment, _PARTS) for each in parts.split(raw, segment.delimiters.repetition)]
    return {"field": number, "name": spec.name if spec else "", "datatype": datatype, "raw": raw, "repetitions": repetitions}


_PARTS = ("component", "subcomponent")


def _value(version: str, datatype: str, raw: str, segment: Segment, levels: Sequence[str]) -> dict[str, Any]:
    """A value, or its parts. levels: the kinds of parts that it may have, each named as its separator is."""
    d = segment.delimiters
    if raw == NULL_TEXT:
        return {"value": None}
    divided = any(len(parts.split(raw, getattr(d, level))) > 1 for level in levels)
    if not levels or not (divided or dictionary.components(version, datatype)):
        return {"value": unescape(raw, d, segment.encoding)}
    level, *inner = levels
    items = []
    for number, text in enumerate(parts.split(raw, getattr(d, level)), 1):
        if text:
            spec = dictionary.component(version, datatype, number)
            item = {level: number, "name": spec.name if spec else "", "datatype": spec.datatype if spec else ""}
            items.append(item | _value(version, str(item["datatype"]), text, segment, inner))
    return {f"{level}s": items}
