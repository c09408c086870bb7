"""Lanes: order within a key, keys in parallel, memory bounded, a sick peer isolated."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from suture.model.outcome import Accepted, Ambiguous, Rejected, TryLater, Unavailable
from suture.pipeline.retry import Policy
from tests.doubles import Scripted


def run(clock, seconds):
    for _ in range(int(seconds * 100)):
        clock.advance(0.01)


def test_a_lane_sends_one_at_a_time_in_order(build):
    clock, store, peer, lanes = build(Policy(in_flight=8))
    for n in (1, 2, 3):
        lanes.add(store.put(n, "a"))
    assert peer.sent == [1]
    run(clock, 1)
    assert peer.sent == [1, 2, 3]


def test_lanes_run_in_parallel_up_to_in_flight(build):
    clock, store, peer, lanes = build(Policy(in_flight=2))
    for n in range(1, 7):
        lanes.add(store.put(n, str(n)))
    run(clock, 1)
    assert peer.most_busy == 2
    assert sorted(peer.sent) == [1, 2, 3, 4, 5, 6]


def test_a_head_that_is_tried_again_holds_its_lane_and_no_other(build):
    clock, store, peer, lanes = build(Policy(in_flight=2, first_s=5), [TryLater("AR", "busy")])
    lanes.add(store.put(1, "a"))
    lanes.add(store.put(2, "a"))
    lanes.add(store.put(3, "b"))
    run(clock, 4.9)
    assert peer.sent == [1, 3]
    run(clock, 1)
    assert peer.sent == [1, 3, 1, 2]


def test_a_dead_letter_lets_the_next_pass(build):
    clock, store, peer, lanes = build(Policy(), [Rejected("AE", "no")])
    lanes.add(store.put(1, "a"))
    lanes.add(store.put(2, "a"))
    run(clock, 1)
    assert store.states == {1: "dead", 2: "accepted"}


def test_a_peer_that_cannot_be_reached_is_probed_and_no_delivery_dies_of_it(build):
    policy = Policy(in_flight=4, first_s=1, max_s=4, give_up_after_s=5)
    clock, store, peer, lanes = build(policy, [Unavailable("CONNECT", "refused")] * 8)
    for n in range(1, 5):
        lanes.add(store.put(n, str(n)))
    run(clock, 0.5)
    first = len(peer.sent)
    run(clock, 1)
    assert len(peer.sent) - first <= 1
    run(clock, 60)
    assert set(store.states.values()) == {"accepted"}


@pytest.mark.parametrize("kind", [TryLater, Unavailable])
def test_a_peer_that_asks_to_be_tried_again_at_once_is_not_hammered(build, kind):
    clock, store, peer, lanes = build(Policy(first_s=1, breaker_after=2), [kind("429", "no", wait_s=0.0)] * 99)
    lanes.add(store.put(1, "a"))
    run(clock, 10)
    assert 5 < len(peer.sent) < 12


class SetBack:
    """The time of day, as somebody sets it back; what is due comes all the same."""

    def __init__(self, clock):
        self.clock, self.callLater, self.back_s = clock, clock.callLater, 0.0

    def seconds(self):
        return self.clock.seconds() - self.back_s


def test_a_clock_that_is_set_back_does_not_keep_us_away_from_a_sick_peer(build):
    walls = []
    script = [Unavailable("CONNECT", "refused")]
    clock, store, peer, lanes = build(Policy(first_s=1, max_s=4), script, lambda clock: walls.append(SetBack(clock)) or walls[0])
    lanes.add(store.put(1, "a"))
    run(clock, 0.5)
    walls[0].back_s = 3600.0
    run(clock, 2)
    assert store.states == {1: "accepted"}


def test_a_poisoned_lane_that_fills_most_of_the_window_lets_those_in_the_store_pass(build):
    script = [TryLater("AR", "no")] + [Accepted("AA")] * 3
    clock, store, peer, lanes = build(Policy(in_flight=4, memory_limit=10, first_s=3600, max_s=3600, breaker_after=99), script)
    for n in range(1, 8):
        lanes.add(store.put(n, "poisoned"))
    for n in range(8, 13):
        lanes.add(store.put(n, f"well {n}"))
    run(clock, 10)
    assert peer.sent == [1, *range(8, 13)]


def test_heads_that_wait_are_kept_in_memory_up_to_a_limit_and_all_goes_out_when_their_peer_takes_them(build):
    clock, store, peer, lanes = build(Policy(in_flight=4, memory_limit=10, first_s=5, max_s=5, jitter=0, breaker_after=99))
    send, sick = peer.send, True

    def answer(delivery, done):
        peer.script = [TryLater("AR", "no")] if sick and delivery.lane.startswith("sick") else []
        send(delivery, done)

    peer.send = answer
    for n in range(1, 401):
        lanes.add(store.put(n, f"{('sick', 'well')[n % 2]} {n}"))
    most = 0
    for _ in range(600):
        run(clock, 0.05)
        most = max(most, lanes.window.count)
    assert {n for n, state in store.states.items() if state == "accepted"} >= set(range(1, 200, 2))
    assert 100 <= most <= 110
    sick = False
    run(clock, 60)
    assert set(store.states.values()) == {"accepted"}


@pytest.mark.parametrize("outcome", [TryLater("503", "busy"), Unavailable("CONNECT", "refused"), Ambiguous("TIMEOUT", "silence")])
def test_many_that_fail_together_are_one_failure_to_the_pauses(build, outcome):
    clock, store, peer, lanes = build(Policy(in_flight=16, first_s=1, max_s=60, jitter=0), [outcome] * 16)
    for n in range(1, 17):
        lanes.add(store.put(n, str(n)))
    run(clock, 0.5)
    assert len(peer.sent) == 16
    run(clock, 2)
    assert set(store.states.values()) == {"accepted"}


def test_the_longest_pause_that_a_peer_asks_for_is_kept(build):
    clock, store, peer, lanes = build(Policy(in_flight=2, breaker_after=1), [TryLater("503", "busy"), TryLater("503", "busy", wait_s=9)])
    lanes.add(store.put(1, "a"))
    lanes.add(store.put(2, "b"))
    run(clock, 8)
    assert peer.sent == [1, 2]
    run(clock, 2)
    assert set(store.states.values()) == {"accepted"}


def test_an_ambiguous_outcome_is_held_where_the_policy_says_so(build):
    clock, store, peer, lanes = build(Policy(on_ambiguous="hold"), [Ambiguous("TIMEOUT", "silence")])
    lanes.add(store.put(1, "a"))
    run(clock, 1)
    assert store.states[1] == "held"
    assert peer.sent == [1]


def test_attempts_and_age_have_a_limit(build):
    clock, store, peer, lanes = build(Policy(attempts_max=3, first_s=0.1, breaker_after=99), [TryLater("503", "no")] * 9)
    lanes.add(store.put(1, "a"))
    run(clock, 5)
    assert store.states[1] == "dead"
    assert len(store.reasons(1)) == 3


def test_memory_holds_a_window_and_the_rest_waits_in_the_store(build):
    clock, store, peer, lanes = build(Policy(in_flight=1, memory_limit=10), [Unavailable("CONNECT", "refused")] * 3)
    for n in range(1, 101):
        lanes.add(store.put(n, str(n % 7)))
        assert lanes.window.count <= 10
    run(clock, 60)
    assert set(store.states.values()) == {"accepted"}
    assert lanes.window.depth == 0


def test_a_poisoned_lane_does_not_fill_the_window_of_the_others(build):
    script = [TryLater("AR", "busy")]
    clock, store, peer, lanes = build(Policy(in_flight=2, memory_limit=10, first_s=30, breaker_after=99), script)
    for n in range(1, 60):
        lanes.add(store.put(n, "poison"))
    for n in range(60, 70):
        lanes.add(store.put(n, f"well{n}"))
    run(clock, 20)
    assert [n for n in range(60, 70) if store.states[n] == "accepted"] == list(range(60, 70))
    run(clock, 60)
    assert [n for n in peer.sent if n < 60][1:] == list(range(1, 60))


class Closing(Scripted):
    """Closes the connection on what is for some lanes, and takes all others."""

    def __init__(self, clock, poison, outcome):
        super().__init__(clock)
        self.poison, self.outcome = poison, outcome

    def send(self, delivery, done):
        self.script = [self.outcome] if delivery.lane in self.poison else []
        super().send(delivery, done)


def closing(build, policy, *poison, outcome=None):
    clock, store, _, lanes = build(policy)
    lanes.peer = Closing(clock, poison, outcome or Ambiguous("CONNECTION_LOST", "the peer closed the connection"))
    return clock, store, lanes.peer, lanes


@pytest.mark.parametrize("in_flight", [1, 4])
def test_one_message_that_a_peer_never_takes_stops_nobody_else(build, in_flight):
    clock, store, peer, lanes = closing(build, Policy(in_flight=in_flight, first_s=1, max_s=60, give_up_after_attempts=0), "poison")
    lanes.add(store.put(1, "poison"))
    run(clock, 200)  # nothing else comes: the breaker would be open by now, with its longest pause
    for n in range(2, 40):
        lanes.add(store.put(n, f"well {n}"))
    run(clock, 3)
    assert {store.states[n] for n in range(2, 40)} == {"accepted"}
    assert store.states[1] == "retrying"
    assert lanes.breaker.since_s is None
    run(clock, 70)
    assert lanes.breaker.fail_alone == 1
    assert lanes.next_try_s() > 0


def test_behind_as_many_as_open_the_breaker_others_are_tried_first(build):
    names = [f"poison {n}" for n in range(6)]
    clock, store, peer, lanes = closing(build, Policy(in_flight=1, first_s=1, max_s=60, breaker_after=5, give_up_after_attempts=0), *names)
    for n, name in enumerate(names, start=1):
        lanes.add(store.put(n, name))
    run(clock, 20)
    assert lanes.breaker.open
    lanes.add(store.put(7, "well"))
    begin = len(peer.sent)
    run(clock, 61)
    assert peer.sent[begin] == 7
    assert store.states[7] == "accepted"


@pytest.mark.parametrize("outcome", [Unavailable("404", "not there"), TryLater("AR", "no"), Ambiguous("CONNECTION_LOST", "it closed")])
def test_a_lane_that_fills_the_window_while_the_breaker_is_open_lets_those_in_the_store_pass(build, outcome):
    policy = Policy(in_flight=2, memory_limit=10, first_s=1, max_s=60, breaker_after=5, give_up_after_attempts=20)
    clock, store, peer, lanes = closing(build, policy, "poison", *(f"p{n}" for n in range(5)), outcome=outcome)
    if not isinstance(outcome, Unavailable):
        for n in range(1, 6):
            lanes.add(store.put(n, f"p{n - 1}"))
        run(clock, 10)
        assert lanes.breaker.open
    for n in range(10, 30):
        lanes.add(store.put(n, "poison"))
    for n in range(30, 40):
        lanes.add(store.put(n, f"well {n}"))
    run(clock, 600)
    assert {store.states[n] for n in range(30, 40)} == {"accepted"}


@pytest.mark.parametrize("outcome", [TryLater("AR", "no"), Ambiguous("CONNECTION_LOST", "it closed"), Unavailable("404", "not there")])
def test_a_delivery_that_alone_keeps_failing_is_given_up_with_its_reason_and_the_next_of_its_lane_goes(build, outcome):
    policy = Policy(first_s=0.1, max_s=0.1, jitter=0, give_up_after_attempts=4)
    clock, store, peer, lanes = closing(build, policy, "poison", outcome=outcome)
    lanes.add(store.put(1, "poison"))
    for n in range(2, 100):
        run(clock, 0.1)
        lanes.add(store.put(n, f"well {n}"))
        if n == 50:
            peer.poison = ()
            lanes.add(store.put(100, "poison"))
    run(clock, 5)
    assert store.states[1] == "dead" and store.states[100] == "accepted"
    assert store.reasons(1)[-1] == f"{outcome.reason}; given up after 4 attempts that failed while the destination took others"
    assert lanes.breaker.fail_alone == 0


def test_a_destination_that_takes_nothing_gives_none_up_before_its_age(build):
    clock, store, peer, lanes = build(Policy(in_flight=4, first_s=0.1, max_s=1, give_up_after_attempts=3), [TryLater("503", "busy")] * 400)
    for n in range(1, 9):
        lanes.add(store.put(n, str(n)))
    run(clock, 200)
    assert set(store.states.values()) == {"retrying"}


def test_what_is_paused_sends_nothing_until_it_is_resumed(build):
    clock, store, peer, lanes = build(Policy(in_flight=2))
    lanes.pause()
    lanes.add(store.put(1, "a"))
    run(clock, 1)
    assert peer.sent == []
    lanes.resume()
    run(clock, 1)
    assert peer.sent == [1]


def test_each_send_asks_whether_it_may_begin_and_waits_for_the_resume_when_not(build):
    may = [True, False]
    clock, store, peer, lanes = build(Policy(in_flight=1), may_send=lambda: may.pop(0) if may else True)
    for n in (1, 2, 3):
        lanes.add(store.put(n, str(n)))
    run(clock, 1)
    assert peer.sent == [1]
    lanes.resume()
    run(clock, 1)
    assert peer.sent == [1, 2, 3]


def test_a_delivery_that_was_held_before_its_first_attempt_goes_out_when_it_is_let_go(build):
    clock, store, peer, lanes = build(Policy())
    lanes.add(store.put(2, "a"))  # number 1 was held as it was made
    run(clock, 1)
    store.put(1, "a", "held")
    lanes.release(store.let_go(1), new=False)
    run(clock, 1)
    assert peer.sent == [2, 1]
    assert lanes.window.depth == 0


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=40),
    st.lists(
        st.sampled_from([Accepted("A"), TryLater("R", "r"), Unavailable("C", "c"), Ambiguous("T", "t"), Rejected("E", "e")]), max_size=30
    ),
    st.integers(1, 4),
    st.integers(1, 12),
)
def test_whatever_the_peer_does_each_lane_keeps_its_order_and_nothing_is_forgotten(build, arrivals, script, in_flight, memory):
    policy = Policy(in_flight=in_flight, memory_limit=memory, first_s=0.05, max_s=0.2, breaker_after=3)
    clock, store, peer, lanes = build(policy, script)
    for number, (lane, pause) in enumerate(arrivals, start=1):
        lanes.add(store.put(number, lane))
        if pause:
            run(clock, 0.03)
    run(clock, 30)
    assert set(store.states.values()) <= {"accepted", "dead"}
    lane_of = store.column("lane")
    for lane in "abc":
        mine = [n for n in peer.sent if lane_of[n] == lane]
        assert mine == sorted(mine)


@pytest.mark.parametrize("failures", [1, 2, 3, 50])
def test_pauses_grow_and_have_a_cap(failures):
    from suture.pipeline.retry import pause_s

    policy = Policy(first_s=1, max_s=8, jitter=0.5)
    assert pause_s(policy, failures, lambda: 0.0) == min(8, 2 ** (failures - 1))
    assert pause_s(policy, failures, lambda: 1.0) <= 12
