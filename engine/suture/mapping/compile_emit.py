"""Compile one entry of `emit`: its fields become steps, in the order in which they need each other."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from pydantic import BaseModel

from suture.mapping.compile_checks import ValueChecks, limit_of
from suture.mapping.compile_finish import Emitted, Finisher
from suture.mapping.compile_sources import Sourcing
from suture.mapping.fields import field_type
from suture.mapping.functions import FIELD_FUNCTIONS, NUMBER_FUNCTIONS, TEXT_FUNCTIONS
from suture.mapping.hints import Loc, Problems
from suture.mapping.program import Program
from suture.mapping.recipes import Recipe
from suture.mapping.rules import ROUNDED, number_parser
from suture.mapping.spec import Emit, Value
from suture.mapping.steps import Several
from suture.mapping.tables import Tables
from suture.mapping.time_steps import Day, Times
from suture.mapping.values import forms, parser
from suture.model.events import EVENT_TYPES


class EmitCompiler:
    """Compiles one entry. What is wrong goes to the program's problems; the result is of use only when there are none."""

    def __init__(self, program: Program, tables: Tables, emit: Emit, loc: Loc) -> None:
        self.program, self.tables, self.emit, self.loc = program, tables, emit, loc
        self.problems: Problems = program.problems
        self.model: type[BaseModel] | None = EVENT_TYPES.get(emit.event)
        self.slots: dict[str, int] = {}
        self.open: list[str] = []
        self.checks = ValueChecks(self.problems, tables, self.model)
        self.sourcing = Sourcing(program, tables, emit, self._field)
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
        Finisher(self.sourcing, self.loc, self.model, self.result, self._day).finish()
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
        """The slot of a list."""
        others = [key for key in ("table", "default", "as_", "call", "const", "between") if getattr(value, key) is not None]
        if others or len(value.from_) != 1:
            example = f"{name}: {self.program.format.words.list}"
            self.problems.add(loc, f"is a list; it takes one path to all repetitions, e.g. {example}, and nothing else")
            return None
        place = self.program.list_place((*loc, "from", 0), value.from_[0])
        if place is None:
            return None
        required = field_type(self.model, name)[1] or value.required is True
        return self.program.add(("list", place.path, required), (), place.own, Several(name, place, required))

    def _recipe(self, loc: Loc, name: str, value: Value) -> Recipe | None:
        kind, required = field_type(self.model, name)
        as_ = value.as_ or forms(kind)[0]
        rules = self.program.rules
        form = parser(kind, value.as_, rules.times or rules.zone)
        if form is None:
            self.problems.unknown((*loc, "as"), f"form of {name}", as_, forms(kind))
        sources = self.sourcing.sources(loc, value)
        if form is None or sources is None or not self.checks.call(loc, value, as_):
            return None
        limit = limit_of(rules.bounds, name, value) if kind is Decimal else None
        parse = number_parser(form, limit, rules.money.cent if name in ROUNDED else None)
        table = self.tables[value.table] if value.table else None
        cells = self.sourcing.columns(value, table)
        if not self.checks.texts(loc, value, as_, form, limit) or not self.checks.cells(loc, cells, as_, form):
            return None
        times = Times(as_, rules, self.program.format) if kind is datetime else None
        return Recipe(
            field=name,
            sources=tuple(sources),
            words=self.program.format.words,
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

    def _day(self) -> int:
        """The slot of the service date: of used_at, where the event has it, else of the message."""
        used_at = self._field("used_at") if "used_at" in self.emit.set else None
        needs = () if used_at is None else (used_at,)
        return self.program.add(("day", used_at), needs, False, Day(used_at, self.program.rules, self.program.format))

    def _conditions(self) -> None:
        for place, values in self.emit.when.items():
            condition, source = self.sourcing.condition((*self.loc, "when", place), place, values)
            if condition is not None and source is not None:
                self.result.when_bound.append(condition)
                self.result.decides |= source.needs
            elif condition is not None:
                self.result.when.append(condition)
