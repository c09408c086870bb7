"""The steps of an inbound mapping: each leaves a typed value in a slot.

A step that cannot give a value raises Held; what needs that value is then left out, and the events that need it are held.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Protocol

from suture.mapping.codegen import Texts, local, within
from suture.mapping.functions import EXACT, negate
from suture.mapping.rules import OUT_OF_BOUNDS, Limit
from suture.mapping.sources import Condition, Held, Slots, Source, refusing, taken
from suture.mapping.tables import Table
from suture.model.reading import Place
from suture.model.storable import keepable
from suture.model.value import Value

ZERO = Decimal(0)


class Maker(Protocol):
    """What a step does: at work, where it says what is wrong; and as source text, which stops where anything is."""

    def fill(self, slot: int, slots: Slots) -> None:
        """Fill a slot that is None (and the next ones, where it gives several values). Raises Held."""

    def write(self, slot: int, texts: Texts) -> None:
        """Add the lines that do the same to texts.code, and to texts.sure the slots that are never None behind them."""


class Step(Value, frozen=True):
    """What fills a slot, and the slots that it needs. own: it reads the repeated segment, or needs what does."""

    slot: int
    needs: frozenset[int]
    own: bool
    made: Maker


Steps = Sequence[Step]
"""Steps in an order in which each finds what it needs."""


def run_all(steps: Steps, slots: Slots, failed: dict[int, Held | None]) -> None:
    """Fill the slots; note in failed, by slot, what is held (None: only because of another one)."""
    for step in steps:
        if failed and not step.needs.isdisjoint(failed):
            failed[step.slot] = None
            continue
        try:
            step.made.fill(step.slot, slots)
        except Held as held:
            held.field = held.field or getattr(step.made, "field", "")
            failed[step.slot] = held


def write_all(steps: Steps, texts: Texts) -> None:
    """The same as source text."""
    for step in steps:
        step.made.write(step.slot, texts)


def signed(number: Any, credit: bool) -> Any:
    """A number, negative when it is a credit's; what is negative already stays so."""
    return negate(number) if credit and number > 0 else number


class Text(Value, frozen=True):
    """The plain text at a place; always a text."""

    place: Place

    def fill(self, slot: int, slots: Slots) -> None:
        slots[slot] = ""
        slots[slot] = taken(self.place, self.place.read, slots)

    def write(self, slot: int, texts: Texts) -> None:
        read = texts.at(self.place, local(slot))
        if read != local(slot):
            texts.code.line(f"{local(slot)} = {read}")


class Several(Value, frozen=True):
    """A list: the texts that there are at a place; None where there are none."""

    field: str
    place: Place
    needs_value: bool

    def fill(self, slot: int, slots: Slots) -> None:
        found = taken(self.place, self.place.read, slots)
        if self.needs_value and not found:
            raise Held(self.field, self.place.path.text, "required, and empty in the message")
        slots[slot] = found or None

    def write(self, slot: int, texts: Texts) -> None:
        texts.code.line(f"{local(slot)} = {texts.at(self.place)} or None")
        if self.needs_value:
            texts.code.stop_if(f"{local(slot)} is None")
            texts.sure.add(slot)


class Credit(Value, frozen=True):
    """The number in a slot, as `signed`: of a credit where the line matches the conditions."""

    number: int
    conditions: tuple[Condition, ...]

    def fill(self, slot: int, slots: Slots) -> None:
        number = slots[self.number]
        slots[slot] = None if number is None else signed(number, refusing(self.conditions, slots) is None)

    def write(self, slot: int, texts: Texts) -> None:
        code, number = texts.code, local(self.number)
        code.line(f"{local(slot)} = {number}")
        with code.block(f"if {texts.holds(self.conditions)}"):
            is_number = "" if self.number in texts.sure else f"{number} is not None and "
            code.line(f"if {is_number}{number} > {code.const(ZERO)}: {local(slot)} = {code.const(negate)}({number})")
        texts.sure |= {slot} if self.number in texts.sure else set()


class Conversion(Value, frozen=True):
    """A unit conversion: what is converted (slots), to the unit in a column, with the factor of a table.

    It fills five slots: quantity, unit, entered quantity, entered unit, factor.
    """

    quantity: int
    unit: int
    unit_place: str
    to: Source
    table: Table
    day_slot: int | None
    limit: Limit

    def fill(self, slot: int, slots: Slots) -> None:
        quantity, unit, to = slots[self.quantity], slots[self.unit], self.to.read(slots)
        if quantity is None or unit is None or not to:
            raise self._missing(slots, to)
        if unit == to:
            slots[slot : slot + 2] = quantity, unit
            return
        factor = self._factor(slots, unit, to)
        converted = EXACT.multiply(quantity, factor)
        if not self.limit.holds(converted):
            raise Held("quantity", self.unit_place, f"in {to}, {self.limit.broken}", kind=OUT_OF_BOUNDS)
        slots[slot : slot + 5] = converted, to, quantity, unit, factor

    def write(self, slot: int, texts: Texts) -> None:
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
        item = self.to.code(slots)
        factor = self.table.factor(item, unit, to, None if self.day_slot is None else slots[self.day_slot])
        if factor is None:
            reason = f"{self.table.name} has no factor from this unit to {to} for item {item}"
            raise Held("unit", self.unit_place, reason, self.table.name, keepable(unit))
        return factor

    def _missing(self, slots: Slots, to: str) -> Held:
        reason = "empty, so the quantity cannot be converted"
        if not to:
            return Held("unit", self.to.place, reason, self.to.table, self.to.code(slots))
        return Held("unit", self.unit_place, reason)
