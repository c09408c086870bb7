"""Tables: what a code means, on which day, and what is wrong in a CSV file."""

from __future__ import annotations

import gc
import itertools
import random
import time
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.mapping import leaving, table_file
from suture.mapping.table_file import LIMIT_COLUMNS, LIMIT_PROBLEMS, load_csv
from suture.mapping.tables import ROWS_KEPT, Table
from tests.mapping.examples import TABLES, table

_APART = "delete one, or date them apart with effective_from and effective_to"
_ENDS = "the row ends before it begins; effective_to is the first day it no longer holds"
DATED = "code,to,effective_from,effective_to\nA,old,,2026-01-01\nA,new,2026-01-01,2027-01-01\nB,always,,\n"


def said(text: str, name: str = "t") -> list[str]:
    return [str(problem) for problem in load_csv(text, name, f"{name}.csv")[1]]


def to(found: Table, key: str, on: date | None) -> str | None:
    row = found.lookup(key, on)
    return row["to"] if row else None


class TestLookUp:
    def test_periods_are_half_open(self) -> None:
        found = table("t", DATED)
        days = [date(1990, 1, 1), date(2025, 12, 31), date(2026, 1, 1), date(2026, 12, 31), date(2027, 1, 1)]
        assert [to(found, "A", day) for day in days] == ["old", "old", "new", "new", None]

    def test_without_a_day_the_row_that_began_last_counts(self) -> None:
        assert to(table("t", DATED), "A", None) == "new"

    def test_a_row_without_dates_always_counts(self) -> None:
        assert to(table("t", DATED), "B", date(1990, 1, 1)) == "always"

    def test_an_unknown_code_gives_nothing_and_the_reason_is_not_the_code(self) -> None:
        assert table("t", DATED).lookup("C", None) is None
        assert table("t", DATED).absence("C") == "t has no row for this code"

    def test_a_retired_row_is_never_used(self) -> None:
        found = table("t", "code,to,active\nA,1,Y\nB,2,N\n")
        assert (to(found, "A", None), to(found, "B", None)) == ("1", None)

    @given(st.lists(st.integers(0, 400), min_size=2, max_size=6, unique=True).map(sorted), st.integers(-5, 405))
    def test_of_periods_that_do_not_overlap_exactly_the_one_around_the_day_counts(self, borders: list[int], day: int) -> None:
        start = date(2026, 1, 1).toordinal()
        iso = [date.fromordinal(start + border).isoformat() for border in borders]
        lines = [f"A,{i},{a},{b}\n" for i, (a, b) in enumerate(itertools.pairwise(iso))]
        expected = next((str(i) for i, (a, b) in enumerate(itertools.pairwise(borders)) if a <= day < b), None)
        found = table("t", f"code,to,effective_from,effective_to\n{''.join(lines)}")
        assert to(found, "A", date.fromordinal(start + day)) == expected


class TestUnitConversion:
    def test_the_items_own_factor_comes_before_that_of_any_item(self) -> None:
        units = table("units", "item,from_unit,to_unit,factor\nA,DZ,EA,10\n*,DZ,EA,12\n")
        assert (units.factor("A", "DZ", "EA"), units.factor("B", "DZ", "EA")) == (Decimal(10), Decimal(12))

    def test_there_is_none_the_other_way_round(self) -> None:
        assert TABLES["units"].factor("GLV-1", "EA", "BX") is None


class TestLoading:
    def test_the_first_column_is_the_key_and_cells_are_stripped(self) -> None:
        row = table("t", '\ufeffcode, to\r\n A ,"x, y"\r\n\r\n').lookup("A", None)
        assert row == {"code": "A", "to": "x, y"}

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("", "t.csv:1: the table is empty; the first line must name the columns, the key first"),
            ("a,,b\n", "t.csv:1: column 2 has no name"),
            ("a,b,b\n", "t.csv:1: b: two columns have this name; rename one"),
            ("a,b\nX\n", "t.csv:2: 1 cells where the header has 2; quote a cell that holds a comma"),
            ("a,b\n,1\n", "t.csv:2: a: the key is empty; fill it in or delete the row"),
            (
                "a,b\nX,1\nX,2\n",
                f"t.csv:3: a: 'X' stands in line 2 already, in force at the same time; {_APART}",
            ),
            ("a,effective_from\nX,1.2.2026\n", "t.csv:2: effective_from: '1.2.2026' is not a date, e.g. 2026-01-31"),
            (
                "a,effective_from,effective_to\nX,2026-02-01,2026-02-01\n",
                f"t.csv:2: effective_to: {_ENDS}",
            ),
            ("item,from_unit,to_unit,factor\nX,BX,EA,0\n", "t.csv:2: factor: '0' is not a number above zero, e.g. 12"),
            ("a,active\nX,No\n", "t.csv:2: active: 'No' is neither Y nor N"),
            ('a,b\nX,"1\n', "t.csv:2: unexpected end of data; quote a cell that holds a comma, and double the quotes inside it"),
        ],
    )
    def test_a_mistake_is_reported_with_its_line(self, text: str, expected: str) -> None:
        assert said(text) == [expected]

    def test_all_mistakes_are_reported(self) -> None:
        assert len(said("a,b\n,1\nX\nY,1\nY,2\n")) == 3

    def test_rows_of_one_code_may_follow_each_other_in_time(self) -> None:
        assert said(DATED) == []

    def test_stock_is_told_apart_by_location_and_item(self) -> None:
        assert said("location,item\nL,A\nL,B\n", "stock") == []
        assert len(said("location,item\nL,A\nL,A\n", "stock")) == 1

    def test_a_retired_row_may_stand_beside_the_one_in_use(self) -> None:
        assert said("a,status\nX,inactive\nX,active\n") == []

    @given(st.text(max_size=80))
    def test_no_text_makes_it_raise(self, text: str) -> None:
        load_csv(text, "t", "t.csv")

    def test_a_cell_that_holds_the_separator_of_cells_is_told(self) -> None:
        assert said("a,b\nX,1\x1f2\n") == ["t.csv:2: b: a control character (U+001F) stands in the cell; delete it"]


