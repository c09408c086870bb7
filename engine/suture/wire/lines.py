r"""Where segments end: the one place that normalises what real senders write.

- CR ends a segment, and so does CR LF. Nothing else does where a message has any CR, but for one thing that senders do:
  an LF before the beginning of a segment (a name and the field separator) or at the very end. Any other LF is data.
- A message without a CR has its segments ended by LF.
- Empty lines hold nothing, and are left out. What is not empty is a segment, whatever it holds.
- A UTF-8 byte order mark, blanks, tabs, line ends and VT before MSH are left out.
"""

from __future__ import annotations

import re
from functools import lru_cache

LEAD = "\ufeff \t\r\n\x0b"
_LEAD_BYTES = re.compile(rb"(?:\xef\xbb\xbf|[ \t\r\n\x0b])*")


def lead_of(raw: bytes) -> int:
    """The number of bytes before MSH that do not belong to the message."""
    return _LEAD_BYTES.match(raw).end()  # type: ignore[union-attr]  # it always matches


def lines_of(text: str) -> list[str]:
    """The segments of a text that begins with MSH."""
    if "\n" not in text:
        lines = text.split("\r")
    elif "\r" not in text:
        lines = text.split("\n")
    else:
        number = text.count("\r\n")
        if number == text.count("\r") and number == text.count("\n"):
            lines = text.split("\r\n")
        else:
            lines = _mixed(text[3:4]).split(text.rstrip("\n"))
    if not lines[-1]:
        lines.pop()
    return [line for line in lines if line] if "" in lines else lines


@lru_cache(32)
def _mixed(separator: str) -> re.Pattern[str]:
    s = re.escape(separator)
    return re.compile(f"\r\n*|\n(?=[A-Z][A-Z0-9]{{2}}(?:[\r\n{s}]|\\Z))")


@lru_cache(32)
def _mixed_bytes(separator: bytes) -> re.Pattern[bytes]:
    s = re.escape(separator)
    return re.compile(b"\r\n*|\n(?=[A-Z][A-Z0-9]{2}(?:[\r\n" + s + b"]|\\Z))")


def spans_of(raw: bytes, start: int) -> list[tuple[int, int]]:
    """Beginning and end of each segment of bytes that have MSH at `start`: the cuts of `lines_of`, without a copy of the whole.

    For codecs in which a CR or LF byte never is a part of another character.
    """
    end = len(raw)
    if raw.find(b"\r", start) < 0:
        ends = re.compile(b"\n")
    else:
        ends = _mixed_bytes(raw[start + 3 : start + 4])
        while end > start and raw[end - 1] == 10:
            end -= 1
    spans, begin = [], start
    for match in ends.finditer(raw, start, end):
        if match.start() > begin:
            spans.append((begin, match.start()))
        begin = match.end()
    if begin < end:
        spans.append((begin, end))
    return spans
