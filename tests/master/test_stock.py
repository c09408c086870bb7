"""Stock positions: uses lower them, returns raise them, and falling to the reorder point asks for more, once."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.master.stock import StockLevels
from suture.model.events import Event, ReplenishmentDue

ROW = {"location": "OR1", "item": "A", "on_hand": "10", "reorder_point": "4", "par_level": "12", "unit": "EA"}
KEY = ("OR1", "A")


def levels(**changes: str) -> StockLevels:
    return StockLevels([{**ROW, **changes}])


def used(quantity: int, item: str = "A", **data: Any) -> Event:
    return Event("supply.used", 0, 1, "k", {"item": item, "location": "OR1", "quantity": Decimal(quantity), "unit": "EA", **data})


def test_a_use_lowers_the_opening_stock_until_the_store_has_its_own() -> None:
    assert levels().apply([used(3)], {})[0] == {KEY: 7}
    assert levels().apply([used(3)], {KEY: Decimal(100)})[0] == {KEY: 97}


def test_a_return_raises_it() -> None:
    assert levels().apply([used(-3)], {})[0] == {KEY: 13}


def test_falling_to_the_reorder_point_asks_for_what_is_missing_to_the_par_level() -> None:
    cause = used(6, description="Stem", supplier="S1")
    _, (due,) = levels().apply([cause], {})
    assert due.cause is cause
    assert due.data == {
        "item": "A",
        "description": "Stem",
        "location": "OR1",
        "supplier": "S1",
        "on_hand": Decimal(4),
        "reorder_point": Decimal(4),
        "quantity": Decimal(8),
        "unit": "EA",
    }


def test_what_it_asks_for_is_a_canonical_event() -> None:
    _, (due,) = levels(unit="").apply([used(7)], {})
    ReplenishmentDue.model_validate(due.data)


def test_above_the_reorder_point_nothing_is_asked_for() -> None:
    assert levels().apply([used(5)], {})[1] == []


def test_below_it_already_nothing_is_asked_for_again() -> None:
    assert levels().apply([used(1)], {KEY: Decimal(4)})[1] == []


def test_a_return_above_it_makes_the_next_fall_count_again() -> None:
    _, due = levels().apply([used(6), used(-1), used(1)], {})
    assert [one.data["on_hand"] for one in due] == [4, 4]


def test_stock_may_go_below_zero_because_the_use_has_happened() -> None:
    after, (due,) = levels().apply([used(15)], {})
    assert after == {KEY: -5}
    assert due.data["quantity"] == 17


def test_positions_that_are_not_kept_and_other_events_move_nothing() -> None:
    charge = Event("charge.raised", 1, 1, "k", {"item": "A", "location": "OR1", "quantity": Decimal(9)})
    events = [charge, used(9, "B"), used(9, location="OR9"), Event("supply.used", 0, 1, "k", {"item": "A", "quantity": Decimal(9)})]
    assert levels().moves(events) == []
    assert levels().apply(events, {}) == ({}, [])


def test_a_use_in_another_unit_is_not_counted_and_said_so() -> None:
    box = used(1, unit="BX")
    assert levels().apply([box], {}) == ({}, [])
    assert levels().unmoved([box, used(1), used(1, "B")]) == [(box, "the stock is kept in EA")]


def test_each_position_that_is_touched_is_named_once() -> None:
    both = StockLevels([ROW, {**ROW, "item": "B"}])
    assert both.moves([used(1), used(1, "B"), used(1)]) == [KEY, ("OR1", "B")]
    assert len(both) == 2
    assert both.apply([used(0)], {})[0] == {KEY: 10}


@given(st.lists(st.integers(-20, 20), max_size=12))
def test_the_stock_left_is_what_there_was_less_the_sum_and_every_fall_is_asked_for_once(quantities: list[int]) -> None:
    after, due = levels().apply([used(quantity) for quantity in quantities], {})
    left, falls = 10, 0
    for quantity in quantities:
        falls += left > 4 >= left - quantity
        left -= quantity
    assert after == ({KEY: left} if quantities else {})
    assert len(due) == falls


@pytest.mark.parametrize(
    ("column", "text", "said"),
    [
        ("on_hand", "ten", "OR1 A: on_hand 'ten' is not a number, e.g. 12"),
        ("reorder_point", "", "OR1 A: reorder_point '' is not a number, e.g. 12"),
        ("par_level", "4", "OR1 A: par_level must be above reorder_point, or nothing would be ordered"),
    ],
)
def test_a_row_that_is_wrong_is_named(column: str, text: str, said: str) -> None:
    with pytest.raises(ValueError) as error:
        levels(**{column: text})
    assert str(error.value) == said
