"""Cutting a file or a stream of HL7 v2 text into its messages, in the memory of one message."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

BATCH = (b"FHS", b"BHS", b"BTS", b"FTS")
"""The segments around messages in a batch file (HL7 2.5.1 section 2.10.3)."""

_BEGIN = re.compile(rb"(?:(?<=[\r\n\x1c])\x0b?|(?<=[^\r\n\x1c])\x0b)(?:\xef\xbb\xbf)?(?=(?:MSH|FHS|BHS|BTS|FTS)[^A-Za-z0-9\r\n])")
_LOOK_BYTES = 8
"""The longest text at which a beginning is known: VT, BOM, the name and a separator."""
_WIDE = (b"\xff\xfe", b"\xfe\xff", b"M\0", b"\0M", b"\0\0\xfe\xff", b"\0\0\0M")
"""What text in UTF-16 or UTF-32 begins with: a byte order mark, or the M of MSH."""
_BLANK = b" \t\r\n\x0b\x1c"


class MessageTooLarge(Exception):
    """A message of a file is larger than the limit."""


def units(chunks: Iterable[bytes], limit_bytes: int) -> Iterator[bytes]:
    """Cut before each MSH and batch segment that begins a line; joined again, the units are the input, byte for byte.

    Text in UTF-16 or UTF-32 is one unit. Raises MessageTooLarge for a unit over limit_bytes.
    """
    buffer, searched = bytearray(), 1
    for chunk in chunks:
        buffer += chunk
        begun = 0
        while not buffer.startswith(_WIDE) and (match := _BEGIN.search(buffer, max(begun + 1, searched))):
            yield bytes(buffer[begun : match.start()])
            begun = match.start()
        del buffer[:begun]
        searched = max(len(buffer) - _LOOK_BYTES, 1)
        _check(buffer, limit_bytes)
    if buffer:
        yield bytes(buffer)


def _check(unit: bytes | bytearray, limit_bytes: int) -> None:
    if len(unit) > limit_bytes:
        raise MessageTooLarge(f"a message is larger than {limit_bytes} bytes")


def messages(chunks: Iterable[bytes], limit_bytes: int) -> Iterator[bytes]:
    """The messages: framed ones as they stand in their frame, others with segments ended by CR; batch segments are left out.

    Raises MessageTooLarge.
    """
    for unit in units(chunks, limit_bytes):
        if message := message_of(unit):
            yield message


def message_of(unit: bytes) -> bytes:
    """The message in a unit; b"" when it holds none."""
    if unit[:1] == b"\x0b":
        return _framed(unit[1:])
    if unit.startswith(_WIDE):
        return unit
    lines = [line for line in re.split(rb"[\r\n]+", unit.removeprefix(b"\xef\xbb\xbf").strip(b"\x0b\x1c")) if line.strip(_BLANK)]
    if not lines or lines[0].startswith(BATCH):
        return b""
    return b"\r".join(lines) + b"\r"


def _framed(rest: bytes) -> bytes:
    end = rest.rfind(b"\x1c")
    if end >= 0 and rest[end + 1 :].strip(_BLANK):  # what comes after the frame is no part of it
        end = rest.find(b"\x1c\r")
    payload = rest if end < 0 else rest[:end]
    return payload if payload.strip(_BLANK) and not payload.startswith(BATCH) else b""
