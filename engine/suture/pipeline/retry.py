"""What an outcome does to a delivery: pure decisions."""

from __future__ import annotations

from collections.abc import Callable

from suture.model import states
from suture.model.outcome import Accepted, Ambiguous, Held, Outcome, Rejected, Unavailable, told
from suture.model.value import Value


class Policy(Value, frozen=True):
    """How a destination is tried.

    first_s, max_s: first and longest pause between attempts, doubling in between, with up to `jitter` of it added.
    give_up_after_s: age at which a delivery that keeps failing becomes a dead letter; attempts_max: 0 = no limit.
    give_up_after_attempts: attempts that may fail while the destination takes others; 0 = no limit.
    breaker_after: deliveries failing in a row after which one probe at a time is sent. on_ambiguous: resend or hold.
    in_flight: deliveries on the way at a time. memory_limit, memory_bytes: waiting deliveries kept in memory.
    """

    first_s: float = 1.0
    max_s: float = 60.0
    jitter: float = 0.2
    give_up_after_s: float = 259_200.0
    attempts_max: int = 0
    give_up_after_attempts: int = 20
    breaker_after: int = 5
    on_ambiguous: str = "resend"
    in_flight: int = 1
    memory_limit: int = 2000
    memory_bytes: int = 16_777_216


class Decision(Value, frozen=True, gc=False):
    """state: what the delivery becomes. wait_s: when retrying, the pause before the next try. reason: with the partner's words."""

    state: str
    wait_s: float
    reason: str


def pause_s(policy: Policy, failures: int, random: Callable[[], float]) -> float:
    """Exponential backoff with jitter, capped. failures: how many so far, from 1; random: [0, 1)."""
    base = min(policy.max_s, policy.first_s * 2.0 ** min(failures - 1, 30))
    return base * (1 + policy.jitter * random())


def asked_s(policy: Policy, outcome: Outcome) -> float | None:
    """The pause that the peer asks for, but no shorter than our own first one: one that says 0 is not hammered. None: it asks for none."""
    wait_s = None if isinstance(outcome, Accepted) else outcome.wait_s
    return None if wait_s is None else max(policy.first_s, wait_s)


def decide(policy: Policy, outcome: Outcome, number: int, age_s: float, alone: int, random: Callable[[], float]) -> Decision:
    """What becomes of a delivery after this outcome.

    number: of the attempt, from 1. age_s: since the delivery was made or let go. alone: attempts, with this one, that failed
    while its destination took others.
    """
    state, wait_s, more = _fate(policy, outcome, number, age_s, alone, random)
    return Decision(state, wait_s, told(f"{outcome.reason}{more}", outcome.words))


def _fate(policy: Policy, outcome: Outcome, number: int, age_s: float, alone: int, random: Callable[[], float]) -> tuple[str, float, str]:
    """The state, the pause before the next try, and what is to be said beside the outcome's reason."""
    if isinstance(outcome, Accepted):
        return states.POSTED if outcome.document else states.ACCEPTED, 0, ""
    if isinstance(outcome, Rejected):
        return states.DEAD, 0, ""
    if isinstance(outcome, Held):
        return states.HELD, 0, ""
    if isinstance(outcome, Ambiguous) and policy.on_ambiguous == "hold":
        return states.HELD, 0, "; it may have been taken, so it waits for a person"
    if why := _given_up(policy, number, age_s, alone, blamed=not isinstance(outcome, Unavailable)):
        return states.DEAD, 0, f"; given up after {why}"
    wait_s = asked_s(policy, outcome)
    return states.RETRYING, pause_s(policy, number, random) if wait_s is None else wait_s, ""


def _given_up(policy: Policy, number: int, age_s: float, alone: int, blamed: bool) -> str:
    """After what a delivery that failed is not tried any more; "" while it is. blamed: its attempts and age count against it."""
    if policy.give_up_after_attempts and alone >= policy.give_up_after_attempts:
        return f"{alone} attempts that failed while the destination took others"
    if blamed and policy.attempts_max and number >= policy.attempts_max:
        return f"{number} attempts"
    if blamed and age_s > policy.give_up_after_s:
        return f"{policy.give_up_after_s / 3600:g} h"
    return ""
