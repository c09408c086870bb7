"""The lanes of a destination: order kept within a key, keys in parallel, memory bounded, a sick peer isolated."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from suture.model import states
from suture.model.outcome import UNSTORABLE, Accepted, Ambiguous, Outcome, Unavailable, told
from suture.model.value import Value, changed
from suture.pipeline.breaker import Breaker
from suture.pipeline.retry import Decision, Policy, decide
from suture.pipeline.window import LANE_READ, Window
from suture.pipeline.world import World
from suture.ports import Attempted, Delivery, Destination, Sending

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


class Attempts:
    """The attempts of one destination of one channel. retry_s: the pause before the store is asked again to take one.

    ended(delivery, state): set by whoever wants to know; called when a delivery has left its lane, after the commit.
    """

    def __init__(self, channel: str, name: str, retry_s: float, world: World) -> None:
        self._channel, self._name, self._retry_s = channel, name, retry_s
        self._journal, self._clock, self._observer = world.journal, world.clock, world.observer
        self.ended: Callable[[Delivery, str], None] | None = None

    def over(self, delivery: Delivery, number: int, began_s: float, ended_s: float, outcome: Outcome, decision: Decision) -> None:
        """Write an attempt down. What is written needs no payload; a large one would be kept until then, when it has left its lane."""
        if len(delivery.body) > SMALL_BYTES:
            delivery = changed(delivery, body=b"")
        self._write(_Attempt(delivery, number, began_s, ended_s, outcome, decision))
        self._observer.attempt(self._channel, self._name, outcome.name)

    def refused(self, delivery: Delivery, outcome: Outcome) -> None:
        """The peer refuses a delivery that it accepted before, which has left its lane: it is an exception, and nobody's next try."""
        now_s = self._clock.seconds()
        reason = told(f"accepted at first, then refused: {outcome.reason}", outcome.words)
        self.over(delivery, delivery.attempts + 2, now_s, now_s, outcome, Decision(states.REFUSED, 0, reason))

    def _write(self, tried: _Attempt, salvaged: str = "") -> None:
        """salvaged: why it could not be written as it was."""
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
        self._clock.callLater(self._retry_s if again else 0, self._write, changed(tried, outcome=plain), why)


