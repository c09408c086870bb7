"""A message in HL7's XML: XML Encoding Rules for HL7 v2 Messages, release 2 (namespace urn:hl7-org:v2xml).

Elements are named by message structure, group, segment, field and data type (DFT_P03, DFT_P03.FINANCIAL, PID, PID.3,
CX.1). Separators that were escaped are written as they are; every other escape sequence is an `escape` element with
the sequence in V, and so is a character that XML cannot hold: `<escape V="X0C"/>`.

The segments are put into the groups of the structure, none lost and none moved.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape as markup

from suture.wire.hl7v2.standard import dictionary
from suture.wire.hl7v2.standard.dictionary import Group, SegmentRef
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


@dataclass(slots=True)
class Node:
    """One occurrence of a group, with its segments and groups in the order of the message."""

    group: Group
    children: list[Node | Segment] = field(default_factory=list)
    at: int = -1
    """The child of the structure that was filled last, which may only come again where it repeats; -1: none."""


def grouped(structure: Group, segments: list[Segment]) -> Node:
    """Place every segment; one that the structure does not have there stays where the message has it."""
    root = Node(structure)
    open_ = [root]
    for segment in segments:
        open_ = _place(open_, segment)
    return root


def _place(open_: list[Node], segment: Segment) -> list[Node]:
    """Put a segment in the innermost group that takes it: further on in one that is open, or as its next repetition."""
    for depth in range(len(open_) - 1, -1, -1):
        node = open_[depth]
        index = _find(node.group, segment.name, node.at + (node.at < 0 or not _repeats(node.group, node.at)))
        if index is None and depth and node.group.max != 1:
            index = _find(node.group, segment.name, 0)
            if index is not None:
                node = Node(node.group)
                open_[depth - 1].children.append(node)
        if index is not None:
            return [*open_[:depth], *_descend(node, index, segment)]
    open_[-1].children.append(segment)
    return open_


def _repeats(group: Group, index: int) -> bool:
    return group.choice or group.children[index].max != 1


def _find(group: Group, name: str, begin: int) -> int | None:
    return next((i for i in range(begin, len(group.children)) if name in group.children[i].names), None)


def _descend(node: Node, index: int, segment: Segment) -> list[Node]:
    """Put a segment in that child of a group; the groups that are open then, from this one inwards."""
    node.at = index
    child = node.group.children[index]
    if isinstance(child, SegmentRef):
        node.children.append(segment)
        return [node]
    inner = Node(child)
    node.children.append(inner)
    return [node, *_descend(inner, _find(child, segment.name, 0) or 0, segment)]


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
