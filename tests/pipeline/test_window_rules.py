"""What of the waiting deliveries is in memory, rule by rule: order within a lane is kept, and nothing is taken in twice."""

from __future__ import annotations

import pytest

from suture.model import states
from suture.pipeline.retry import Policy
from suture.pipeline.window import LANE_READ, Window
from suture.ports import Delivery


def one(number: int, lane: str = "A") -> Delivery:
    return Delivery(1, "c", "erp", lane, b"x", id=number)


def here(window: Window) -> dict[str, list[int]]:
    """The numbers in memory, lane by lane."""
    return {key: [d.id for d in lane] for key, lane in window.lanes.items()}


@pytest.fixture
def full() -> Window:
    """Two of three places are lane A's, with 1 at its head; lane B has 3; 4 of A waits in the store. Then heads alone are kept."""
    window = Window(Policy(memory_limit=3))
    window.refill()
    window.wanted.clear()
    window.loaded([one(1), one(2), one(3, "B")], more=True)
    window.wanted.clear()
    window.let_pass()
    assert here(window) == {"A": [1], "B": [3]}
    assert window.wanted.popleft() == (None, 3, 3)
    return window


def test_a_follower_of_a_lane_that_was_left_in_the_store_waits_for_those_before_it(full: Window) -> None:
    full.loaded([one(4)], more=False)
    assert here(full) == {"A": [1], "B": [3]}, "4 would pass 2"
    assert full.add(one(5)) and here(full)["A"] == [1]
    full.leave(one(1), states.ACCEPTED)
    assert full.wanted.popleft() == ("A", 1, LANE_READ)
    full.reloaded("A", [one(2), one(4), one(5)], more=False)
    assert here(full)["A"] == [2, 4, 5]


def test_a_lane_that_something_was_skipped_on_is_read_again_until_nothing_is(full: Window) -> None:
    full.loaded([one(4)], more=False)
    full.leave(one(1), states.ACCEPTED)
    full.wanted.clear()
    full.add(one(5))  # committed after the read began, which does not have it
    full.reloaded("A", [one(2), one(4)], more=False)
    assert here(full)["A"] == [2, 4]
    full.leave(one(2), states.ACCEPTED)
    full.leave(one(4), states.ACCEPTED)
    assert full.wanted.popleft() == ("A", 4, LANE_READ)


def test_what_a_person_lets_go_behind_what_was_left_in_the_store_comes_with_its_lane(full: Window) -> None:
    for _ in range(2):  # what brought 2 is long ago
        full.loaded([], more=False)
    full.leave(one(1), states.ACCEPTED)
    full.wanted.clear()
    full.release(one(2), new=False)
    assert "A" not in here(full), "the store has 2, and brings it"
    full.reloaded("A", [], more=False)  # the read began before 2 was let go
    assert full.wanted.popleft() == ("A", 1, LANE_READ)


def test_a_smaller_number_that_a_person_let_go_is_kept_among_the_heads() -> None:
    window = Window(Policy(memory_limit=2))
    window.refill()
    window.loaded([one(5)], more=False)
    window.release(one(2), new=False)
    window.let_pass()
    assert here(window) == {"A": [5, 2]}, "the store would not bring 2 again, behind 5"


def test_what_the_store_brought_is_not_taken_in_again_by_a_release() -> None:
    window = Window(Policy())
    window.refill()
    window.loaded([one(1), one(2)], more=False)
    window.release(one(2), new=False)  # it was let go before the read, and its answer comes behind it
    assert here(window) == {"A": [1, 2]}
    window.leave(one(1), states.ACCEPTED)
    window.leave(one(2), states.HELD)
    window.release(one(2), new=False)
    assert here(window) == {"A": [2]}, "it has left its lane since, and goes out again"


def test_the_rest_of_a_lane_begins_behind_the_highest_number_that_memory_kept_of_it() -> None:
    window = Window(Policy(memory_limit=4))
    window.refill()
    window.loaded([one(5)], more=False)
    window.release(one(2), new=False)
    assert window.add(one(6)) and window.add(one(7))
    window.let_pass()
    assert here(window) == {"A": [5, 2]}
    window.wanted.clear()
    window.leave(one(5), states.ACCEPTED)
    window.leave(one(2), states.ACCEPTED)
    assert window.wanted.popleft() == ("A", 5, LANE_READ), "behind 2 the store would bring 5 again"
