"""Tables: CSV files that say what a code means, with the row in force on a day.

The first column is the key (of `stock`: location and item; of a unit conversion: item, from_unit and to_unit). A column
`to` makes the table a crosswalk: a look-up gives its value. `effective_from` and `effective_to` (ISO dates, the second
one not included) limit a row in time. A row whose `status` is not active, or whose `active` is N, is never used.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from suture.mapping.values import decimal
from suture.model.errors import Problem

Row = Mapping[str, str]

SEPARATOR = "\x1f"
"""Joins the parts of a key of several columns."""

ANY_ITEM = "*"
"""In the item column of a unit conversion: holds for every item that has no row of its own."""

_FROM, _TO = "effective_from", "effective_to"
_CONVERSION = ("from_unit", "to_unit", "factor")


@dataclass(frozen=True, slots=True)
class _Period:
    since: date
    until: date
    row: Row

    def overlaps(self, other: _Period) -> bool:
        return self.since < other.until and other.since < self.until


class Table:
    """Rows by key. Raises ValueError where an effective date is none; `load_csv` reports that and more with its line."""

    def __init__(self, name: str, rows: Iterable[Row], columns: Sequence[str] = ()) -> None:
        self.name = name
        self.rows = list(rows)
        self.columns = tuple(columns or (self.rows[0] if self.rows else ()))
        self.key_columns = key_columns(name, self.columns)
        self.result = "to" if "to" in self.columns else None
        self.dated = any(row.get(_FROM) or row.get(_TO) for row in self.rows)
        self._always: dict[str, Row] = {}
        self._periods: dict[str, list[_Period]] = {}
        self._retired = {self.key_of(row) for row in self.rows if not _in_use(row)}
        self._index()

    def __repr__(self) -> str:
        return f"<Table {self.name}: {len(self.rows)} rows>"

    def _index(self) -> None:
        for row in filter(_in_use, self.rows):
            if row.get(_FROM) or row.get(_TO):
                self._periods.setdefault(self.key_of(row), []).append(_period(row))
            else:
                self._always[self.key_of(row)] = row
        for periods in self._periods.values():
            periods.sort(key=lambda period: period.since, reverse=True)

    def key_of(self, row: Row) -> str:
        """The text a row is found by."""
        return SEPARATOR.join([row.get(column, "") for column in self.key_columns])

    def lookup(self, key: str, on: date | None = None) -> Row | None:
        """The row of key that is in force on that day (None: the one that began last), or None."""
        periods = self._periods.get(key)
        if periods is not None:
            if on is None:
                return periods[0].row
            for period in periods:
                if period.since <= on < period.until:
                    return period.row
        return self._always.get(key)

    def finder(self) -> Callable[[str, None], Row | None] | Callable[[str, date | None], Row | None]:
        """The quickest function that does what lookup does; of a table that is not `dated`, only without a day."""
        return self.lookup if self.dated else self._always.get

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

    @property
    def converts(self) -> bool:
        """Is it a unit conversion?"""
        return set(_CONVERSION) <= set(self.columns)


Tables = Mapping[str, Table]


def key_columns(name: str, columns: Sequence[str]) -> tuple[str, ...]:
    """The columns that tell one row from another."""
    if name == "stock" and {"location", "item"} <= set(columns):
        return ("location", "item")
    if set(_CONVERSION) <= set(columns):
        return (columns[0], "from_unit", "to_unit")
    return tuple(columns[:1])


def _in_use(row: Row) -> bool:
    return row.get("status", "").lower() in ("", "active") and row.get("active", "").upper() != "N"


def _period(row: Row) -> _Period:
    since, until = row.get(_FROM, ""), row.get(_TO, "")
    return _Period(date.fromisoformat(since) if since else date.min, date.fromisoformat(until) if until else date.max, row)


def load_csv(text: str, name: str, file: str) -> tuple[Table, list[Problem]]:
    """Read a table from CSV text. Rows with problems are left out of the table; a table with problems must not be used."""
    return _Loader(name, file).load(text)


class _Loader:
    def __init__(self, name: str, file: str) -> None:
        self.name, self.file = name, file
        self.problems: list[Problem] = []
        self.seen: dict[str, list[tuple[int, _Period]]] = {}

    def load(self, text: str) -> tuple[Table, list[Problem]]:
        reader = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
        columns: list[str] = []
        rows: list[Row] = []
        try:
            columns = self._header(next(reader, []))
            rows = [row for cells in reader if cells and (row := self._row(reader.line_num, columns, cells)) is not None]
        except csv.Error as error:
            self._problem(reader.line_num, "", f"{error}; quote a cell that holds a comma, and double the quotes inside it")
        return Table(self.name, rows, columns), self.problems

    def _problem(self, line: int, place: str, text: str) -> None:
        self.problems.append(Problem(self.file, line, place, text))

    def _header(self, cells: list[str]) -> list[str]:
        columns = [cell.strip() for cell in cells]
        other = next((mark for mark in (";", "\t") if len(columns) == 1 and mark in columns[0]), None)
        if other:
            name = "semicolons" if other == ";" else "tabs"
            self._problem(1, "", f"the columns are separated by {name}; save the file as CSV with commas")
        if not any(columns):
            self._problem(1, "", "the table is empty; the first line must name the columns, the key first")
        elif "" in columns:
            self._problem(1, "", f"column {columns.index('') + 1} has no name")
        for column in sorted({c for c in columns if c and columns.count(c) > 1}):
            self._problem(1, column, "two columns have this name; rename one")
        return columns

    def _row(self, line: int, columns: list[str], cells: list[str]) -> Row | None:
        if len(cells) != len(columns):
            self._problem(line, "", f"{len(cells)} cells where the header has {len(columns)}; quote a cell that holds a comma")
            return None
        row = dict(zip(columns, (cell.strip() for cell in cells), strict=True))
        good = self._keyed(line, columns, row) & self._factor(line, columns, row) & self._answered(line, row)
        return row if good and self._alone(line, columns, row) else None

    def _keyed(self, line: int, columns: list[str], row: Row) -> bool:
        empty = [column for column in key_columns(self.name, columns) if not row[column]]
        for column in empty:
            self._problem(line, column, "the key is empty; fill it in or delete the row")
        return not empty

    def _answered(self, line: int, row: Row) -> bool:
        """Does `active` say yes or no? Anything else would count as yes."""
        if row.get("active", "").upper() in ("", "Y", "N"):
            return True
        self._problem(line, "active", f"'{row['active']}' is neither Y nor N")
        return False

    def _factor(self, line: int, columns: list[str], row: Row) -> bool:
        number = decimal(row["factor"]) if set(_CONVERSION) <= set(columns) else Decimal(1)
        if number is not None and number > 0:
            return True
        self._problem(line, "factor", f"'{row['factor']}' is not a number above zero, e.g. 12")
        return False

    def _alone(self, line: int, columns: list[str], row: Row) -> bool:
        """Is the row's period sound, and does no earlier row of the key hold at the same time?"""
        period = self._sound_period(line, row)
        if period is None:
            return False
        if not _in_use(row):
            return True
        key = SEPARATOR.join([row[column] for column in key_columns(self.name, columns)])
        twin = next((at for at, other in self.seen.get(key, ()) if period.overlaps(other)), None)
        if twin is not None:
            shown = " ".join(key.split(SEPARATOR))
            remedy = "delete one, or date them apart with effective_from and effective_to"
            self._problem(line, columns[0], f"'{shown}' stands in line {twin} already, in force at the same time; {remedy}")
        self.seen.setdefault(key, []).append((line, period))
        return twin is None

    def _sound_period(self, line: int, row: Row) -> _Period | None:
        for column in (_FROM, _TO):
            try:
                if row.get(column):
                    date.fromisoformat(row[column])
            except ValueError:
                self._problem(line, column, f"'{row[column]}' is not a date, e.g. 2026-01-31")
                return None
        period = _period(row)
        if period.since >= period.until:
            self._problem(line, _TO, "the row ends before it begins; effective_to is the first day it no longer holds")
            return None
        return period
