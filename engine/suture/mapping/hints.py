"""What is wrong in a mapping file, said so that its author can put it right."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ValidationError

from suture.model.errors import SutureError
from suture.model.meant import nearest

Loc = tuple[str | int, ...]
"""Where in the file, as pydantic writes it: keys and list positions from the top."""

LISTED_AT_MOST = 12
"""Longer lists of choices are no help in an error's text."""


class SpecError(SutureError):
    """A mapping is wrong. problems: all of them, as (loc, text) in the order of the file's sections."""

    def __init__(self, problems: list[tuple[Loc, str]]) -> None:
        super().__init__("\n".join(f"{'.'.join(map(str, loc))}: {text}" for loc, text in problems))
        self.problems = problems


class Problems:
    """Gathers problems, so that an author sees all of them at once."""

    def __init__(self) -> None:
        self.found: list[tuple[Loc, str]] = []

    def add(self, loc: Loc, text: str) -> None:
        """Note one problem; the same one at the same place is noted once."""
        if (loc, text) not in self.found:
            self.found.append((loc, text))

    def unknown(self, loc: Loc, what: str, word: str, choices: Iterable[str]) -> None:
        """Note that word is none of the choices, with the nearest of them as the remedy."""
        self.add(loc, f"unknown {what} '{word}'{suggestion(word, choices)}")

    def invalid(self, loc: Loc, error: ValidationError, model: type[BaseModel]) -> None:
        """Note everything that pydantic found below loc."""
        for detail in error.errors(include_url=False, include_input=False):
            self.add((*loc, *detail["loc"]), _wording(detail, model))

    def raise_if_any(self) -> None:
        """Raises SpecError with everything noted so far."""
        if self.found:
            raise SpecError(self.found)


def suggestion(word: str, choices: Iterable[str]) -> str:
    """The tail of an error's text: the nearest choice, else all of them when they are few, else nothing."""
    known = sorted(set(choices))
    if near := nearest(word, known):
        return f"; did you mean '{near}'?"
    return f"; use one of: {', '.join(known)}" if known and len(known) <= LISTED_AT_MOST else ""


def _wording(detail: Any, model: type[BaseModel]) -> str:
    if detail["type"] == "extra_forbidden":
        names = [field.alias or name for name, field in model.model_fields.items()]
        key = str(detail["loc"][-1])
        return f"unknown key '{key}'{suggestion(key, names)}"
    if detail["type"] in ("model_type", "dict_type"):
        return "must be the name of a field, or keys with values (from, const, ...)"
    return f"{detail['msg'][:1].lower()}{detail['msg'][1:]}"
