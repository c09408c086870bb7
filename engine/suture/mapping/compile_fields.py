"""Compile the fields of one entry of `emit`: they become steps, in the order in which they need each other."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal

from pydantic import BaseModel

from suture.mapping.fields import field_type
from suture.mapping.functions import FIELD_FUNCTIONS, FUNCTIONS, NUMBER_FUNCTIONS, TEXT_FUNCTIONS, WORD_FUNCTIONS
from suture.mapping.hints import Loc, Problems, suggestion
from suture.mapping.program import Program
from suture.mapping.recipes import Recipe
from suture.mapping.rules import ROUNDED, Bounds, Limit, number_parser
from suture.mapping.sources import Condition, Source
from suture.mapping.spec import Emit, Value
from suture.mapping.steps import Several
from suture.mapping.tables import Table, Tables
from suture.mapping.time_steps import Day, Times
from suture.mapping.values import Parser, parsers

_COLUMN = re.compile(r"([a-z_][a-z0-9_]*)\.(\S+)")


def split_column(text: str) -> tuple[str, str] | None:
    """binding and column of a text such as item.stock_unit."""
    found = _COLUMN.fullmatch(text)
    return (found[1], found[2]) if found else None


def limit_of(bounds: Bounds, name: str, value: Value) -> Limit | None:
    """What a number is held against: the mapping's own bounds, else the channel's."""
    if value.between:
        return Limit(value.between[0], value.between[1], f"the mapping's bounds of {name}")
    return bounds.limit(name)


class FieldCompiler:
    """Compiles the fields of an entry at loc, for events of this model (None: of none that is known).

    slots: of the fields compiled so far. rows: of those with a table, the slots of their rows. What is wrong goes to the program's
    problems.
    """

    def __init__(self, program: Program, tables: Tables, emit: Emit, loc: Loc, model: type[BaseModel] | None) -> None:
        self.program, self.tables, self.emit, self.loc, self.model = program, tables, emit, loc, model
        self.problems = program.problems
        self.slots: dict[str, int] = {}
        self.rows: dict[str, int] = {}
        self._open: list[str] = []
        self._checks = _ValueChecks(self.problems, tables)

    def slot(self, name: str) -> int | None:
        """The slot of a field's value; fields that it needs come first. None when it cannot be compiled."""
        if name in self.slots or self.model is None or name not in self.model.model_fields:
            return self.slots.get(name)
        loc = (*self.loc, "set", name)
        if name in self._open:
            circle = " needs ".join([*self._open[self._open.index(name) :], name])
            self.problems.add(loc, f"goes round in a circle: {circle}; take one of them from the message")
            return None
        self._open.append(name)
        slot = self._value(loc, name, self.emit.set[name])
        self._open.pop()
        if slot is not None:
            self.slots[name] = slot
        return slot

    def _value(self, loc: Loc, name: str, value: Value) -> int | None:
        kind, required = field_type(self.model, name)
        required = required or value.required is True
        if not self._checks.keys(loc, name, value, kind) or value.call in FIELD_FUNCTIONS:
            return None
        if kind == list[str]:
            return self._several(loc, name, value, required)
        recipe = self._recipe(loc, name, value, kind, required)
        if recipe is None:
            return None
        own = any(source.own for source in recipe.sources)
        slot = self.program.add(recipe.key(), recipe.needs(), own, recipe, width=1 if recipe.table is None else 2)
        if recipe.table is not None:
            self.rows[name] = slot + 1
        return slot

    def _several(self, loc: Loc, name: str, value: Value, required: bool) -> int | None:
        """The slot of a list."""
        others = [key for key in ("table", "default", "as_", "call", "const", "between") if getattr(value, key) is not None]
        if others or len(value.from_) != 1:
            example = f"{name}: {self.program.format.words.list}"
            self.problems.add(loc, f"is a list; it takes one path to all repetitions, e.g. {example}, and nothing else")
            return None
        place = self.program.place((*loc, "from", 0), value.from_[0], many=True)
        if place is None:
            return None
        return self.program.add(("list", place.path, required), (), place.own, Several(name, place, required))

    def _recipe(self, loc: Loc, name: str, value: Value, kind: type, required: bool) -> Recipe | None:
        rules = self.program.rules
        known = parsers(kind, rules.times or rules.zone)
        as_ = value.as_ or next(iter(known))
        form = known.get(as_)
        if form is None:
            self.problems.unknown((*loc, "as"), f"form of {name}", as_, known)
        sources = self._sources(loc, value)
        if form is None or sources is None or not self._checks.call(loc, value, as_):
            return None
        limit = limit_of(rules.bounds, name, value) if kind is Decimal else None
        parse = number_parser(form, limit, rules.cent if name in ROUNDED else None)
        table = self.tables[value.table] if value.table else None
        columns = self._columns(table, sources)
        if not self._checks.texts(loc, value, as_, form, limit) or not self._checks.cells(loc, columns, as_, form):
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
            day_slot=self.day() if table is not None and table.dated else None,
            needs_value=required or (table is not None and value.required is None and value.default != ""),
            needs_row=table is not None and value.required is not False,
            finish=NUMBER_FUNCTIONS.get(value.call or ""),
        )

    def day(self) -> int:
        """The slot of the service date: of used_at, where the event has it, else of the message."""
        used_at = self.slot("used_at") if "used_at" in self.emit.set else None
        needs = () if used_at is None else (used_at,)
        return self.program.add(("day", used_at), needs, False, Day(used_at, self.program.rules, self.program.format))

    def _sources(self, loc: Loc, value: Value) -> list[Source] | None:
        """All sources of a value, the first before the others; None when one of them is none."""
        if value.const is not None:
            return [Source("default", text=value.const)]
        found = [self._source((*loc, "from", i), text) for i, text in enumerate(value.from_)]
        if value.default:
            split = split_column(value.default)
            found.append(self.column((*loc, "default"), *split) if split else Source("default", text=value.default))
        return [source for source in found if source] if all(found) else None

    def _source(self, loc: Loc, text: str) -> Source | None:
        split = split_column(text)
        if split:
            return self.column(loc, *split)
        place = self.program.place(loc, text)
        return self.program.source(place) if place else None

    def column(self, loc: Loc, binding: str, column: str) -> Source | None:
        """The source that a column of a bound row is."""
        table = self._bound_table(binding)
        if table is None:
            self._unbound(loc, binding, column)
            return None
        if column not in table.columns:
            self.problems.unknown(loc, f"column of table {table.name}", column, table.columns)
            return None
        slot = self.slot(binding)
        if slot is None:
            return None
        place, key = f"{binding}.{column}", table.key_columns[0]
        return Source(place, self.program.own(slot), slot=slot, column=column, table=table.name, key_column=key)

    def _unbound(self, loc: Loc, binding: str, column: str) -> None:
        value = self.emit.set.get(binding)
        if value is not None and value.table:
            return  # the unknown table is a problem already
        bound = [name for name in self.emit.set if self._bound_table(name)]
        hint = suggestion(binding, bound) or f"; give a field a table, or write a path, e.g. {self.program.format.words.of_line}"
        self.problems.add(loc, f"'{binding}.{column}' is no column: no field '{binding}' with a table is in `set`{hint}")

    def _bound_table(self, binding: str) -> Table | None:
        value = self.emit.set.get(binding)
        return self.tables.get(value.table) if value is not None and value.table else None

    def _columns(self, table: Table | None, sources: Sequence[Source]) -> list[tuple[Table, str]]:
        """The columns of tables that a value may be taken from."""
        if table is not None:
            return [(table, table.result)] if table.result else []
        return [(self.tables[source.table], source.column) for source in sources if source.column]

    def condition(self, loc: Loc, place: str, values: list[str]) -> Condition | None:
        """A condition on a path or a column; None when the place is neither."""
        split = split_column(place)
        if split is None:
            return self.program.condition(loc, place, values)
        source = self.column(loc, *split)
        return Condition(place, source, frozenset(values)) if source else None


