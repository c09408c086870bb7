"""How real senders frame their messages: one row a habit, with what is taken of it and the code that names it.

Each row holds for the bytes in one piece, one byte at a time, and cut anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import pytest

from suture.wire.mllp import QUIRKS, Unframer

A = b"MSH|^~\\&|CAB|OR1|SUTURE|S|20260301||DFT^P03|A1|P|2.5.1\rPID|1||7||MUSTER^ANNA\r"
B = b"MSH|^~\\&|CAB|OR1|SUTURE|S|20260301||DFT^P03|B1|P|2.5.1\rPID|1||8||BEISPIEL^JAN\r"
VT, FS, CR, LF = b"\x0b", b"\x1c", b"\r", b"\n"
CUT = A[:40]
"""A message that was broken off."""


class Row(NamedTuple):
    """stream: what is sent before the sender waits or hangs up. quirks: codes, once each or with a count."""

    habit: str
    stream: bytes
    messages: list[bytes]
    quirks: Mapping[str, int] = MappingProxyType({})


ROWS = [
    Row("as the standard says", VT + A + FS + CR, [A]),
    Row("several frames in a packet", VT + A + FS + CR + VT + B + FS + CR, [A, B]),
    Row("no carriage return after the last segment", VT + A[:-1] + FS + CR, [A[:-1]]),
    Row("no start byte", A + FS + CR, [A], {"NO_START_BLOCK": 1}),
    Row("no start byte, several", A + FS + CR + B + FS + CR, [A, B], {"NO_START_BLOCK": 2}),
    Row("no start byte on the second only", VT + A + FS + CR + B + FS + CR, [A, B], {"NO_START_BLOCK": 1}),
    Row("no start byte, a batch", b"FHS|^~\\&\r" + A + b"FTS|1\r" + FS + CR, [b"FHS|^~\\&\r" + A + b"FTS|1\r"], {"NO_START_BLOCK": 1}),
    Row("no start byte, blank lines before", CR + LF + A + FS + CR, [A], {"NO_START_BLOCK": 1, "BLANKS_BETWEEN_FRAMES": 1}),
    Row("a line feed in place of the carriage return", VT + A + FS + LF, [A], {"LF_AFTER_END": 1}),
    Row("the same, several", VT + A + FS + LF + VT + B + FS + LF, [A, B], {"LF_AFTER_END": 2}),
    Row("the same, the last segment not ended", VT + A[:-1] + FS + LF + VT + B + FS + CR, [A[:-1], B], {"LF_AFTER_END": 1}),
    Row("line feeds everywhere", VT + A.replace(CR, LF) + FS + LF, [A.replace(CR, LF)], {"LF_AFTER_END": 1}),
    Row("carriage return and line feed after the end byte", VT + A + FS + CR + LF, [A], {"CRLF_AFTER_END": 1}),
    Row("the same, several", (VT + A + FS + CR + LF) * 2, [A, A], {"CRLF_AFTER_END": 2}),
    Row("nothing after the end byte, and waits", VT + A + FS, [A], {"NO_CR_AFTER_END": 1}),
    Row("nothing after the end byte, and goes on", VT + A + FS + VT + B + FS + CR, [A, B], {"NO_CR_AFTER_END": 1}),
    Row("the same, the last segment not ended", VT + A[:-1] + FS + VT + B + FS + CR, [A[:-1], B], {"NO_CR_AFTER_END": 1}),
    Row("nothing but end bytes", A + FS + B + FS, [A, B], {"NO_START_BLOCK": 2, "NO_CR_AFTER_END": 2}),
    Row("an end byte inside text", VT + A + b"NTE|1||a" + FS + b"b\r" + FS + CR, [A + b"NTE|1||a\x1cb\r"], {"END_INSIDE_TEXT": 1}),
    Row("an end byte and a line feed inside text", VT + A + b"NTE|a\x1c\nb\r" + FS + CR, [A + b"NTE|a\x1c\nb\r"], {"END_INSIDE_TEXT": 1}),
    Row("an end byte before the end block", VT + A + FS + FS + CR, [A + FS], {"END_INSIDE_TEXT": 1}),
    Row("a start byte inside text", VT + A + b"NTE|1||a\x0bb\r" + FS + CR, [A + b"NTE|1||a\x0bb\r"], {"START_INSIDE_TEXT": 1}),
    Row(
        "a vertical tab before the name of a segment",
        VT + A + b"NTE|1||a\x0bMSH is first\r" + FS + CR,
        [A + b"NTE|1||a\x0bMSH is first\r"],
        {"START_INSIDE_TEXT": 1},
    ),
    Row("a word that is no header, outside a frame", b"MSH is first\r" + VT + A + FS + CR, [A], {"STRAY_BYTES": 1}),
    Row("two start bytes", VT + VT + A + FS + CR, [A], {"DOUBLE_START": 1}),
    Row("an end block twice", VT + A + FS + CR + FS + CR + VT + B + FS + CR, [A, B], {"STRAY_BYTES": 1}),
    Row("begins again in the middle", VT + CUT + VT + B + FS + CR, [B], {"INCOMPLETE_FRAME": 1}),
    Row("begins again without the end of the first", VT + A + VT + B + FS + CR, [B], {"INCOMPLETE_FRAME": 1}),
    Row("hangs up in the middle", VT + A + FS + CR + VT + CUT, [A], {"INCOMPLETE_FRAME": 1}),
    Row("hangs up without any end block", VT + A, [], {"INCOMPLETE_FRAME": 1}),
    Row("ends in an end byte that may be text", VT + A[:-1] + FS, [], {"INCOMPLETE_FRAME": 1}),
    Row("an empty frame as a sign of life", VT + FS + CR + VT + A + FS + CR + VT + FS + CR, [b"", A, b""], {"EMPTY_FRAME": 2}),
    Row("blank lines as a sign of life", VT + A + FS + CR + CR + CR + VT + B + FS + CR, [A, B], {"BLANKS_BETWEEN_FRAMES": 1}),
    Row("zero bytes as a sign of life", b"\0\0" + VT + A + FS + CR + b"\0", [A], {"BLANKS_BETWEEN_FRAMES": 2}),
    Row("bytes between frames", VT + A + FS + CR + b"??" + VT + B + FS + CR, [A, B], {"STRAY_BYTES": 1}),
    Row("text before the first frame", b"HELO\r\n" + VT + A + FS + CR, [A], {"STRAY_BYTES": 1}),
    Row("text before the first message, no start byte", b"HELO\r\n" + A + FS + CR, [A], {"STRAY_BYTES": 1, "NO_START_BLOCK": 1}),
    Row("not MLLP at all", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", [], {"STRAY_BYTES": 1}),
    Row("not HL7 in the frame", VT + b"hello" + FS + CR, [b"hello"]),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.habit)
def test_a_habit_is_understood_and_named(row: Row) -> None:
    cuts = [[len(row.stream)], [1] * len(row.stream), *([n, len(row.stream) - n] for n in range(1, len(row.stream)))]
    for sizes in cuts:
        unframer, at, messages = Unframer(1000), 0, []
        for size in sizes:
            messages += unframer.feed(row.stream[at : at + size])
            at += size
        assert messages + unframer.close() == row.messages
        assert unframer.quirks == row.quirks


def test_every_code_has_its_row() -> None:
    assert {code for row in ROWS for code in row.quirks} == set(QUIRKS) - {"FRAME_TOO_LARGE"}, "and that one has its tests with the limits"
