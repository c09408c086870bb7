"""Starting, stopping and replacing channels while work is in flight: nothing is sent by two channels, nothing outlives a stop."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Engine as SqlEngine
from twisted.internet import defer

from suture.app import Engine
from suture.guard import Guard
from suture.model.errors import SutureError
from suture.observe.logs import Log
from suture.reactor import Watchdog
from suture.store import dialect, state, summary
from suture.store.tenure import Tenure
from tests.doubles import DRAIN_S, Hall, Left, Silent
from tests.filling import NOW_US, Store


async def stopped(hall: Hall) -> None:
    """The end of an engine with these channels."""
    silent: Any = Silent()
    tenure = Tenure()
    parts: Any = SimpleNamespace(
        supervisor=hall,
        journal=hall.writer,
        reader=hall.reading,
        records=hall.records,
        guard=Guard(tenure, hall.clock, hall.channels.values, Log()),
        watchdog=Watchdog(hall.clock, hall.held, 5, 15, lambda code, count: None),
        **dict.fromkeys(("condition", "commands", "pace", "validation"), silent),
    )
    await Engine(silent, hall.clock, (), lambda taken_over: parts)._stop()


async def restarted(hall: Hall) -> None:
    await hall.stop_channel("or-supply")
    await hall.start_channel("or-supply")


@pytest.fixture
def hall() -> Hall:
    hall = Hall("or-supply")
    hall.do(hall.begin({"or-supply": "stopped"}))
    return hall


def test_a_channel_that_stops_by_itself_is_waited_for_before_another_takes_its_place(hall: Hall) -> None:
    hall.do(hall.start_channel("or-supply"))
    hall.wait(0.1)
    (_, first) = hall.built
    hall.halted("or-supply", "message 1 is parked")
    started = hall.do(hall.start_channel("or-supply"))
    hall.wait(1)
    assert hall.built[-1] is first and not started, "two channels at a time would send the same"
    first.lane.in_flight = 0
    hall.wait(1)
    assert started == [None]
    assert hall.built[-1] is not first and hall.channels["or-supply"].actual == "running"


@pytest.mark.parametrize("halting", [False, True])
def test_the_end_waits_for_what_a_channel_has_in_flight_while_it_starts_or_stops(hall: Hall, halting: bool) -> None:
    hall.do(hall.start_channel("or-supply"))
    while not hall.built[-1].lane.running:
        hall.reading.waiting.pop(0)()
    if halting:
        hall.wait(0.1)
        hall.halted("or-supply", "message 1 is parked")
    ended = hall.do(stopped(hall))
    hall.wait(1)
    assert not hall.writer.is_stopped and not ended
    hall.built[-1].lane.in_flight = 0
    hall.wait(1)
    assert hall.writer.is_stopped and ended == [None]
    assert not hall.built[-1].source.is_open
    assert hall.met == []


def test_a_channel_that_is_stopped_before_it_sends_does_not_begin_to(hall: Hall) -> None:
    hall.do(hall.start_channel("or-supply"))
    hall.do(stopped(hall))
    hall.clock.advance(0.1)
    hall.wait(1)
    assert not hall.built[-1].lane.running and not hall.built[-1].source.is_open


def test_a_message_that_is_parked_at_the_start_keeps_a_channel_closed_that_stops_on_errors(hall: Hall) -> None:
    hall.reading.received = [Left(1)]
    came = hall.do(hall.start_channel("or-supply"))
    hall.built[-1].core.parks = hall.built[-1].halts
    hall.built[-1].lane.in_flight = 0
    hall.wait(0.1)
    hall.built[-1].lane.in_flight = 0
    hall.wait(1)
    assert isinstance(came[0].value, SutureError) and "on_error: stop" in str(came[0].value)
    assert not hall.built[-1].source.is_open and hall.channels["or-supply"].actual == "failed"


def test_a_send_that_is_answered_later_than_a_stop_waits_is_waited_for_before_the_next_goes_there(hall: Hall) -> None:
    hall.do(hall.start_channel("or-supply"))
    hall.wait(0.1)
    first = hall.built[-1]
    hall.do(hall.stop_channel("or-supply"))
    hall.wait(DRAIN_S + 1)
    assert hall.channels["or-supply"].actual == "stopped"
    for _ in range(2):  # a channel that never came to send hands on what it waited for
        hall.do(hall.start_channel("or-supply"))
        hall.wait(1)
        again = hall.built[-1]
        assert again.actual == "running" and again.source.is_open, "its source and its other destinations do not wait"
        assert not again.lane.running, "two lanes to one destination would send the same twice"
        hall.do(hall.stop_channel("or-supply"))
        hall.wait(1)
    hall.do(hall.start_channel("or-supply"))
    hall.wait(1)
    first.lane.in_flight = 0
    hall.wait(1)
    assert hall.built[-1].lane.running
    assert not any(bench.lane.running for bench in hall.built[:-1])


def test_what_a_stopped_channel_still_processes_is_durable_before_another_takes_its_place(hall: Hall) -> None:
    hall.do(hall.start_channel("or-supply"))
    hall.wait(0.1)
    first = hall.built[-1]
    first.lane.in_flight, first.core.in_work = 0, 1
    hall.do(restarted(hall))
    hall.wait(DRAIN_S + 1)
    assert hall.built[-1] is first, "both would process the messages that the store has as received"
    first.core.in_work = 0
    hall.wait(1)
    assert hall.built[-1] is not first and hall.channels["or-supply"].actual == "running"


def test_a_destination_that_failed_in_an_earlier_run_fails_since_then_until_it_takes_something(hall: Hall, engine_db: SqlEngine) -> None:
    store = Store(engine_db)
    store.destination("erp", "failing", reason="connection refused")
    store.destination("gone", "failing", reason="connection refused")
    hall.writer.database, hall.reading.database = engine_db, engine_db
    hall.do(hall.start_channel("or-supply"))
    hall.wait(0.1)
    with dialect.reading(engine_db) as connection:
        found = summary.begin(connection, NOW_US).channels["or-supply"]
        (since_s, reason) = state.failing(connection, "or-supply")["erp"]
    assert found.actual == "running"
    assert list(found.destinations) == ["erp"], "what the channel no longer has is not said to fail"
    breaker = hall.built[-1].lane.breaker
    assert (breaker.since_s, breaker.reason) == (since_s, reason) != (None, "")
    assert breaker.allows(hall.clock.seconds(), 0), "it is tried at once"


MARKER = "ZZMARKER"


def test_a_source_that_cannot_be_closed_is_told_and_nothing_of_its_channel_goes_on(hall: Hall, caplog: Any) -> None:
    hall.do(hall.start_channel("or-supply"))
    hall.wait(0.1)
    (_, first) = hall.built
    first.lane.in_flight, first.source.closes = 0, RuntimeError(MARKER)
    stopped = hall.do(hall.stop_channel("or-supply"))
    hall.wait(1)
    assert not first.lane.running, "a channel that is stopped would go on sending"
    assert stopped == [None] and first.actual == "stopped" and not first.working
    assert "it cannot be closed" in caplog.text
    hall.do(hall.start_channel("or-supply"))
    hall.wait(1)
    assert hall.channels["or-supply"].actual == "running" and hall.met == []


def test_a_source_whose_end_never_comes_is_waited_for_only_so_long(hall: Hall) -> None:
    hall.do(hall.start_channel("or-supply"))
    hall.wait(0.1)
    hall.built[-1].lane.in_flight, hall.built[-1].source.ends = 0, defer.Deferred()
    stopped = hall.do(hall.stop_channel("or-supply"))
    hall.wait(DRAIN_S - 1)
    assert not stopped
    hall.wait(2)
    assert stopped == [None] and not hall.built[-1].lane.running


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (RuntimeError(MARKER), "its source cannot be opened: RuntimeError at doubles.py:"),
        (OSError(98, "Address already in use"), "its source cannot be opened: Address already in use"),
        (SutureError("cannot listen on 127.0.0.1:1: Permission denied"), "cannot listen on 127.0.0.1:1: Permission denied"),
    ],
)
def test_a_source_that_can_neither_be_opened_nor_closed_fails_for_what_came_first(hall: Hall, error: Exception, says: str) -> None:
    hall.do(hall.start_channel("or-supply"))
    failing = hall.built[-1]
    failing.source.opens, failing.source.closes = error, KeyError(MARKER)
    hall.reading.answer()
    failing.lane.in_flight = 0
    hall.wait(1)
    assert failing.actual == "failed" and failing.reason.startswith(says)
    assert MARKER not in failing.reason and not failing.lane.running and not failing.working


class Peer:
    """A destination. ends: what its end waits for."""

    def __init__(self) -> None:
        self.ends: defer.Deferred[None] = defer.Deferred()

    async def close(self) -> None:
        await self.ends


@pytest.mark.parametrize("fails", [False, True])
def test_the_end_of_a_destination_is_waited_for_and_one_that_fails_is_told(hall: Hall, caplog: Any, fails: bool) -> None:
    hall.do(hall.start_channel("or-supply"))
    hall.wait(0.1)
    channel, peer = hall.built[-1], Peer()
    channel.lane.in_flight, channel.peers = 0, {"erp": peer}  # type: ignore[dict-item]
    stopped = hall.do(hall.stop_channel("or-supply"))
    hall.wait(1)
    assert not stopped, "its connections are still open"
    peer.ends.errback(OSError(MARKER)) if fails else peer.ends.callback(None)
    hall.wait(0.1)
    assert stopped == [None] and ("it cannot be closed" in caplog.text) == fails
