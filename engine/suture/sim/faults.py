"""Faults as data: what a simulated system does to the next requests, one entry a request."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer with this code (an HTTP status or MSA-1) instead of taking the request."""

    code: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Take the request and answer late."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Silence:
    """Say nothing. taken: whether the request took effect all the same."""

    taken: bool = False


@dataclass(frozen=True, slots=True)
class Reset:
    """Close the connection instead of answering. taken: whether the request took effect all the same."""

    taken: bool = False


Fault = Answer | Wait | Silence | Reset


@dataclass(slots=True)
class Script:
    """The faults still to come; when there is none, the system behaves."""

    faults: deque[Fault] = field(default_factory=deque)

    def add(self, faults: Iterable[Fault]) -> None:
        """Queue faults behind those still to come."""
        self.faults.extend(faults)

    def next(self) -> Fault | None:
        """The fault for this request."""
        return self.faults.popleft() if self.faults else None


def read(rows: Any) -> list[Fault]:
    """Faults from JSON: [{"answer": "503"}, {"wait_s": 2}, {"silence": "taken"}, {"reset": "lost"}]. Raises ValueError."""
    if not isinstance(rows, list):
        raise ValueError("a list of faults is needed")
    return [_read(row) for row in rows]


def _read(row: Any) -> Fault:
    if isinstance(row, Mapping) and len(row) == 1:
        ((kind, value),) = row.items()
        if kind == "answer":
            return Answer(str(value))
        if kind == "wait_s":
            return Wait(float(value))
        if kind in ("silence", "reset") and value in ("taken", "lost"):
            return (Silence if kind == "silence" else Reset)(value == "taken")
    raise ValueError("a fault is one of answer: CODE, wait_s: SECONDS, silence: taken|lost, reset: taken|lost")
