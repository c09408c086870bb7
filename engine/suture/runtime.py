"""One running channel: its transports, its lanes and its core, started, drained and stopped as one."""

from __future__ import annotations

import socket
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from enum import Enum
from functools import partial
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

from twisted.internet import defer
from twisted.internet.task import deferLater

from suture.config.plan import plan_of
from suture.config.site import ChannelFiles
from suture.conversation.hl7v2.numbering import Numbered
from suture.model.errors import SutureError, in_the_program
from suture.model.message import Message
from suture.model.value import Value
from suture.observe.logs import Log
from suture.pipeline.channel import Channel
from suture.pipeline.lanes import Lanes
from suture.pipeline.plan import Plan
from suture.pipeline.world import World
from suture.ports import Clock, Connector, Destination, Journal, Peer, Source, Work
from suture.ports.conversation import Answer, Say
from suture.store import state
from suture.store.backlog import Reader
from suture.validation_pool import ChannelValidator, ValidationPool

RECOVERY_CHUNK = 500


class Told(Value, frozen=True):
    """What a channel tells the engine. hold_back(): after each message, so that the engine can stop reading when it is full.

    halted(name, reason): the channel wants to stop (`on_error: stop`). failing(lanes): a peer became sick or well.
    """

    hold_back: Callable[[], None]
    halted: Callable[[str, str], None]
    failing: Callable[[Lanes], None]


Depths = Mapping[str, int]
Failing = Mapping[str, tuple[float, str]]
Numbers = Mapping[str, tuple[int, int] | None]
"""Of destinations: deliveries that wait; UNIX time since when it fails, and why; and, of those that number their messages, the
number that was given last, and to which delivery."""


class Stage(Enum):
    """Where a channel is in its one life: a name, and what is told of it (`actual`)."""

    NEW = "new", "stopped"
    STARTING = "starting", "starting"
    RUNNING = "running", "running"
    HALTING = "to be stopped for an error", "halting"
    GIVING_UP = "stopping before it ran", "starting"
    CLOSING = "stopping", "running"
    BREAKING = "stopping for an error", "halting"
    STOPPED = "stopped", "stopped"
    FAILED = "failed", "failed"


IDLE = frozenset({Stage.NEW, Stage.STOPPED, Stage.FAILED})
NEXT: Mapping[str, Mapping[Stage, Stage]] = {
    "start": {Stage.NEW: Stage.STARTING},
    "opened": {Stage.STARTING: Stage.RUNNING},
    "halt": {Stage.RUNNING: Stage.HALTING, Stage.CLOSING: Stage.BREAKING},
    "stop": {Stage.STARTING: Stage.GIVING_UP, Stage.RUNNING: Stage.CLOSING, Stage.HALTING: Stage.BREAKING},
    "over": {Stage.GIVING_UP: Stage.STOPPED, Stage.CLOSING: Stage.STOPPED, Stage.BREAKING: Stage.FAILED},
    "fail": dict.fromkeys(IDLE, Stage.FAILED),
    "rest": dict.fromkeys(IDLE, Stage.STOPPED),
}
"""Where each event leads, from where. One that leads nowhere leaves a channel where it is."""


def asked(ask: Callable[[Callable[[Any], None], Callable[[Exception], None]], Any]) -> defer.Deferred[Any]:
    """ask(done, failed), awaited."""
    answer: defer.Deferred[Any] = defer.Deferred()
    ask(answer.callback, answer.errback)
    return answer


def durably(journal: Journal, name: str, run: Callable[[Any], Any]) -> defer.Deferred[Any]:
    """A durable write; fires with what run(connection) came to, after the commit."""
    return asked(lambda done, failed: journal.write(Work(name, run, done, failed)))


async def until(clock: Clock, true: Callable[[], bool], timeout_s: float | None) -> None:
    """Wait until something is true, or the time is over."""
    deadline_s = None if timeout_s is None else clock.seconds() + timeout_s
    while not true() and (deadline_s is None or clock.seconds() < deadline_s):
        await deferLater(clock, 0.01)  # type: ignore[arg-type]


