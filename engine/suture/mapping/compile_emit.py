"""Compile one entry of `emit`: its fields, its conditions, a credit's sign, a conversion, and what functions make of fields."""

from __future__ import annotations

from pydantic import BaseModel

from suture.mapping.compile_fields import FieldCompiler, limit_of, split_column
from suture.mapping.fields import field_type
from suture.mapping.functions import FIELD_FUNCTIONS
from suture.mapping.hints import Loc
from suture.mapping.plan import Call, EmitPlan
from suture.mapping.program import Program
from suture.mapping.rules import ROUNDED
from suture.mapping.sources import Condition
from suture.mapping.spec import Conditions, Convert, Emit
from suture.mapping.steps import Conversion, Credit
from suture.mapping.tables import Tables
from suture.model.events import EVENT_TYPES

CONVERTED = ("quantity", "unit", "entered_quantity", "entered_unit", "factor")
"""Fields that a conversion sets, in the order of its slots."""


class EmitCompiler:
    """Compiles one entry. What is wrong goes to the program's problems; the result is of use only when there are none."""

    def __init__(self, program: Program, tables: Tables, emit: Emit, index: int) -> None:
        self.program, self.tables, self.emit, self.loc = program, tables, emit, ("emit", index)
        self.problems, self.result = program.problems, EmitPlan(emit.event, index)
        self.fields = FieldCompiler(program, tables, emit, self.loc, EVENT_TYPES.get(emit.event))

    def compile(self) -> EmitPlan:
        """The entry, but for the steps, which depend on the other entries too."""
        model, result = self.fields.model, self.result
        if model is None:
            self.problems.unknown((*self.loc, "event"), "event", self.emit.event, EVENT_TYPES)
            return result
        self._names(model)
        for name in self.emit.set:
            self.fields.slot(name)
        self._when()
        result.fields, result.rows = dict(self.fields.slots), self.fields.rows
        credit = self._credit()
        if self.emit.convert is not None:
            self._convert(self.emit.convert, model)
        self._calls(credit, model)
        result.uses.update(result.fields.values(), result.rows.values(), result.decides)
        return result

    def _names(self, model: type[BaseModel]) -> None:
        """Are all fields canonical, and all required ones set?"""
        for name in self.emit.set:
            if name not in model.model_fields:
                self.problems.unknown((*self.loc, "set", name), f"field of {self.emit.event}", name, model.model_fields)
        missing = [name for name, info in model.model_fields.items() if info.is_required() and name not in self.emit.set]
        for name in missing:
            text = f"'{name}' is not set, and every {self.emit.event} needs it ({model.model_fields[name].description}); add {name}: <path>"
            self.problems.add((*self.loc, "set"), text)

    def _conditions(self, key: str, conditions: Conditions) -> list[Condition]:
        made = [self.fields.condition((*self.loc, key, place), place, values) for place, values in conditions.items()]
        return [condition for condition in made if condition is not None]

    def _when(self) -> None:
        for condition in self._conditions("when", self.emit.when):
            if condition.source.column:
                self.result.bound.append(condition)
                self.result.decides |= condition.source.needs
            else:
                self.result.when.append(condition)

    def _credit(self) -> tuple[Condition, ...]:
        """Make quantity and amount negative where the line is a credit, and say how that is told."""
        conditions = tuple(self._conditions("credit", self.emit.credit))
        if not conditions:
            return ()
        needs = set[int]().union(*(condition.source.needs for condition in conditions))
        self.result.uses |= needs
        key = tuple((condition.place, condition.values) for condition in conditions)
        for name in ("quantity", "amount"):
            slot = self.result.fields.get(name)
            if slot is not None:
                made = Credit(slot, conditions)
                self.result.fields[name] = self.program.add(("credit", key, frozenset(needs), slot), {slot, *needs}, False, made)
        return conditions

    def _convert(self, convert: Convert, model: type[BaseModel]) -> None:
        before = len(self.problems.found)
        loc = (*self.loc, "convert")
        self._convertible(loc, convert, model)
        split = split_column(convert.to)
        source = self.fields.column((*loc, "to"), *split) if split else None
        if not split:
            self.problems.add((*loc, "to"), f"'{convert.to}' is not a column of a bound row, e.g. item.stock_unit")
        table = self.tables.get(convert.table)
        quantity, unit = self.result.fields.get("quantity"), self.result.fields.get("unit")
        if source is None or table is None or quantity is None or unit is None or len(self.problems.found) > before:
            return
        limit = limit_of(self.program.rules.bounds, "quantity", self.emit.set["quantity"])
        assert limit is not None
        place = ", ".join(self.emit.set["unit"].from_)
        day = self.fields.day() if table.dated else None
        slot = self._converted(Conversion(quantity, unit, place, source, table, day, limit))
        self.result.fields.update({name: slot + i for i, name in enumerate(CONVERTED)})

    def _convertible(self, loc: Loc, convert: Convert, model: type[BaseModel]) -> None:
        """Do the names in `convert` stand for what they must?"""
        for key, name in (("quantity", convert.quantity), ("unit", convert.unit)):
            if name != key or name not in self.emit.set:
                self.problems.add((*loc, key), f"must be the field {key}, and `set` must have it")
        for name in CONVERTED:
            if name not in model.model_fields:
                self.problems.add(loc, f"{self.emit.event} has no field {name} to keep what was converted; drop convert")
            elif name in self.emit.set and name not in ("quantity", "unit"):
                self.problems.add((*self.loc, "set", name), "convert sets this field; drop it here")
        table = self.tables.get(convert.table)
        if table is None:
            self.problems.unknown((*loc, "table"), "table", convert.table, self.tables)
        elif not table.converts:
            self.problems.add((*loc, "table"), f"table {table.name} must have the columns item, from_unit, to_unit and factor")

    def _converted(self, conversion: Conversion) -> int:
        days = () if conversion.day_slot is None else (conversion.day_slot,)
        needs = {conversion.quantity, conversion.unit, *conversion.to.needs, *days}
        key = ("convert", conversion.quantity, conversion.unit, conversion.to.id, conversion.table.name, days)
        return self.program.add(key, needs, False, conversion, width=len(CONVERTED))

    def _calls(self, credit: tuple[Condition, ...], model: type[BaseModel]) -> None:
        for name, value in self.emit.set.items():
            if value.call in FIELD_FUNCTIONS and name in model.model_fields:
                required = field_type(model, name)[1] or value.required is True
                cent = self.program.rules.cent if name in ROUNDED else None
                limit = limit_of(self.program.rules.bounds, name, value)
                function, signs = FIELD_FUNCTIONS[value.call], credit if name == "amount" else ()
                self.result.calls.append(Call(name, function, required, signs, cent, limit))
