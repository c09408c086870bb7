"""What a delivery that fails, waits for a person or is dead means for those behind it on its key, as docs/operations.md says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine
from twisted.internet.task import Clock

from suture.model import states
from suture.model.outcome import Accepted, Ambiguous, Held, Outcome, Rejected, TryLater, Unavailable
from suture.pipeline.lanes import Lanes
from suture.pipeline.retry import Policy
from tests.doubles import ByHand, Scripted, world
from tests.pipeline.test_lanes import run

Build = Callable[..., Any]

HOLD = Policy(in_flight=4, on_ambiguous="hold")
RESEND = Policy(in_flight=4, first_s=5, jitter=0)


def left(store: ByHand, *numbers: int) -> list[str]:
    return [store.states[number] for number in numbers]


@pytest.mark.parametrize(
    ("policy", "outcome", "state"),
    [
        (RESEND, Held("CE", "a person has to look"), states.HELD),
        (HOLD, Ambiguous("TIMEOUT", "no answer"), states.HELD),
        (RESEND, Rejected("AE", "no"), states.DEAD),
        (Policy(in_flight=4, attempts_max=1), TryLater("AR", "busy"), states.DEAD),
    ],
)
def test_behind_a_held_or_dead_head_the_key_goes_on_and_nothing_waits_for_a_person(
    build: Build, policy: Policy, outcome: Outcome, state: str
) -> None:
    clock, store, peer, lanes = build(policy, [outcome])
    for n in (1, 2, 3):
        lanes.add(store.put(n, "a"))
    run(clock, 1)
    assert peer.sent == [1, 2, 3]
    assert left(store, 1, 2, 3) == [state, states.ACCEPTED, states.ACCEPTED]


@pytest.mark.parametrize("outcome", [TryLater("AR", "busy"), Ambiguous("TIMEOUT", "no answer")])
def test_behind_a_head_that_is_tried_again_its_key_waits_and_no_other(build: Build, outcome: Outcome) -> None:
    clock, store, peer, lanes = build(RESEND, [outcome])
    for n, lane in ((1, "a"), (2, "a"), (3, "b")):
        lanes.add(store.put(n, lane))
    run(clock, 4.9)
    assert peer.sent == [1, 3]
    run(clock, 1)
    assert peer.sent == [1, 3, 1, 2]
    assert left(store, 1, 2, 3) == [states.ACCEPTED] * 3


def test_while_the_destination_cannot_be_had_every_key_waits_and_none_is_passed(build: Build) -> None:
    clock, store, peer, lanes = build(Policy(in_flight=1, first_s=5, jitter=0), [Unavailable("CONNECT", "refused")])
    for n, lane in ((1, "a"), (2, "a"), (3, "b"), (4, "b")):
        lanes.add(store.put(n, lane))
    run(clock, 4.9)
    assert peer.sent == [1]
    run(clock, 1)
    assert left(store, 1, 2, 3, 4) == [states.ACCEPTED] * 4
    assert [n for n in peer.sent if n in (3, 4)] == [3, 4]
    assert [n for n in peer.sent if n in (1, 2)] == [1, 1, 2]


def test_what_a_person_lets_go_has_been_passed_by_its_key_and_goes_behind_what_waits_now(build: Build) -> None:
    clock, store, peer, lanes = build(RESEND, [Held("CE", "look"), Accepted("AA"), TryLater("AR", "busy")])
    for n in (1, 2, 3, 4):
        lanes.add(store.put(n, "a"))
    run(clock, 1)
    assert left(store, 1, 2, 3, 4) == [states.HELD, states.ACCEPTED, states.RETRYING, states.QUEUED]
    lanes.release(store.let_go(1), new=False)
    run(clock, 10)
    assert peer.sent == [1, 2, 3, 3, 4, 1]
    assert left(store, 1, 2, 3, 4) == [states.ACCEPTED] * 4


def test_after_a_start_what_was_let_go_stands_where_its_number_says(quick_db: Engine) -> None:
    clock = Clock()
    store, peer = ByHand(quick_db, clock), Scripted(clock)
    for n in (2, 3, 4):  # 2 was held while others passed it, and let go while the engine did not run
        store.put(n, "a")
    lanes = Lanes("c", "d", peer, RESEND, world(store, clock, store), lambda lanes: None)
    lanes.start(3)
    run(clock, 1)
    store.close()
    assert peer.sent == [2, 3, 4]


def test_messages_without_a_value_to_order_by_are_of_one_key(build: Build) -> None:
    clock, store, peer, lanes = build(RESEND, [TryLater("AR", "busy")])
    for n, lane in ((1, ""), (2, ""), (3, "a")):
        lanes.add(store.put(n, lane))
    run(clock, 4)
    assert peer.sent == [1, 3]
    run(clock, 3)
    assert peer.sent == [1, 3, 1, 2]
