"""Cutting a file or a stream of HL7 v2 text into its messages, in the memory of one message."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import chain

from suture.wire.hl7v2.text import lines, widths
from suture.wire.hl7v2.text.widths import NARROW, Buffer, Width

BATCH = tuple(sorted(name.encode() for name in lines.ENVELOPE))

_BEGIN = re.compile(rb"[\r\n\x0b\x1c](?:[ \t]{0,32}(?:\xef\xbb\xbf)?(?=%b)|(?<=\x1c)\r\x0b(?=%b))" % (lines.BEGINS, widths.BEGINS))
_BEGIN_WIDE = re.compile(rb"[\r\n\x0b\x1c][ \t%b]{0,32}(?=%b)" % (widths.MARK, lines.BEGINS))
"""What ends a line, or begins a frame, and stands before a segment that opens something: VT is the unit's, as are blanks and a mark."""
_LOOK_BYTES = 64
"""More than the longest text at which a beginning is known: what these patterns and `lines.BEGINS` look at."""
_BLANK = b" \t\r\n\x0b\x1c"


class MessageTooLarge(Exception):
    """A message of a file is larger than the limit."""


def units(chunks: Iterable[bytes], limit_bytes: int) -> Iterator[bytes]:
    """Cut before each MSH and batch segment that begins a line; joined again, the units are the input, byte for byte.

    Text in UTF-16 or UTF-32 is cut alike. Raises MessageTooLarge for a unit over limit_bytes.
    """
    rest, head = iter(chunks), bytearray()
    for chunk in rest:
        head += chunk
        if widths.tells(head):
            break
    yield from pieces(chain([bytes(head)], rest), limit_bytes, widths.width_of(head))


def pieces(chunks: Iterable[bytes], limit_bytes: int, width: Width) -> Iterator[bytes]:
    """The units of a stream whose width is known."""
    buffer, searched = Buffer(width), 1
    begin = _BEGIN if width is NARROW else _BEGIN_WIDE
    for chunk in chunks:
        buffer.add(chunk)
        begun = 0
        while match := begin.search(buffer.view, searched):
            at = match.start() + (match[0].find(b"\x0b") if b"\x0b" in match[0] else 1)
            yield buffer.piece(begun, at)
            begun, searched = at, match.end()
        buffer.remove(0, begun)
        searched = max(len(buffer.view) - _LOOK_BYTES, searched - begun)
        if len(buffer.raw) > limit_bytes:
            raise MessageTooLarge(f"a message is larger than {limit_bytes} bytes")
    if buffer.raw:
        yield bytes(buffer.raw)


def messages(units: Iterable[bytes]) -> Iterator[bytes]:
    """The messages of units: framed ones as they stand in their frame, others with segments ended by CR; batch segments are left out.

    Where a file in UTF-16 or UTF-32 begins with a byte order mark, each message does.
    """
    mark: bytes | None = None
    for unit in units:
        if mark is None:
            mark = widths.width_of(unit).mark
        if message := message_of(unit):
            yield message if message.startswith(mark) else mark + message


def message_of(unit: bytes) -> bytes:
    """The message in a unit; b"" when it holds none."""
    if unit[:1] == b"\x0b":
        return _framed(unit[1:])
    width = widths.width_of(unit)
    if width is NARROW:
        unit, nothing = unit.removeprefix(b"\xef\xbb\xbf").strip(b"\x0b\x1c"), _BLANK
    else:
        unit, nothing = unit.removeprefix(width.mark), _BLANK + widths.MARK
    text = widths.with_line_ends(unit, width, nothing)
    if not text or width.view(text[:_LOOK_BYTES]).startswith(BATCH):
        return b""
    return width.mark + text


def _framed(rest: bytes) -> bytes:
    end = rest.rfind(b"\x1c")
    if end >= 0 and rest[end + 1 :].strip(_BLANK):  # what comes after the frame is no part of it
        end = rest.find(b"\x1c\r")
    payload = rest if end < 0 else rest[:end]
    return payload if payload.strip(_BLANK) and not payload.lstrip(b" \t").startswith(BATCH) else b""
