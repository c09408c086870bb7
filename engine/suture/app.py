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
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol

from twisted.internet import defer
from twisted.internet.task import deferLater

from suture import __version__
from suture.commands import Commands
from suture.config.site import ChannelFiles, Site, load_channel, load_site
from suture.connectors.net.aside import Aside, alone
from suture.guard import Deadline, Guard
from suture.mapping.leaving import leave_to
from suture.model import ending
from suture.model.errors import SutureError
from suture.observe import http, logs
from suture.observe.facts import Ask, CountFact, Facts, OwnerFact, StoreFact
from suture.observe.metrics import Metrics
from suture.pace import Pace
from suture.pipeline.world import World
from suture.reactor import Watchdog, install
from suture.runtime import RunningChannel, Told, asked, durably, made, until
from suture.store import faults, fitness, ownership, schema, state
from suture.store.backlog import Reader
from suture.store.engine import fingerprint, free_bytes, open_engine
from suture.store.journal import Journal
from suture.store.past import Memory
from suture.store.tenure import Tenure
from suture.supervisor import Supervisor
from suture.telling import Condition, Records, channel_fact, queue_fact
from suture.validation_pool import ValidationPool

SERVICES_S, JOURNAL_S, END_S, HURRY_S = 3.0, 5.0, 3.0, 2.0
"""Seconds of an end: for the services, before the channels are drained; after that for the journal to write what it was given,
and for all that comes then. Seconds that are left when the engine is told to end a second time."""
GC_THRESHOLD = (3_000, 5, 100)
"""A message makes some hundred objects that live for milliseconds and hold no cycles; looking for garbage after every
700 of them, as Python does unless told, finds none. To look through all that lives while a batch of ten thousand messages is in
work takes 100 ms of the loop, so that is done a tenth as often as Python would."""
SWITCH_S = 0.0005
"""How long a thread may keep the interpreter when another wants it: the journal's, between two statements. (Python: 5 ms.)"""
OPEN_FILES = 65_536


class Service(Protocol):
    """What runs beside the channels, as an API does. name: for the log. Both await nothing but Deferreds."""

    name: str

    async def begin(self, site: Site, ask: Ask) -> None:
        """Begin; the channels are there. ask(): how the engine is. Whatever it raises ends the engine: a SutureError with its words."""

    async def end(self) -> None:
        """End, before the channels do; also where begin has failed, or is not over."""


