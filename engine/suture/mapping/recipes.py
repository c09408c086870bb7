"""The step that most fields of an event are: the first text that is there, looked up, read as what the field is."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from suture.mapping.codegen import Texts, local
from suture.mapping.rules import AMBIGUOUS, OUT_OF_BOUNDS, Limit
from suture.mapping.sources import RECEIVED, Held, Slots, Source
from suture.mapping.tables import Table
from suture.mapping.time_steps import Times
from suture.mapping.values import Parser
from suture.model.code import Code
from suture.model.reading import Doubt, Words
from suture.model.storable import keepable
from suture.model.value import Value

NOT_A = {"decimal": "not a number", "integer": "not a whole number", "time": "not a time", "date": "not a date"}
"""What a malformed value is, by `as`."""


class Recipe(Value, frozen=True):
    """How one field gets its value.

    form: the parser that only looks at the form, None for text; parse: the one that is used, which holds limit against
    a number. times: gives the message's own parser, in times_slot, which is used in its place. day_slot: of the service
    date, where the table is dated. words: of the format.
    """

    field: str
    sources: tuple[Source, ...]
    words: Words
    as_: str = "text"
    form: Parser | None = None
    parse: Parser | None = None
    times: Times | None = None
    times_slot: int | None = None
    limit: Limit | None = None
    change: Callable[[str], str] | None = None
    table: Table | None = None
    day_slot: int | None = None
    needs_value: bool = False
    needs_row: bool = False
    finish: Callable[[Decimal], Any] | None = None

    def key(self) -> tuple[Any, ...]:
        """Equal for recipes that give the same value, so that two events pay for it once."""
        sources = tuple(source.id for source in self.sources)
        table = self.table.name if self.table else None
        return (self.field, sources, self.as_, self.parse, self.change, table, self.day_slot, self.needs_value, self.needs_row, self.finish)

    def needs(self) -> set[int]:
        """The slots it needs."""
        own = {slot for slot in (self.day_slot, self.times_slot) if slot is not None}
        return own.union(*(source.needs for source in self.sources))

    def fill(self, slot: int, slots: Slots) -> None:
        """Fill slot (and the next one with the row, where there is a table)."""
        text = self._text(slots)
        if text and self.table is not None:
            text = self._looked_up(self.table, text, slot, slots)
        elif not text and self.needs_value:
            raise self._missing(slots)
        if text:
            slots[slot] = self._converted(text, slots)

    def _text(self, slots: Slots) -> str:
        """The first source that is not empty, changed by the text function; null ends the search. Raises Held where values differ."""
        for source in self.sources:
            text = source.tell(slots)
            if text is Doubt.SEVERAL:
                raise Held(self.field, source.place, self.words.several, kind=AMBIGUOUS)
            if text is Doubt.NULL:
                return ""
            if text:
                return self.change(text) if self.change else text
        return ""

    def _looked_up(self, table: Table, code: str, slot: int, slots: Slots) -> str:
        """What the table has for a code; its row is left behind slot. Raises Held."""
        row = table.lookup(code, None if self.day_slot is None else slots[self.day_slot])
        if row is None and self.needs_row:
            raise Held(self.field, self._used(slots).place, table.absence(code), table.name, keepable(code))
        slots[slot + 1] = row
        text = code if row is None or table.result is None else row[table.result]
        if self.needs_value and not text:
            raise Held(self.field, self._used(slots).place, f"{table.name} gives nothing for this code", table.name, keepable(code))
        return text

    def _converted(self, text: str, slots: Slots) -> Any:
        """What the text is read as. Raises Held."""
        if self.parse is None:
            return text
        value = self.parse(text) if self.times_slot is None else slots[self.times_slot](text)
        if value is None:
            raise self._malformed(text, slots)
        return self.finish(value) if self.finish else value

    def _used(self, slots: Slots) -> Source:
        """The source that gave the value or said that there is none, else the first."""
        return next((source for source in self.sources if source.tell(slots)), self.sources[0])

    def _missing(self, slots: Slots) -> Held:
        used = self._used(slots)
        if used.tell(slots) is Doubt.NULL:
            return Held(self.field, used.place, f"required, and {self.words.null} in the message")
        places = ", ".join(source.place for source in self.sources if source.place != "default")
        column = next((source for source in self.sources if source.column), None)
        if column is None or not all(source.column for source in self.sources):
            return Held(self.field, places, "required, and empty in the message")
        return Held(self.field, places, f"required, and empty in {column.table}", column.table, column.code(slots))

    def _malformed(self, text: str, slots: Slots) -> Held:
        source, reason, kind = self._used(slots), NOT_A[self.as_], ""
        if self.form is not None and self.form(text) is not None:
            kind = OUT_OF_BOUNDS
            reason = self.times.why(text, slots[RECEIVED]) if self.times else self.limit.broken if self.limit else reason
        if source.column:
            reason = f"{reason} in {source.table}"
        return Held(self.field, source.place, reason, source.table, source.code(slots), kind)

    def write(self, slot: int, texts: Texts) -> None:
        if self.table is not None:
            self._write_text(local(slot), texts)
            self._write_lookup(self.table, slot, texts)
            return
        always = self.needs_value or (self.change is None and any(source.text for source in self.sources))
        self._write_text(local(slot), texts, "" if always else " or None")
        if self.needs_value:
            texts.code.stop_if(f"not {local(slot)}")
        if always:
            texts.sure.add(slot)
        if self.parse is not None:
            with texts.code.block(f"if {local(slot)} is not None", wanted=slot not in texts.sure):
                self._write_parse(self.parse, local(slot), texts.code)

    def _write_text(self, name: str, texts: Texts, otherwise: str = "") -> None:
        """The first text that is there, changed by the text function. otherwise: what there is where none is."""
        found = " or ".join(texts.source(source) for source in self.sources)
        texts.code.line(f"{name} = {found}{otherwise}")
        if self.change is not None:
            texts.code.line(f"if {name}: {name} = {texts.code.const(self.change)}({name}){otherwise}")

    def _write_parse(self, parse: Parser, name: str, code: Code) -> None:
        read = code.const(parse) if self.times_slot is None else local(self.times_slot)
        code.line(f"{name} = {read}({name})")
        code.stop_if(f"{name} is None")
        if self.finish is not None:
            code.line(f"{name} = {code.const(self.finish)}({name})")

    def _write_lookup(self, table: Table, slot: int, texts: Texts) -> None:
        code, name, row = texts.code, local(slot), local(slot + 1)
        if self.needs_value:
            code.stop_if(f"not {name}")
        else:
            code.line(f"{name} = {name} or None")
            code.line(f"{row} = None")
        with code.block(f"if {name} is not None", wanted=not self.needs_value):
            self._write_found(table, slot, code)
        if self.needs_value:
            texts.sure |= {slot, slot + 1} if self.needs_row else {slot}

    def _write_found(self, table: Table, slot: int, code: Code) -> None:
        """The row, and the value in it, of a code that is not empty."""
        name, row = local(slot), local(slot + 1)
        day = "None" if self.day_slot is None else local(self.day_slot)
        code.line(f"{row} = {code.const(table.finder())}({name}{f', {day}' if table.dated else ''})")
        if self.needs_row:
            code.stop_if(f"{row} is None")
        if table.result is not None:
            code.line(f"if {row} is not None: {name} = {row}[{code.const(table.result)}] or None")
            if self.needs_value:
                code.stop_if(f"{name} is None")
        if self.parse is not None:
            with code.block(f"if {name} is not None"):
                self._write_parse(self.parse, name, code)
