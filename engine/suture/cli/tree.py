"""A message as a tree: every value with the path that a mapping would name it by."""

from __future__ import annotations

from collections.abc import Iterator

from suture.model.errors import MessageError

Leaf = tuple[str, str]
"""A path such as FT1(2)-7.1, and the value there, unescaped."""


def segments(raw: bytes) -> list[tuple[str, list[Leaf]]]:
    """The segments in order, each with its filled values. Raises MessageError when raw is not HL7."""
    from suture.wire.hl7v2.text.er7 import Message
    from suture.wire.hl7v2.tools import parts  # here, for most commands that may show a message show none

    found = []
    for place, segment in parts.places(Message.parse(raw)):
        found.append((place, [(leaf.path(place), parts.value(segment, leaf)) for leaf in parts.leaves(segment)]))
    return found


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
