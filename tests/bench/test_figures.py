"""The arithmetic of the benchmark: what it calls lost, doubled, out of order, fast and growing."""

from array import array

import pytest

from bench import figures
from bench.figures import TYPE, Arrived, Sent
from bench.template import ACCOUNTS


def sent(*acked: int, early: tuple[int, ...] = ()) -> Sent:
    return Sent(acked=array(TYPE, acked), early=set(early))


def arrived(*numbers: int) -> Arrived:
    return Arrived(numbers=array(TYPE, numbers))


@pytest.mark.parametrize(
    "values, share, expected",
    [
        ([], 0.5, 0),
        ([7], 0.99, 7),
        ([3, 1, 2], 0.5, 2),
        ([4, 1, 3, 2], 0.5, 2),
        (range(1, 101), 0.99, 99),
        (range(1, 1001), 0.99, 990),
        (range(1, 102), 0.99, 100),
        (range(1, 101), 1.0, 100),
        (range(1, 101), 0.0, 1),
    ],
)
def test_a_percentile_is_the_nearest_rank(values, share, expected):
    assert figures.percentile(values, share) == expected


class TestTheVerdict:
    def test_is_good_when_everything_arrived_once(self):
        verdict = figures.judge(sent(0, 1, 2), arrived(2, 0, 1))
        assert (verdict.lost, verdict.duplicated, verdict.disordered, verdict.delivered) == (0, 0, 0, 3)
        assert verdict.good

    def test_counts_what_was_acknowledged_and_never_came(self):
        verdict = figures.judge(sent(0, 1, 2), arrived(1))
        assert verdict.lost == 2
        assert not verdict.good

    def test_counts_each_doubled_message_once(self):
        assert figures.judge(sent(0, 1), arrived(0, 1, 1, 1, 0)).duplicated == 2

    def test_does_not_mind_what_came_without_an_acknowledgement(self):
        assert figures.judge(sent(1), arrived(0, 1)).good

    def test_sees_a_message_overtaken_by_a_later_one_of_its_account(self):
        assert figures.judge(sent(0, ACCOUNTS), arrived(ACCOUNTS, 0)).disordered == 1

    def test_lets_accounts_overtake_each_other(self):
        assert figures.judge(sent(0, 1, 2), arrived(2, 1, 0)).disordered == 0

    def test_does_not_call_a_second_delivery_disorder(self):
        assert figures.judge(sent(0, ACCOUNTS), arrived(0, ACCOUNTS, 0)).disordered == 0

    def test_asks_no_order_of_what_was_sent_before_the_answer_to_its_predecessor(self):
        assert figures.judge(sent(0, ACCOUNTS, early=(ACCOUNTS,)), arrived(ACCOUNTS, 0)).disordered == 0

    def test_asks_order_when_only_one_step_between_two_messages_was_early(self):
        last = 2 * ACCOUNTS
        verdict = figures.judge(sent(0, ACCOUNTS, last, early=(ACCOUNTS,)), arrived(ACCOUNTS, last, 0))
        assert verdict.disordered == 1

    def test_asks_no_order_of_what_was_never_acknowledged(self):
        assert figures.judge(sent(ACCOUNTS), arrived(ACCOUNTS, 0)).disordered == 0


def test_latencies_are_told_in_ms():
    seen = Sent(latencies_us=array(TYPE, [1000, 2500, 4000, 90000]))
    assert figures.latencies_ms(seen) == {"p50": 2.5, "p90": 90.0, "p99": 90.0, "max": 90.0}


@pytest.mark.parametrize("seconds", [0.0, -3.0])
def test_a_rate_over_no_time_is_zero(seconds):
    assert figures.rate(5, seconds) == 0.0


@pytest.mark.parametrize("one, other, expected", [(3, 2, 1.5), (None, 2, None), (3, None, None), (3, 0, None)])
def test_a_ratio_needs_two_figures(one, other, expected):
    assert figures.ratio(one, other) == expected


class TestGrowth:
    def test_compares_the_last_block_with_the_first(self):
        assert figures.growth([2.0, 2.1, 2.2, 3.0])["last_over_first"] == 1.5

    def test_compares_the_medians_of_fifths_too_for_one_block_may_be_chance(self):
        steady = [1.0] * 14 + [9.0]
        assert figures.growth(steady) == {"last_over_first": 9.0, "last_fifth_over_first_fifth": 1.0}

    def test_of_nothing_is_nothing(self):
        assert set(figures.growth([]).values()) == {None}
        assert set(figures.in_turn([(1.0, 0.0)]).values()) == {None}

    def test_of_pairs_is_the_median_of_their_ratios_for_the_machine_may_be_slower_in_one_pair_than_in_another(self):
        assert figures.in_turn([(1.1, 1.0), (5.0, 5.0), (9.0, 10.0)]) == {"median": 1.0, "min": 0.9, "max": 1.1}


def test_the_floor_is_what_ratios_are_taken_of():
    def result(speed: float, p50: float, p99: float, cpu: float) -> dict:
        return {"delivered_per_s": speed, "ack_ms": {"p50": p50, "p99": p99}, "cpu_ms_per_message": cpu}

    ratios = figures.against_floor(result(1200, 3, 9, 0.5), result(2000, 2, 6, 0.25))
    assert ratios == {"delivered_per_s": 0.6, "ack_p50_ms": 1.5, "ack_p99_ms": 1.5, "cpu_ms_per_message": 2.0}
