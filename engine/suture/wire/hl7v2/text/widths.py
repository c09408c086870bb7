"""Streams in UTF-16 and UTF-32, looked at with one byte a character, so that they are cut as streams of single bytes are.

Every piece keeps its own bytes, also those that are no characters of the set.
"""

from __future__ import annotations

import re

from suture.model.value import Value
from suture.wire.hl7v2.text import charsets, lines

MARK = b"\xfe"
"""What stands for a byte order mark in a view. (Every other character that is not ASCII is 0xFF there.)"""
BEGINS = rb"\xff\xfe|\xfe\xff|\0\0\xfe\xff|[BFM]\0(?:[HST]\0|\0\0)|\0(?:\0\0)?[BFM]\0"
"""What a frame with text in UTF-16 or UTF-32 begins with, as a pattern: a byte order mark, or the name of a segment."""
HEAD_BYTES = 4096
"""Bytes of a stream from which its width is told, when it begins with nothing but blanks."""

_ENOUGH_BYTES = 8
"""Two characters of UTF-32, or a mark and one: as much behind the blanks as tells the width."""
_LEADING = b" \t\r\n\x0b\x00"
_PAIR = re.compile("[\U00010000-\U0010ffff]")
"""A character of two units of UTF-16."""
_OTHER = re.compile("[^\0-\x7f\ufeff]")


class Width(Value, frozen=True):
    """How a stream is written. size: bytes of a unit, 1 for every set whose ASCII is single bytes. mark: that the stream began with."""

    size: int = 1
    codec: str = ""
    mark: bytes = b""

    def view(self, raw: bytes | bytearray) -> bytes:
        """One byte a unit: ASCII as it is, MARK, or 0xFF. Bytes behind the last whole unit are not there."""
        if self.size == 1:
            return bytes(raw)
        text = raw[: len(raw) // self.size * self.size].decode(self.codec, "replace")
        if self.size == 2:
            text = _PAIR.sub("\xff\xff", text)
        return _OTHER.sub("\xff", text).replace("\ufeff", "\xfe").encode("latin-1")

    def narrow(self, raw: bytes) -> bytes:
        """A text of the stream in UTF-8, without its mark; what is no character of the set becomes U+FFFD."""
        if self.size == 1:
            return raw
        return raw.decode(self.codec, "replace").lstrip("\ufeff").encode("utf-8", "replace")

    def widened(self, text: bytes) -> bytes:
        """A text in UTF-8 as the stream would have it, with the mark that it began with."""
        return text if self.size == 1 else self.mark + text.decode("utf-8", "replace").encode(self.codec)

    def ascii(self, text: bytes) -> bytes:
        """ASCII in the units of the stream; any other byte becomes U+FFFD."""
        return text if self.size == 1 else text.decode("ascii", "replace").encode(self.codec)


NARROW = Width()


class Buffer:
    """What has come of a stream and is not cut yet: its bytes, and a view of them, with one byte a unit."""

    def __init__(self, width: Width = NARROW) -> None:
        self.width = width
        self.view = bytearray()
        self.raw = self.view if width.size == 1 else bytearray()

    def add(self, data: bytes | bytearray) -> None:
        """Take what came next."""
        if self.raw is self.view:
            self.view += data
            return
        seen = len(self.view) * self.width.size
        self.raw += data
        self.view += self.width.view(self.raw[seen:])

    def remove(self, begin: int, end: int) -> None:
        """Forget these units."""
        del self.view[begin:end]
        if self.raw is not self.view:
            del self.raw[begin * self.width.size : end * self.width.size]

    def piece(self, begin: int, end: int) -> bytes:
        """The bytes of these units."""
        return bytes(self.raw[begin * self.width.size : end * self.width.size])

    def odd(self) -> bytes:
        """The bytes behind the last whole unit."""
        return bytes(self.raw[len(self.view) * self.width.size :])


def with_line_ends(raw: bytes, width: Width, nothing: bytes) -> bytes:
    """A message with its lines ended by CR, also those that end with LF CR; b"" where there is nothing in it.

    What is no whole unit stays at the end.

    nothing: bytes of a view that alone make no line, and that are left out before the first one.
    """
    view, size, end = width.view(raw), width.size, width.ascii(b"\r")
    if size == 1 and view[:1] not in nothing and view[-1:] not in nothing and b"\n" not in view and b"\r\r" not in view:
        return raw + end
    start = len(view) - len(view.lstrip(nothing))
    kept = [(at, view[at:stop].rstrip(b"\n")) for at, stop in lines.spans_of(view, start) if view[at:stop].strip(nothing)]
    found = b"".join([raw[at * size : (at + len(line)) * size] + end for at, line in kept])
    return found + raw[len(view) * size :] if found else b""


def width_of(raw: bytes | bytearray) -> Width:
    """The width that the first bytes of a stream show. MLLP frames are single bytes, whatever stands in them."""
    if raw[:1] == b"\x0b":
        return NARROW
    head = bytes(raw[:HEAD_BYTES])
    codec = charsets.wide_codec(head)
    return Width(int(codec[4:6]) // 8, codec, charsets.mark_of(head, codec)) if codec else NARROW


def tells(head: bytes | bytearray) -> bool:
    """Are these first bytes of a stream enough for `width_of`, so that more would not change it?"""
    return len(head) >= HEAD_BYTES or len(head.lstrip(_LEADING)) >= _ENOUGH_BYTES
