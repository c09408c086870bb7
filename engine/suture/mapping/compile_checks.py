"""Checks of one value of an inbound mapping: do its keys go together, and have its texts the form that they must have?"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

from suture.mapping.functions import FIELD_FUNCTIONS, FUNCTIONS, NUMBER_FUNCTIONS, WORD_FUNCTIONS
from suture.mapping.hints import Loc, Problems
from suture.mapping.rules import Bounds, Limit
from suture.mapping.spec import Value
from suture.mapping.tables import Table, Tables

_COLUMN = re.compile(r"([a-z_][a-z0-9_]*)\.(\S+)")

Form = Callable[[str], Any]
"""A parser that looks at the form only."""


def split_column(text: str) -> tuple[str, str] | None:
    """binding and column of a text such as item.stock_unit."""
    found = _COLUMN.fullmatch(text)
    return (found[1], found[2]) if found else None


def limit_of(bounds: Bounds, name: str, value: Value) -> Limit | None:
    """What a number is held against: the mapping's own bounds, else the channel's."""
    if value.between:
        return Limit(value.between[0], value.between[1], f"the mapping's bounds of {name}")
    return bounds.limit(name)


class ValueChecks:
    """Notes problems; each check says whether it found none."""

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

    def texts(self, loc: Loc, value: Value, as_: str, form: Form, limit: Limit | None) -> bool:
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

    def cells(self, loc: Loc, columns: Iterable[tuple[Table, str]], as_: str, form: Form) -> bool:
        """Have the cells of these columns the form that `as` asks for?"""
        before = len(self.problems.found)
        for table, column in columns:
            wrong = next(((key, cell) for key, cell in table.cells(column) if cell and form(cell) is None), None)
            if wrong:
                key, cell = wrong
                code = f"{table.key_columns[0]} '{key}'"
                self.problems.add(loc, f"column {column} of table {table.name} has '{cell}' for {code}; that is not of the form {as_}")
        return len(self.problems.found) == before
