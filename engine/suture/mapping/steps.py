"""The steps of an inbound mapping: small functions, made once, that leave typed values in slots.

A step that cannot give a value
raises Held; what needs that value is then left out, and the events that need it are held.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Protocol

from suture.mapping.codegen import Texts, local, within
from suture.mapping.conditions import Condition, matching
from suture.mapping.functions import EXACT, negate
from suture.mapping.rules import OUT_OF_BOUNDS, Limit
from suture.mapping.sources import Held, Run, Slots, Source, code_of, guarded
from suture.mapping.tables import Table
from suture.model.reading import Place
from suture.model.storable import keepable

ZERO = Decimal(0)


class Maker(Protocol):
    """What a step does: as a function, which says what is wrong, and as source text, which stops where anything is."""

    def step(self, slot: int) -> Run:
        """The function that fills slot (and the next ones, where it gives several values). It raises Held."""

    def write(self, slot: int, texts: Texts) -> None:
        """Add the lines that do the same to texts.code, and to texts.sure the slots that are never None behind them."""


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

    def write(self, texts: Texts) -> None:
        """The same as source text."""
        for step in self.steps:
            step.made.write(step.slot, texts)


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
    """The plain text at a place; always a text."""

    place: Place

    def step(self, slot: int) -> Run:
        """The function that fills slot."""
        read = guarded(self.place, self.place.read)

        def run(slots: Slots) -> None:
            slots[slot] = ""
            slots[slot] = read(slots)

        return run

    def write(self, slot: int, texts: Texts) -> None:
        """The same as source text."""
        read = texts.at(self.place, local(slot))
        if read != local(slot):
            texts.code.line(f"{local(slot)} = {read}")


@dataclass(frozen=True, slots=True)
class Several:
    """A list: the texts that there are at a place; None where there are none."""

    field: str
    place: Place
    needs_value: bool

    def step(self, slot: int) -> Run:
        """The function that fills slot."""
        read = guarded(self.place, self.place.read)

        def run(slots: Slots) -> None:
            found = read(slots)
            if self.needs_value and not found:
                raise Held(self.field, self.place.path.text, "required, and empty in the message")
            slots[slot] = found or None

        return run

    def write(self, slot: int, texts: Texts) -> None:
        """The same as source text."""
        texts.code.line(f"{local(slot)} = {texts.at(self.place)} or None")
        if self.needs_value:
            texts.code.stop_if(f"{local(slot)} is None")
            texts.sure.add(slot)


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

    def write(self, slot: int, texts: Texts) -> None:
        """The same as source text."""
        code, number = texts.code, local(self.number)
        code.line(f"{local(slot)} = {number}")
        with code.block(f"if {texts.holds(self.conditions)}"):
            is_number = "" if self.number in texts.sure else f"{number} is not None and "
            code.line(f"if {is_number}{number} > {code.const(ZERO)}: {local(slot)} = {code.const(negate)}({number})")
        texts.sure |= {slot} if self.number in texts.sure else set()


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

    def write(self, slot: int, texts: Texts) -> None:
        """The same as source text."""
        code, quantity, unit, to = texts.code, local(self.quantity), local(self.unit), f"t{slot}"
        names = [local(slot + i) for i in range(5)]
        day = "None" if self.day_slot is None else local(self.day_slot)
        code.line(f"{to} = {texts.source(self.to)}")
        code.stop_if(f"{quantity} is None or {unit} is None or not {to}")
        code.line(f"{names[0]} = {quantity}; {names[1]} = {unit}; {names[2]} = {names[3]} = {names[4]} = None")
        with code.block(f"if {unit} != {to}"):
            code.line(f"{names[4]} = {code.const(self.table.factor)}({texts.key_of(self.to)}, {unit}, {to}, {day})")
            code.stop_if(f"{names[4]} is None")
            code.line(f"{names[0]} = {code.const(EXACT.multiply)}({quantity}, {names[4]}); {names[1]} = {to}")
            code.stop_if(f"not {within(code, self.limit, names[0])}")
            code.line(f"{names[2]} = {quantity}; {names[3]} = {unit}")
        texts.sure |= {slot, slot + 1}

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
