"""The step that most fields of an event are: the first text that is there, looked up, read as what the field is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from suture.mapping.codegen import Texts, local
from suture.mapping.rules import AMBIGUOUS, OUT_OF_BOUNDS, Limit
from suture.mapping.sources import RECEIVED, Held, Read, Run, Slots, Source, code_of
from suture.mapping.tables import Table
from suture.mapping.time_steps import Times
from suture.mapping.values import Parser, text_parser
from suture.model.code import Code
from suture.model.reading import Doubt, Words
from suture.model.storable import keepable

NOT_A = {"decimal": "not a number", "integer": "not a whole number", "time": "not a time", "date": "not a date"}
"""What a malformed value is, by `as`."""


@dataclass(frozen=True, slots=True)
class Recipe:
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

    @property
    def slots(self) -> tuple[int, ...]:
        """The slots that it needs beside its sources'."""
        return tuple(slot for slot in (self.day_slot, self.times_slot) if slot is not None)

    def needs(self) -> frozenset[int]:
        """The slots it needs."""
        return frozenset(self.slots).union(*(source.needs for source in self.sources))

    def step(self, slot: int) -> Run:
        """The function that fills slot (and the next one with the row, where there is a table)."""
        if self.table is not None:
            return _lookup(self, self.table, slot)
        if self.parse is None and not self.needs_value:
            return _text(_reader(self), slot)
        return _typed(self, slot)

    def write(self, slot: int, texts: Texts) -> None:
        """The same as source text."""
        if self.table is not None:
            self._write_text(local(slot), texts)
            self._write_lookup(self.table, slot, texts)
            return
        self._write_value(slot, texts)
        if self.parse is not None:
            with texts.code.block(f"if {local(slot)} is not None", wanted=slot not in texts.sure):
                self._write_parse(self.parse, local(slot), texts.code)

    def _write_text(self, name: str, texts: Texts, otherwise: str = "") -> None:
        """The first text that is there, changed by the text function. otherwise: what there is where none is."""
        found = " or ".join(texts.source(source) for source in self.sources)
        texts.code.line(f"{name} = {found}{otherwise}")
        if self.change is not None:
            texts.code.line(f"if {name}: {name} = {texts.code.const(self.change)}({name}){otherwise}")

    def _write_value(self, slot: int, texts: Texts) -> None:
        """The text, and what becomes of an empty one."""
        if self.needs_value:
            self._write_text(local(slot), texts)
            texts.code.stop_if(f"not {local(slot)}")
            texts.sure.add(slot)
        elif self.change is None and any(source.text for source in self.sources):
            self._write_text(local(slot), texts)
            texts.sure.add(slot)
        else:
            self._write_text(local(slot), texts, " or None")

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


def _reader(recipe: Recipe) -> Read:
    """The first source that is not empty, changed by the text function; null ends the search. Raises Held where values differ."""
    change = recipe.change

    def read(slots: Slots) -> str:
        for source in recipe.sources:
            text = source.tell(slots)
            if isinstance(text, str):
                if text:
                    return change(text) if change else text
                continue
            if text is Doubt.SEVERAL:
                raise Held(recipe.field, source.place, recipe.words.several, kind=AMBIGUOUS)
            return ""
        return ""

    return read


def _text(read: Read, slot: int) -> Run:
    def run(slots: Slots) -> None:
        slots[slot] = read(slots) or None

    return run


def _typed(recipe: Recipe, slot: int) -> Run:
    read, value_of, needs_value = _reader(recipe), _converter(recipe), recipe.needs_value

    def run(slots: Slots) -> None:
        text = read(slots)
        if text:
            slots[slot] = value_of(text, slots)
        elif needs_value:
            raise _missing(recipe, slots)
        else:
            slots[slot] = None

    return run


def _lookup(recipe: Recipe, table: Table, slot: int) -> Run:
    read, value_of = _reader(recipe), None if recipe.parse is None else _converter(recipe)
    find, result, day_slot, row_slot = table.lookup, table.result, recipe.day_slot, slot + 1

    def run(slots: Slots) -> None:
        code = read(slots)
        slots[slot] = slots[row_slot] = None
        if not code:
            if recipe.needs_value:
                raise _missing(recipe, slots)
            return
        row = find(code, None if day_slot is None else slots[day_slot])
        if row is None and recipe.needs_row:
            raise Held(recipe.field, _used(recipe, slots).place, table.absence(code), table.name, keepable(code))
        slots[row_slot] = row
        text = code if row is None or result is None else row[result]
        if text:
            slots[slot] = value_of(text, slots) if value_of else text
        elif recipe.needs_value:
            raise Held(recipe.field, _used(recipe, slots).place, f"{table.name} gives nothing for this code", table.name, keepable(code))

    return run


def _converter(recipe: Recipe) -> Callable[[str, Slots], Any]:
    finish, times_slot = recipe.finish, recipe.times_slot
    parse: Parser = recipe.parse or text_parser

    def convert(text: str, slots: Slots) -> Any:
        value: Any = parse(text) if times_slot is None else slots[times_slot](text)
        if value is None:
            raise _malformed(recipe, text, slots)
        return finish(value) if finish else value

    return convert


def _used(recipe: Recipe, slots: Slots) -> Source:
    """The source that gave the value or said that there is none, else the first."""
    return next((source for source in recipe.sources if source.tell(slots)), recipe.sources[0])


def _missing(recipe: Recipe, slots: Slots) -> Held:
    used = _used(recipe, slots)
    if used.tell(slots) is Doubt.NULL:
        return Held(recipe.field, used.place, f"required, and {recipe.words.null} in the message")
    places = ", ".join(source.place for source in recipe.sources if source.place != "default")
    column = next((source for source in recipe.sources if source.code is not None), None)
    if column is None or any(source.code is None for source in recipe.sources):
        return Held(recipe.field, places, "required, and empty in the message")
    return Held(recipe.field, places, f"required, and empty in {column.table}", column.table, code_of(column, slots))


def _malformed(recipe: Recipe, text: str, slots: Slots) -> Held:
    source, reason, kind = _used(recipe, slots), NOT_A[recipe.as_], ""
    if recipe.form is not None and recipe.form(text) is not None:
        kind = OUT_OF_BOUNDS
        reason = recipe.times.why(text, slots[RECEIVED]) if recipe.times else recipe.limit.broken if recipe.limit else reason
    if source.code is None:
        return Held(recipe.field, source.place, reason, kind=kind)
    return Held(recipe.field, source.place, f"{reason} in {source.table}", source.table, code_of(source, slots), kind)
