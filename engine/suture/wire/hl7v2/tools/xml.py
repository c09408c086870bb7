"""A message in HL7's XML: XML Encoding Rules for HL7 v2 Messages, release 2 (namespace urn:hl7-org:v2xml).

Elements are named by message structure, group, segment, field and data type (DFT_P03, DFT_P03.FINANCIAL, PID, PID.3,
CX.1). Separators that were escaped are written as they are; every other escape sequence is an `escape` element with
the sequence in V, and so is a character that XML cannot hold: `<escape V="X0C"/>`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape as markup

from suture.wire.hl7v2.standard import dictionary
from suture.wire.hl7v2.standard.grouping import Node, grouped
from suture.wire.hl7v2.text.delimiters import NULL_TEXT
from suture.wire.hl7v2.text.er7 import Delimiters, Message, Segment
from suture.wire.hl7v2.tools import parts

NAMESPACE = "urn:hl7-org:v2xml"
DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>'
UNKNOWN = "UNKNOWN"
"""Stands for a name that is none: of a message without a type, of a line that begins with no segment name."""
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*")
_SEGMENT = re.compile(r"[A-Z][A-Z0-9]{2}")
_NOT_XML = re.compile("[^\t\n\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SEQUENCE = re.compile(r"[A-Za-z.][ -~]{0,98}")


def lines(message: Message, version: str = "") -> Iterator[str]:
    """The message's element, a line an element that holds elements; without the XML declaration. Well-formed for any input."""
    version = parts.version_of(message, version)
    code, event, named = (message.get(f"MSH-9.{n}") for n in (1, 2, 3))
    known = dictionary.structure_name(version, "^".join((code, event, named)))
    structure = dictionary.structure(version, known) if known else None
    name = next((each for each in (known, named, f"{code}_{event}", code) if _NAME.fullmatch(each)), UNKNOWN)
    writer = _Writer(version, name)
    yield f'<{name} xmlns="{NAMESPACE}">'
    if structure is None:
        for segment in message.segments:
            yield from writer.segment(segment, 1)
    else:
        yield from writer.children(grouped(structure, message.segments), 1)
    yield f"</{name}>"


class _Writer:
    def __init__(self, version: str, root: str) -> None:
        self._version, self._root = version, root

    def children(self, node: Node, depth: int) -> Iterator[str]:
        for child in node.children:
            if isinstance(child, Segment):
                yield from self.segment(child, depth)
            else:
                name, pad = f"{self._root}.{child.group.name}", "  " * depth
                yield f"{pad}<{name}>"
                yield from self.children(child, depth + 1)
                yield f"{pad}</{name}>"

    def segment(self, segment: Segment, depth: int) -> Iterator[str]:
        pad, good = "  " * depth, bool(_SEGMENT.fullmatch(segment.name)) and segment.text[3:4] in ("", segment.delimiters.field)
        name = segment.name if good else UNKNOWN
        if not good:
            yield f"{pad}<{UNKNOWN}>{text_of(segment.text, Delimiters(escape=''))}</{UNKNOWN}>"
            return
        yield f"{pad}<{name}>"
        for number in range(1, len(segment.fields) + (name == "MSH")):
            raw, element = segment.raw(number), f"{name}.{number}"
            if raw and name == "MSH" and number <= 2:
                yield f"{pad}  <{element}>{text_of(raw, Delimiters(escape=''))}</{element}>"
            elif raw:
                datatype = parts.datatype_of(self._version, segment, number)
                for repetition in parts.split(raw, segment.delimiters.repetition):
                    yield f"{pad}  <{element}>{self._composite(datatype, repetition, segment.delimiters)}</{element}>"
        yield f"{pad}</{name}>"

    def _composite(self, datatype: str, raw: str, d: Delimiters) -> str:
        """The content of a field: text, or its components by the names of their data type."""
        written = parts.split(raw, d.component)
        known = dictionary.components(self._version, datatype)
        if raw == NULL_TEXT or (len(written) == 1 and not known):
            return self._part("", written[0], d)
        prefix, out = self._prefix(datatype), []
        for number, text in enumerate(written, 1):
            if text:
                inner = known[number - 1].datatype if number <= len(known) else ""
                out.append(f"<{prefix}.{number}>{self._part(inner, text, d)}</{prefix}.{number}>")
        return "".join(out)

    def _part(self, datatype: str, raw: str, d: Delimiters) -> str:
        """The content of a component: text, or its subcomponents."""
        written = parts.split(raw, d.subcomponent)
        if raw == NULL_TEXT or (len(written) == 1 and not dictionary.components(self._version, datatype)):
            return text_of(raw, d)
        prefix = self._prefix(datatype)
        return "".join(f"<{prefix}.{n}>{text_of(text, d)}</{prefix}.{n}>" for n, text in enumerate(written, 1) if text)

    def _prefix(self, datatype: str) -> str:
        return datatype if _NAME.fullmatch(datatype) else "varies"


def text_of(raw: str, d: Delimiters) -> str:
    """A value as XML text: escape sequences and characters that XML cannot hold become escape elements."""
    if not d.escape or d.escape not in raw:
        return _plain(raw)
    separators = {"F": d.field, "S": d.component, "T": d.subcomponent, "R": d.repetition, "E": d.escape}
    pieces = raw.split(d.escape)
    out = [_plain(pieces[0])]
    for index in range(1, len(pieces), 2):
        code = pieces[index]
        if index + 1 == len(pieces):
            out.append(_plain(d.escape + code))
            break
        if code in separators:
            out.append(_plain(separators[code]))
        elif _SEQUENCE.fullmatch(code):
            out.append(f'<escape V="{markup(code)}"/>')
        else:
            out.append(_plain(f"{d.escape}{code}{d.escape}"))
        out.append(_plain(pieces[index + 1]))
    return "".join(out)


def _plain(text: str) -> str:
    return _NOT_XML.sub(_as_escape, markup(text, quote=False))


def _as_escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not of the message's character set
        return f'<escape V="X{code - 0xDC00:02X}"/>'
    return f'<escape V="X{code:02X}"/>' if code < 0x100 else "\ufffd"
