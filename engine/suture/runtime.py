"""One running channel: its transports, its lanes and its core, started, drained and stopped as one."""

from __future__ import annotations

import socket
import traceback
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import quote

from twisted.internet import defer

from suture.config.plan import plan_of
from suture.config.site import ChannelFiles
from suture.conversation.hl7v2.numbering import Numbered
from suture.model.errors import SutureError
from suture.model.message import Message
from suture.observe.logs import Log
from suture.pipeline.channel import Channel
from suture.pipeline.lanes import Lanes
from suture.pipeline.plan import Plan
from suture.pipeline.world import World
from suture.ports import Connector, Destination, Work
from suture.ports.conversation import Answer, Say
from suture.store import state
from suture.store.backlog import Reader
from suture.validation_pool import ChannelValidator, ValidationPool

RECOVERY_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Told:
    """What a channel tells the engine. hold_back(): after each message, so that the engine can stop reading when it is full.

    halted(name, reason): the channel wants to stop (`on_error: stop`). failing(lanes): a peer became sick or well.
    """

    hold_back: Callable[[], None]
    halted: Callable[[str, str], None]
    failing: Callable[[Lanes], None]


@dataclass(frozen=True, slots=True)
class DestinationFacts:
    """What the store says of a channel's destinations. depths: deliveries that wait. failing: UNIX time since when, and why.

    numbers: of those that number their messages, the number that was given last, and to which delivery.
    """

    depths: Mapping[str, int]
    failing: Mapping[str, tuple[float, str]]
    numbers: Mapping[str, tuple[int, int] | None]


class RunningChannel:
    """The channel of these files."""

    def __init__(
        self,
        files: ChannelFiles,
        world: World,
        reader: Reader,
        reactor: Any,
        pool: ValidationPool,
        told: Told,
        site_name: str,
    ) -> None:
        self.name, self._world = files.name, world
        self.log = Log(files.name)
        self._reader, self._reactor, self._hold_back = reader, reactor, told.hold_back
        self.peers = {d.name: d.module.Destination(d.settings, reactor, self._note(d.name)) for d in files.destinations.values()}
        for peer in self.peers.values():
            peer.may_send, peer.time_of_day = world.may_send, world.clock.seconds
        self.numbered = {
            d.name: Numbered(self.peers[d.name], files.name, d.name, world, self._note(d.name))
            for d in files.destinations.values()
            if d.settings.numbered
        }
        ways: dict[str, Destination] = {**self.peers, **self.numbered}
        self.lanes = {
            d.name: Lanes(files.name, d.name, ways[d.name], d.endpoint.policy(), world, told.failing) for d in files.destinations.values()
        }
        for name, peer in self.peers.items():
            peer.refused = self.lanes[name].attempts.refused
        plan = plan_of(files, f"/suture/{quote(site_name, safe='')}/{files.name}")
        self.core = Channel(plan, self.lanes, world, partial(self._halted, told), _validator(files, plan, pool))
        self.source = files.source_module.Source(
            files.source_settings, reactor, self.receive, self.core.conversation.too_large, self._note("")
        )
        self.actual, self.reason = "stopped", ""
        self._earlier: dict[str, Lanes] = {}
        self._begun = self._ending = self._over = False
        self._parked = ""

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
    def working(self) -> bool:
        """Whether it may be sending: it was started, perhaps not wholly, and its stop is not over."""
        return self._begun and not self._over

    def _halted(self, told: Told, reason: str) -> None:
        """`on_error: stop`: a channel that is not open yet does not open; another one is stopped."""
        self._parked = self._parked or reason
        told.halted(self.name, reason)

    def _note(self, destination: str) -> Callable[[str, str], None]:
        def note(code: str, text: str) -> None:
            self.log.warning(f"{destination}: {text}" if destination else text, code=code)

        return note

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

    def receive(self, raw: bytes, peer: str, answer: Answer, say: Say | None = None) -> None:
        """One message from the source."""
        self.core.conversation.arrived(raw, peer, answer, say)
        self._hold_back()

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
        self._begun, self.actual = True, "starting"
        facts = await self._destination_facts()
        self._require_going()
        for name in self.lanes:
            if name in self._earlier:
                defer.Deferred.fromCoroutine(self._send_later(name)).addErrback(lambda f: self.log.error("it cannot send", f.value))
            else:
                self._send(name, facts)
        await _asked(lambda done, failed: self.core.conversation.begin(partial(done, None), failed))
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
        self.actual, self.reason = "running", ""
        self.log.info("channel is running")

    async def _destination_facts(self) -> DestinationFacts:
        numbers = {name: await _asked(partial(self._world.memory.sent, self.name, name)) for name in self.numbered}
        failing = await self._read(lambda c: state.failing(c, self.name))
        return DestinationFacts(await self._read(lambda c: state.depths(c, self.name)), failing, numbers)

    def _send(self, name: str, facts: DestinationFacts) -> None:
        """Begin to send to a destination, as an earlier run of it left it."""
        if name in self.numbered:
            self.numbered[name].load(facts.numbers[name])
        if name in facts.failing:
            self.lanes[name].breaker.resume(*facts.failing[name])
        self.lanes[name].start(facts.depths.get(name, 0))

    async def _send_later(self, name: str) -> None:
        """Begin to send when what an earlier run of this channel sent is answered, and that is durable."""
        earlier = self._earlier[name]
        self.log.warning(f"{name} has not answered what was sent before; it is waited for", in_flight=earlier.in_flight)
        await self.until(lambda: not earlier.in_flight or self._ending, None)
        await self.durable()
        facts = await self._destination_facts()
        if not self._ending:
            self._earlier.pop(name)
            self._send(name, facts)

    def durable(self) -> defer.Deferred[Any]:
        """Fires when all that was handed to the journal so far is committed and told."""
        return _asked(lambda done, failed: self._world.journal.write(Work("barrier", lambda c: None, done, failed)))

    async def emptied(self) -> None:
        """Wait, without a limit, until the store has all that this stopped channel has received, and what it came to.

        Whoever takes its place would else process the same messages beside it.
        """
        await self.durable()
        while self.core.in_work:
            await self.until(lambda: self.core.in_work == 0, None)
            await self.durable()

    def _require_going(self) -> None:
        if self._ending:
            raise SutureError("it was stopped while it started")

    def _read(self, query: Callable[[Any], Any]) -> defer.Deferred[Any]:
        result: defer.Deferred[Any] = defer.Deferred()
        self._reader.read(query, result.callback)
        return result

    async def _recover(self) -> None:
        after_id = total = 0
        while not self._ending:
            loaded: defer.Deferred[list[Message]] = defer.Deferred()
            self._reader.load_received(self.name, after_id, RECOVERY_CHUNK, loaded.callback)
            messages = await loaded
            if not messages or self._ending:
                break
            after_id, total = messages[-1].id, total + len(messages)
            for message in messages:
                self.core.recover(message)
            await self.until(lambda: self.core.in_work == 0 or self._ending, None)
        if total:
            self.log.info("processed messages that an earlier run had received", messages=total)

    async def stop(self, drain_s: float) -> None:
        """Stop reading, finish what is in work, let what is in flight end, close. At most about drain_s seconds.

        What is still in flight then ends by itself, and what it came to is written as ever.
        One that is being stopped already is waited for.
        """
        if self._ending:
            await self.until(lambda: self._over, None)
            return
        self._ending = True
        try:
            await self._drain(drain_s)
        finally:
            self._over = True

    async def _drain(self, drain_s: float) -> None:
        begin_s = self._reactor.seconds()

        def left_s() -> float:
            return max(0.05, drain_s - (self._reactor.seconds() - begin_s))

        await self._ended([self.source.close(left_s() / 2)], left_s())
        await self.until(lambda: self.core.in_work == 0, left_s())
        for lanes in self.lanes.values():
            lanes.stop()
        await self.until(lambda: not any(lanes.in_flight for lanes in self.lanes.values()), left_s())
        self.core.stop()
        await self._ended([self._close(name) for name in self.peers], left_s())
        self.actual = "stopped"
        self.log.info("channel is stopped")

    async def _close(self, name: str) -> None:
        """Close a destination's connections when its last answer has come, or the time for that is over."""
        await self.until(lambda: not self.lanes[name].in_flight, None)
        await self.peers[name].close()

    async def _ended(self, closings: Iterable[Coroutine[Any, Any, None]], timeout_s: float) -> None:
        """Wait until these are closed, or the time is over; one that cannot be is told, and keeps nobody from what comes next."""
        going = [defer.Deferred.fromCoroutine(one).addErrback(lambda f: self.log.error("it cannot be closed", f.value)) for one in closings]
        await self.until(lambda: all(one.called for one in going), timeout_s)

    async def until(self, true: Callable[[], bool], timeout_s: float | None) -> None:
        """Wait until something is true, or the time is over."""
        deadline_s = None if timeout_s is None else self._reactor.seconds() + timeout_s
        while not true() and (deadline_s is None or self._reactor.seconds() < deadline_s):
            pause: defer.Deferred[None] = defer.Deferred()
            self._reactor.callLater(0.01, pause.callback, None)
            await pause


