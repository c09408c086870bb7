"""Compile one entry of `emit`: its fields become steps, in the order in which they need each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from suture.mapping.compile_checks import ValueChecks, split_column
from suture.mapping.conditions import Condition
from suture.mapping.fields import field_type
from suture.mapping.functions import FIELD_FUNCTIONS, NUMBER_FUNCTIONS, TEXT_FUNCTIONS
from suture.mapping.hints import Loc, Problems, suggestion
from suture.mapping.plan import Call
from suture.mapping.program import Program
from suture.mapping.recipes import Recipe
from suture.mapping.rules import ROUNDED, Limit, number_parser
from suture.mapping.sources import Source, column_source, text_source
from suture.mapping.spec import Conditions, Emit, Value
from suture.mapping.steps import Conversion, Credit, Several
from suture.mapping.tables import Table, Tables
from suture.mapping.time_steps import Day, Times
from suture.mapping.values import forms, parser
from suture.model.events import EVENT_TYPES

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


class EmitCompiler:
    """Compiles one entry. What is wrong goes to the program's problems; the result is of use only when there are none."""

    def __init__(self, program: Program, tables: Tables, emit: Emit, loc: Loc) -> None:
        self.program, self.tables, self.emit, self.loc = program, tables, emit, loc
        self.problems: Problems = program.problems
        self.model: type[BaseModel] | None = EVENT_TYPES.get(emit.event)
        self.slots: dict[str, int] = {}
        self.open: list[str] = []
        self.checks = ValueChecks(self.problems, tables, self.model)
        self.result = Emitted(emit.event)

    def compile(self) -> Emitted:
        """The entry's fields, conditions, conversion and credit."""
        if self.model is None:
            self.problems.unknown((*self.loc, "event"), "event", self.emit.event, EVENT_TYPES)
            return self.result
        self._names(self.model)
        for name in self.emit.set:
            self._field(name)
        self._conditions()
        self.result.fields = {name: slot for name, slot in self.slots.items() if name not in self._called()}
        credit = self._credit()
        self._convert()
        self._calls(credit)
        self.result.uses |= set(self.result.fields.values()) | self.result.decides | set(self.result.bound.values())
        return self.result

    def _names(self, model: type[BaseModel]) -> None:
        """Are all fields canonical, and all required ones set?"""
        for name in self.emit.set:
            if name not in model.model_fields:
                self.problems.unknown((*self.loc, "set", name), f"field of {self.emit.event}", name, model.model_fields)
        missing = [name for name, info in model.model_fields.items() if info.is_required() and name not in self.emit.set]
        for name in missing:
            text = f"'{name}' is not set, and every {self.emit.event} needs it ({model.model_fields[name].description}); add {name}: <path>"
            self.problems.add((*self.loc, "set"), text)

    # -- fields

    def _field(self, name: str) -> int | None:
        """The slot of a field's value; fields that it needs come first. None when it cannot be compiled."""
        if name in self.slots or self.model is None or name not in self.model.model_fields:
            return self.slots.get(name)
        loc = (*self.loc, "set", name)
        if name in self.open:
            circle = " needs ".join([*self.open[self.open.index(name) :], name])
            self.problems.add(loc, f"goes round in a circle: {circle}; take one of them from the message")
            return None
        self.open.append(name)
        slot = self._value(loc, name, self.emit.set[name])
        self.open.pop()
        if slot is not None:
            self.slots[name] = slot
        return slot

    def _called(self) -> set[str]:
        return {name for name, value in self.emit.set.items() if value.call in FIELD_FUNCTIONS}

    def _value(self, loc: Loc, name: str, value: Value) -> int | None:
        if not self.checks.keys(loc, name, value) or value.call in FIELD_FUNCTIONS:
            return None
        if field_type(self.model, name)[0] == list[str]:
            return self._several(loc, name, value)
        recipe = self._recipe(loc, name, value)
        if recipe is None:
            return None
        own = any(source.own for source in recipe.sources)
        slot = self.program.add(recipe.key(), recipe.needs(), own, recipe, width=1 if recipe.table is None else 2)
        if recipe.table is not None:
            self.result.bound[name] = slot + 1
        return slot

    def _several(self, loc: Loc, name: str, value: Value) -> int | None:
        """The slot of a list: of all repetitions of a field."""
        others = [key for key in ("table", "default", "as_", "call", "const", "between") if getattr(value, key) is not None]
        if others or len(value.from_) != 1:
            self.problems.add(loc, f"is a list; it takes one path to all repetitions, e.g. {name}: FT1-26[*].1, and nothing else")
            return None
        path = self.program.path_to_list((*loc, "from", 0), value.from_[0])
        if path is None:
            return None
        required = field_type(self.model, name)[1] or value.required is True
        own = self.program.is_of_line(path)
        self.program.note_sole(path)
        return self.program.add(("list", path.text, required), (), own, Several(name, path, self.program.each, required))

    def _recipe(self, loc: Loc, name: str, value: Value) -> Recipe | None:
        kind, required = field_type(self.model, name)
        as_ = value.as_ or forms(kind)[0]
        rules = self.program.rules
        form = parser(kind, value.as_, rules.times or rules.zone)
        if form is None:
            self.problems.unknown((*loc, "as"), f"form of {name}", as_, forms(kind))
        sources = self._sources(loc, value)
        if form is None or sources is None or not self.checks.call(loc, value, as_):
            return None
        limit = self._limit(name, value) if kind is Decimal else None
        parse = number_parser(form, limit, rules.money.cent if name in ROUNDED else None)
        table = self.tables[value.table] if value.table else None
        if not self.checks.texts(loc, value, as_, form, limit) or not self.checks.cells(loc, self._columns(value, table), as_, form):
            return None
        times = Times(as_, rules) if kind is datetime else None
        return Recipe(
            field=name,
            sources=tuple(sources),
            as_=as_,
            form=None if as_ == "text" else form,
            parse=None if as_ == "text" else parse,
            times=times,
            times_slot=self.program.add(("times", as_), (), False, times) if times else None,
            limit=limit,
            change=TEXT_FUNCTIONS.get(value.call or ""),
            table=table,
            day_slot=self._day() if table is not None and table.dated else None,
            needs_value=required or value.required is True or (table is not None and value.required is None and value.default != ""),
            needs_row=table is not None and value.required is not False,
            finish=NUMBER_FUNCTIONS.get(value.call or ""),
        )

    def _columns(self, value: Value, table: Table | None) -> list[tuple[Table, str]]:
        """The columns of tables that a value may be taken from."""
        if table is not None:
            return [(table, table.result)] if table.result else []
        split = [found for text in [*value.from_, value.default or ""] if (found := split_column(text))]
        return [(bound, column) for binding, column in split if (bound := self._bound_table(binding))]

    def _limit(self, name: str, value: Value) -> Limit | None:
        """What a number is held against: the mapping's own bounds, else the channel's."""
        if value.between:
            return Limit(value.between[0], value.between[1], f"the mapping's bounds of {name}")
        return self.program.rules.bounds.limit(name)

    def _day(self) -> int:
        """The slot of the service date: of used_at, where the event has it, else of MSH-7."""
        used_at = self._field("used_at") if "used_at" in self.emit.set else None
        needs = () if used_at is None else (used_at,)
        return self.program.add(("day", used_at), needs, False, Day(used_at, self.program.rules))

    # -- where values come from

    def _sources(self, loc: Loc, value: Value) -> list[Source] | None:
        if value.const is not None:
            return [text_source(value.const)]
        found = [self._source((*loc, "from", i), text) for i, text in enumerate(value.from_)]
        if value.default:
            split = split_column(value.default)
            found.append(self._column((*loc, "default"), *split) if split else text_source(value.default))
        return [source for source in found if source] if all(found) else None

    def _source(self, loc: Loc, text: str) -> Source | None:
        split = split_column(text)
        if split:
            return self._column(loc, *split)
        path = self.program.path(loc, text)
        return self.program.source(path) if path else None

    def _column(self, loc: Loc, binding: str, column: str) -> Source | None:
        table = self._bound_table(binding)
        if table is None:
            self._unbound(loc, binding, column)
            return None
        if column not in table.columns:
            self.problems.unknown(loc, f"column of table {table.name}", column, table.columns)
            return None
        slot = self._field(binding)
        if slot is None:
            return None
        return column_source(f"{binding}.{column}", column, table, slot, self.program.own(slot))

    def _unbound(self, loc: Loc, binding: str, column: str) -> None:
        value = self.emit.set.get(binding)
        if value is not None and value.table:
            return  # the unknown table is a problem already
        bound = [name for name in self.emit.set if self._bound_table(name)]
        hint = suggestion(binding, bound) or "; give a field a table, or write a path, e.g. FT1-7.1"
        self.problems.add(loc, f"'{binding}.{column}' is no column: no field '{binding}' with a table is in `set`{hint}")

    def _bound_table(self, binding: str) -> Table | None:
        value = self.emit.set.get(binding)
        return self.tables.get(value.table) if value is not None and value.table else None

    # -- what is done with the fields

    def _conditions(self) -> None:
        for place, values in self.emit.when.items():
            condition, source = self.condition((*self.loc, "when", place), place, values)
            if condition is not None and source is not None:
                self.result.when_bound.append(condition)
                self.result.decides |= source.needs
            elif condition is not None:
                self.result.when.append(condition)

    def condition(self, loc: Loc, place: str, values: list[str]) -> tuple[Condition | None, Source | None]:
        """The condition, and its source when it is a column."""
        split = split_column(place)
        if split:
            source = self._column(loc, *split)
            return (Condition(place, source, frozenset(values)) if source else None), source
        return self.program.condition(loc, place, values), None

    def _credit(self) -> tuple[Condition, ...]:
        """Make quantity and amount negative where the line is a credit, and say how that is told."""
        found, needs = self._matches((*self.loc, "credit"), self.emit.credit)
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

    def _matches(self, loc: Loc, conditions: Conditions) -> tuple[list[Condition], set[int]]:
        """Conditions with the slots that they need."""
        found, needs = [], set[int]()
        for place, values in conditions.items():
            condition, source = self.condition((*loc, place), place, values)
            if condition is None:
                continue
            found.append(condition)
            needs |= source.needs if source is not None else {self.program.text((), place) or 0}
        return found, needs

    def _convert(self) -> None:
        convert = self.emit.convert
        if convert is None:
            return
        before = len(self.problems.found)
        loc = (*self.loc, "convert")
        self._convertible(loc)
        split = split_column(convert.to)
        source = self._column((*loc, "to"), *split) if split else None
        if not split:
            self.problems.add((*loc, "to"), f"'{convert.to}' is not a column of a bound row, e.g. item.stock_unit")
        table = self.tables.get(convert.table)
        quantity, unit = self.result.fields.get("quantity"), self.result.fields.get("unit")
        if source is None or table is None or quantity is None or unit is None or len(self.problems.found) > before:
            return
        limit = self._limit("quantity", self.emit.set["quantity"])
        assert limit is not None
        place = ", ".join(self.emit.set["unit"].from_)
        conversion = Conversion(quantity, unit, place, source, table, self._day() if table.dated else None, limit)
        slot = self._converted(convert.to, conversion)
        self.result.fields.update({name: slot + i for i, name in enumerate(CONVERTED)})

    def _convertible(self, loc: Loc) -> None:
        """Do the names in `convert` stand for what they must?"""
        convert, model = self.emit.convert, self.model
        assert convert is not None and model is not None
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

    def _converted(self, to: str, conversion: Conversion) -> int:
        days = () if conversion.day_slot is None else (conversion.day_slot,)
        needs = {conversion.quantity, conversion.unit, *conversion.to.needs, *days}
        key = ("convert", conversion.quantity, conversion.unit, conversion.to.id, conversion.table.name, days)
        return self.program.add(key, needs, False, conversion, width=len(CONVERTED))

    def _calls(self, credit: tuple[Condition, ...]) -> None:
        for name in self.emit.set:
            value = self.emit.set[name]
            if value.call in FIELD_FUNCTIONS and self.model is not None and name in self.model.model_fields:
                required = field_type(self.model, name)[1] or value.required is True
                cent = self.program.rules.money.cent if name in ROUNDED else None
                calls = Call(
                    name, FIELD_FUNCTIONS[value.call], required, credit if name == "amount" else (), cent, self._limit(name, value)
                )
                self.result.calls.append(calls)
