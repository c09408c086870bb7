"""Where the texts of an inbound mapping come from: paths of the message, columns of bound rows, texts of the mapping.

Slots are a list for one line: the record, the part of it in hand, then what the steps have made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from suture.mapping.tables import Table
from suture.model.message import Gap
from suture.model.reading import Doubt, Part, Place, Record

Slots = list[Any]
Read = Callable[[Slots], str]
Tell = Callable[[Slots], "str | Doubt"]
Run = Callable[[Slots], None]

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


@dataclass(frozen=True, slots=True)
class Source:
    """A place where a text can come from: a path, a column of a bound row, or a text of the mapping itself.

    id: equal for sources that read the same. tell: as read, but for values in doubt. needs: the slot it needs, or none.
    code: the key of the bound row. The rest says the same as read, for the code generator: where it is read, or the text, or
    the column of the row in a slot; slot of what is read: of the plain text there, where a step reads it anyway.
    """

    id: tuple[Any, ...]
    place: str
    read: Read
    tell: Tell
    needs: frozenset[int] = frozenset()
    own: bool = False
    table: str = ""
    code: Read | None = None
    at: Place | None = None
    text: str = ""
    slot: int | None = None
    column: str = ""
    key_column: str = ""


def path_source(place: Place, text_slot: int | None = None) -> Source:
    """The value at a path. text_slot: of the plain text there, when a step reads it anyway."""
    read = guarded(place, place.read) if text_slot is None else itemgetter(text_slot)
    needs, text = frozenset() if text_slot is None else frozenset({text_slot}), place.path.text
    return Source(("path", text), text, read, guarded(place, place.tell), needs, place.own, at=place, slot=text_slot)


def guarded(place: Place, get: Callable[[Record, Part], Any]) -> Callable[[Slots], Any]:
    """A getter of a place as a reader of slots, which raises Held where no line may take its value from there."""
    whose = place.whose
    if whose is None:
        return lambda slots: get(slots[RECORD], slots[PART])

    def read(slots: Slots) -> Any:
        if reason := whose(slots[RECORD]):
            raise Held("", place.path.text, reason, kind=AMBIGUOUS)
        return get(slots[RECORD], slots[PART])

    return read


def column_source(place: str, column: str, table: Table, value_slot: int, own: bool) -> Source:
    """A column of the row in the slot after value_slot; empty when no row is bound."""
    row_slot, key = value_slot + 1, table.key_columns[0]

    def read(slots: Slots) -> str:
        row = slots[row_slot]
        return row[column] if row is not None else ""

    def code(slots: Slots) -> str:
        row = slots[row_slot]
        return row[key] if row is not None else ""

    id_, needs = ("column", row_slot, column), frozenset({value_slot})
    return Source(id_, place, read, read, needs, own, table.name, code, slot=row_slot, column=column, key_column=key)


def text_source(text: str) -> Source:
    """A text of the mapping itself."""
    return Source(("text", text), "default", lambda slots: text, lambda slots: text, text=text)


def code_of(source: Source, slots: Slots) -> str:
    """The key of the bound row, for a column."""
    return source.code(slots) if source.code else ""
