"""Parsers that remember: what repeats from message to message is parsed once, within limits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

REMEMBERED = 8192
"""How many parsed values of a kind are kept."""

REMEMBERED_CHARACTERS = 64
"""Longer texts are parsed and not kept: a field may be as long as a message."""

T = TypeVar("T")


class _Remembered(dict[str, Any]):
    """Values by their texts; emptied when it is full."""

    __slots__ = ("_parse",)

    def __init__(self, parse: Callable[[str], Any]) -> None:
        self._parse = parse

    def __missing__(self, text: str) -> Any:
        value = self._parse(text)
        if len(text) <= REMEMBERED_CHARACTERS:
            if len(self) >= REMEMBERED:
                self.clear()
            self[text] = value
        return value


def remembered(parse: Callable[[str], T]) -> Callable[[str], T]:
    """A parser that remembers; a look-up of what it knows costs no call in Python."""
    return _Remembered(parse).__getitem__
