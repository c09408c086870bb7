"""A message as a tree: every value with the path that a mapping would name it by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from suture.model.errors import MessageError
from suture.wire.er7 import Delimiters, Message, Segment, unescape

Leaf = tuple[str, str]
"""A path such as FT1(2)-7.1, and the value there, unescaped."""


def segments(raw: bytes) -> list[tuple[str, list[Leaf]]]:
    """The segments in order, each with its filled values. Raises MessageError when raw is not HL7."""
    message = Message.parse(raw)
    totals = Counter(segment.name for segment in message.segments)
    seen: Counter[str] = Counter()
    found = []
    for segment in message.segments:
        seen[segment.name] += 1
        name = f"{segment.name}({seen[segment.name]})" if totals[segment.name] > 1 else segment.name
        found.append((name, list(_leaves(segment, name))))
    return found


def _leaves(segment: Segment, name: str) -> Iterator[Leaf]:
    d = segment.delimiters
    first = 1 if segment.name == "MSH" else 0
    for index in range(1, len(segment.fields) + first):
        text = segment.raw(index)
        if segment.name == "MSH" and index <= 2:
            yield f"{name}-{index}", text
        elif text:
            yield from _field(f"{name}-{index}", text, d)


def _field(path: str, text: str, d: Delimiters) -> Iterator[Leaf]:
    repetitions = _split(text, d.repetition)
    for number, repetition in enumerate(repetitions, 1):
        place = f"{path}[{number}]" if len(repetitions) > 1 else path
        components = _split(repetition, d.component)
        for c, component in enumerate(components, 1):
            yield from _component(f"{place}.{c}" if len(components) > 1 else place, component, d)


def _component(path: str, text: str, d: Delimiters) -> Iterator[Leaf]:
    parts = _split(text, d.subcomponent)
    for number, part in enumerate(parts, 1):
        if part:
            yield (f"{path}.{number}" if len(parts) > 1 else path), unescape(part, d)


def _split(text: str, separator: str) -> list[str]:
    return text.split(separator) if separator else [text]


def lines(raw: bytes) -> Iterator[str]:
    """The tree as text; bytes that are no HL7 message come as they are, line by line."""
    try:
        found = segments(raw)
    except MessageError as error:
        yield f"not an HL7 message ({error.reason}):"
        yield from readable(raw).splitlines()
        return
    for name, leaves in found:
        yield name
        width = max((len(path) for path, _ in leaves), default=0)
        for path, value in leaves:
            yield f"  {path:<{width}}  {value}"


def readable(raw: bytes) -> str:
    """Raw bytes for a screen: a line a segment, control characters as pictures."""
    text = raw.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
    return "".join(map(_picture, text))


def _picture(c: str) -> str:
    if ord(c) < 32 and c != "\n":
        return chr(0x2400 + ord(c))
    return "␡" if c == "\x7f" else c
