"""The schedule of a campaign: the same for a seed, within its time, one fault of a track at a time."""

from __future__ import annotations

import itertools
import json

import pytest

from tests.campaign import schedule
from tests.campaign.schedule import ENGINE, GAP_S, KINDS, PEERS, STORE, generate

ALL = tuple(KINDS)


def test_a_seed_gives_the_same_faults_again_and_another_seed_gives_others() -> None:
    first = generate(7, 300, ALL, "postgresql")
    assert first == generate(7, 300, ALL, "postgresql")
    assert first != generate(8, 300, ALL, "postgresql")


def test_a_longer_round_begins_as_a_shorter_one() -> None:
    short, long = generate(7, 60, ALL, "sqlite"), generate(7, 300, ALL, "sqlite")
    for track in GAP_S:
        first = [fault for fault in short if fault.track == track]
        assert first == [fault for fault in long if fault.track == track][: len(first)]


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_every_kind_that_a_database_can_have_comes_and_no_other(database: str) -> None:
    assert {fault.kind for fault in generate(1, 300, ALL, database)} == {n for n, kind in KINDS.items() if database in kind.databases}


def test_only_the_kinds_that_were_asked_for_come() -> None:
    assert {fault.kind for fault in generate(1, 120, ("kill", "stall"), "sqlite")} == {"kill", "stall"}


def test_what_one_database_cannot_have_is_left_out() -> None:
    assert generate(1, 120, ("server",), "sqlite") == ()


@pytest.mark.parametrize("seed", range(20))
def test_faults_of_a_track_do_not_overlap_and_end_within_the_round(seed: int) -> None:
    faults = generate(seed, 120, ALL, "postgresql")
    for track, (shortest_s, _) in GAP_S.items():
        mine = [fault for fault in faults if fault.track == track]
        assert all(fault.at_s + fault.for_s <= 120.01 for fault in mine)
        assert all(b.at_s >= a.at_s + a.for_s + shortest_s - 0.02 for a, b in itertools.pairwise(mine))
    assert [fault.at_s for fault in faults] == sorted(fault.at_s for fault in faults)


def test_tracks_overlap() -> None:
    faults = generate(3, 300, ALL, "postgresql")
    stalls = [fault for fault in faults if fault.kind == "stall"]
    assert any(stall.at_s < fault.at_s < stall.at_s + stall.for_s for stall in stalls for fault in faults if fault.track == ENGINE)
    assert any(stall.at_s < fault.at_s < stall.at_s + stall.for_s for stall in stalls for fault in faults if fault.track == PEERS)
    assert {fault.track for fault in faults} == set(GAP_S)
    assert STORE in GAP_S


def test_stalls_and_freezes_are_shorter_and_longer_than_the_engines_own_limits() -> None:
    faults = [fault for seed in range(20) for fault in generate(seed, 120, ("stall", "freeze"), "postgresql")]
    stalls = [fault.for_s for fault in faults if fault.kind == "stall"]
    freezes = [fault.for_s for fault in faults if fault.kind == "freeze"]
    assert min(stalls) < 1 and max(stalls) > schedule.NOTICE_S
    assert min(freezes) < 1 and max(freezes) > schedule.ANSWER_S


def test_verbs_come_with_sends_in_flight_that_outlast_the_drain() -> None:
    faults = [fault for seed in range(20) for fault in generate(seed, 60, ("channel", "reload"), "sqlite")]
    assert {fault.detail["verb"] for fault in faults} == {"stop", "restart", "reload"}
    slow = [fault.detail["slow_s"] for fault in faults if fault.detail["slow_s"]]
    assert slow and all(schedule.DRAIN_S < slow_s < schedule.ANSWER_S for slow_s in slow)


def test_a_schedule_survives_being_written_down() -> None:
    faults = generate(5, 120, ALL, "postgresql")
    assert schedule.read(json.loads(json.dumps(schedule.written(faults)))) == faults
