"""Large collections are let go one by one, beside everybody's work: to free some hundred thousand texts at once holds all threads up."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

LARGE = 20_000
"""Things from which on a collection is large: to free so many takes a millisecond."""
Beside = Callable[[Callable[[], None]], None]
_beside: list[Beside] = []


def leave_to(beside: Beside) -> None:
    """Have large collections emptied so, in this process: beside(work) runs work on another thread. Else they are freed at once."""
    _beside[:] = [beside]


class Rows(dict[str, Any]):
    """A dictionary like any other, but for its end."""

    def __del__(self) -> None:
        if len(self) > LARGE and _beside:
            _beside[0](partial(_empty, self, self.popitem))


class Lines(list[str]):
    """A list like any other, but for its end."""

    def __del__(self) -> None:
        if len(self) > LARGE and _beside:
            _beside[0](partial(_empty, self, self.pop))


def _empty(found: Rows | Lines, take: Callable[[], object]) -> None:
    """Nobody has it any more: it lives on until it is empty."""
    while found:
        take()
