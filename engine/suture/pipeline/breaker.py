"""The breaker of a destination: isolates a sick peer, says so, and tells a sick peer from a delivery that nobody would take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from suture.model.outcome import Accepted, Held, Outcome, Rejected, Unavailable, apart
from suture.pipeline.retry import Policy, asked_s, pause_s

MANY = 1 << 40
"""More deliveries than are ever taken."""
SLACK_S = 1.0
"""So much more than a pause may seem to be left of it: sums of seconds are not exact, and clocks are set back a little."""


@dataclass(slots=True)
class Trouble:
    """A delivery that fails. taken: what its destination had taken when it began to. alone: attempts that failed while others went out."""

    taken: int
    alone: int = 0


class Breaker:
    """Closed: everything may go. Open: nothing until `try_at_s`, then one probe at a time.

    It opens when so many deliveries as the policy says have failed since one was taken, or when the destination cannot be
    had at all: a delivery that fails while others are taken says nothing of the destination.
    since_s: when the peer began to fail, None while it is well. reason: the last error in plain words; words: what the partner
    said with it, which only the store may have. failures: in a row.
    openings: how often it opened in a row, by which the pauses grow; what was on its way when it opened is not counted.
    """

    def __init__(self, policy: Policy, random: Callable[[], float]) -> None:
        self._policy, self._random = policy, random
        self.failures = self.openings = 0
        self.open = False
        self.since_s: float | None = None
        self.try_at_s = 0.0
        self._pause_s = 0.0
        self.reason = self.words = ""
        self._taken = 0
        self._failed: set[int] = set()  # since one was taken last
        self._doubted = False  # whether one of these is not known to fail alone
        self._troubles: dict[int, Trouble] = {}

    def resume(self, since_s: float, reason: str) -> None:
        """The peer was failing when an earlier run or an earlier configuration of it ended, and has taken nothing since.

        reason: as the store has it, with the partner's words.
        """
        self.since_s = since_s
        self.reason, self.words = apart(reason)

    def allows(self, now_s: float, in_flight: int) -> bool:
        """Whether one more may be sent now."""
        if not self.open:
            return in_flight < self._policy.in_flight
        return in_flight == 0 and not self.wait_s(now_s)

    def wait_s(self, now_s: float) -> float:
        """Seconds until the next probe may go; none when more are left than it had to wait: then the clock was set back."""
        left_s = self.try_at_s - now_s if self.open else 0.0
        return left_s if 0 < left_s < self._pause_s + SLACK_S else 0.0

    def record(self, outcome: Outcome, now_s: float, delivery_id: int, again: bool = False) -> bool:
        """Take note of an outcome; True when failing or well has changed. again: the delivery has failed before, in whatever run."""
        if isinstance(outcome, (Accepted, Rejected, Held)):
            return self._took()
        if self._fails_alone(delivery_id, again):
            return False
        changed = self.since_s is None
        self.failures += 1
        self.since_s = now_s if self.since_s is None else min(self.since_s, now_s)  # the clock may have been set back
        self.reason, self.words = outcome.reason, outcome.words
        if isinstance(outcome, Unavailable) or len(self._failed) >= self._policy.breaker_after:
            self._open(asked_s(self._policy, outcome), now_s)
        return changed

    def _took(self) -> bool:
        changed = self.since_s is not None
        self._taken += 1
        self._failed.clear()
        self._doubted = False
        self.failures, self.openings, self.open, self.since_s = 0, 0, False, None
        self.reason = self.words = ""
        return changed

    def _fails_alone(self, delivery_id: int, again: bool) -> bool:
        """Whether it is to blame, and not the peer: that has taken others since it began to fail, as many as fail in all.

        Too many of them in a row, or one that fails for the first time beside them, say something of the peer all the same.
        """
        after = self._policy.breaker_after
        if len(self._failed) <= after:
            self._failed.add(delivery_id)
        if delivery_id not in self._troubles:
            # One that failed in an earlier run, at the end of which the peer was well, failed alone.
            since = self._taken - MANY if again and self.since_s is None else self._taken
            self._troubles[delivery_id] = Trouble(since)
        trouble = self._troubles[delivery_id]
        self._doubted = self._doubted or self._taken - trouble.taken < len(self._troubles)
        if self._doubted or len(self._failed) >= max(2, after):
            return False
        trouble.alone += 1
        return True

    def alone(self, delivery_id: int) -> int:
        """Attempts of this delivery that failed while its destination took others."""
        trouble = self._troubles.get(delivery_id)
        return 0 if trouble is None else trouble.alone

    @property
    def fail_alone(self) -> int:
        """Deliveries that keep failing while their destination takes others."""
        return sum(1 for trouble in self._troubles.values() if trouble.alone)

    def forget(self, delivery_id: int) -> None:
        """This delivery has left its lane."""
        self._troubles.pop(delivery_id, None)

    def _open(self, given_s: float | None, now_s: float) -> None:
        """given_s: the pause that the peer asks for."""
        wait_s = self.wait_s(now_s)
        if wait_s:  # it was sent before
            wait_s = max(wait_s, given_s or 0.0)
        else:
            self.openings += 1
            wait_s = pause_s(self._policy, self.openings, self._random) if given_s is None else given_s
        self.open, self._pause_s, self.try_at_s = True, wait_s, now_s + wait_s
