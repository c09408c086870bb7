"""A message in HL7's XML: XML Encoding Rules for HL7 v2 Messages, release 2 (namespace urn:hl7-org:v2xml).

Elements are named by message structure, group, segment, field and data type (DFT_P03, DFT_P03.FINANCIAL, PID, PID.3,
CX.1). Separators that were escaped are written as they are; every other escape sequence is an `escape` element with
the sequence in V, and so is a character that XML cannot hold: `<escape V="X0C"/>`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from html import escape as markup

from suture.wire.hl7v2.standard import dictionary
from suture.wire.hl7v2.standard.grouping import Node, grouped
from suture.wire.hl7v2.text.delimiters import NULL_TEXT
from suture.wire.hl7v2.text.er7 import Delimiters, Message, Segment
from suture.wire.hl7v2.text.escapes import ROLES
from suture.wire.hl7v2.text.segment import UNNAMED
from suture.wire.hl7v2.tools import parts

NAMESPACE = "urn:hl7-org:v2xml"
DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>'
UNKNOWN = "UNKNOWN"
"""Stands for a name that is none: of a message without a type, of a line that begins with no segment name."""
AS_IT_IS = Delimiters(escape="")
"""For a text in which nothing is escaped."""
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*")
_NOT_XML = re.compile("[^\t\n\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SEQUENCE = re.compile(r"[A-Za-z.][ -~]{0,98}")


def lines(message: Message, version: str = "") -> Iterator[str]:
    """The message's element, a line an element that holds elements; without the XML declaration. Well-formed for any input."""
    version = parts.version_of(message, version)
    code, event, named = (message.get(f"MSH-9.{n}") for n in (1, 2, 3))
    structure = dictionary.structure(version, "^".join((code, event, named)))
    name = next((each for each in (structure.name if structure else "", named, f"{code}_{event}", code) if _NAME.fullmatch(each)), UNKNOWN)
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
        pad, name, d = "  " * depth, segment.name, segment.delimiters
        if segment.shown == UNNAMED:
            yield f"{pad}<{UNKNOWN}>{text_of(segment.text, AS_IT_IS)}</{UNKNOWN}>"
            return
        yield f"{pad}<{name}>"
        for number, raw in parts.filled(segment):
            element = f"{name}.{number}"
            if parts.is_separators(segment, number):
                yield f"{pad}  <{element}>{text_of(raw, AS_IT_IS)}</{element}>"
                continue
            datatype = parts.datatype_of(self._version, segment, number)
            for repetition in parts.split(raw, d.repetition):
                yield f"{pad}  <{element}>{self._content(datatype, repetition, d, (d.component, d.subcomponent))}</{element}>"
        yield f"{pad}</{name}>"

    def _content(self, datatype: str, raw: str, d: Delimiters, separators: Sequence[str]) -> str:
        """A value as text, or its parts by the names of their data type. separators: what it may be divided by, the outermost first."""
        if not separators or raw == NULL_TEXT:
            return text_of(raw, d)
        written = parts.split(raw, separators[0])
        if len(written) == 1 and not dictionary.components(self._version, datatype):
            return self._content("", raw, d, separators[1:])
        prefix, out = datatype if _NAME.fullmatch(datatype) else "varies", []
        for number, text in enumerate(written, 1):
            if text:
                spec = dictionary.component(self._version, datatype, number)
                inner = self._content(spec.datatype if spec else "", text, d, separators[1:])
                out.append(f"<{prefix}.{number}>{inner}</{prefix}.{number}>")
        return "".join(out)


def text_of(raw: str, d: Delimiters) -> str:
    """A value as XML text: escape sequences and characters that XML cannot hold become escape elements."""
    if not d.escape or d.escape not in raw:
        return _plain(raw)
    e = re.escape(d.escape)
    pieces = re.split(f"{e}([^{e}]*){e}", raw)  # texts, with the codes of sequences between them
    return "".join(_sequence(piece, d) if i % 2 else _plain(piece) for i, piece in enumerate(pieces))


def _sequence(code: str, d: Delimiters) -> str:
    if code in ROLES and code != "P":
        return _plain(getattr(d, ROLES[code]))
    return f'<escape V="{markup(code)}"/>' if _SEQUENCE.fullmatch(code) else _plain(f"{d.escape}{code}{d.escape}")


def _plain(text: str) -> str:
    return _NOT_XML.sub(_as_escape, markup(text, quote=False))


def _as_escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not of the message's character set
        return f'<escape V="X{code - 0xDC00:02X}"/>'
    return f'<escape V="X{code:02X}"/>' if code < 0x100 else "\ufffd"
