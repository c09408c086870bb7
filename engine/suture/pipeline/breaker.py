"""The breaker of a destination: isolates a sick peer, and says so."""

from __future__ import annotations

from collections.abc import Callable

from suture.model.outcome import Accepted, Held, Outcome, Rejected, TryLater, Unavailable
from suture.pipeline.retry import Policy, pause_s


class Breaker:
    """Closed: everything may go. Open: nothing until `try_at_s`, then one probe at a time.

    since_s: when the peer began to fail, None while it is well. reason: the last error in plain words.
    openings: how often it opened in a row, by which the pauses grow; what was on its way when it opened is not counted.
    """

    def __init__(self, policy: Policy, random: Callable[[], float]) -> None:
        self._policy, self._random = policy, random
        self.failures = self.openings = 0
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
            self.failures, self.openings, self.open, self.since_s, self.reason = 0, 0, False, None, ""
            return changed
        changed = self.since_s is None
        self.failures += 1
        self.since_s = now_s if self.since_s is None else self.since_s
        self.reason = outcome.reason
        if isinstance(outcome, Unavailable) or self.failures >= self._policy.breaker_after:
            self._open(outcome.wait_s if isinstance(outcome, (TryLater, Unavailable)) else None, now_s)
        return changed

    def _open(self, asked_s: float | None, now_s: float) -> None:
        """asked_s: the pause that the peer asks for."""
        if self.open and now_s < self.try_at_s:  # it was sent before
            self.try_at_s = max(self.try_at_s, now_s + (asked_s or 0.0))
            return
        self.open = True
        self.openings += 1
        self.try_at_s = now_s + (pause_s(self._policy, self.openings, self._random) if asked_s is None else asked_s)
