"""Reading a table from CSV, with what is wrong in it by line.

A table may have some hundred thousand rows and is read while the engine works, so it comes line by line, and nothing here
does a piece of work that grows with the table in one step.
"""

from __future__ import annotations

import csv
import io
from bisect import bisect_left, bisect_right, insort
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import date
from itertools import chain
from operator import itemgetter

from suture.mapping.leaving import Lines, Rows
from suture.mapping.tables import ALWAYS, FROM, SEPARATOR, TO, Period, Shape, Table
from suture.mapping.values import decimal
from suture.model.errors import Problem

LIMIT_BYTES = 67_108_864
"""Size of a file."""
LIMIT_ROWS = 1_000_000
LIMIT_COLUMNS = 1_000
LIMIT_PROBLEMS = 100
"""Problems of one file that are told; whoever exported it wrongly has as many as rows."""

Span = tuple[int, int]


def load_csv(text: str | Iterable[str], name: str, file: str) -> tuple[Table, list[Problem]]:
    """Read a table from CSV text, or its lines (with their ends).

    Rows with problems are left out of the table; a table with problems must not be used.
    """
    lines = io.StringIO(text.removeprefix("\ufeff"), newline="") if isinstance(text, str) else text
    return _Loader(name, file).load(lines)


class _Enough(Exception):
    """There is no use in reading on; why has been told."""


class _Loader:
    def __init__(self, name: str, file: str) -> None:
        self.name, self.file = name, file
        self.columns: list[str] = []
        self.shape = Shape("", ("",))
        self.problems: list[Problem] = []
        self.lines, self.always, self.retired = Lines(), Rows(), Rows()
        self.periods: dict[str, list[Period]] = {}
        self.numbers: dict[str, int] = {}  # the line of each row that is in use

    def load(self, lines: Iterable[str]) -> tuple[Table, list[Problem]]:
        reader = csv.reader(lines, strict=True)
        try:
            self._header(next(reader, []))
            for cells in reader:
                if cells:
                    self._row(reader.line_num, cells)
        except csv.Error as error:
            self._problem(reader.line_num, "", f"{error}; quote a cell that holds a comma, and double the quotes inside it")
        except _Enough:
            pass
        periods = Rows((key, tuple(chain(*found))) for key, found in self.periods.items())
        return Table(self.name, self.columns, self.lines, self.always, periods, self.retired), self.problems

    def _problem(self, line: int, place: str, text: str) -> None:
        self.problems.append(Problem(self.file, line, place, text))
        if len(self.problems) == LIMIT_PROBLEMS:
            self.problems.append(Problem(self.file, line, "", f"{LIMIT_PROBLEMS} problems so far; the rest of the file was not looked at"))
            raise _Enough

    def _header(self, cells: list[str]) -> None:
        if len(cells) > LIMIT_COLUMNS:
            self._problem(1, "", f"{len(cells)} columns; a table has at most {LIMIT_COLUMNS}")
            raise _Enough
        columns = self.columns = [cell.strip() for cell in cells]
        self.shape = Shape(self.name, columns or ("",))
        other = next((mark for mark in (";", "\t") if len(columns) == 1 and mark in columns[0]), None)
        if other:
            name = "semicolons" if other == ";" else "tabs"
            self._problem(1, "", f"the columns are separated by {name}; save the file as CSV with commas")
        if not any(columns):
            self._problem(1, "", "the table is empty; the first line must name the columns, the key first")
        elif "" in columns:
            self._problem(1, "", f"column {columns.index('') + 1} has no name")
        for column in sorted(column for column, times in Counter(columns).items() if column and times > 1):
            self._problem(1, column, "two columns have this name; rename one")

    def _row(self, line: int, cells: list[str]) -> None:
        """Keep a row if it is right."""
        if len(cells) != len(self.columns):
            self._problem(line, "", f"{len(cells)} cells where the header has {len(self.columns)}; quote a cell that holds a comma")
            return
        if len(self.lines) >= LIMIT_ROWS:
            self._problem(line, "", f"more than {LIMIT_ROWS} rows; a table has at most so many")
            raise _Enough
        cells = [cell.strip() for cell in cells]
        packed = SEPARATOR.join(cells)
        wrong = list(self._wrong(cells, packed))
        for column, text in wrong:
            self._problem(line, column, text)
        if not wrong and self._alone(line, cells, packed):
            self.lines.append(packed)

    def _wrong(self, cells: list[str], packed: str) -> Iterator[tuple[str, str]]:
        """What is wrong in a row, whatever stands in others: columns and texts."""
        shape = self.shape
        if packed.count(SEPARATOR) != len(cells) - 1:
            place = next(column for column, cell in zip(self.columns, cells, strict=True) if SEPARATOR in cell)
            yield place, "a control character (U+001F) stands in the cell; delete it"
        for key in shape.keys:
            if not cells[key]:
                yield self.columns[key], "the key is empty; fill it in or delete the row"
        if shape.factor is not None and not ((number := decimal(cells[shape.factor])) and number > 0):
            yield "factor", f"'{cells[shape.factor]}' is not a number above zero, e.g. 12"
        if shape.active is not None and cells[shape.active].upper() not in ("", "Y", "N"):  # it would count as yes
            yield "active", f"'{cells[shape.active]}' is neither Y nor N"

    def _alone(self, line: int, cells: list[str], packed: str) -> bool:
        """Is the row's period sound, and does no earlier row of the key hold at the same time? Then it is found by its key."""
        dated = self.shape.dated(cells)
        span = self._sound_period(line, cells) if dated else ALWAYS
        if span is None:
            return False
        key = self.shape.key_of(cells)
        if not self.shape.in_use(cells):
            self.retired[key] = True
            return True
        twin = self._twin(key, span)
        if twin is not None:
            shown = " ".join(key.split(SEPARATOR))
            remedy = "delete one, or date them apart with effective_from and effective_to"
            self._problem(line, self.columns[0], f"'{shown}' stands in line {twin} already, in force at the same time; {remedy}")
            return False
        self.numbers[packed] = line
        if dated:
            insort(self.periods.setdefault(key, []), (*span, packed))
        else:
            self.always[key] = packed
        return True

    def _twin(self, key: str, span: Span) -> int | None:
        """The first line that has a row of this key in force at some time of the span."""
        found = [self.always[key]] if key in self.always else []
        if (others := self.periods.get(key)) is not None:  # they follow each other without an overlap
            first = max(0, bisect_right(others, span[0], key=itemgetter(0)) - 1)
            found += [row for since, until, row in others[first : bisect_left(others, span[1], key=itemgetter(0))] if until > span[0]]
        return min(map(self.numbers.__getitem__, found), default=None)

    def _sound_period(self, line: int, cells: list[str]) -> Span | None:
        for column, place in ((FROM, self.shape.since), (TO, self.shape.until)):
            if place is not None and cells[place] and not _is_date(cells[place]):
                self._problem(line, column, f"'{cells[place]}' is not a date, e.g. 2026-01-31")
                return None
        span = self.shape.period_of(cells)
        if span[0] >= span[1]:
            self._problem(line, TO, "the row ends before it begins; effective_to is the first day it no longer holds")
            return None
        return span


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
