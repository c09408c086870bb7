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
from suture.wire.hl7v2.standard.context import CONTEXT, is_shared
from suture.wire.hl7v2.text import er7
from suture.wire.hl7v2.text.telling import Doubt, told

Slots = list[Any]
Read = Callable[[Slots], str]
Tell = Callable[[Slots], "str | Doubt"]
Run = Callable[[Slots], None]
Get = Callable[[er7.Message, "er7.Segment | None"], Any]

MESSAGE, SEGMENT, RECEIVED, FIRST_FREE = 0, 1, 2, 3
"""Slots of the message, of the repeated segment, of the time of receipt (microseconds, or None), and the first one for a value."""

NULL = '""'
"""HL7's word for "delete this value"."""

DIFFERENT = "repetitions with different values; say which one, by number or by what is in it"
"""What is wrong with a path that could mean several values."""


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
    code: the key of the bound row. The rest says the same as read, for the code generator: the path, or the text, or
    the column of the row in a slot; slot of a path: of the plain text there, where a step reads it anyway.
    """

    id: tuple[Any, ...]
    place: str
    read: Read
    tell: Tell
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
    tell = sole(path, each, tell_getter(path))
    return Source(("path", path.text), path.text, read, tell, needs, is_own(path, each), path=path, slot=text_slot)


def text_getter(path: er7.Path) -> er7.Getter:
    """The text at a path, without blanks around it; "" when it is absent or HL7's null, the first where there are several."""
    get, tell = er7.getter(path), tell_getter(path)

    def read(message: er7.Message, segment: er7.Segment | None) -> str:
        text = tell(message, segment)
        if text is Doubt.SEVERAL:
            return get(message, segment).strip()
        return text if isinstance(text, str) else ""

    return read


def tell_getter(path: er7.Path) -> Get:
    """The text at a path, without blanks around it; or what is in doubt about it."""
    tell = told(path)

    def read(message: er7.Message, segment: er7.Segment | None) -> str | Doubt:
        text = tell(message, segment)
        return text.strip() if isinstance(text, str) else text

    return read


class Doubted(Exception):
    """What a text is cannot be told; the careful way says why."""


def sure_getter(path: er7.Path) -> Get:
    """The text at a path, without blanks around it. Raises Doubted where there is anything in doubt about it."""
    tell = tell_getter(path)

    def read(message: er7.Message, segment: er7.Segment | None) -> str:
        text = tell(message, segment)
        if not isinstance(text, str):
            raise Doubted
        return text

    return read


def of_slots(get: Get) -> Callable[[Slots], Any]:
    """A getter as a reader of slots."""
    return lambda slots: get(slots[MESSAGE], slots[SEGMENT])


def sole_text(path: er7.Path, each: str | None) -> Read:
    """The same for a value that a line is made of: where `is_sole`, it raises Held when the segment may be another line's."""
    return sole(path, each, text_getter(path))


def sole(path: er7.Path, each: str | None, get: Get) -> Callable[[Slots], Any]:
    """A getter as a reader of slots that raises Held where `is_sole` and the segment may be another line's."""
    read, name = of_slots(get), path.segment
    if not is_sole(path, each):
        return read
    first = path.text.replace(name, f"{name}(1)", 1)

    def read_sole(slots: Slots) -> Any:
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
    return Source(id_, place, read, read, needs, own, table.name, code, slot=row_slot, column=column, key_column=key)


def text_source(text: str) -> Source:
    """A text of the mapping itself."""
    return Source(("text", text), "default", lambda slots: text, lambda slots: text, text=text)


def code_of(source: Source, slots: Slots) -> str:
    """The key of the bound row, for a column."""
    return source.code(slots) if source.code else ""


def keepable(text: str) -> str:
    """The text as any store can keep it: what cannot be written is spelled out, so that different texts stay different."""
    if not text.isascii():
        text = text.encode("utf-8", "backslashreplace").decode()
    return text.replace("\x00", "\\x00")
