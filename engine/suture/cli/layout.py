"""A table laid out in lines of a given width."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

ROOM_FOR_TEXT = 28
"""Places that make it worth while to break the last column, which is a text, inside its column."""
_GAP = "  "
_INDENT = "    "


class Table:
    """Cells of printable text under their headers. screen: places in a line, or None for no limit."""

    def __init__(self, headers: list[str], cells: list[list[str]], screen: int | None) -> None:
        self._headers, self._cells, self._screen = headers, cells, screen
        columns = range(len(headers))
        self._numeric = [all(_is_number(row[i]) for row in cells) for i in columns]
        self._widths = [max(width(row[i]) for row in [headers, *cells]) for i in columns]
        self._beside = fitting(self._widths, screen)
        if screen is not None:
            self._fit_last(screen)

    def lines(self) -> Iterator[str]:
        """The headers, then each row with what is below it."""
        yield from self._row(self._headers)
        for row in self._cells:
            yield from self._row(row)
            yield from self._below(row)

    def _fit_last(self, screen: int) -> None:
        last = len(self._headers) - 1
        if last in self._beside:
            self._widths[last] = min(self._widths[last], screen)
            return
        room = screen - sum(self._widths[i] + len(_GAP) for i in self._beside)
        if room >= ROOM_FOR_TEXT:
            self._beside.append(last)
            self._widths[last] = room
        self._widths[0] = min(self._widths[0], screen)

    def _row(self, row: list[str]) -> Iterator[str]:
        parts = [wrapped(row[i], self._widths[i]) for i in self._beside]
        for n in range(max(map(len, parts))):
            placed = [self._placed(part[n] if n < len(part) else "", i) for part, i in zip(parts, self._beside, strict=True)]
            yield _GAP.join(placed).rstrip()

    def _below(self, row: list[str]) -> Iterator[str]:
        rest = [(self._headers[i], row[i]) for i in range(len(row)) if i not in self._beside and row[i]]
        text = "; ".join(f"{name}: {value}" if name else value for name, value in rest)
        if text and self._screen is not None:
            yield from (_INDENT + line for line in wrapped(text, max(self._screen - len(_INDENT), 1)))

    def _placed(self, text: str, column: int) -> str:
        pad = " " * (self._widths[column] - width(text))
        return pad + text if self._numeric[column] else text + pad


def fitting(widths: list[int], screen: int | None) -> list[int]:
    """The columns that fit beside each other uncut, from left to right, and always the first one."""
    if screen is None:
        return list(range(len(widths)))
    found, used = [0], widths[0]
    for i, needed in enumerate(widths[1:], 1):
        if used + len(_GAP) + needed <= screen:
            found.append(i)
            used += len(_GAP) + needed
    return found


def wrapped(text: str, places: int) -> list[str]:
    """The text in lines of at most so many places, broken at blanks, and inside a word that is longer than a line."""
    if width(text) <= places:
        return [text]
    lines, line = [], ""
    for word in text.split(" "):
        if line and width(line) + 1 + width(word) > places:
            lines.append(line)
            line = ""
        line = f"{line} {word}" if line else word
        while width(line) > places:
            cut = _fitting_part(line, places)
            lines.append(line[:cut])
            line = line[cut:]
    return [*lines, line] if line else lines


def _fitting_part(text: str, places: int) -> int:
    """How many characters of the text fit, at least one."""
    used = 0
    for n, character in enumerate(text):
        used += width(character)
        if used > places:
            return max(n, 1)
    return len(text)


def _is_number(text: str) -> bool:
    return not text or text.removeprefix("-").replace(".", "", 1).isdigit()


def width(text: str) -> int:
    """Places on the screen: East Asian wide characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
