"""The composition root: builds the engine of a site and runs it."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from twisted.internet import defer

from suture import __version__
from suture.commands import Commands
from suture.config.site import ChannelFiles, Site, load_channel, load_site
from suture.connectors.net.aside import Aside, alone
from suture.guard import Deadline, Guard
from suture.mapping.leaving import leave_to
from suture.model import ending
from suture.model.errors import SutureError
from suture.model.outcome import told
from suture.observe import http, logs
from suture.observe.facts import Facts
from suture.observe.metrics import Metrics
from suture.pace import Pace
from suture.pipeline.lanes import Lanes
from suture.pipeline.world import World
from suture.ports import Work
from suture.reactor import Sockets, Watchdog, install
from suture.runtime import RunningChannel, Told, Unbuilt, reason_of
from suture.store import fitness, ownership, schema, state
from suture.store.backlog import Reader
from suture.store.engine import fingerprint, free_bytes, open_engine
from suture.store.journal import Journal
from suture.store.past import Memory
from suture.store.tenure import Tenure
from suture.telling import facts_of
from suture.validation_pool import ValidationPool

HEARTBEAT_S = 1.0
JOURNAL_S, END_S, HURRY_S = 5.0, 3.0, 2.0
"""Seconds of an end after the channels are drained: for the journal to write what it was given, and for all that comes then.
Seconds that are left when the engine is told to end a second time."""
GC_THRESHOLD = (3_000, 5, 100)
"""A message makes some hundred objects that live for milliseconds and hold no cycles; looking for garbage after every
700 of them, as Python does unless told, finds none. To look through all that lives while a batch of ten thousand messages is in
work takes 100 ms of the loop, so that is done a tenth as often as Python would."""
SWITCH_S = 0.0005
"""How long a thread may keep the interpreter when another wants it: the journal's, between two statements. (Python: 5 ms.)"""
OPEN_FILES = 65_536


def run(site_directory: Path, environment: str | None = None) -> int:
    """Run the engine of a site until SIGTERM or SIGINT; returns the exit code.

    Raises ConfigError when its files are wrong and StoreError when its database cannot be used; nothing is open then.
    """
    site = load_site(site_directory, environment, os.environ)
    logs.configure(as_json=os.environ.get("SUTURE_LOG") == "json")
    database = open_engine(site.database_url, site=site.directory, timeout_s=site.conf.store.timeout_s)
    ownership.take(database)
    found = _examined(database, site)
    schema.prepare(database)
    _open_many_files()
    reactor, loop = install()
    logs.take_over_twisted()
    engine = Engine(site, database, reactor, loop)
    engine.fitness = found
    loop.call_soon(engine.begin)
    reactor.run(installSignalHandlers=False)
    database.dispose()
    return engine.exit_code


def _examined(database: Any, site: Site) -> fitness.Fitness:
    """What there is to say of the database. Raises StoreError when it is damaged, or not to be used in this environment."""
    log = logs.Log()
    if fitness.require_sound(database):
        log.warning("an earlier run found the database damaged; it was looked through, and is sound")
    found = fitness.examine(database)
    fitness.require(found, site.environment, site.conf.store.accept_unsafe)
    for text in found.worries:
        log.warning(f"the store: {text}")
    return found


def _open_many_files() -> None:
    """Every connection is an open file, and many systems allow a process 1,024 until it asks for more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _ignore(_: Any) -> None:
    pass


class _WallClock:
    """The time of day, with the reactor's timers."""

    def __init__(self, reactor: Any) -> None:
        self.seconds, self.callLater = time.time, reactor.callLater


