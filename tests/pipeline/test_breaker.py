"""The breaker: a sick peer is isolated, and a delivery that nobody would take is not taken for one."""

import pytest

from suture.model.outcome import Accepted, Ambiguous, Outcome, Rejected, TryLater, Unavailable
from suture.pipeline.breaker import Breaker
from suture.pipeline.retry import Policy

NO = TryLater("AR", "busy")
YES = Accepted("AA")


def breaker(after: int = 3) -> Breaker:
    return Breaker(Policy(breaker_after=after, first_s=1, max_s=60, jitter=0), lambda: 0.0)


def test_it_opens_when_so_many_deliveries_fail_in_a_row() -> None:
    b = breaker()
    for delivery_id in (1, 2):
        b.record(NO, 1.0, delivery_id)
        assert not b.open
    b.record(NO, 1.0, 3)
    assert b.open and b.wait_s(1.0) == 1


def test_one_delivery_that_fails_again_and_again_does_not_open_it() -> None:
    b = breaker()
    for _ in range(50):
        b.record(Ambiguous("CONNECTION_LOST", "the peer closed"), 1.0, 1)
    assert not b.open
    assert b.since_s == 1.0, "as long as nothing else was taken the peer may be sick"
    assert b.alone(1) == 0


def test_a_peer_that_cannot_be_had_opens_it_at_once() -> None:
    b = breaker()
    b.record(Unavailable("CONNECT", "refused"), 1.0, 1)
    assert b.open


@pytest.mark.parametrize("no", [NO, Unavailable("404", "not there")])
@pytest.mark.parametrize("taken", [YES, Rejected("AE", "no")])
def test_a_success_elsewhere_marks_the_delivery_and_not_the_destination(taken: Outcome, no: Outcome) -> None:
    b = breaker()
    b.record(no, 1.0, 1)
    assert b.record(taken, 2.0, 2), "the destination is well again"
    for attempt in range(1, 6):
        assert not b.record(no, 2.0 + attempt, 1)
        assert (b.alone(1), b.since_s, b.fail_alone) == (attempt, None, 1)
        b.record(taken, 2.5 + attempt, 2 + attempt)
    b.forget(1)
    assert (b.alone(1), b.fail_alone) == (0, 0)


def test_a_destination_that_takes_one_of_many_is_failing_and_blames_none_of_them() -> None:
    b, waiting = breaker(), list(range(1, 8))
    for now in range(100):
        for delivery_id in waiting:
            b.record(NO, float(now), delivery_id)
        assert b.open and b.since_s is not None
        taken = waiting.pop(now * 5 % 7)
        b.record(YES, float(now), taken)
        b.forget(taken)
        waiting.append(100 + now)
        assert max(map(b.alone, waiting)) < Policy().give_up_after_attempts


@pytest.mark.parametrize("poisoned", [2, 4])
def test_some_that_fail_while_others_are_taken_are_all_to_blame(poisoned: int) -> None:
    b, changes = breaker(after=5), 0
    for now in range(60):
        for delivery_id in range(poisoned):
            changes += b.record(NO, float(now), delivery_id)
        changes += b.record(YES, float(now), 1000 + now)
    assert changes <= 2 * poisoned, "the destination does not seem to come and go"
    assert [b.alone(n) >= 60 - poisoned for n in range(poisoned)] == [True] * poisoned


def test_one_that_failed_alone_counts_again_when_others_fail_too() -> None:
    b = breaker()
    b.record(NO, 1.0, 1)
    b.record(YES, 2.0, 2)
    b.record(NO, 3.0, 1)
    b.record(NO, 4.0, 3)
    assert b.since_s == 4.0
    b.record(NO, 5.0, 1)
    assert b.alone(1) == 1
    b.record(NO, 6.0, 4)
    assert b.open


def test_what_failed_alone_in_an_earlier_run_does_so_in_this_one() -> None:
    b = breaker()
    assert not b.record(NO, 1.0, 1, again=True)
    assert (b.since_s, b.alone(1), b.fail_alone) == (None, 1, 1)
    b.resume(1.0, "refused")
    b.record(NO, 2.0, 2, again=True)
    assert (b.alone(2), b.failures) == (0, 1), "the peer itself was failing then"


def test_it_goes_on_failing_since_an_earlier_run() -> None:
    b = breaker()
    b.resume(7.0, "refused")
    assert (b.since_s, b.reason, b.open) == (7.0, "refused", False)
    assert not b.record(Unavailable("CONNECT", "refused"), 100.0, 1)
    assert b.since_s == 7.0
    assert b.record(YES, 101.0, 1)
    assert b.since_s is None
