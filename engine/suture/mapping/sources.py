"""Where the texts of an inbound mapping come from: paths of the message, columns of bound rows, texts of the mapping.

Slots are a list for one line: the message, the segment, then what the steps have made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from suture.mapping.tables import Table
from suture.model.message import Gap
from suture.wire import er7
from suture.wire.context import CONTEXT, is_shared

Slots = list[Any]
Read = Callable[[Slots], str]
Run = Callable[[Slots], None]

MESSAGE, SEGMENT, FIELDS, FIRST_FREE = 0, 1, 2, 3
"""Slots of the message, of the repeated segment and of its raw fields (None: with separators of its own), and the first
one for a value."""

NULL = '""'
"""HL7's word for "delete this value"; for an event it is an empty value."""


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

    id: equal for sources that read the same. needs: the slot it needs, or none. code: the key of the bound row. The
    rest says the same as read, for the code generator: the path, or the text, or the column of the row in a slot;
    slot of a path: of the plain text there, where a step reads it anyway.
    """

    id: tuple[Any, ...]
    place: str
    read: Read
    needs: frozenset[int] = frozenset()
    own: bool = False
    table: str = ""
    code: Read | None = None
    path: er7.Path | None = None
    text: str = ""
    slot: int | None = None
    column: str = ""
    key_column: str = ""


def path_source(path: er7.Path, each: str | None, text_slot: int | None = None) -> Source:
    """The value at a path. text_slot: of the plain text there, when a step reads it anyway."""
    read = sole_text(path, each) if text_slot is None else itemgetter(text_slot)
    needs = frozenset() if text_slot is None else frozenset({text_slot})
    return Source(("path", path.text), path.text, read, needs, is_own(path, each), path=path, slot=text_slot)


def text_getter(path: er7.Path) -> er7.Getter:
    """The text at a path, without blanks around it; "" when it is absent or HL7's null."""
    get = er7.getter(path)

    def read(message: er7.Message, segment: er7.Segment | None) -> str:
        text = get(message, segment)
        return "" if text == NULL else text.strip()

    return read


def plain_text(path: er7.Path, each: str | None) -> Read:
    """The same as a reader of slots."""
    get = text_getter(path)
    quick = is_own(path, each) and path.repetition == 1 and not path.kind and path.segment not in er7.HEADERS
    index, first, head_only = path.field, (path.component or 1) == 1 and (path.sub or 1) == 1, path.component == 1

    def read(slots: Slots) -> str:
        return get(slots[MESSAGE], slots[SEGMENT])

    def read_quickly(slots: Slots) -> str:
        fields = slots[FIELDS]
        if fields is None:
            return read(slots)
        if index >= len(fields):
            return ""
        text: str = fields[index]
        if text.isalnum() or not text:
            return text if first else ""
        if head_only:
            text = text.partition("^")[0]
        if "^" in text or "~" in text or "&" in text or "\\" in text or text == NULL:
            return read(slots)
        return text.strip() if first else ""

    return read_quickly if quick else read


def sole_text(path: er7.Path, each: str | None) -> Read:
    """The same for a value that a line is made of: where `is_sole`, it raises Held when the segment may be another line's."""
    read, name = plain_text(path, each), path.segment
    first = path.text.replace(name, f"{name}(1)", 1)
    if not is_sole(path, each):
        return read

    def read_sole(slots: Slots) -> str:
        if len(slots[MESSAGE].named(name)) > 1:
            raise Held("", path.text, f"the message has more than one {name}; say which one is meant, e.g. {first}", kind=AMBIGUOUS)
        if each and name not in CONTEXT and not is_shared(slots[MESSAGE], name, each):
            which = f"it stands behind one of several {each}, whose alone it may be; where it is meant for all, say so: {first}"
            raise Held("", path.text, which, kind=AMBIGUOUS)
        return read(slots)

    return read_sole


def is_sole(path: er7.Path, each: str | None) -> bool:
    """Is it read from another segment than the repeated one, without saying from which of several?

    A line's value comes from its own segments and from those of the whole message, never from a neighbour's.
    """
    return path.own and path.segment not in (each, "MSH")


def is_own(path: er7.Path, each: str | None) -> bool:
    """Is it read from the repeated segment itself, and not from a segment of the whole message?"""
    return path.segment == each and path.own


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
    return Source(id_, place, read, needs, own, table.name, code, slot=row_slot, column=column, key_column=key)


def text_source(text: str) -> Source:
    """A text of the mapping itself."""
    return Source(("text", text), "default", lambda slots: text, text=text)


def code_of(source: Source, slots: Slots) -> str:
    """The key of the bound row, for a column."""
    return source.code(slots) if source.code else ""


def keepable(text: str) -> str:
    """The text as any store can keep it: what cannot be written is spelled out, so that different texts stay different."""
    if not text.isascii():
        text = text.encode("utf-8", "backslashreplace").decode()
    return text.replace("\x00", "\\x00")
