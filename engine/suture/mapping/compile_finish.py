"""What is done with the fields of an entry of `emit` when they are there: a credit's sign, a conversion, functions of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from suture.mapping.compile_checks import limit_of, split_column
from suture.mapping.compile_sources import Sourcing
from suture.mapping.conditions import Condition
from suture.mapping.fields import field_type
from suture.mapping.functions import FIELD_FUNCTIONS
from suture.mapping.hints import Loc, Problems
from suture.mapping.plan import Call
from suture.mapping.rules import ROUNDED
from suture.mapping.spec import Convert
from suture.mapping.steps import Conversion, Credit

CONVERTED = ("quantity", "unit", "entered_quantity", "entered_unit", "factor")
"""Fields that a conversion sets, in the order of its slots."""


@dataclass(slots=True)
class Emitted:
    """An entry of `emit`, compiled: slots of its fields and rows, conditions, and the slots that decide and that it uses."""

    type: str
    when: list[Condition] = field(default_factory=list)
    when_bound: list[Condition] = field(default_factory=list)
    fields: dict[str, int] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    bound: dict[str, int] = field(default_factory=dict)
    decides: set[int] = field(default_factory=set)
    uses: set[int] = field(default_factory=set)


class Finisher:
    """Finishes one entry, whose fields have their slots in result. day: gives the slot of the service date."""

    def __init__(self, sourcing: Sourcing, loc: Loc, model: type[BaseModel], result: Emitted, day: Callable[[], int]) -> None:
        self.sourcing, self.loc, self.model, self.result, self.day = sourcing, loc, model, result, day
        self.emit, self.program, self.tables = sourcing.emit, sourcing.program, sourcing.tables
        self.problems: Problems = sourcing.problems

    def finish(self) -> None:
        """Add the credit, the conversion, and the fields that functions make."""
        credit = self._credit()
        if self.emit.convert is not None:
            self._convert(self.emit.convert)
        self._calls(credit)

    def _credit(self) -> tuple[Condition, ...]:
        """Make quantity and amount negative where the line is a credit, and say how that is told."""
        found, needs = self.sourcing.matches((*self.loc, "credit"), self.emit.credit)
        conditions = tuple(found)
        if not conditions:
            return ()
        self.result.uses |= needs
        key = tuple((c.place, tuple(sorted(c.values)), tuple(sorted(needs))) for c in conditions)
        for name in ("quantity", "amount"):
            slot = self.result.fields.get(name)
            if slot is not None:
                self.result.fields[name] = self._signed(key, slot, needs, conditions)
        return conditions

    def _signed(self, key: Any, number: int, needs: set[int], conditions: tuple[Condition, ...]) -> int:
        return self.program.add(("credit", key, number), {number, *needs}, False, Credit(number, conditions))

    def _convert(self, convert: Convert) -> None:
        before = len(self.problems.found)
        loc = (*self.loc, "convert")
        self._convertible(loc, convert)
        split = split_column(convert.to)
        source = self.sourcing.column((*loc, "to"), *split) if split else None
        if not split:
            self.problems.add((*loc, "to"), f"'{convert.to}' is not a column of a bound row, e.g. item.stock_unit")
        table = self.tables.get(convert.table)
        quantity, unit = self.result.fields.get("quantity"), self.result.fields.get("unit")
        if source is None or table is None or quantity is None or unit is None or len(self.problems.found) > before:
            return
        limit = limit_of(self.program.rules.bounds, "quantity", self.emit.set["quantity"])
        assert limit is not None
        place = ", ".join(self.emit.set["unit"].from_)
        conversion = Conversion(quantity, unit, place, source, table, self.day() if table.dated else None, limit)
        slot = self._converted(convert.to, conversion)
        self.result.fields.update({name: slot + i for i, name in enumerate(CONVERTED)})

    def _convertible(self, loc: Loc, convert: Convert) -> None:
        """Do the names in `convert` stand for what they must?"""
        for key, name in (("quantity", convert.quantity), ("unit", convert.unit)):
            if name != key or name not in self.emit.set:
                self.problems.add((*loc, key), f"must be the field {key}, and `set` must have it")
        for name in CONVERTED:
            if name not in self.model.model_fields:
                self.problems.add(loc, f"{self.emit.event} has no field {name} to keep what was converted; drop convert")
            elif name in self.emit.set and name not in ("quantity", "unit"):
                self.problems.add((*self.loc, "set", name), "convert sets this field; drop it here")
        table = self.tables.get(convert.table)
        if table is None:
            self.problems.unknown((*loc, "table"), "table", convert.table, self.tables)
        elif not table.converts:
            self.problems.add((*loc, "table"), f"table {table.name} must have the columns item, from_unit, to_unit and factor")

    def _converted(self, to: str, conversion: Conversion) -> int:
        days = () if conversion.day_slot is None else (conversion.day_slot,)
        needs = {conversion.quantity, conversion.unit, *conversion.to.needs, *days}
        key = ("convert", conversion.quantity, conversion.unit, conversion.to.id, conversion.table.name, days)
        return self.program.add(key, needs, False, conversion, width=len(CONVERTED))

    def _calls(self, credit: tuple[Condition, ...]) -> None:
        for name in self.emit.set:
            value = self.emit.set[name]
            if value.call in FIELD_FUNCTIONS and name in self.model.model_fields:
                required = field_type(self.model, name)[1] or value.required is True
                cent = self.program.rules.money.cent if name in ROUNDED else None
                limit = limit_of(self.program.rules.bounds, name, value)
                function, signs = FIELD_FUNCTIONS[value.call], credit if name == "amount" else ()
                self.result.calls.append(Call(name, function, required, signs, cent, limit))