class Lanes:
    """All lanes of one destination of one channel. changed(lanes): called when failing or well has changed.

    in_flight: deliveries sent and not answered. running: from its start to its stop. paused: nothing more is sent until `resume`.
    """

    def __init__(self, channel: str, name: str, peer: Destination, policy: Policy, world: World, changed: Callable[[Lanes], None]) -> None:
        self.channel, self.name, self.peer, self.policy, self._world, self._changed = channel, name, peer, policy, world, changed
        self.window, self.breaker = Window(policy), Breaker(policy, world.random)
        self.attempts = Attempts(channel, name, policy.max_s, world)
        self._suspects: deque[str] = deque()  # lanes whose heads failed, while the breaker is open: tried when no other is ready
        self._timers: dict[str, tuple[float, Any]] = {}  # lane to when its head is due, and the call
        self._probe: Any = None
        self.in_flight = 0
        self.running = self.paused = False

    # -- what comes in ---------------------------------------------------------------------------------------------

    def start(self, depth: int) -> None:
        """Begin to send, with what waits in the store first; depth: how many that are."""
        self.window.depth = depth
        self.running = True
        self.window.refill()
        self._read()

    def add(self, delivery: Delivery) -> None:
        """A new delivery, committed, in the order of the numbers."""
        self.window.depth += 1
        if self.running and self.window.add(delivery):
            self._pump()

    def release(self, delivery: Delivery, new: bool) -> None:
        """A delivery that a person let go, or, under a new number, asked to send again."""
        self.window.depth += 1
        if self.running:
            self.window.release(delivery, new)
            self._read()
            self._pump()

    def _read(self) -> None:
        """Read what the window wants of the store."""
        wanted, backlog = self.window.wanted, self._world.backlog
        while wanted and self.running:
            lane, after_id, limit = wanted.popleft()
            backlog.load(self.channel, self.name, lane, after_id, limit, partial(self._loaded, lane))

    def _loaded(self, lane: str | None, deliveries: list[Delivery], more: bool) -> None:
        if self.running:
            self.window.loaded(deliveries, more) if lane is None else self.window.reloaded(lane, deliveries, more)
            self._read()
            self._pump()
            if lane is None:
                self._let_pass()

    def _let_pass(self) -> None:
        """All heads here wait: bring others from the store. While the breaker is open only beside a few: where many fail, the peer does."""
        window = self.window
        if window.behind and not (self.in_flight or window.ready):
            few = len(window.lanes) < LANE_READ and set(window.lanes) != {""}
            if few if self.breaker.open else not self._suspects:
                window.let_pass()
                self._read()

    # -- what goes out ---------------------------------------------------------------------------------------------

    def _pump(self) -> None:
        if not self.running or self.paused:
            return
        world, lanes, ready, allows = self._world, self.window.lanes, self.window.ready, self.breaker.allows
        while (waiting := ready or self._suspects) and allows(world.clock.seconds(), self.in_flight):
            if not world.may_send():
                self.paused = True
                return
            delivery = lanes[waiting.popleft()][0]
            if self.policy.on_ambiguous == "hold":
                self._announce(delivery)
            else:
                self._send(delivery)
        if self.breaker.open and waiting and not self.in_flight and self._probe is None:
            self._probe = world.clock.callLater(self.breaker.wait_s(world.clock.seconds()), self._probed)

    def pause(self) -> None:
        """Begin to send nothing more until `resume`; what is in flight ends by itself."""
        self.paused = True

    def resume(self) -> None:
        """Send again."""
        self.paused = False
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

    def _announce(self, delivery: Delivery) -> None:
        """Write down that it is being sent, before it is."""
        if delivery.state == states.IN_FLIGHT:
            self._interrupted(delivery)
            return
        self.in_flight += 1
        now_us = int(self._world.clock.seconds() * 1e6)
        self._world.journal.write(Sending(delivery, now_us, partial(self._announced, delivery), partial(self._unsent, delivery)))

    def _announced(self, delivery: Delivery) -> None:
        """It is written down that it is being sent; it is written again when it may not be sent any more."""
        self.in_flight -= 1
        if self.paused or not self._world.may_send():
            self.paused = True
            self.window.ready.appendleft(delivery.lane)
        else:
            self._send(delivery)

    def _send(self, delivery: Delivery) -> None:
        self.in_flight += 1
        self.peer.send(delivery, partial(self._done, delivery, self._world.clock.seconds()))

    def _unsent(self, delivery: Delivery, error: Exception) -> None:
        outcome = Unavailable("STORE", f"that it is being sent could not be stored ({type(error).__name__})", wait_s=self.policy.max_s)
        self._done(delivery, self._world.clock.seconds(), outcome)

    def _interrupted(self, delivery: Delivery) -> None:
        """An earlier run of the engine began to send it and did not live to see the answer."""
        now_s, number = self._world.clock.seconds(), delivery.attempts + 1
        outcome = Ambiguous("INTERRUPTED", "the engine stopped while it was being sent")
        decision = decide(self.policy, outcome, number, 0, 0, self._world.random)
        self.attempts.over(delivery, number, now_s, now_s, outcome, decision)
        self.window.leave(delivery, decision.state)
        self._read()

    def _done(self, delivery: Delivery, started_s: float, outcome: Outcome) -> None:
        self.in_flight -= 1
        world, breaker = self._world, self.breaker
        now_s, number = world.clock.seconds(), delivery.attempts + 1
        turned = breaker.record(outcome, now_s, delivery.id, number > 1)
        age_s = now_s - delivery.created_at_us / 1e6
        decision = decide(self.policy, outcome, number, age_s, breaker.alone(delivery.id), world.random)
        self.attempts.over(delivery, number, started_s, now_s, outcome, decision)
        world.observer.stage(self.channel, "deliver", now_s - started_s)
        if decision.state == states.RETRYING:
            self._again(changed(delivery, attempts=number, state=states.RETRYING), decision.wait_s)
        else:
            world.observer.stage(self.channel, "end_to_end", age_s)
            breaker.forget(delivery.id)
            self.window.leave(delivery, decision.state)
        if turned or breaker.open:
            self._changed(self)
        if self.window.wanted:
            self._read()
        self._pump()
        if self.window.behind:
            self._let_pass()

    def _again(self, delivery: Delivery, wait_s: float) -> None:
        """The head of a lane waits: for the breaker when that is open, else for its own time."""
        key = delivery.lane
        self.window.lanes[key][0] = delivery
        if self.breaker.open:
            self._suspects.append(key)
        else:
            self._timers[key] = self._world.clock.seconds() + wait_s, self._world.clock.callLater(wait_s, self._due, key)

    def _due(self, key: str) -> None:
        del self._timers[key]
        (self._suspects if self.breaker.open else self.window.ready).append(key)
        self._pump()

    # -- the end ---------------------------------------------------------------------------------------------------

    def next_try_s(self) -> float:
        """Seconds until what failed is tried again; 0 when nothing waits for that."""
        now_s = self._world.clock.seconds()
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