class _ValueChecks:
    """Checks of one value: do its keys go together, and have its texts the form that they must have?

    They note problems; each one says whether it found none.
    """

    def __init__(self, problems: Problems, tables: Tables) -> None:
        self.problems, self.tables = problems, tables

    def keys(self, loc: Loc, name: str, value: Value, kind: type) -> bool:
        """Do the keys of a value go together, and with the field of this type?"""
        add, before = self.problems.add, len(self.problems.found)
        others = [key for key, given in (("from", value.from_), ("table", value.table), ("default", value.default)) if given]
        if value.const is not None and others:
            add(loc, f"const stands alone; drop it or {' and '.join(others)}")
        if value.call is not None and value.call not in FUNCTIONS:
            self.problems.unknown((*loc, "call"), "function", value.call, FUNCTIONS)
        elif value.call in FIELD_FUNCTIONS and (others or value.const is not None):
            add((*loc, "call"), f"{value.call} takes the event's other fields; drop {' and '.join(others) or 'const'}")
        elif value.call not in FIELD_FUNCTIONS and not value.from_ and value.const is None:
            add(loc, "says nothing of where the value comes from; add from: <path>, or const: <text>")
        if value.table is not None and value.table not in self.tables:
            self.problems.unknown((*loc, "table"), "table", value.table, self.tables)
        if value.between and kind is not Decimal:
            add((*loc, "between"), f"is for numbers, and {name} is none; drop it")
        elif value.between and value.between[0] > value.between[1]:
            add((*loc, "between"), "the least comes first, then the most; exchange them")
        return len(self.problems.found) == before

    def call(self, loc: Loc, value: Value, as_: str) -> bool:
        """Does the function take what `as` gives?"""
        if value.call in WORD_FUNCTIONS:
            self.problems.add((*loc, "call"), f"{value.call} is for outbound mappings; an event has the number itself")
        elif value.call in NUMBER_FUNCTIONS and as_ not in ("decimal", "integer"):
            self.problems.add((*loc, "call"), f"{value.call} takes a number, and this is {as_}")
        else:
            return True
        return False

    def texts(self, loc: Loc, value: Value, as_: str, form: Parser, limit: Limit | None) -> bool:
        """Have the mapping's own texts the form that `as` asks for, and are they within the limit?"""
        before = len(self.problems.found)
        for key, text in (("const", value.const), ("default", value.default if value.table is None else None)):
            if not text or split_column(text):
                continue
            found = form(text)
            if found is None:
                self.problems.add((*loc, key), f"'{text}' is not of the form {as_}")
            elif limit is not None and not limit.holds(found):
                self.problems.add((*loc, key), f"'{text}' is {limit.broken}")
        return len(self.problems.found) == before

    def cells(self, loc: Loc, columns: Iterable[tuple[Table, str]], as_: str, form: Parser) -> bool:
        """Have the cells of these columns the form that `as` asks for?"""
        before = len(self.problems.found)
        for table, column in columns:
            wrong = next(((key, cell) for key, cell in table.cells(column) if cell and form(cell) is None), None)
            if wrong:
                key, cell = wrong
                code = f"{table.key_columns[0]} '{key}'"
                self.problems.add(loc, f"column {column} of table {table.name} has '{cell}' for {code}; that is not of the form {as_}")
        return len(self.problems.found) == before
