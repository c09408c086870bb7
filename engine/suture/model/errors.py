"""Errors that a person can act on."""

from __future__ import annotations

import traceback
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a file: where and what, with the remedy inside the text."""

    file: str
    line: int
    place: str
    text: str

    def __str__(self) -> str:
        place = f" {self.place}:" if self.place else ""
        return f"{self.file}:{self.line}:{place} {self.text}"


class SutureError(Exception):
    """Base of every error that Suture raises on purpose; its text is fit for an operator."""


class ConfigError(SutureError):
    """The site's files are wrong. problems: all of them, in file and line order."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


class MessageError(SutureError):
    """A message cannot be read or mapped. Carries places and codes, never content (PHI).

    stage: parse, map or render. code: stable, listed in docs/errors.md. place: a path such as FT1-7. table, value: the
    code that a table does not know, as in a Gap; else empty.
    """

    def __init__(self, stage: str, code: str, place: str, reason: str, table: str = "", value: str = "") -> None:
        super().__init__(f"{code} at {place}: {reason}" if place else f"{code}: {reason}")
        self.stage, self.code, self.place, self.reason, self.table, self.value = stage, code, place, reason, table, value


class StoreError(SutureError):
    """The database refuses (unknown schema, unreachable, full)."""


class StoreRefused(StoreError):
    """What was asked of the store or a backup cannot be done, though both can be reached: asking again changes nothing."""


class TakenOver(StoreError):
    """Another engine has taken the store over: this one must not write, answer or send any more."""


class CommandError(SutureError):
    """An operator's verb cannot be carried out, and why."""


class NotFound(CommandError):
    """There is no such message, delivery, exception or channel."""


def in_the_program(error: Exception) -> str:
    """An error that should not be, by its kind and its place in the program; its own text may hold anything (PHI)."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} at {frame.filename.rpartition('/')[2]}:{frame.lineno}; please report it"