class TestLarge:
    def test_as_many_columns_as_a_table_may_have_are_looked_at_once_and_more_are_refused(self) -> None:
        began_s = time.process_time()
        (many,) = said(",".join(f"c{n}" for n in range(100_000)) + "\n")
        assert many == f"t.csv:1: 100000 columns; a table has at most {LIMIT_COLUMNS}"
        assert said(",".join([f"c{n}" for n in range(LIMIT_COLUMNS - 1)] + ["c1"]) + "\n") == [
            "t.csv:1: c1: two columns have this name; rename one"
        ]
        assert time.process_time() - began_s < 5

    def test_more_rows_than_a_table_may_have_are_refused_at_their_line(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(table_file, "LIMIT_ROWS", 3)
        assert said("a\nA\nB\nC\nD\nE\n") == ["t.csv:5: more than 3 rows; a table has at most so many"]

    def test_a_file_that_is_wrong_in_every_line_is_told_of_in_part(self) -> None:
        found = said("a,b\n" + "X\n" * 1000)
        assert len(found) == LIMIT_PROBLEMS + 1
        assert found[-1] == f"t.csv:{LIMIT_PROBLEMS + 1}: {LIMIT_PROBLEMS} problems so far; the rest of the file was not looked at"

    def test_a_code_with_very_many_periods_is_read_in_good_time(self) -> None:
        begin, count = date(1900, 1, 1).toordinal(), 36_000
        days = [date.fromordinal(begin + n).isoformat() for n in range(count + 1)]
        rows = [f"A,{n},{days[n]},{days[n + 1]}" for n in range(count)]
        random.Random(1).shuffle(rows)
        began_s = time.process_time()
        found = table("t", "\n".join(["code,to,effective_from,effective_to", *rows]) + "\n")
        assert time.process_time() - began_s < 20
        assert [to(found, "A", date.fromordinal(begin + n)) for n in (0, 17, count - 1, count)] == ["0", "17", str(count - 1), None]
        assert to(found, "A", None) == str(count - 1)

    def test_a_large_table_keeps_no_row_that_nobody_asked_for(self) -> None:
        text = "code,to\n" + "".join(f"C{n},{n}\n" for n in range(3 * ROWS_KEPT))
        found, _ = load_csv(text, "t", "t.csv")
        find = found.finder()
        assert [find(f"C{n}") for n in range(3 * ROWS_KEPT)] == [{"code": f"C{n}", "to": str(n)} for n in range(3 * ROWS_KEPT)]
        assert find("D") is None
        gc.collect()
        begun = len(gc.get_objects())
        kept = [load_csv(text, "t", "t.csv")[0] for _ in range(3)]
        gc.collect()
        assert len(gc.get_objects()) - begun < 300, "objects that every search for garbage would go through"
        assert len(list(kept[0].rows)) == 3 * ROWS_KEPT

    def test_periods_that_a_row_meets_are_found_among_many(self) -> None:
        text = DATED + "A,late,2027-06-01,2028-01-01\nA,both,2026-06-01,2027-07-01\n"
        assert said(text) == [f"t.csv:6: code: 'A' stands in line 3 already, in force at the same time; {_APART}"]
        assert said(DATED + "A,always,,\n") == [f"t.csv:5: code: 'A' stands in line 2 already, in force at the same time; {_APART}"]


def test_a_large_table_that_nobody_has_any_more_is_emptied_beside_everybodys_work(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[Any] = []
    monkeypatch.setattr(leaving, "_beside", [begun.append])
    items = table("items", "item,name\n" + "".join(f"I{n},Name {n}\n" for n in range(leaving.LARGE + 1)))
    find = items.finder()
    del items
    gc.collect()
    assert (find("I7") or {})["name"] == "Name 7"  # who only finds rows has them still
    rows = [one for one in begun if isinstance(one.args[0], leaving.Rows)]
    assert not rows and len(begun) == 1
    del find
    gc.collect()
    assert [len(one.args[0]) for one in begun] == [leaving.LARGE + 1] * 2
    for work in begun:
        work()
    assert [len(one.args[0]) for one in begun] == [0, 0]


def test_a_small_table_is_let_go_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[Any] = []
    monkeypatch.setattr(leaving, "_beside", [begun.append])
    table("items", "item,name\nI1,One\n")
    gc.collect()
    assert begun == []
