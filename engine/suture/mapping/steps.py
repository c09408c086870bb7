"""The steps of an inbound mapping: small functions, made once, that leave typed values in slots.

A step that cannot give a value
raises Held; what needs that value is then left out, and the events that need it are held.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Protocol

from suture.mapping.functions import EXACT, negate
from suture.mapping.rules import AMBIGUOUS, OUT_OF_BOUNDS, Limit
from suture.mapping.sources import (
    DIFFERENT,
    RECEIVED,
    Held,
    Read,
    Run,
    Slots,
    Source,
    code_of,
    keepable,
    of_slots,
    sole,
    sole_text,
    text_getter,
)
from suture.mapping.tables import Table
from suture.mapping.time_steps import Times
from suture.mapping.values import Parser, text_parser
from suture.wire import er7
from suture.wire.telling import Doubt, every

NOT_A = {"decimal": "not a number", "integer": "not a whole number", "time": "not a time", "date": "not a date"}
"""What a malformed value is, by `as`."""


class Maker(Protocol):
    """What a step does, in a form that can be run and that the code generator can read."""

    def step(self, slot: int) -> Run:
        """The function that fills slot (and the next ones, where it gives several values)."""


@dataclass(frozen=True, slots=True)
class Step:
    """A run with the slot it fills and the slots it needs. own: it reads the repeated segment, or needs what does.

    made: what run was made of.
    """

    run: Run
    slot: int
    needs: frozenset[int]
    own: bool
    made: Maker


@dataclass(frozen=True, slots=True)
class Steps:
    """Steps in an order in which each finds what it needs."""

    steps: tuple[Step, ...]

    def run_all(self, slots: Slots, failed: dict[int, Held | None]) -> None:
        """Fill the slots; note in failed, by slot, what is held (None: only because of another one)."""
        for step in self.steps:
            _carefully(step, slots, failed)


def _carefully(step: Step, slots: Slots, failed: dict[int, Held | None]) -> None:
    if failed and not step.needs.isdisjoint(failed):
        failed[step.slot] = None
        return
    try:
        step.run(slots)
    except Held as held:
        held.field = held.field or getattr(step.made, "field", "")
        failed[step.slot] = held


@dataclass(frozen=True, slots=True)
class Text:
    """The plain text at a path; always a text. first: of several segments the first will do."""

    path: er7.Path
    each: str | None
    first: bool = False

    def step(self, slot: int) -> Run:
        """The function that fills slot."""
        read = of_slots(text_getter(self.path)) if self.first else sole_text(self.path, self.each)

        def run(slots: Slots) -> None:
            slots[slot] = ""
            slots[slot] = read(slots)

        return run


@dataclass(frozen=True, slots=True)
class Several:
    """A list: the texts of all repetitions of a field that hold something; None where none does."""

    field: str
    path: er7.Path
    each: str | None
    needs_value: bool

    def step(self, slot: int) -> Run:
        """The function that fills slot."""
        read = sole(self.path, self.each, every(self.path))

        def run(slots: Slots) -> None:
            found = read(slots)
            if self.needs_value and not found:
                raise Held(self.field, self.path.text, "required, and empty in the message")
            slots[slot] = found or None

        return run


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one field gets its value.

    form: the parser that only looks at the form, None for text; parse: the one that is used, which holds limit against
    a number. times: gives the message's own parser, in times_slot, which is used in its place. day_slot: of the service
    date, where the table is dated.
    """

    field: str
    sources: tuple[Source, ...]
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
                raise Held(recipe.field, source.place, DIFFERENT, kind=AMBIGUOUS)
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
        return Held(recipe.field, used.place, 'required, and null ("") in the message')
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


@dataclass(frozen=True, slots=True)
class Credit:
    """The number in a slot, negative where the line is a credit; what is negative already stays so."""

    number: int
    conditions: tuple[Condition, ...]

    def step(self, slot: int) -> Run:
        """The function that fills slot."""
        number_slot, matches = self.number, matching(self.conditions)

        def run(slots: Slots) -> None:
            number = slots[number_slot]
            slots[slot] = negate(number) if number is not None and number > 0 and matches(slots) else number

        return run


@dataclass(frozen=True, slots=True)
class Conversion:
    """A unit conversion: what is converted (slots), to the unit in a column, with the factor of a table."""

    quantity: int
    unit: int
    unit_place: str
    to: Source
    table: Table
    day_slot: int | None
    limit: Limit

    def step(self, slot: int) -> Run:
        """The function that fills slot to slot+4: quantity, unit, entered quantity, entered unit, factor."""

        def run(slots: Slots) -> None:
            quantity, unit, to = slots[self.quantity], slots[self.unit], self.to.read(slots)
            if quantity is None or unit is None or not to:
                raise self._missing(slots, to)
            if unit == to:
                slots[slot : slot + 5] = quantity, unit, None, None, None
                return
            factor = self._factor(slots, unit, to)
            converted = EXACT.multiply(quantity, factor)
            if not self.limit.holds(converted):
                raise Held("quantity", self.unit_place, f"in {to}, {self.limit.broken}", kind=OUT_OF_BOUNDS)
            slots[slot : slot + 5] = converted, to, quantity, unit, factor

        return run

    def _factor(self, slots: Slots, unit: str, to: str) -> Decimal:
        item = code_of(self.to, slots)
        day: date | None = None if self.day_slot is None else slots[self.day_slot]
        factor = self.table.factor(item, unit, to, day)
        if factor is None:
            reason = f"{self.table.name} has no factor from this unit to {to} for item {item}"
            raise Held("unit", self.unit_place, reason, self.table.name, keepable(unit))
        return factor

    def _missing(self, slots: Slots, to: str) -> Held:
        reason = "empty, so the quantity cannot be converted"
        if not to:
            return Held("unit", self.to.place, reason, self.to.table, code_of(self.to, slots))
        return Held("unit", self.unit_place, reason)
