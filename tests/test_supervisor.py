"""The supervisor of channels, without transports, store or sockets: any verbs in any order, what cannot start, and the end."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.model.errors import SutureError
from suture.runtime import IDLE, NEXT, Stage
from tests.doubles import Hall

NAMES = "adt", "orders"
VERBS = "start", "stop", "restart", "reload"
MARKER = "ZZMARKER"


class Sum:
    """What a channel comes to by its verbs, one after another. built, opened, closed: how often that is done."""

    def __init__(self) -> None:
        self.built = self.opened = self.closed = 0
        self.runs = False

    def start(self) -> None:
        if not self.runs:
            self.built, self.opened, self.runs = self.built + 1, self.opened + 1, True

    def stop(self) -> None:
        self.closed, self.runs = self.closed + self.runs, False

    def restart(self) -> None:
        self.stop()
        self.start()

    def reload(self) -> None:
        if not self.built:
            self.start()
            return
        self.built, self.opened, self.closed = self.built + 1, self.opened + self.runs, self.closed + self.runs


def check_one_of_each(hall: Hall) -> None:
    """No two channels of a name are at work, or send, or listen."""
    for name in NAMES:
        mine = [bench for bench in hall.built if bench.name == name]
        for what in ([b.working for b in mine], [b.lane.running for b in mine], [b.source.is_open for b in mine]):
            assert sum(what) <= 1, f"two of {name}"


def turns(hall: Hall, count: int) -> None:
    for _ in range(count):
        check_one_of_each(hall)
        hall.wait(0)
    check_one_of_each(hall)


Step = tuple[str, str, int, bool]
"""A verb, of a channel, after so many turns of the clock; and whether what was sent is answered before."""
steps = st.lists(st.tuples(st.sampled_from(VERBS), st.sampled_from(NAMES), st.sampled_from([0, 1, 2, 5, 50]), st.booleans()), max_size=12)


def play(hall: Hall, some: list[Step]) -> list[tuple[str, str, bool, list[Any]]]:
    """Ask for verbs while the engine begins, whatever has become of those before.

    Each with whether its channel was there already, and what it came to.
    """
    asked: list[tuple[str, str, bool, list[Any]]] = []
    begun = hall.do(hall.begin({}))
    for verb, name, after, answered in some:
        turns(hall, after)
        if answered:
            hall.answered()
        asked.append((verb, name, name in hall.channels, hall.do(getattr(hall, f"{verb}_channel")(name))))
    for _ in range(20 * len(some) + 20):
        hall.answered()
        turns(hall, 1)
    assert begun == [None]
    return asked


@given(steps, st.booleans())
def test_any_verbs_in_any_order_come_to_what_they_come_to_one_after_another(some: list[Step], slow: bool) -> None:
    hall = Hall(*NAMES)
    hall.writer.slow = slow
    sums = {name: Sum() for name in NAMES}
    for verb, name, there, came in play(hall, some):
        if there and not sums[name].built:
            sums[name].start()  # by the engine, when it began
        if there or verb == "reload":
            getattr(sums[name], verb)()
            assert came == [None]
        else:
            assert "no channel" in str(came[0].value)
    for name, wanted in sums.items():
        if not wanted.built:
            wanted.start()
        state = "running" if wanted.runs else "stopped"
        assert (hall.desired[name], hall.channels[name].actual, hall.channels[name].working) == (state, state, wanted.runs)
        assert [row for row in hall.said if row[0] == name][-1] == (name, state, state, "")
        mine = [bench for bench in hall.built if bench.name == name]
        opened, closed = map(sum, zip(*(bench.source.was for bench in mine), strict=True))
        assert (len(mine), opened, closed) == (wanted.built, wanted.opened, wanted.closed)
    assert hall.met == []


@given(steps, st.lists(st.sampled_from(["break", "shut", "mend", "halt"]), min_size=1, max_size=12))
def test_no_two_of_one_name_are_at_work_where_channels_break_and_halt(some: list[Step], odd: list[str]) -> None:
    hall = Hall(*NAMES)
    begun = hall.do(hall.begin({}))
    for number, (verb, name, after, answered) in enumerate(some):
        turns(hall, after)
        if answered:
            hall.answered()
        what = odd[number % len(odd)]
        hall.broken = {name: RuntimeError(MARKER)} if what == "break" else {}
        hall.shut = {name: OSError(98, "in use")} if what == "shut" else {}
        hall.do(getattr(hall, f"{verb}_channel")(name))
        if what == "halt" and name in hall.channels:
            hall.halted(name, "message 1 is parked")
    hall.broken, hall.shut = {}, {}
    last = {name: hall.do(hall.start_channel(name)) for name in hall.channels}
    for _ in range(20 * len(some) + 60):
        hall.answered()
        turns(hall, 1)
    assert begun == [None] and set(map(str, last.values())) <= {"[None]"}
    assert {name: hall.channels[name].actual for name in last} == dict.fromkeys(last, "running"), "what broke is mended by a start"
    assert all(MARKER not in row[3] for row in hall.said)


def test_a_channel_that_cannot_be_built_and_one_that_cannot_be_opened_keep_no_other_down() -> None:
    hall = Hall("a", "b", "c")
    hall.broken, hall.shut = {"a": RuntimeError(MARKER)}, {"b": SutureError("cannot listen on 127.0.0.1:1: in use")}
    begun = hall.do(hall.begin({}))
    for _ in range(10):
        hall.answered()
        hall.wait(0)
    assert begun == [None]
    assert [channel.actual for channel in hall.channels.values()] == ["failed", "failed", "running"]
    assert hall.channels["a"].reason.startswith("it cannot be built: RuntimeError at doubles.py:")
    assert hall.channels["b"].reason == "cannot listen on 127.0.0.1:1: in use"
    assert hall.met == [hall.broken["a"]], "a port that is taken is no bug"
    assert list(hall.held()) == []
    failed = hall.do(hall.start_channel("a"))
    assert str(failed[0].value).startswith("channel a: it cannot be built: RuntimeError at")
    assert hall.do(hall.stop_channel("a")) == [None]
    assert hall.said[-1] == ("a", "stopped", "stopped", "")


def test_a_reload_that_cannot_be_built_leaves_the_channel_at_work() -> None:
    hall = Hall("a")
    hall.do(hall.begin({}))
    hall.wait(0.1)
    hall.broken = {"a": RuntimeError(MARKER)}
    failed = hall.do(hall.reload_channel("a"))
    assert str(failed[0].value).startswith("channel a cannot be built of its new files: RuntimeError at")
    assert hall.channels["a"] is hall.built[0] and hall.built[0].source.is_open


def test_what_is_desired_is_handed_to_the_store_before_a_channel_is_started_and_before_a_stop_is_over() -> None:
    hall = Hall("a")
    hall.do(hall.begin({"a": "stopped"}))
    assert hall.said == [("a", "stopped", "stopped", "")] and not hall.built[0].working
    hall.writer.slow = True
    started = hall.do(hall.start_channel("a"))
    assert len(hall.built) == 1, "what the one before has received is made durable first"
    hall.writer.answer()
    assert hall.said[-1] == ("a", "running", "starting", "") and not hall.built[1].lane.running
    hall.wait(0.1)
    assert started == [None] and hall.said[-1] == ("a", "running", "running", "")
    stopped = hall.do(hall.stop_channel("a"))
    while not stopped:
        hall.answered()
        hall.wait(0)
    assert hall.said[-1] == ("a", "stopped", "stopped", "")


@pytest.mark.parametrize("verb", VERBS)
def test_an_engine_that_ends_while_a_channel_starts_starts_nothing_more(verb: str) -> None:
    hall = Hall("a", "b")
    begun = hall.do(hall.begin({}))
    waiting = hall.do(getattr(hall, f"{verb}_channel")("a"))
    ended = hall.do(hall.end())
    for _ in range(20):
        hall.answered()
        hall.wait(0)
    assert begun == ended == [None] and [bench.name for bench in hall.built] == ["a"]
    assert str(waiting[0].value) == "the engine is stopping"
    assert not hall.built[0].working and hall.built[0].source.was == [0, 1]
    assert hall.said[-1] == ("a", "running", "stopped", ""), "a start that is stopped has not failed"


def test_a_verb_of_a_channel_that_is_not_there() -> None:
    hall = Hall("a", "b")
    hall.do(hall.begin(dict.fromkeys("ab", "stopped")))
    for verb in ("start", "stop", "restart"):
        (failed,) = hall.do(getattr(hall, f"{verb}_channel")("c"))
        assert str(failed.value) == "this engine has no channel 'c'; it has a, b"
    started = hall.do(hall.reload_channel("c"))
    hall.wait(0.1)
    assert started == [None] and hall.channels["c"].actual == "running", "one whose files have come is started"


def test_a_channel_that_halts_has_failed_when_it_is_stopped_and_only_one_that_runs_halts() -> None:
    hall = Hall("a")
    hall.do(hall.begin({}))
    hall.halted("a", "message 1 is parked")
    assert hall.channels["a"].actual == "starting"
    hall.wait(0.1)
    hall.halted("a", "message 2 is parked")
    assert (hall.channels["a"].actual, hall.channels["a"].working) == ("halting", True)
    hall.answered()
    hall.wait(0.1)
    assert hall.said[-1] == ("a", "running", "failed", "message 2 is parked")
    hall.halted("a", "message 3 is parked")
    assert hall.channels["a"].reason == "message 2 is parked"


def test_the_stages_of_a_channel() -> None:
    ends = {stage: NEXT["over"].get(NEXT["stop"].get(stage, stage), stage) for stage in Stage}
    assert set(ends.values()) <= IDLE, "what is stopped, and over, is not at work"
    assert all(stage in IDLE for stage in NEXT["fail"]) and all(stage in IDLE for stage in NEXT["rest"])
    assert NEXT["start"] == {Stage.NEW: Stage.STARTING}, "one life"
    assert Stage.NEW not in {there for led in NEXT.values() for there in led.values()}
    assert {stage.value[1] for stage in Stage} == {"starting", "running", "halting", "stopped", "failed"}
    stopping = {stage for stage in Stage if stage in NEXT["over"]}
    assert not stopping & set(NEXT["stop"]), "one that is being stopped is not stopped again"
    assert stopping | set(NEXT["stop"]) | IDLE == set(Stage)


def test_a_channel_that_meets_an_error_while_an_operator_stops_it_is_stopped() -> None:
    hall = Hall("a")
    hall.do(hall.begin({}))
    hall.wait(0.1)
    stopped = hall.do(hall.stop_channel("a"))
    hall.halted("a", "message 1 is parked")
    assert (hall.channels["a"].actual, hall.channels["a"].reason) == ("halting", "message 1 is parked")
    hall.answered()
    hall.wait(1)
    assert stopped == [None] and hall.said[-1] == ("a", "stopped", "stopped", "")
