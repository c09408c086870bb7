"""Where the texts of an inbound mapping come from: paths of the message, columns of bound rows, texts of the mapping.

Slots are a list for one line: the record, the part of it in hand, then what the steps have made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from suture.model.message import Gap
from suture.model.reading import Doubt, Part, Place, Record
from suture.model.value import Value

Slots = list[Any]

RECORD, PART, RECEIVED, FIRST_FREE = 0, 1, 2, 3
"""Slots of the record, of the part in hand, of the time of receipt (microseconds, or None), and the first one for a value."""

AMBIGUOUS = "AMBIGUOUS_CONTEXT"


class Held(Exception):
    """No event can be made of this value. Holds places and codes of tables, never other content (PHI)."""

    def __init__(self, field: str, path: str, reason: str, table: str = "", value: str = "", kind: str = "") -> None:
        super().__init__(f"{field}: {reason}")
        self.field, self.path, self.reason, self.table, self.value, self.kind = field, path, reason, table, value, kind

    def gap(self, line: int) -> Gap:
        """The gap in that line."""
        return Gap(line, self.field, self.path, self.reason, self.table, self.value, self.kind)


class Source(Value, frozen=True):
    """A place where a text can come from: a path, a column of a bound row, or a text of the mapping itself.

    at: of a path. slot: of what it needs, 0 for nothing: of the plain text at the path, where a step reads it anyway; of the
    value whose row (in the slot after it) the column is of. key_column: of the table that the column is of.
    """

    place: str
    own: bool = False
    at: Place | None = None
    text: str = ""
    slot: int = 0
    column: str = ""
    table: str = ""
    key_column: str = ""

    @property
    def id(self) -> tuple[Any, ...]:
        """Equal for sources that read the same."""
        return (self.slot, self.column, self.text) if self.at is None else (self.at.path.text,)

    @property
    def needs(self) -> frozenset[int]:
        """The slot it needs, or none."""
        return frozenset({self.slot} if self.slot else ())

    def read(self, slots: Slots) -> str:
        """The text; "" where no row is bound."""
        if self.at is None:
            return self._cell(self.column, slots) if self.column else self.text
        text: str = slots[self.slot] if self.slot else taken(self.at, self.at.read, slots)
        return text

    def tell(self, slots: Slots) -> str | Doubt:
        """The same, but for values in doubt."""
        told: str | Doubt = self.read(slots) if self.at is None else taken(self.at, self.at.tell, slots)
        return told

    def code(self, slots: Slots) -> str:
        """The key of the bound row, for a column."""
        return self._cell(self.key_column, slots) if self.column else ""

    def _cell(self, column: str, slots: Slots) -> str:
        row = slots[self.slot + 1]
        return row[column] if row is not None else ""


def taken(place: Place, get: Callable[[Record, Part], Any], slots: Slots) -> Any:
    """What a getter of a place gives. Raises Held where no line may take its value from there."""
    if place.whose is not None and (reason := place.whose(slots[RECORD])):
        raise Held("", place.path.text, reason, kind=AMBIGUOUS)
    return get(slots[RECORD], slots[PART])


class Condition(Value, frozen=True):
    """What must stand at a place: one of the values."""

    place: str
    source: Source
    values: frozenset[str]

    @property
    def reason(self) -> str:
        """Why a line does not match: place and texts of the mapping, never content."""
        return f"{self.place} is not {' or '.join(sorted(self.values))}"


def refusing(conditions: Iterable[Condition], slots: Slots) -> Condition | None:
    """The first condition that does not match; None when all do."""
    return next((one for one in conditions if one.source.read(slots) not in one.values), None)
