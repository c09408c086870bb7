"""The lanes of a destination: order kept within a key, keys in parallel, memory bounded, a sick peer isolated.

What waits is in the store; memory holds a window of it. A delivery enters the window after its commit, in the order of
its number; when the window is full, the rest stays in the store and is loaded when there is room.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from suture.model import states
from suture.model.outcome import Accepted, Ambiguous, Outcome, Unavailable, told
from suture.model.value import Value, changed
from suture.pipeline.breaker import Breaker
from suture.pipeline.retry import Decision, Policy, Tried, decide
from suture.ports import Attempted, Backlog, Clock, Delivery, Destination, Journal, Observer, Sending

OUTCOME_NAMES = {
    "Accepted": "accepted",
    "TryLater": "try_later",
    "Rejected": "rejected",
    "Held": "held",
    "Ambiguous": "ambiguous",
    "Unavailable": "unavailable",
}

LANE_READ = 64
"""Deliveries that are read at a time: of one lane that was left in the store for others to pass, and where heads fill the window."""
UNSTORABLE = "OUTCOME_UNSTORABLE"
"""Code of an attempt, and of its exception, whose outcome the store did not take as it was."""
HEADS = 10
"""So many times the limits of the window may be taken up by heads that wait for their next attempt, so that others can pass."""


SMALL_BYTES = 4096
"""A payload that is not worth a copy of its delivery without it."""


class _Attempt(Value, frozen=True):
    """One attempt that is over. began_s, ended_s: UNIX times."""

    delivery: Delivery
    number: int
    began_s: float
    ended_s: float
    outcome: Outcome
    decision: Decision


def _without_body(delivery: Delivery) -> Delivery:
    """What is written of an attempt needs no payload; a large one would be kept until then, when it has left its lane."""
    return delivery if len(delivery.body) <= SMALL_BYTES else changed(delivery, body=b"")


class Lanes:
    """All lanes of one destination of one channel. changed(lanes): called when failing or well has changed.

    ended(delivery, state): set by whoever wants to know; called when a delivery has left its lane, after the commit.
    """

    def __init__(
        self,
        channel: str,
        name: str,
        peer: Destination,
        policy: Policy,
        world: World,
        changed: Callable[[Lanes], None],
    ) -> None:
        self.channel, self.name, self.peer, self.policy, self._changed = channel, name, peer, policy, changed
        self._journal, self._backlog, self._clock = world.journal, world.backlog, world.clock
        self._observer, self._random, self._may_send = world.observer, world.random, world.may_send
        self.breaker = Breaker(policy, world.random)
        self._lanes: dict[str, deque[Delivery]] = {}
        self._ready: deque[str] = deque()
        self._suspects: deque[str] = deque()  # lanes whose heads failed, while the breaker is open: tried when no other is ready
        self._timers: dict[str, tuple[float, Any]] = {}  # lane to when its head is due, and the call
        self._spilled: dict[str, int] = {}  # lane to the highest number of it that memory has held
        self._skipped: set[str] = set()
        self._brought: tuple[set[int], set[int]] = (set(), set())  # what the last two reads of the store gave to memory
        self._in_flight = 0
        self._count = 0
        self._bytes = 0
        self._last_id = 0
        self._behind = True
        self._loading = False
        self._missed = False
        self._probe: Any = None
        self.running = self._paused = False
        self.depth = 0
        self.ended: Callable[[Delivery, str], None] | None = None

    # -- what comes in ---------------------------------------------------------------------------------------------

    def start(self, depth: int) -> None:
        """Begin to send, with what waits in the store first; depth: how many that are."""
        self.depth = depth
        self.running = True
        self._refill()

    def add(self, delivery: Delivery) -> None:
        """A new delivery, committed, in the order of the numbers."""
        self.depth += 1
        if self._behind or self._full() or not self.running:
            self._behind = self._missed = True
            return
        self._take(delivery)
        self._pump()

    def _take(self, delivery: Delivery) -> None:
        if delivery.id <= self._last_id:
            return  # the window brought it before the journal told of it
        self._last_id = delivery.id
        if delivery.lane in self._spilled:
            self._skipped.add(delivery.lane)
        else:
            self._accept(delivery)

    def release(self, delivery: Delivery, new: bool) -> None:
        """A delivery that a person let go, or, under a new number, asked to send again.

        A new number comes by way of the store, in its order; an old one goes to the end of its lane.
        """
        self.depth += 1
        if (new and delivery.id <= self._last_id) or any(delivery.id in brought for brought in self._brought):
            return  # the store was read after the commit, and its answer was here first
        if not self.running or delivery.id > self._last_id:
            self._behind = self._missed = True
            if not self._full():
                self._refill()
        elif delivery.id > self._spilled.get(delivery.lane, delivery.id):
            self._skipped.add(delivery.lane)  # it comes with its lane
        else:
            self._accept(delivery)
            self._pump()

    def _full(self) -> bool:
        return self._count >= self.policy.memory_limit or self._bytes >= self.policy.memory_bytes

    def _accept(self, delivery: Delivery) -> None:
        self._count += 1
        self._bytes += len(delivery.body)
        lane = self._lanes.get(delivery.lane)
        if lane is None:
            self._lanes[delivery.lane] = deque((delivery,))
            self._ready.append(delivery.lane)
        else:
            lane.append(delivery)

    # -- what goes out ---------------------------------------------------------------------------------------------

    def _pump(self) -> None:
        if not self.running or self._paused:
            return
        allows = self.breaker.allows
        while (waiting := self._ready or self._suspects) and allows(self._clock.seconds(), self._in_flight):
            if not self._may_send():
                self._paused = True
                return
            self._begin(waiting.popleft())
        if self.breaker.open and waiting and not self._in_flight and self._probe is None:
            self._probe = self._clock.callLater(self.breaker.wait_s(self._clock.seconds()), self._probed)

    @property
    def paused(self) -> bool:
        """Whether nothing more is sent until `resume`."""
        return self._paused

    def pause(self) -> None:
        """Begin to send nothing more until `resume`; what is in flight ends by itself."""
        self._paused = True

    def resume(self) -> None:
        """Send again."""
        self._paused = False
        self._pump()

    def hurry(self) -> None:
        """Try a sick peer now: something has changed."""
        self.breaker.try_at_s = 0.0
        if self._probe is not None:
            self._probe.cancel()
            self._probe = None
        self._pump()

    def _probed(self) -> None:
        self._probe = None
        self._pump()

    def _begin(self, key: str) -> None:
        delivery = self._lanes[key][0]
        if delivery.state == states.IN_FLIGHT and self.policy.on_ambiguous == "hold":
            self._interrupted(delivery)
            return
        self._in_flight += 1
        if self.policy.on_ambiguous == "hold":
            self._journal.write(Sending(delivery, self._now_us(), partial(self._announced, delivery), partial(self._unsent, delivery)))
        else:
            self._send(delivery)

    def _announced(self, delivery: Delivery) -> None:
        """It is written down that it is being sent; it is written again when it may not be sent any more."""
        if self._paused or not self._may_send():
            self._paused = True
            self._in_flight -= 1
            self._ready.appendleft(delivery.lane)
        else:
            self._send(delivery)

    def _send(self, delivery: Delivery) -> None:
        self.peer.send(delivery, partial(self._done, delivery, self._clock.seconds()))

    def _unsent(self, delivery: Delivery, error: Exception) -> None:
        outcome = Unavailable("STORE", f"that it is being sent could not be stored ({type(error).__name__})", self.policy.max_s)
        self._done(delivery, self._clock.seconds(), outcome)

    def _interrupted(self, delivery: Delivery) -> None:
        """An earlier run of the engine began to send it and did not live to see the answer."""
        now_s = self._clock.seconds()
        outcome = Ambiguous("INTERRUPTED", "the engine stopped while it was being sent")
        number = delivery.attempts + 1
        decision = decide(self.policy, Tried(number, 0), outcome, self._random)
        self._write(_Attempt(_without_body(delivery), number, now_s, now_s, outcome, decision))
        self._observer.attempt(self.channel, self.name, OUTCOME_NAMES["Ambiguous"])
        self._leave(delivery, decision.state)

    def _done(self, delivery: Delivery, started_s: float, outcome: Outcome) -> None:
        self._in_flight -= 1
        now_s, number = self._clock.seconds(), delivery.attempts + 1
        turned = self.breaker.record(outcome, now_s, delivery.id, number > 1)
        tried = Tried(number, now_s - delivery.created_at_us / 1e6, self.breaker.alone(delivery.id))
        decision = decide(self.policy, tried, outcome, self._random)
        self._write(_Attempt(_without_body(delivery), number, started_s, now_s, outcome, decision))
        self._observer.attempt(self.channel, self.name, OUTCOME_NAMES[type(outcome).__name__])
        self._observer.stage(self.channel, "deliver", now_s - started_s)
        if decision.state == states.RETRYING:
            self._again(changed(delivery, attempts=number, state=states.RETRYING), decision.wait_s)
        else:
            self._observer.stage(self.channel, "end_to_end", now_s - delivery.created_at_us / 1e6)
            self._leave(delivery, decision.state)
        if turned or self.breaker.open:
            self._changed(self)
        self._pump()
        if self._behind:
            self._spill()

    def _write(self, tried: _Attempt, salvaged: str = "") -> None:
        """Write an attempt down. salvaged: why it could not be written as it was."""
        delivery, decision = tried.delivery, tried.decision
        began_us, ended_us = int(tried.began_s * 1e6), int(tried.ended_s * 1e6)
        state, reason = decision.state, salvaged or decision.reason
        retrying = state == states.RETRYING
        next_us = ended_us + int(decision.wait_s * 1e6) if retrying else 0
        done = None if self.ended is None or retrying else partial(self.ended, delivery, state)
        failed = partial(self._unwritten, tried, bool(salvaged))
        self._journal.write(
            Attempted(delivery, tried.number, began_us, ended_us, tried.outcome, state, next_us, reason, done, failed, salvaged)
        )

    def _unwritten(self, tried: _Attempt, again: bool, error: Exception) -> None:
        """The store takes writes, but not this outcome as it is: what it came to is kept all the same, and an exception tells of it."""
        state = tried.decision.state
        why = f"the answer to attempt {tried.number} could not be stored as it was ({type(error).__name__}); the delivery is {state}"
        plain = Accepted(UNSTORABLE) if isinstance(tried.outcome, Accepted) else type(tried.outcome)(UNSTORABLE, why)
        self._clock.callLater(self.policy.max_s if again else 0, self._write, changed(tried, outcome=plain), why)

    def refused(self, delivery: Delivery, outcome: Outcome) -> None:
        """The peer refuses a delivery that it accepted before, which has left its lane: it is an exception, and nobody's next try."""
        now_s = self._clock.seconds()
        reason = told(f"accepted at first, then refused: {outcome.reason}", outcome.words)
        decision = Decision(states.REFUSED, 0, reason)
        self._write(_Attempt(delivery, delivery.attempts + 2, now_s, now_s, outcome, decision))
        self._observer.attempt(self.channel, self.name, OUTCOME_NAMES[type(outcome).__name__])

    def _again(self, delivery: Delivery, wait_s: float) -> None:
        """The head of a lane waits: for the breaker when that is open, else for its own time."""
        key = delivery.lane
        self._lanes[key][0] = delivery
        if self.breaker.open:
            self._suspects.append(key)
        else:
            self._timers[key] = self._clock.seconds() + wait_s, self._clock.callLater(wait_s, self._due, key)

    def _due(self, key: str) -> None:
        del self._timers[key]
        (self._suspects if self.breaker.open else self._ready).append(key)
        self._pump()

    def _leave(self, delivery: Delivery, state: str) -> None:
        key = delivery.lane
        self.breaker.forget(delivery.id)
        if state not in states.DELIVERED:
            for brought in self._brought:
                brought.discard(delivery.id)  # a person may let it go
        lane = self._lanes[key]
        lane.popleft()
        self.depth -= 1
        self._count -= 1
        self._bytes -= len(delivery.body)
        if lane:
            self._ready.append(key)
        else:
            del self._lanes[key]
            if key in self._spilled:
                self._reload(key)
        if self._behind and self._count <= self.policy.memory_limit // 2 and self._bytes <= self.policy.memory_bytes // 2:
            self._refill()

    # -- the window over the store ---------------------------------------------------------------------------------

    def _refill(self) -> None:
        if self._loading or not self.running:
            return
        self._loading, self._missed = True, False
        limit = max(min(LANE_READ, self.policy.memory_limit), self.policy.memory_limit - self._count)
        self._backlog.load(self.channel, self.name, self._last_id, limit, self._loaded)

    def _loaded(self, deliveries: list[Delivery], more: bool) -> None:
        self._loading = False
        if not self.running:
            return
        self._brought = (self._brought[1], {delivery.id for delivery in deliveries})
        for position, delivery in enumerate(deliveries):
            if position and self._bytes >= self.policy.memory_bytes:
                more = True
                break
            self._take(delivery)
        self._behind = more or self._missed
        if self._behind and not self._full():
            self._refill()
        self._pump()
        self._spill()

    def _spill(self) -> None:
        """All heads in the window wait: bring others from the store; if it is full, keep the heads, so that others can pass."""
        if not self._behind or self._in_flight or self._ready or not self._may_spill():
            return
        if self._full():
            self._keep_heads()
        if self._count < HEADS * self.policy.memory_limit and self._bytes < HEADS * self.policy.memory_bytes:
            self._refill()

    def _may_spill(self) -> bool:
        """While the breaker is open others are brought only beside a few: where many lanes fail, the destination does."""
        if self.breaker.open:
            return len(self._lanes) < LANE_READ and set(self._lanes) != {""}
        return not self._suspects

    def _keep_heads(self) -> None:
        for key, lane in self._lanes.items():
            size = len(lane)
            while len(lane) > 1 and lane[-1].id > lane[0].id:  # a smaller number was let go by a person: keep it
                self._count -= 1
                self._bytes -= len(lane.pop().body)
            if len(lane) < size:
                self._spilled[key] = max(delivery.id for delivery in lane)

    def _reload(self, key: str) -> None:
        """A lane whose followers were left in the store is empty: fetch the next of them."""
        self._skipped.discard(key)
        self._backlog.load_lane(self.channel, self.name, key, self._spilled[key], LANE_READ, partial(self._reloaded, key))

    def _reloaded(self, key: str, deliveries: list[Delivery], more: bool) -> None:
        if not self.running or key not in self._spilled:
            return
        # A number over _last_id comes again with the window, or is skipped there.
        mine = [d for d in deliveries if d.id <= self._last_id]
        self._brought = (self._brought[1], {d.id for d in mine})
        if not (more and len(mine) == len(deliveries)) and key not in self._skipped:
            del self._spilled[key]
        elif mine:
            self._spilled[key] = mine[-1].id
        elif key not in self._lanes:
            self._reload(key)
        for delivery in mine:
            self._accept(delivery)
        self._pump()

    # -- the end ---------------------------------------------------------------------------------------------------

    @property
    def in_flight(self) -> int:
        """Deliveries sent and not answered."""
        return self._in_flight

    @property
    def in_memory(self) -> int:
        """Deliveries in the window, with those in flight."""
        return self._count

    def lanes(self) -> tuple[int, int, int]:
        """Of the window: lanes, deliveries in the longest, and created_at_us of the oldest (0 when empty)."""
        oldest_us = min((lane[0].created_at_us for lane in self._lanes.values()), default=0)
        return len(self._lanes), max(map(len, self._lanes.values()), default=0), oldest_us

    def next_try_s(self) -> float:
        """Seconds until what failed is tried again; 0 when nothing waits for that."""
        now_s = self._clock.seconds()
        if self.breaker.open or not self._timers:
            return self.breaker.wait_s(now_s)
        return max(0.0, min(due_s for due_s, _ in self._timers.values()) - now_s)

    def stop(self) -> None:
        """Send no more; what is in flight ends by itself (watch `in_flight`)."""
        self.running = False
        for timer in [*(call for _, call in self._timers.values()), *([self._probe] if self._probe else [])]:
            timer.cancel()
        self._timers.clear()
        self._probe = None

    def _now_us(self) -> int:
        return int(self._clock.seconds() * 1e6)


@dataclass(frozen=True, slots=True)
class World:
    """What the lanes need of the world outside.

    may_send: asked before each send begins; when it says no, the lanes pause until `resume`.
    """

    journal: Journal
    backlog: Backlog
    clock: Clock
    observer: Observer
    random: Callable[[], float]
    may_send: Callable[[], bool] = lambda: True
