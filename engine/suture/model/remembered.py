"""What repeats from message to message is made once, and remembered within limits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

REMEMBERED = 8192
"""How many parsed values of a kind are kept."""

REMEMBERED_CHARACTERS = 64
"""Longer texts are parsed and not kept: a field may be as long as a message."""

T = TypeVar("T")


class Remembered(dict[str, T]):
    """What was made of texts; emptied when it has the most that it may. A look-up of what it knows costs no call in Python.

    keeps(text, made): is it kept? What is not is made again when it is asked for again.
    """

    __slots__ = ("_keeps", "_make", "_most")

    def __init__(self, make: Callable[[str], T], most: int, keeps: Callable[[str, Any], bool]) -> None:
        self._make, self._most, self._keeps = make, most, keeps

    def __missing__(self, text: str) -> T:
        made = self._make(text)
        if self._keeps(text, made):
            if len(self) >= self._most:
                self.clear()
            self[text] = made
        return made


def remembered(parse: Callable[[str], T]) -> Callable[[str], T]:
    """A parser that remembers."""
    return Remembered(parse, REMEMBERED, _is_short).__getitem__


def _is_short(text: str, made: Any) -> bool:
    return len(text) <= REMEMBERED_CHARACTERS


def is_there(text: str, made: Any) -> bool:
    """What is none is not kept: of texts that stand for nothing there is no end."""
    return made is not None
