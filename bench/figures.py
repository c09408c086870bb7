"""The arithmetic of a benchmark, without a clock or a socket: what was sent, what arrived, and what that comes to."""

from __future__ import annotations

from array import array
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from statistics import median
from typing import Any

from bench.template import ACCOUNTS

TYPE = "L"
"""Message numbers are kept in arrays of this type: half a million of them cost 4 MB."""


@dataclass
class Sent:
    """What the senders saw.

    begin_s, end_s: monotonic seconds of the first write and the last answer. latencies_us: one an answer, in no order.
    acked: numbers answered AA or CA. early: numbers sent before the account's previous message was answered; the two have
    no order. codes: answers by MSA-1. errors: connections refused, broken or silent. mismatched: answers for another message.
    """

    begin_s: float = 0.0
    end_s: float = 0.0
    latencies_us: array[int] = field(default_factory=lambda: array(TYPE))
    acked: array[int] = field(default_factory=lambda: array(TYPE))
    early: set[int] = field(default_factory=set)
    codes: dict[str, int] = field(default_factory=dict)
    errors: int = 0
    mismatched: int = 0


@dataclass
class Arrived:
    """What the sink saw. numbers: in the order of arrival. last_s: monotonic seconds of the last one. nameless: bodies without a number."""

    numbers: array[int] = field(default_factory=lambda: array(TYPE))
    last_s: float = 0.0
    nameless: int = 0


@dataclass(frozen=True)
class Verdict:
    """lost: acknowledged and not arrived. duplicated: arrived more than once. disordered: arrived after a later one of their account."""

    lost: int
    duplicated: int
    disordered: int
    delivered: int

    @property
    def good(self) -> bool:
        """Nothing lost, nothing doubled, everything in order."""
        return not (self.lost or self.duplicated or self.disordered)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of the values does not exceed (nearest rank); 0 when there are none."""
    if not values:
        return 0.0
    ordered = sorted(values)
    rank = ceil(len(ordered) * share - 1e-9)  # 0.99 is a little more than 99 hundredths
    return ordered[max(0, rank - 1)]


def judge(sent: Sent, arrived: Arrived) -> Verdict:
    """Compare what was acknowledged with what arrived.

    Something that arrived without having been acknowledged is no fault: its answer was lost on the way, and so was its place.
    """
    acked, unique = set(sent.acked), set(arrived.numbers)
    return Verdict(
        lost=len(acked - unique),
        duplicated=repeated(arrived.numbers),
        disordered=disordered([number for number in arrived.numbers if number in acked], sent.early),
        delivered=len(unique),
    )


def repeated(arrivals: Sequence[int]) -> int:
    """How many numbers arrived more than once."""
    once: set[int] = set()
    again: set[int] = set()
    for number in arrivals:
        (again if number in once else once).add(number)
    return len(again)


def disordered(arrivals: Sequence[int], early: Collection[int], accounts: int = ACCOUNTS) -> int:
    """How many numbers first arrived after a later number of their account; those in `early` had no order to keep."""
    highest: dict[int, int] = {}
    seen: set[int] = set()
    count = 0
    for number in arrivals:
        if number in seen:
            continue
        seen.add(number)
        account = number % accounts
        before = highest.get(account, -1)
        if before > number and not _exempt(number, before, early, accounts):
            count += 1
        highest[account] = max(before, number)
    return count


def _exempt(number: int, before: int, early: Collection[int], accounts: int) -> bool:
    """Whether the two had no order: every message from the one to the other was sent before its predecessor was answered."""
    return all(between in early for between in range(number + accounts, before + 1, accounts))


def latencies_ms(sent: Sent) -> dict[str, float]:
    """The ACK latency in ms: p50, p90, p99 and max."""
    ordered = sorted(sent.latencies_us)
    shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
    return {name: round(percentile(ordered, share) / 1000, 3) for name, share in shares.items()}


def rate(count: int, seconds: float) -> float:
    """How many a second; 0 when no time passed."""
    return round(count / seconds, 1) if seconds > 0 else 0.0


def ratio(one: float | None, other: float | None) -> float | None:
    """one / other, None when there is nothing to divide by."""
    return round(one / other, 3) if one is not None and other else None


def growth(values: Sequence[float]) -> dict[str, float | None]:
    """How a cost grew over equal blocks: last over first, and the median of the last fifth over that of the first.

    The first says what was asked; the second says whether it was chance.
    """
    if not values:
        return {"last_over_first": None, "last_fifth_over_first_fifth": None}
    fifth = max(1, len(values) // 5)
    return {
        "last_over_first": ratio(values[-1], values[0]),
        "last_fifth_over_first_fifth": ratio(median(values[-fifth:]), median(values[:fifth])),
    }


def in_turn(pairs: Sequence[tuple[float, float]]) -> dict[str, float | None]:
    """The ratios of pairs that were measured one right after the other: the median, the least and the greatest."""
    ratios = sorted(one / other for one, other in pairs if other)
    if not ratios:
        return {"median": None, "min": None, "max": None}
    return {"median": round(median(ratios), 3), "min": round(ratios[0], 3), "max": round(ratios[-1], 3)}


def against_floor(result: Mapping[str, Any], floor: Mapping[str, Any]) -> dict[str, float | None]:
    """The engine's figures over the floor's, of two results of the same load."""
    return {
        "delivered_per_s": ratio(result["delivered_per_s"], floor["delivered_per_s"]),
        "ack_p50_ms": ratio(result["ack_ms"]["p50"], floor["ack_ms"]["p50"]),
        "ack_p99_ms": ratio(result["ack_ms"]["p99"], floor["ack_ms"]["p99"]),
        "cpu_ms_per_message": ratio(result["cpu_ms_per_message"], floor["cpu_ms_per_message"]),
    }