class _Nothing:
    """In place of a source and a core that could not be made."""

    in_work = 0

    def set_full(self, full: bool) -> None: ...

    def stop(self) -> None: ...


class Unbuilt(RunningChannel):
    """A channel of which a part could not be made: its name and the reason, and nothing that runs."""

    def __init__(self, name: str, reason: str) -> None:
        self.name, self.log = name, Log(name)
        self.peers, self.numbered, self.lanes, self._earlier = {}, {}, {}, {}
        self.source = self.core = _Nothing()  # type: ignore[assignment]
        self.actual, self.reason = "failed", reason
        self._begun = self._ending = self._over = False
        self._cannot = reason

    def _connectors(self) -> dict[str, Connector]:
        return {}

    async def start(self, drain_s: float) -> None:
        """Raises SutureError, with the reason."""
        raise SutureError(self._cannot)

    async def emptied(self) -> None:
        """There is nothing to wait for."""


def reason_of(e: Exception) -> str:
    """An error for an operator: what the system says of a file or a socket, else its kind and its place in the program.

    Its own text may hold anything.
    """
    if isinstance(e, SutureError):
        return str(e)
    if isinstance(e, OSError) and e.strerror:
        return f"{e.strerror}: {e.filename}" if e.filename else e.strerror
    frame = traceback.extract_tb(e.__traceback__)[-1]
    return f"{type(e).__name__} at {frame.filename.rpartition('/')[2]}:{frame.lineno}; please report it"


def _asked(ask: Callable[[Callable[[Any], None], Callable[[Exception], None]], None]) -> defer.Deferred[Any]:
    """ask(done, failed), awaited."""
    answer: defer.Deferred[Any] = defer.Deferred()
    ask(answer.callback, answer.errback)
    return answer


def _validator(files: ChannelFiles, plan: Plan, pool: ValidationPool) -> ChannelValidator | None:
    """What validates a channel's messages by the standard; None where it does not ask for that."""
    rules = plan.validation.standard if plan.validation else None
    return None if rules is None else pool.of_channel(rules, files.config.hl7v2.encoding, files.config.hl7v2.encoding_override or "")
