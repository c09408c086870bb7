"""Conditions of an inbound mapping: what must stand at a place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from suture.mapping.sources import Slots, Source


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition: a place and the values that match."""

    place: str
    source: Source
    values: frozenset[str]

    @property
    def reason(self) -> str:
        """Why a line does not match: place and texts of the mapping, never content."""
        return f"{self.place} is not {' or '.join(sorted(self.values))}"


def refusal(conditions: Sequence[Condition]) -> Callable[[Slots], str] | None:
    """A function that says which condition does not match, "" when all do; None without conditions."""
    if not conditions:
        return None
    known = [(c.source.read, c.values, c.reason) for c in conditions]

    def refuse(slots: Slots) -> str:
        for read, values, reason in known:
            if read(slots) not in values:
                return reason
        return ""

    return refuse


def matching(conditions: Sequence[Condition]) -> Callable[[Slots], bool]:
    """Do all conditions match?"""
    known = [(c.source.read, c.values) for c in conditions]
    if len(known) == 1:
        read_one, values_one = known[0]
        return lambda slots: read_one(slots) in values_one
    return lambda slots: all(read(slots) in values for read, values in known)