class Stored:
    """What the store has of one channel, to be awaited."""

    def __init__(self, channel: str, reader: Reader, world: World) -> None:
        self._channel, self._reader, self._world = channel, reader, world

    def durable(self) -> defer.Deferred[Any]:
        """Fires when all that was handed to the journal so far is committed and told."""
        return durably(self._world.journal, "barrier", lambda c: None)

    def received(self, after_id: int) -> defer.Deferred[list[Message]]:
        """Messages that were received and not processed, in order; some of those with id > after_id."""
        return asked(lambda done, _: self._reader.load_received(self._channel, after_id, RECOVERY_CHUNK, done))

    async def destinations(self, numbered: Iterable[str]) -> tuple[Depths, Failing, Numbers]:
        """How its destinations were left. numbered: those that number their messages."""
        numbers = {name: await asked(partial(self._world.memory.sent, self._channel, name)) for name in numbered}
        failing = await self._read(state.failing)
        return await self._read(state.depths), failing, numbers

    def _read(self, query: Callable[[Any, str], Any]) -> defer.Deferred[Any]:
        return asked(lambda done, _: self._reader.read(lambda c: query(c, self._channel), done))


class RunningChannel:
    """A channel of its parts; it is started once, and stopped once. reason: why it is not at work, "" where that is wanted.

    peers: the connectors of its destinations. numbered: what stands before those that number their messages.
    """

    def __init__(
        self,
        name: str,
        stored: Stored,
        reactor: Any,
        source: Source,
        core: Channel,
        lanes: Mapping[str, Lanes],
        peers: Mapping[str, Peer],
        numbered: Mapping[str, Numbered],
    ) -> None:
        self.name, self.log, self._stored, self._reactor = name, Log(name), stored, reactor
        self.source, self.core, self.lanes, self.peers, self.numbered = source, core, lanes, peers, numbered
        self._stage, self.reason, self._parked = Stage.NEW, "", ""
        self._earlier: dict[str, Lanes] = {}
        self._until = partial(until, reactor)

    def follow(self, was: RunningChannel) -> None:
        """Take the place of a channel that was stopped: what it still has in flight ends before anything else is sent there."""
        self._earlier = {name: lanes for before in (was._earlier, was.lanes) for name, lanes in before.items() if lanes.in_flight}

    def cut(self, code: str, reason: str) -> None:
        """Give up what is in flight, also what an earlier run of this channel still waits for; nothing of it goes out any more."""
        for lanes in (*self.lanes.values(), *self._earlier.values()):
            lanes.peer.cut(code, reason)

    def unanswered(self) -> dict[str, int]:
        """Destination to deliveries that were sent and are not answered."""
        return {name: lanes.in_flight for name, lanes in self.lanes.items() if lanes.in_flight}

    @property
    def actual(self) -> str:
        """What is told of it: starting, running, halting, stopped or failed."""
        told: str = self._stage.value[1]
        return told

    @property
    def working(self) -> bool:
        """Whether it may be sending: it was started, perhaps not wholly, and its stop is not over."""
        return self._stage not in IDLE

    @property
    def _going(self) -> bool:
        """Whether it was started, and nobody has begun to stop it."""
        return self._stage in (Stage.STARTING, Stage.RUNNING)

    def become(self, event: str, reason: str | None = None) -> bool:
        """Whether this event leads anywhere from where it is; it is there then, for this reason if there is one."""
        there = NEXT[event].get(self._stage)
        if there is not None:
            self._stage, self.reason = there, self.reason if reason is None else reason
        return there is not None

    def park(self, reason: str) -> None:
        """`on_error: stop`: one that is not open yet does not open."""
        self._parked = self._parked or reason

    def counts(self) -> Iterator[tuple[str, str, str, int]]:
        """What its connectors counted: (destination or "" for the source, kind, code, count)."""
        for name, connector in self._connectors().items():
            for kind, codes in connector.counts().items():
                yield from ((name, kind, code, count) for code, count in codes.items())

    def held(self) -> Iterator[tuple[socket.socket, Callable[[], None]]]:
        """The sockets of its connections, each with what ends it."""
        for connector in self._connectors().values():
            yield from connector.held()

    def _connectors(self) -> dict[str, Connector]:
        return {"": self.source, **self.peers}

    def resync(self, destination: str) -> None:
        """Give up on the sequence number that this destination's peer expects. Raises SutureError where none are sent."""
        if destination not in self.numbered:
            there = ", ".join(self.numbered) or "none"
            raise SutureError(f"{destination!r} is no destination of {self.name} with sequence numbers; there are: {there}")
        self.numbered[destination].resync()
        self.lanes[destination].hurry()

    async def start(self, drain_s: float) -> None:
        """Send what waits, process what was received and not processed, then open the source.

        drain_s: how long what is in flight may take to end where the channel cannot start after all.
        Raises SutureError when the port cannot be had, when a message is parked and the channel says `on_error: stop`, and
        when the channel is stopped meanwhile.
        """
        if not self.become("start"):
            raise SutureError(self.reason)
        facts = await self._stored.destinations(self.numbered)
        self._require_going()
        for name in self.lanes:
            if name in self._earlier:
                defer.Deferred.fromCoroutine(self._send_later(name)).addErrback(lambda f: self.log.error("it cannot send", f.value))
            else:
                self._send(name, *facts)
        await asked(lambda done, failed: self.core.conversation.begin(partial(done, None), failed))
        await self._recover()
        self._require_going()
        if self._parked:
            await self.stop(drain_s)
            raise SutureError(self._parked)
        try:
            self.source.open()
        except Exception as e:
            await self.stop(drain_s)
            raise SutureError(str(e) if isinstance(e, SutureError) else f"its source cannot be opened: {reason_of(e)}") from None
        self.become("opened")
        self.log.info("channel is running")

    def _send(self, name: str, depths: Depths, failing: Failing, numbers: Numbers) -> None:
        """Begin to send to a destination, as an earlier run of it left it."""
        if name in self.numbered:
            self.numbered[name].load(numbers[name])
        if name in failing:
            self.lanes[name].breaker.resume(*failing[name])
        self.lanes[name].start(depths.get(name, 0))

    async def _send_later(self, name: str) -> None:
        """Begin to send when what an earlier run of this channel sent is answered, and that is durable."""
        earlier = self._earlier[name]
        self.log.warning(f"{name} has not answered what was sent before; it is waited for", in_flight=earlier.in_flight)
        await self._until(lambda: not earlier.in_flight or not self._going, None)
        await self._stored.durable()
        facts = await self._stored.destinations(self.numbered)
        if self._going:
            self._earlier.pop(name)
            self._send(name, *facts)

    async def emptied(self) -> None:
        """Wait, without a limit, until the store has all that this stopped channel has received, and what it came to.

        Whoever takes its place would else process the same messages beside it.
        """
        await self._stored.durable()
        while self.core.in_work:
            await self._until(lambda: self.core.in_work == 0, None)
            await self._stored.durable()

    def _require_going(self) -> None:
        if not self._going:
            raise SutureError("it was stopped while it started")

    async def _recover(self) -> None:
        after_id = total = 0
        while self._going:
            messages = await self._stored.received(after_id)
            if not messages or not self._going:
                break
            after_id, total = messages[-1].id, total + len(messages)
            for message in messages:
                self.core.recover(message)
            await self._until(lambda: self.core.in_work == 0 or not self._going, None)
        if total:
            self.log.info("processed messages that an earlier run had received", messages=total)

    async def stop(self, drain_s: float) -> None:
        """Stop reading, finish what is in work, let what is in flight end, close. At most about drain_s seconds.

        What is still in flight then ends by itself, and what it came to is written as ever.
        One that is being stopped already is waited for.
        """
        if not self.become("stop"):
            await self._until(lambda: not self.working, None)
            return
        try:
            await self._drain(drain_s)
        finally:
            self.become("over")

    async def _drain(self, drain_s: float) -> None:
        begin_s = self._reactor.seconds()

        def left_s() -> float:
            return max(0.05, drain_s - (self._reactor.seconds() - begin_s))

        await self._ended([self.source.close(left_s() / 2)], left_s())
        await self._until(lambda: self.core.in_work == 0, left_s())
        for lanes in self.lanes.values():
            lanes.stop()
        await self._until(lambda: not any(lanes.in_flight for lanes in self.lanes.values()), left_s())
        self.core.stop()
        await self._ended([self._close(name) for name in self.peers], left_s())
        self.log.info("channel is stopped")

    async def _close(self, name: str) -> None:
        """Close a destination's connections when its last answer has come, or the time for that is over."""
        await self._until(lambda: not self.lanes[name].in_flight, None)
        await self.peers[name].close()

    async def _ended(self, closings: Iterable[Coroutine[Any, Any, None]], timeout_s: float) -> None:
        """Wait until these are closed, or the time is over; one that cannot be is told, and keeps nobody from what comes next."""
        going = [defer.Deferred.fromCoroutine(one).addErrback(lambda f: self.log.error("it cannot be closed", f.value)) for one in closings]
        await self._until(lambda: all(one.called for one in going), timeout_s)


