"""What the engine is, at one moment, for those who ask: metrics, health, and the store."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from suture.model.outcome import told
from suture.observe.facts import ChannelFact, QueueFact
from suture.observe.logs import Log
from suture.pipeline.lanes import Lanes
from suture.ports import TimeOfDay, Work
from suture.runtime import RunningChannel
from suture.store import state
from suture.store.fitness import Fitness
from suture.store.journal import Journal
from suture.store.tables import channel_state, destination_state

HEARTBEAT_S = 1.0


@dataclass(slots=True)
class Condition:
    """How the engine is, beside its channels. store: a fingerprint of the store's address, found: what was found of the database.

    phase: starting, running or stopping. waits_for: what a start waits for. fault: why the store takes nothing. bugs: unexpected
    errors since the start. free_bytes: room for the store, None where that is not ours to see.
    """

    store: str
    found: Fitness
    phase: str = state.STARTING
    waits_for: str = ""
    fault: str = ""
    bugs: int = 0
    free_bytes: int | None = None

    def bug(self, error: Exception) -> None:
        """Something was raised that should not have been."""
        self.bugs += 1
        Log().error("unexpected error; please report it", error)

    def trouble(self, text: str) -> None:
        """Why the store takes nothing; "" when it takes writes again."""
        if text != self.fault:
            self.fault = text
            if text:
                Log().error(f"the store takes nothing ({text}); messages wait, and nothing is acknowledged")
            else:
                Log().info("the store takes writes again")


class Records:
    """Writes to the store how the engine, its channels and their destinations are; what cannot be written is a bug, and told.

    free_bytes(): asked on the writer's thread with every heartbeat. look(): called with each.
    """

    def __init__(
        self, journal: Journal, clock: TimeOfDay, condition: Condition, free_bytes: Callable[[], int | None], look: Callable[[], None]
    ) -> None:
        self._journal, self._clock, self._condition = journal, clock, condition
        self._free_bytes, self._look = free_bytes, look
        self._timer: Any = None

    def now_us(self) -> int:
        """The time of day."""
        return int(self._clock.seconds() * 1e6)

    def channel(self, name: str, wanted: str, actual: str, reason: str) -> None:
        """What an operator wants of a channel, and what it does."""
        values = {"desired": wanted, "actual": actual, "reason": reason, "updated_at_us": self.now_us()}
        self.write("channel", lambda c: state.put(c, channel_state, {"channel": name}, values))

    def destinations(self, channel: str, names: Iterable[str]) -> None:
        """A channel has only these destinations any more."""
        there = list(names)
        self.write("destinations", lambda c: state.forget_destinations(c, channel, there))

    def destination(self, lanes: Lanes) -> None:
        """A destination became sick or well: say so in the log (once) and in the store."""
        breaker, log, now_us = lanes.breaker, Log(lanes.channel), self.now_us()
        values = {"state": "ok", "since_us": now_us, "next_try_us": 0, "reason": "", "updated_at_us": now_us}
        if breaker.since_s is None:
            log.info(f"{lanes.name} takes deliveries again")
        else:
            if breaker.failures == 1:
                log.warning(f"{lanes.name} fails: {breaker.reason}")
            since_us, next_us = int(breaker.since_s * 1e6), int(breaker.try_at_s * 1e6) if breaker.open else 0
            values |= {"state": "failing", "since_us": since_us, "next_try_us": next_us, "reason": told(breaker.reason, breaker.words)}
        keys = {"channel": lanes.channel, "destination": lanes.name}
        self.write("destination", lambda c: state.put(c, destination_state, keys, values))

    def beat(self, facts: dict[str, Any]) -> None:
        """Give a sign of life now, with these facts about the engine, and one every second from now on."""
        self.stop()
        now_us, condition = self.now_us(), self._condition
        facts |= {state.PHASE: condition.phase, state.HEARTBEAT: now_us}

        def beat(connection: Any) -> int | None:
            state.put_engine(connection, self._journal.tenure.node, facts, now_us)
            return self._free_bytes()

        def beaten(free_bytes: int | None) -> None:
            condition.free_bytes = free_bytes

        self.write("heartbeat", beat, beaten)
        self._timer = self._clock.callLater(HEARTBEAT_S, self.beat, {})
        self._look()

    def stop(self) -> None:
        """Give no more signs of life."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def write(self, name: str, run: Callable[[Any], Any], done: Callable[[Any], Any] = lambda _: None) -> None:
        """Any other write; done(what run came to) after the commit."""
        self._journal.write(Work(name, run, done, self._condition.bug))


def channel_fact(channel: RunningChannel, wanted: str) -> ChannelFact:
    """A channel at whose door nobody listens takes nothing, whatever it thinks."""
    if channel.actual == "running" and not channel.source.listening:
        return ChannelFact(channel.name, wanted, "failed", f"it does not listen any more; `suture channel restart {channel.name}`")
    return ChannelFact(channel.name, wanted, channel.actual, channel.reason)


def queue_fact(lanes: Lanes, now_s: float) -> QueueFact:
    """How a destination is at this time of day."""
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