class Engine:
    """The running engine of one site."""

    def __init__(self, site: Site, database: Any, reactor: Any, loop: asyncio.AbstractEventLoop) -> None:
        soon: Callable[[Callable[[], None]], Any] = loop.call_soon_threadsafe
        self.site, self.reactor, self.clock = site, reactor, _WallClock(reactor)
        self.log = logs.Log()
        self.metrics = Metrics(self.facts)
        self.journal = Journal(database, soon, self.metrics, self._trouble, self._bug, loop.call_later, site.conf.journal.batch)
        self.tenure = self.journal.tenure = Tenure(site.conf.site.node or socket.gethostname(), site.conf.store.lease_s)
        self.store_mark, self._room = fingerprint(database), partial(free_bytes, database)
        self.reader = Reader(database, soon, reactor.callLater, bug=self._bug, damaged=self.journal.give_up)
        self.fitness = fitness.Fitness("")
        asked = site.conf.validation
        self.validation = ValidationPool(reactor, asked.processes, asked.inline_bytes, asked.waiting, asked.timeout_s)
        self.guard = Guard(self.tenure, reactor, lambda: self.channels.values(), self.log)
        leave_to(alone)
        self.large, self.files = Aside("large messages", soon), Aside("files", soon)
        stored = self.journal, self.reader, self.clock, self.metrics, Memory(self.journal)
        self.world = World(*stored, random.random, self.tenure.may_send, loop.call_soon, self.large, self.journal.held)
        self.pace = Pace(site.conf, self.journal, self.validation, reactor, lambda: self.channels.values(), self.metrics.late)
        self.commands = Commands(self, self.journal, self.reader, self.clock)
        watch = site.conf.watchdog
        self.watchdog = Watchdog(reactor, self._held, watch.every_s, watch.after_s, self._cleared)
        self.channels: dict[str, RunningChannel] = {}
        self.desired: dict[str, str] = {}
        self.exit_code = ending.CLEAN
        self.phase, self.waits_for, self.fault = state.STARTING, "", ""
        self.free_bytes: int | None = None
        self.bugs = 0
        self.stopping = False
        self._deadline: Deadline | None = None
        self._pages: http.Pages | None = None
        self._beat: Any = None

    # -- begin and end ---------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Start everything; called when the reactor runs."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.end)
        self.journal.start()
        starting = defer.Deferred.fromCoroutine(self._start())
        starting.addErrback(self._cannot_start)

    async def _start(self) -> None:
        conf = self.site.conf
        if conf.http.port:
            serving = asyncio.ensure_future(http.serve(conf.http.host, conf.http.port, self.metrics, self.facts))
            self._pages = await defer.Deferred.fromFuture(serving)
        self.waits_for = "the store is asked for"
        self.desired = await self.write("desired", state.desired)
        about = {"started_at_us": self._now_us(), "version": __version__, "http_port": conf.http.port}
        self._heartbeat({**about, **fitness.facts(self.fitness)})
        self.guard.begin()
        await self._until_alone()
        gc.collect()  # now, for nobody is listened to yet
        for name in self.site.channels:
            if self.stopping:
                return
            self._build(name)
            if self.desired.setdefault(name, "running") == "running":
                await self._try_to_start(name)
            else:
                self._tell_channel(name)
        if self.stopping:
            return
        self.phase, self.waits_for = state.RUNNING, ""
        self._beat.cancel()
        self._heartbeat({})
        self.commands.start()
        self.pace.begin(self.large)
        self.watchdog.start()
        # What was built so far lives as long as the engine: looking through it for garbage would cost 70 ms each time.
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLD)
        sys.setswitchinterval(SWITCH_S)
        self.log.info("the engine is running", version=__version__, channels=len(self.channels))

    async def _until_alone(self) -> None:
        """An engine that did not say goodbye may be sending still, from another machine, until its lease is over."""
        if wait_s := self.tenure.wait_s():
            self.waits_for = "the last engine did not say goodbye, and may send until its lease is over"
            self.log.warning(f"{self.waits_for}: waiting {wait_s:.0f} s")
        while self.tenure.wait_s() and not self.stopping:
            await self._pause(0.1)

    def _cannot_start(self, failure: Any) -> None:
        error = failure.value
        if isinstance(error, SutureError):
            self.log.error(str(error))
        else:
            self.log.error("the engine cannot start", error)
        self.exit_code = ending.CANNOT_START
        self.end()

    def end(self) -> None:
        """Stop in order: close the doors, finish what is in work, commit, close. A second call ends within HURRY_S."""
        if self.stopping:
            if self._deadline is not None:
                self._deadline.hurry(HURRY_S)
            return
        self.stopping, self.phase = True, state.STOPPING
        self.log.info("stopping")
        self._deadline = Deadline(self._drain_s() + JOURNAL_S + END_S, self._unclean, self._say_unclean)
        self._deadline.start()
        defer.Deferred.fromCoroutine(self._stop()).addErrback(lambda f: self.log.error("while stopping", f.value)).addBoth(
            lambda _: self.reactor.stop()
        )

    def _drain_s(self) -> float:
        return 0.0 if self.tenure.taken_over else self.site.conf.limits.drain_s

    def _unclean(self) -> int:
        return self.exit_code or ending.UNCLEAN

    def _say_unclean(self) -> None:
        self.log.error("the end did not come in order, and is not waited for any longer; what was acknowledged is in the store")

    async def _stop(self) -> None:
        self.commands.stop()
        self.watchdog.stop()
        if self._beat is not None:
            self._beat.cancel()
        await defer.gatherResults(
            [defer.Deferred.fromCoroutine(self._quit(channel)) for channel in self.channels.values() if channel.working]
        )
        self.guard.stop()
        self.pace.stop()
        self.validation.close()
        for name in self.channels:
            self._tell_channel(name)
        told: list[Any] = []
        self._write("stopped", lambda c: state.put_engine(c, {"stopped_at_us": self._now_us()}, 0), told.append)
        self.journal.stop()
        await self._until(lambda: not self.journal.is_alive() and not self.journal.telling, JOURNAL_S)
        await self._pause(0.01)  # for its last words
        if not told:
            self.exit_code = self._unclean()
            count = self.journal.pending()
            self.log.error(f"the store has not taken {count} operations; no message among them was acknowledged; sends may go again")
        self.reader.stop()
        if self._pages is not None:
            await defer.Deferred.fromFuture(asyncio.ensure_future(self._pages.cleanup()))
        self.log.info("stopped")

    async def _quit(self, channel: RunningChannel) -> None:
        """Stop a channel; a bug in that is told, and keeps nobody from what comes next."""
        try:
            await channel.stop(self._drain_s())
        except Exception as e:
            self._bug(e)

    async def _until(self, true: Callable[[], bool], timeout_s: float) -> None:
        deadline_s = self.reactor.seconds() + timeout_s
        while not true() and self.reactor.seconds() < deadline_s:
            await self._pause(0.01)

    def _pause(self, seconds: float) -> defer.Deferred[None]:
        over: defer.Deferred[None] = defer.Deferred()
        self.reactor.callLater(seconds, over.callback, None)
        return over

    # -- channels --------------------------------------------------------------------------------------------------

    def _build(self, name: str) -> None:
        """Make the channel of its files; one that cannot be made says why, and keeps no other down."""
        try:
            channel = self._made(self.site.channels[name])
        except Exception as e:
            self._bug(e)
            channel = Unbuilt(name, f"it cannot be built: {reason_of(e)}")
        self._put(channel)

    def _made(self, files: ChannelFiles) -> RunningChannel:
        told = Told(self.pace.hold_back, self._halted, self._failing)
        return RunningChannel(files, self.world, self.reader, self.reactor, self.validation, told, self.site.conf.site.name)

    def _put(self, channel: RunningChannel) -> None:
        was, self.channels[channel.name] = self.channels.get(channel.name), channel
        if was is not None:
            was.core.stop()  # also one that was built and never started keeps its tables until then
            channel.follow(was)
        channel.source.room = self.pace.room

    async def _try_to_start(self, name: str) -> None:
        """Start a channel; one that cannot start does not keep the others down."""
        channel = self.channels[name]
        names = list(channel.lanes)
        self._write("destinations", lambda c: state.forget_destinations(c, name, names))
        channel.actual = "starting"
        self._tell_channel(name)
        try:
            await channel.start(self.site.conf.limits.drain_s)
        except Exception as e:
            if not isinstance(e, SutureError):
                self._bug(e)
                await self._quit(channel)
            if self.stopping:
                return
            channel.actual, channel.reason = "failed", reason_of(e)
            channel.log.error(f"the channel cannot start: {channel.reason}")
        channel.source.set_full(self.pace.full)
        self._tell_channel(name)

    def _known(self, name: str) -> RunningChannel:
        if name not in self.channels:
            raise SutureError(f"this engine has no channel {name!r}; it has {', '.join(sorted(self.channels))}")
        return self.channels[name]

    async def start_channel(self, name: str) -> None:
        """Start a channel and keep it started. Raises SutureError when it cannot."""
        channel = self._known(name)
        self.desired[name] = "running"
        if channel.actual != "running":
            await self._emptied(channel)
            if self.stopping:
                raise SutureError("the engine is stopping")
            self._build(name)
            await self._try_to_start(name)
        if self.channels[name].actual != "running":
            raise SutureError(f"channel {name}: {self.channels[name].reason}")

    async def stop_channel(self, name: str) -> None:
        """Stop a channel and keep it stopped."""
        channel = self._known(name)
        self.desired[name] = "stopped"
        await self._emptied(channel)
        channel.actual, channel.reason = "stopped", ""
        self._tell_channel(name)

    async def _emptied(self, channel: RunningChannel) -> None:
        """Stop a channel that is at work, also one that stops by itself; all that it received and processed is durable then."""
        if channel.working:
            await channel.stop(self.site.conf.limits.drain_s)
        await channel.emptied()

    async def reload_channel(self, name: str) -> None:
        """Read the channel's files again, and swap it when they are right; other channels are untouched.

        Raises ConfigError when they are not, and SutureError when no channel can be made of them; it then goes on as it was.
        """
        files = await self._read_again(name)
        try:
            channel = self._made(files)
        except Exception as e:
            self._bug(e)
            raise SutureError(f"channel {name} cannot be built of its new files: {reason_of(e)}") from None
        self.site.channels[name] = files
        if name in self.channels:
            await self._emptied(self.channels[name])
        self._put(channel)
        if self.desired.setdefault(name, "running") == "running":
            await self.start_channel(name)

    async def _read_again(self, name: str) -> ChannelFiles:
        """The channel's files, read and checked beside the reactor: large tables take seconds."""
        read: defer.Deferred[ChannelFiles] = defer.Deferred()
        self.files(partial(load_channel, self.site.directory, name, self.site.environment, os.environ), read.callback, read.errback)
        files = await read
        if self.stopping:
            raise SutureError("the engine is stopping")
        return files

    def _halted(self, name: str, reason: str) -> None:
        channel = self.channels[name]
        if channel.actual == "running":
            channel.actual, channel.reason = "halting", reason
            channel.log.error(reason)

            def stopped(_: Any) -> None:
                channel.actual = "failed"
                self._tell_channel(name)

            defer.Deferred.fromCoroutine(self._quit(channel)).addCallback(stopped)

    # -- what happens ----------------------------------------------------------------------------------------------

    def write(self, name: str, run: Any) -> defer.Deferred[Any]:
        """A durable write; the Deferred fires after the commit."""
        return self.commands.write(name, run)

    def _write(self, name: str, run: Any, done: Callable[[Any], Any] = _ignore) -> None:
        """A durable write that nobody waits for; one that cannot be made is a bug, and told."""
        self.journal.write(Work(name, run, done, self._bug))

    def _trouble(self, text: str) -> None:
        if self.tenure.taken_over:
            self._taken_over()
        elif text != self.fault:
            self.fault = text
            if text:
                self.log.error(f"the store takes nothing ({text}); messages wait, and nothing is acknowledged")
            else:
                self.log.info("the store takes writes again")

    def _taken_over(self) -> None:
        """Another engine has the store: whatever this one still does could be done twice."""
        self.log.error(f"another engine has taken this store over ({self.tenure.taken_over}); this one stops at once and ends")
        self.guard.hold("the store is another engine's")
        self.exit_code = ending.TAKEN_OVER
        self.end()

    def _bug(self, error: Exception) -> None:
        self.bugs += 1
        self.log.error("unexpected error; please report it", error)

    def _held(self) -> Sockets:
        for channel in self.channels.values():
            yield from channel.held()

    def _cleared(self, code: str, count: int) -> None:
        if self.watchdog.ended[code] == count:
            self.log.warning(f"the watchdog closed {count} connections that a fault kept open; please report it (once a run)", code=code)

    def _failing(self, lanes: Lanes) -> None:
        """A destination became sick or well: say so in the log (once) and in the store."""
        breaker, log = lanes.breaker, self.channels[lanes.channel].log
        now_us = self._now_us()
        if breaker.since_s is None:
            log.info(f"{lanes.name} takes deliveries again")
            values = {"state": "ok", "since_us": now_us, "next_try_us": 0, "reason": "", "updated_at_us": now_us}
        else:
            if breaker.failures == 1:
                log.warning(f"{lanes.name} fails: {breaker.reason}")
            since_us, next_us = int(breaker.since_s * 1e6), int(breaker.try_at_s * 1e6) if breaker.open else 0
            reason = told(breaker.reason, breaker.words)
            values = {"state": "failing", "since_us": since_us, "next_try_us": next_us, "reason": reason, "updated_at_us": now_us}
        channel, destination = lanes.channel, lanes.name
        self._write("destination", lambda c: state.put_destination(c, channel, destination, values))

    def _tell_channel(self, name: str) -> None:
        channel, wanted, now_us = self.channels[name], self.desired[name], self._now_us()
        actual, reason = channel.actual, channel.reason
        self._write("channel", lambda c: state.put_channel(c, name, wanted, actual, reason, now_us))

    def _heartbeat(self, facts: dict[str, Any]) -> None:
        now_us = self._now_us()
        told = {**facts, state.PHASE: self.phase, state.HEARTBEAT: now_us}

        def beat(connection: Any) -> int | None:
            state.put_engine(connection, told, now_us)
            return self._room()

        def beaten(free_bytes: int | None) -> None:
            self.free_bytes = free_bytes

        self._write("heartbeat", beat, beaten)
        self._beat = self.reactor.callLater(HEARTBEAT_S, self._heartbeat, {})
        self.pace.look()

    def _now_us(self) -> int:
        return int(self.clock.seconds() * 1e6)

    def facts(self) -> Facts:
        """The state of the engine, for metrics and health."""
        return facts_of(self, self.clock.seconds())
