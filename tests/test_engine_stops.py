"""Starting, stopping and replacing channels while work is in flight: nothing is sent by two channels, nothing outlives a stop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine as SqlEngine
from twisted.internet import defer
from twisted.internet.task import Clock

from suture.app import Engine
from suture.config.conf import Conf
from suture.guard import Guard
from suture.model.errors import SutureError
from suture.observe.logs import Log
from suture.pipeline.breaker import Breaker
from suture.pipeline.retry import Policy
from suture.ports import Work
from suture.reactor import Watchdog
from suture.runtime import RunningChannel, Told
from suture.store import dialect, state, summary
from suture.store.tenure import Tenure
from tests.filling import NOW_US, Store

DRAIN_S = 8
"""The default of limits.drain_s."""


class Lane:
    """A destination's lanes with something in flight, as long as a test says."""

    def __init__(self) -> None:
        self.running, self.in_flight, self.breaker = False, 0, Breaker(Policy(), lambda: 0.0)

    def start(self, depth: int) -> None:
        self.running, self.in_flight = True, 1

    def stop(self) -> None:
        self.running = False


class Core:
    in_work = 0
    sequences = None

    def __init__(self) -> None:
        self.recovered: list[Any] = []
        self.parks: Callable[[str], None] | None = None

    def recover(self, message: Any) -> None:
        self.recovered.append(message)
        if self.parks:
            self.parks("message 1 is parked, and the channel says on_error: stop")

    def stop(self) -> None: ...


class Source:
    """A source. opens, closes: what these raise, if anything; ends: what its end waits for."""

    def __init__(self) -> None:
        self.is_open = False
        self.opens: Exception | None = None
        self.closes: Exception | None = None
        self.ends: defer.Deferred[None] = defer.succeed(None)

    def open(self) -> None:
        if self.opens:
            raise self.opens
        self.is_open = True

    def set_full(self, full: bool) -> None: ...

    async def close(self, timeout_s: float) -> None:
        await self.ends
        if self.closes:
            raise self.closes
        self.is_open = False


class Message:
    def __init__(self, number: int) -> None:
        self.id = number


class Reader:
    """Answers a read when a test says."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []
        self.received: list[Message] = []
        self.database: SqlEngine | None = None

    def read(self, query: Any, done: Callable[[Any], None]) -> None:
        self.waiting.append(lambda: done(self._found(query)))

    def _found(self, query: Any) -> Any:
        if self.database is None:
            return {}
        with dialect.reading(self.database) as connection:
            return query(connection)

    def load_received(self, channel: str, after_id: int, limit: int, done: Callable[[Any], None]) -> None:
        self.waiting.append(lambda: done([m for m in self.received if m.id > after_id]))

    def answer(self) -> None:
        while self.waiting:
            self.waiting.pop(0)()

    def stop(self) -> None: ...


class Writer:
    """A journal that commits at once, or only says that it did where there is no database."""

    ident, telling = 1, False

    def __init__(self) -> None:
        self.database: SqlEngine | None = None
        self.is_stopped = False

    def write(self, work: Work) -> None:
        assert not self.is_stopped
        if self.database is not None:
            with dialect.writing(self.database) as connection:
                work.run(connection)
        work.done(None)

    def pending(self) -> int:
        return 0

    def stop(self) -> None:
        self.is_stopped = True

    def is_alive(self) -> bool:
        return not self.is_stopped


class Bench(RunningChannel):
    """The real start and stop, without transports."""

    def __init__(self, name: str, reactor: Any, reader: Any, journal: Any, told: Told) -> None:
        self.name, self.log, self._reactor, self._reader, self._journal = name, Log(name), reactor, reader, journal
        self.peers, self.numbered = {}, {}
        self.lane, self.core, self.source = Lane(), Core(), Source()  # type: ignore[assignment]
        self.lanes = {"erp": self.lane}  # type: ignore[dict-item]
        self.actual, self.reason = "stopped", ""
        self._earlier = {}
        self._begun = self._ending = self._over = False
        self._parked = ""
        self.parks = lambda reason: self._halted(told, reason)


class Hall(Engine):
    """An engine with benches for channels."""

    def __init__(self) -> None:
        self.clock, self.reading, self.writer = Clock(), Reader(), Writer()
        self.site: Any = type(
            "Site",
            (),
            {"conf": Conf.model_validate({"site": {"name": "General", "zone": "America/Chicago"}}), "channels": {"or-supply": None}},
        )()
        self.reactor, self.reader, self.journal = self.clock, self.reading, self.writer  # type: ignore[assignment]
        self.validation: Any = type("Pool", (), {"close": lambda self: None, "full": False})()
        self.log, self.commands = Log(), self  # type: ignore[assignment]
        self.channels, self.desired = {}, {}
        self.fault, self.stopping, self._pages, self._beat = "", False, None, None
        self.pace: Any = type(
            "Pace", (), {"full": False, "hold_back": lambda self: None, "look": lambda self: None, "stop": lambda self: None}
        )()
        self.tenure, self.exit_code, self._deadline = Tenure(), 0, None
        self.guard = Guard(self.tenure, self.clock, self.channels.values, self.log)
        self.watchdog = Watchdog(self.clock, self._held, 5, 15, self._cleared)
        self.built: list[Bench] = []
        self.met: list[Exception] = []

    def write(self, name: str, run: Any) -> Any:
        self.writer.write(Work(name, run, lambda result: None, lambda error: None))
        return defer.succeed(None)

    def stop(self) -> None:
        """Of the commands, which are carried out by hand here."""

    def _bug(self, error: Exception) -> None:
        self.met.append(error)

    def _build(self, name: str) -> None:
        bench = Bench(name, self.clock, self.reading, self.writer, Told(self.pace.hold_back, self._halted, lambda lanes: None))
        if name in self.channels:
            bench.follow(self.channels[name])
        self.channels[name] = bench
        self.built.append(bench)

    def do(self, verb: Any) -> list[Any]:
        """Begin to do it; what it comes to is in the list when it is done."""
        came: list[Any] = []
        defer.Deferred.fromCoroutine(verb).addBoth(came.append)
        return came

    def wait(self, seconds: float) -> None:
        for _ in range(int(seconds * 100) + 1):
            self.reading.answer()
            self.clock.advance(0.01)


async def stopped(hall: Hall) -> None:
    hall.stopping = True
    await hall._stop()


async def restarted(hall: Hall) -> None:
    await hall.stop_channel("or-supply")
    await hall.start_channel("or-supply")


@pytest.fixture
def hall() -> Hall:
    hall = Hall()
    hall._build("or-supply")
    hall.desired["or-supply"] = "running"
    return hall


def test_a_channel_that_stops_by_itself_is_waited_for_before_another_takes_its_place(hall: Hall) -> None:
    hall.do(hall.start_channel("or-supply"))
    hall.wait(0.1)
    (_, first) = hall.built
    hall._halted("or-supply", "message 1 is parked")
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
        hall._halted("or-supply", "message 1 is parked")
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
    hall.reading.received = [Message(1)]
    came = hall.do(hall.start_channel("or-supply"))
    hall.built[-1].core.parks = hall.built[-1].parks
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
        found = summary.status(connection, NOW_US, None).channels["or-supply"]
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
        (RuntimeError(MARKER), "its source cannot be opened: RuntimeError at test_engine_stops.py:"),
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