def unbuilt(name: str, reason: str) -> RunningChannel:
    """A channel of which a part could not be made: its name and the reason, and nothing that runs."""

    def none(*given: Any) -> defer.Deferred[None]:
        return defer.succeed(None)

    nothing: Any = SimpleNamespace(in_work=0, listening=False, counts=dict, held=tuple, set_full=none, stop=none, durable=none)
    channel = RunningChannel(name, nothing, nothing, nothing, nothing, {}, {}, {})
    channel.become("fail", reason)
    return channel


def made(
    files: ChannelFiles, world: World, reader: Reader, reactor: Any, pool: ValidationPool, told: Told, site_name: str
) -> RunningChannel:
    """The channel of these files. What lives as long as the channel does not hold them: they have the tables."""
    name, log = files.name, Log(files.name)

    def note(destination: str) -> Callable[[str, str], None]:
        return lambda code, text: log.warning(f"{destination}: {text}" if destination else text, code=code)

    def halted(reason: str) -> None:
        channel.park(reason)
        told.halted(name, reason)

    def receive(raw: bytes, peer: str, answer: Answer, say: Say | None = None) -> None:
        core.conversation.arrived(raw, peer, answer, say)
        told.hold_back()

    peers = {d.name: d.module.Destination(d.settings, reactor, note(d.name)) for d in files.destinations.values()}
    for peer in peers.values():
        peer.may_send, peer.time_of_day = world.may_send, world.clock.seconds
    numbered = {
        d.name: Numbered(peers[d.name], name, d.name, world, note(d.name)) for d in files.destinations.values() if d.settings.numbered
    }
    ways: dict[str, Destination] = {**peers, **numbered}
    lanes = {d.name: Lanes(name, d.name, ways[d.name], d.endpoint.policy(), world, told.failing) for d in files.destinations.values()}
    for to, peer in peers.items():
        peer.refused = lanes[to].attempts.refused
    plan = plan_of(files, f"/suture/{quote(site_name, safe='')}/{name}")
    core = Channel(plan, lanes, world, halted, _validator(files, plan, pool))
    source = files.source_module.Source(files.source_settings, reactor, receive, core.conversation.too_large, note(""))
    channel = RunningChannel(name, Stored(name, reader, world), reactor, source, core, lanes, peers, numbered)
    return channel


def reason_of(e: Exception) -> str:
    """An error for an operator: what the system says of a file or a socket, else its kind and its place in the program."""
    if isinstance(e, SutureError):
        return str(e)
    if isinstance(e, OSError) and e.strerror:
        return f"{e.strerror}: {e.filename}" if e.filename else e.strerror
    return in_the_program(e)


def _validator(files: ChannelFiles, plan: Plan, pool: ValidationPool) -> ChannelValidator | None:
    """What validates a channel's messages by the standard; None where it does not ask for that."""
    rules = plan.validation.standard if plan.validation else None
    return None if rules is None else ChannelValidator(pool, rules, files.config.hl7v2.encoding, files.config.hl7v2.encoding_override or "")
