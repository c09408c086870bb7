"""What the engine is, at one moment, for those who ask: metrics, health, and the store."""

from __future__ import annotations

from typing import Protocol

from suture.config.site import Site
from suture.observe.facts import ChannelFact, CountFact, Facts, OwnerFact, QueueFact, StoreFact
from suture.pace import Pace
from suture.pipeline.lanes import Lanes
from suture.reactor import Watchdog
from suture.runtime import RunningChannel
from suture.store import faults
from suture.store.backlog import Reader
from suture.store.fitness import Fitness
from suture.store.journal import Journal
from suture.store.tenure import Tenure


class Whole(Protocol):
    """The engine, as far as it is told of."""

    site: Site
    journal: Journal
    reader: Reader
    channels: dict[str, RunningChannel]
    desired: dict[str, str]
    fault: str
    stopping: bool
    phase: str
    waits_for: str
    store_mark: str
    fitness: Fitness
    free_bytes: int | None
    bugs: int
    watchdog: Watchdog
    pace: Pace


def facts_of(engine: Whole, now_s: float) -> Facts:
    """The state of the engine at this time of day; cheap, for it is asked at every look."""
    journal, conf = engine.journal, engine.site.conf
    channels = [(name, channel) for name, channel in engine.channels.items()]
    return Facts(
        journal.pending(),
        conf.journal.limit,
        engine.fault,
        engine.stopping,
        tuple(_channel(channel, engine.desired.get(name, "running")) for name, channel in channels),
        tuple(_queue(lanes, now_s) for _, channel in channels for lanes in channel.lanes.values()),
        journal_dead=journal.lost == faults.GONE or (journal.ident is not None and not journal.is_alive()),
        counts=tuple(CountFact(name, *row) for name, channel in channels for row in channel.counts()),
        journal_oldest_s=journal.oldest_s(),
        journal_slow_s=conf.journal.slow_s,
        reading_s=engine.reader.waiting_s(),
        phase=engine.phase,
        waits_for=engine.waits_for,
        owner=_owner(journal.tenure, engine.store_mark),
        free_bytes=engine.free_bytes,
        free_least_bytes=conf.store.free_bytes,
        bugs=engine.bugs,
        cleared=engine.watchdog.ended,
        store=_store(engine.fitness, journal),
        work_bytes=journal.held.bytes,
        frames_bytes=engine.pace.room.frames_bytes,
        memory_limit_bytes=engine.pace.room.limit_bytes,
    )


def _owner(tenure: Tenure, store: str) -> OwnerFact:
    return OwnerFact(tenure.node, tenure.pid, tenure.epoch, store, max(0.0, tenure.age_s()), tenure.may_send(), tenure.taken_over)


def _channel(channel: RunningChannel, wanted: str) -> ChannelFact:
    """A channel at whose door nobody listens takes nothing, whatever it thinks."""
    if channel.actual == "running" and not channel.source.listening:
        return ChannelFact(channel.name, wanted, "failed", f"it does not listen any more; `suture channel restart {channel.name}`")
    return ChannelFact(channel.name, wanted, channel.actual, channel.reason)


def _store(found: Fitness, journal: Journal) -> StoreFact:
    return StoreFact(found.title, found.unsafe, found.warnings, journal.lost == faults.DAMAGED, journal.worry)


def _queue(lanes: Lanes, now_s: float) -> QueueFact:
    breaker = lanes.breaker
    count, longest, oldest_us = lanes.window.measures()
    return QueueFact(
        lanes.channel,
        lanes.name,
        waiting=lanes.window.depth,
        lanes=count,
        longest=longest,
        oldest_s=max(0.0, now_s - oldest_us / 1e6) if oldest_us else 0.0,
        in_flight=lanes.in_flight,
        failing_s=0.0 if breaker.since_s is None else max(0.0, now_s - breaker.since_s),
        next_try_s=lanes.next_try_s(),
        reason=breaker.reason,
        fail_alone=breaker.fail_alone,
    )
