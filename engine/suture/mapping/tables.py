"""Tables: CSV files that say what a code means, with the row in force on a day.

The first column is the key (of `stock`: location and item; of a unit conversion: item, from_unit and to_unit). A column
`to` makes the table a crosswalk: a look-up gives its value. `effective_from` and `effective_to` (ISO dates, the second
one not included) limit a row in time. A row whose `status` is not active, or whose `active` is N, is never used.

A row is kept as one text and taken apart when it is asked for: an item master has some hundred thousand rows, and as many
dicts would take five times the memory and, when the table is let go, a tenth of a second in which nothing else runs.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from functools import lru_cache, partial
from typing import Any

from suture.mapping.leaving import Lines, Rows
from suture.mapping.values import decimal
from suture.model.remembered import Remembered, is_there

Row = Mapping[str, str]

SEPARATOR = "\x1f"
"""Joins the parts of a key of several columns, and the cells of a row; no cell holds it."""

ANY_ITEM = "*"
"""In the item column of a unit conversion: holds for every item that has no row of its own."""

ROWS_KEPT = 4096
"""Rows of a table that are kept as they were asked for; with more, those are forgotten and begun anew."""

FROM, TO = "effective_from", "effective_to"
CONVERSION = ("from_unit", "to_unit", "factor")
ALWAYS = (date.min.toordinal(), date.max.toordinal())

Period = tuple[int, int, str]
"""The first day a row holds, the first day it no longer does (as ordinals), and the row."""


class Table:
    """Rows by key, as `load_csv` has read them. lines: the cells of each row, joined by SEPARATOR. converts: it is a unit conversion.

    always: key to the row that holds at any time; periods: key to the rows that are limited in time, one behind the other, each as
    its three parts; retired: the keys of rows that are not in use.
    """

    def __init__(self, name: str, columns: Sequence[str], lines: Lines, always: Rows, periods: Rows, retired: Rows) -> None:
        self.name, self.columns, self._lines = name, tuple(columns), lines
        shape = Shape(name, self.columns)
        self.key_columns, self.converts = shape.key_columns, shape.factor is not None
        self.result = "to" if "to" in self.columns else None
        self._always, self._periods, self._retired = always, periods, retired
        self.dated = bool(periods)
        self._by_key = Remembered(partial(_row_of_key, self.columns, self._always), ROWS_KEPT, is_there)
        self._by_line = Remembered(partial(_row, self.columns), ROWS_KEPT, is_there)

    def __repr__(self) -> str:
        return f"<Table {self.name}: {len(self._lines)} rows>"

    @property
    def rows(self) -> Iterator[Row]:
        """All rows, also those that are not in use."""
        return map(partial(_row, self.columns), self._lines)

    def cells(self, column: str) -> Iterator[tuple[str, str]]:
        """Of each row the cell of its first key column, and that of this column."""
        first, wanted = self.columns.index(self.key_columns[0]), self.columns.index(column)
        for line in self._lines:
            cells = line.split(SEPARATOR)
            yield cells[first], cells[wanted]

    def lookup(self, key: str, on: date | None = None) -> Row | None:
        """The row of key that is in force on that day (None: the one that began last), or None."""
        periods = self._periods.get(key)
        if periods is not None:
            line = _in_force(periods, on)
            if line is not None:
                return self._by_line[line]
        return self._by_key[key]

    def finder(self) -> Callable[..., Row | None]:
        """The quickest function that does what lookup does; of a table that is not `dated`, it takes the key alone."""
        return self.lookup if self.dated else self._by_key.__getitem__

    def absence(self, key: str) -> str:
        """Why a look-up of key found nothing, in words for an operator."""
        if key in self._periods:
            return f"{self.name} has no row in force on the service date for this code"
        if key in self._retired:
            return f"the row of this code in {self.name} is not active"
        return f"{self.name} has no row for this code"

    def factor(self, item: str, unit: str, to: str, on: date | None = None) -> Decimal | None:
        """Of a unit conversion: how many `to` one `unit` of the item is; None when no row says so."""
        for who in (item, ANY_ITEM):
            row = self.lookup(f"{who}{SEPARATOR}{unit}{SEPARATOR}{to}", on)
            if row is not None:
                return decimal(row["factor"])
        return None


Tables = Mapping[str, Table]


def _in_force(periods: Sequence[Any], on: date | None) -> str | None:
    """The row of the period around a day, or of the last one. periods: one behind the other, each as its three parts."""
    if on is None:
        return str(periods[-1])
    day = on.toordinal()
    at = bisect_right(range(0, len(periods), 3), day, key=periods.__getitem__) * 3 - 3
    return periods[at + 2] if at >= 0 and day < periods[at + 1] else None


def _row(columns: tuple[str, ...], line: str) -> Row:
    return dict(zip(columns, line.split(SEPARATOR), strict=True))


def _row_of_key(columns: tuple[str, ...], lines: Mapping[str, str], key: str) -> Row | None:
    line = lines.get(key)
    return None if line is None else _row(columns, line)


class Shape:
    """Where the cells stand that have a meaning of their own; looked up once for a table, and not for each row.

    key_columns: those that tell one row from another.
    """

    def __init__(self, name: str, columns: Sequence[str]) -> None:
        place = {column: number for number, column in reversed(list(enumerate(columns)))}
        self.factor = place["factor"] if set(CONVERSION) <= set(columns) else None
        self.key_columns: tuple[str, ...] = tuple(columns[:1])
        if name == "stock" and {"location", "item"} <= set(columns):
            self.key_columns = ("location", "item")
        elif self.factor is not None:
            self.key_columns = (columns[0], "from_unit", "to_unit")
        self.keys = tuple(place[column] for column in self.key_columns)
        self.status, self.active = place.get("status"), place.get("active")
        self.since, self.until = place.get(FROM), place.get(TO)

    def key_of(self, cells: Sequence[str]) -> str:
        """The text a row is found by."""
        return cells[self.keys[0]] if len(self.keys) == 1 else SEPARATOR.join([cells[place] for place in self.keys])

    def in_use(self, cells: Sequence[str]) -> bool:
        """May the row be found?"""
        if self.status is not None and cells[self.status].lower() not in ("", "active"):
            return False
        return self.active is None or cells[self.active].upper() != "N"

    def dated(self, cells: Sequence[str]) -> bool:
        """Is the row limited in time?"""
        return bool((self.since is not None and cells[self.since]) or (self.until is not None and cells[self.until]))

    def period_of(self, cells: Sequence[str]) -> tuple[int, int]:
        """The first day the row holds, and the first day it no longer does. Raises ValueError for a date that is none."""
        since = cells[self.since] if self.since is not None else ""
        until = cells[self.until] if self.until is not None else ""
        return _ordinal(since) if since else ALWAYS[0], _ordinal(until) if until else ALWAYS[1]


@lru_cache(4096)
def _ordinal(text: str) -> int:
    return date.fromisoformat(text).toordinal()
