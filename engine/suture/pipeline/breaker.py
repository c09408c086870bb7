"""The breaker of a destination: isolates a sick peer, and says so."""

from __future__ import annotations

from collections.abc import Callable

from suture.model.outcome import Accepted, Held, Outcome, Rejected, TryLater, Unavailable
from suture.pipeline.retry import Policy, pause_s


class Breaker:
    """Closed: everything may go. Open: nothing until `try_at_s`, then one probe at a time.

    since_s: when the peer began to fail, None while it is well. reason: the last error in plain words.
    """

    def __init__(self, policy: Policy, random: Callable[[], float]) -> None:
        self._policy, self._random = policy, random
        self.failures = 0
        self.open = False
        self.since_s: float | None = None
        self.try_at_s = 0.0
        self.reason = ""

    def allows(self, now_s: float, in_flight: int) -> bool:
        """Whether one more may be sent now."""
        if not self.open:
            return in_flight < self._policy.in_flight
        return in_flight == 0 and now_s >= self.try_at_s

    def record(self, outcome: Outcome, now_s: float) -> bool:
        """Take note of an outcome; True when failing or well has changed."""
        if isinstance(outcome, (Accepted, Rejected, Held)):
            changed = self.since_s is not None
            self.failures, self.open, self.since_s, self.reason = 0, False, None, ""
            return changed
        changed = self.since_s is None
        self.failures += 1
        self.since_s = now_s if self.since_s is None else self.since_s
        self.reason = outcome.reason
        if isinstance(outcome, Unavailable) or self.failures >= self._policy.breaker_after:
            self.open = True
            asked_s = outcome.wait_s if isinstance(outcome, (TryLater, Unavailable)) else None
            opened = self.failures if isinstance(outcome, Unavailable) else self.failures - self._policy.breaker_after + 1
            self.try_at_s = now_s + (pause_s(self._policy, opened, self._random) if asked_s is None else asked_s)
        return changed