def run(site_directory: Path, environment: str | None = None, services: Sequence[Service] = ()) -> int:
    """Run the engine of a site, with these services, until SIGTERM or SIGINT; returns the exit code.

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
    engine = Engine(site, reactor, services, partial(Parts, site, database, found, reactor, loop))
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


class Parts:
    """What an engine is made of; nothing of it has begun. taken_over(): called when another engine has taken the store over."""

    def __init__(
        self,
        site: Site,
        database: Any,
        found: fitness.Fitness,
        reactor: Any,
        loop: asyncio.AbstractEventLoop,
        taken_over: Callable[[], None],
    ) -> None:
        soon: Callable[[Callable[[], None]], Any] = loop.call_soon_threadsafe
        conf, self._taken_over = site.conf, taken_over
        clock: Any = SimpleNamespace(seconds=time.time, callLater=reactor.callLater)  # the time of day, with the reactor's timers
        self.conf = conf
        self.condition = Condition(fingerprint(database), found)
        bug, large, files_aside = self.condition.bug, Aside("large messages", soon), Aside("files", soon)
        self.metrics = Metrics(self.facts)
        self.journal = Journal(database, soon, self.metrics, self._trouble, bug, loop.call_later, conf.journal.batch)
        tenure = self.journal.tenure = Tenure(conf.site.node or socket.gethostname(), conf.store.lease_s)
        self.reader = Reader(database, soon, reactor.callLater, bug=bug, damaged=self.journal.give_up)
        watch = conf.watchdog
        self.validation = ValidationPool(reactor, conf.validation)
        self.guard = Guard(tenure, reactor, lambda: self.supervisor.channels.values(), logs.Log())
        leave_to(alone)
        stored = self.journal, self.reader, clock, self.metrics, Memory(self.journal)
        world = World(*stored, random.random, tenure.may_send, loop.call_soon, large, self.journal.held)
        around = conf, self.journal, self.validation, reactor
        self.pace = Pace(*around, lambda: self.supervisor.channels.values(), self.metrics.late, large)
        self.records = Records(self.journal, clock, self.condition, partial(free_bytes, database), self.pace.heap.look)
        told = Told(self.pace.hold_back, lambda *halted: self.supervisor.halted(*halted), self.records.destination)

        def make(files: ChannelFiles) -> RunningChannel:
            channel = made(files, world, self.reader, reactor, self.validation, told, conf.site.name)
            channel.source.room = self.pace.room
            return channel

        def read(name: str) -> defer.Deferred[ChannelFiles]:  # beside the reactor: large tables take seconds
            return asked(partial(files_aside, partial(load_channel, site.directory, name, site.environment, os.environ)))

        tell = self.records.channel, self.records.destinations
        self.supervisor = Supervisor(site.channels, make, read, *tell, lambda: self.pace.full, self._drain_s, bug)
        self.commands = Commands(self.supervisor, self.journal, self.reader, clock)
        self.watchdog = Watchdog(reactor, self.supervisor.held, watch.every_s, watch.after_s, self._cleared)

    def facts(self) -> Facts:
        """The state of the engine, for metrics, health and services; cheap, for it is asked at every look."""
        now_s = time.time()
        journal, conf, condition, desired = self.journal, self.conf, self.condition, self.supervisor.desired
        tenure, found = journal.tenure, condition.found
        channels = list(self.supervisor.channels.items())
        return Facts(
            journal.pending(),
            conf.journal.limit,
            condition.fault,
            condition.phase == state.STOPPING,
            tuple(channel_fact(channel, desired.get(name, "running")) for name, channel in channels),
            tuple(queue_fact(lanes, now_s) for _, channel in channels for lanes in channel.lanes.values()),
            journal_dead=journal.lost == faults.GONE or (journal.ident is not None and not journal.is_alive()),
            counts=tuple(CountFact(name, *row) for name, channel in channels for row in channel.counts()),
            journal_oldest_s=journal.oldest_s(),
            journal_slow_s=conf.journal.slow_s,
            reading_s=self.reader.waiting_s(),
            phase=condition.phase,
            waits_for=condition.waits_for,
            owner=OwnerFact(
                tenure.node, tenure.pid, tenure.epoch, condition.store, max(0.0, tenure.age_s()), tenure.may_send(), tenure.taken_over
            ),
            free_bytes=condition.free_bytes,
            free_least_bytes=conf.store.free_bytes,
            bugs=condition.bugs,
            cleared=self.watchdog.ended,
            store=StoreFact(found.title, found.unsafe, found.warnings, journal.lost == faults.DAMAGED, journal.worry),
            work_bytes=journal.held.bytes,
            frames_bytes=self.pace.room.frames_bytes,
            memory_limit_bytes=self.pace.room.limit_bytes,
        )

    def _drain_s(self) -> float:
        return 0.0 if self.journal.tenure.taken_over else self.conf.limits.drain_s

    def _trouble(self, text: str) -> None:
        if self.journal.tenure.taken_over:
            self._taken_over()
        else:
            self.condition.trouble(text)

    def _cleared(self, code: str, count: int) -> None:
        if self.watchdog.ended[code] == count:
            text = f"the watchdog closed {count} connections that a fault kept open; please report it (once a run)"
            logs.Log().warning(text, code=code)


class Engine:
    """The running engine of one site. build(taken_over): its parts."""

    def __init__(self, site: Site, reactor: Any, services: Sequence[Service], build: Callable[[Callable[[], None]], Parts]) -> None:
        self.site, self.reactor, self.services, self.log = site, reactor, services, logs.Log()
        self.parts = build(self._taken_over)
        self.exit_code = ending.CLEAN
        self._deadline: Deadline | None = None
        self._pages: http.Pages | None = None
        self._begun: list[Service] = []

    # -- begin -----------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Start everything; called when the reactor runs."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.end)
        self.parts.journal.start()
        starting = defer.Deferred.fromCoroutine(self._start())
        starting.addErrback(self._cannot_start)

    async def _start(self) -> None:
        parts, http_at, condition = self.parts, self.site.conf.http, self.parts.condition
        if http_at.port:
            serving = asyncio.ensure_future(http.serve(http_at.host, http_at.port, parts.metrics, parts.facts))
            self._pages = await defer.Deferred.fromFuture(serving)
        condition.waits_for = "the store is asked for"
        desired = await durably(parts.journal, "desired", state.desired)  # the store is there when this is
        about = {"started_at_us": parts.records.now_us(), "version": __version__, "http_port": http_at.port}
        parts.records.beat({**about, **fitness.facts(condition.found)})
        parts.guard.begin()
        await self._until_alone()
        gc.collect()  # now, for nobody is listened to yet
        await parts.supervisor.begin(desired)
        await self._begin_services()
        if self._ending:
            return
        condition.phase, condition.waits_for = state.RUNNING, ""
        parts.records.beat({})
        parts.commands.start()
        parts.pace.begin()
        parts.watchdog.start()
        # What was built so far lives as long as the engine: looking through it for garbage would cost 70 ms each time.
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLD)
        sys.setswitchinterval(SWITCH_S)
        self.log.info("the engine is running", version=__version__, channels=len(parts.supervisor.channels))

    async def _until_alone(self) -> None:
        """An engine that did not say goodbye may be sending still, from another machine, until its lease is over."""
        tenure, condition = self.parts.journal.tenure, self.parts.condition
        if wait_s := tenure.wait_s():
            condition.waits_for = "the last engine did not say goodbye, and may send until its lease is over"
            self.log.warning(f"{condition.waits_for}: waiting {wait_s:.0f} s")
        while tenure.wait_s() and not self._ending:
            await deferLater(self.reactor, 0.1)

    async def _begin_services(self) -> None:
        for service in self.services:
            if not self._ending:
                self._begun.append(service)
                await service.begin(self.site, self.parts.facts)

    def _cannot_start(self, failure: Any) -> None:
        error = failure.value
        if isinstance(error, SutureError):
            self.log.error(str(error))
        else:
            self.log.error("the engine cannot start", error)
        self.exit_code = ending.CANNOT_START
        self.end()

    # -- end -------------------------------------------------------------------------------------------------------

    @property
    def _ending(self) -> bool:
        return self.parts.condition.phase == state.STOPPING

    def end(self) -> None:
        """Stop in order: close the doors, finish what is in work, commit, close. A second call ends within HURRY_S."""
        if self._ending:
            if self._deadline is not None:
                self._deadline.hurry(HURRY_S)
            return
        self.parts.condition.phase = state.STOPPING
        self.parts.supervisor.ending = True
        self.log.info("stopping")
        services_s = SERVICES_S if self._begun else 0.0
        self._deadline = Deadline(services_s + self.parts.supervisor.drain_s() + JOURNAL_S + END_S, self._unclean, self._say_unclean)
        self._deadline.start()
        defer.Deferred.fromCoroutine(self._stop()).addErrback(lambda f: self.log.error("while stopping", f.value)).addBoth(
            lambda _: self.reactor.stop()
        )

    def _taken_over(self) -> None:
        """Another engine has the store: whatever this one still does could be done twice."""
        by = self.parts.journal.tenure.taken_over
        self.log.error(f"another engine has taken this store over ({by}); this one stops at once and ends")
        self.parts.guard.hold("the store is another engine's")
        self.exit_code = ending.TAKEN_OVER
        self.end()

    def _unclean(self) -> int:
        return self.exit_code or ending.UNCLEAN

    def _say_unclean(self) -> None:
        self.log.error("the end did not come in order, and is not waited for any longer; what was acknowledged is in the store")

    async def _stop(self) -> None:
        parts, journal, records = self.parts, self.parts.journal, self.parts.records
        parts.commands.stop()
        parts.watchdog.stop()
        records.stop()
        await self._end_services()
        await parts.supervisor.end()
        parts.guard.stop()
        parts.pace.stop()
        parts.validation.close()
        told: list[Any] = []
        records.write("stopped", lambda c: state.put_engine(c, journal.tenure.node, {"stopped_at_us": records.now_us()}, 0), told.append)
        journal.stop()
        await until(self.reactor, lambda: not journal.is_alive() and not journal.telling(), JOURNAL_S)
        await deferLater(self.reactor, 0.01)  # for its last words
        if not told:
            self.exit_code = self._unclean()
            count = journal.pending()
            self.log.error(f"the store has not taken {count} operations; no message among them was acknowledged; sends may go again")
        parts.reader.stop()
        if self._pages is not None:
            await defer.Deferred.fromFuture(asyncio.ensure_future(self._pages.cleanup()))
        self.log.info("stopped")

    async def _end_services(self) -> None:
        """End what has begun; one that raises, or takes too long, is told, and keeps nobody from what comes next."""
        going = [(one.name, defer.Deferred.fromCoroutine(one.end()).addErrback(self._not_ended, one.name)) for one in self._begun]
        await until(self.reactor, lambda: all(end.called for _, end in going), SERVICES_S)
        for name in (name for name, end in going if not end.called):
            self.log.error(f"{name} does not end, and is not waited for any longer")

    def _not_ended(self, failure: Any, name: str) -> None:
        self.log.error(f"{name} cannot be ended", failure.value)
