"""Which promises a round did not keep: pure, from the ledgers of senders and sinks and the rows of the store."""

from __future__ import annotations

import signal
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence

from tests.campaign.ledger import (
    ANSWER_AND_RESET,
    CHANNEL_OF,
    HOLDING,
    SINKS_OF,
    Arrival,
    End,
    Finding,
    History,
    Sent,
    Span,
    StoredDelivery,
)
from tests.campaign.schedule import NOTICE_S

Leg = tuple[str, str]
"""(sink, origin): a message at one of its sinks."""

WAITING = frozenset({"queued", "in_flight", "retrying"})
BY_A_PERSON = frozenset({"held", "dead"})
DELIVERED = frozenset({"accepted", "posted"})
SLACK_S = 1.0
"""So much may lie between something and the note of it, on a busy machine."""
STOP_S = 20.0
"""How long an engine that is asked to end may take, with room for a busy machine."""
START_S = 15.0
"""How long after its start an engine may still be in the trouble that it started in."""
NOT_IN_ORDER = 6
"""Exit code of an engine that was told to end and had a store that did not take what was left."""
RECOVERY_S = 5.0
"""How long after a trouble of its store an engine may still have to write what waited."""
ANY = 0
"""Any run of the engine; they are numbered from 1."""
EXAMPLES = 5


def judge(history: History) -> list[Finding]:
    """Every promise that was not kept."""
    seen = _Seen(history)
    texts = {verdict: list(look(history, seen)) for verdict, look in VERDICTS.items()}
    for verdict, text in history.notes:
        texts.setdefault(verdict, []).append(text)
    return [Finding(verdict, len(each), _examples(each)) for verdict, each in texts.items() if each]


def _examples(texts: Sequence[str]) -> str:
    different = list(dict.fromkeys(texts))
    more = f"; and {len(different) - EXAMPLES} more" if len(different) > EXAMPLES else ""
    return "; ".join(different[:EXAMPLES]) + more


class _Seen:
    """The history, by leg."""

    def __init__(self, history: History) -> None:
        self.arrivals: dict[Leg, list[Arrival]] = defaultdict(list)
        for arrival in sorted(history.arrivals, key=lambda a: a.at_s):
            self.arrivals[arrival.sink, arrival.origin].append(arrival)
        self.deliveries: dict[Leg, list[StoredDelivery]] = defaultdict(list)
        for delivery in history.deliveries:
            self.deliveries[delivery.destination, delivery.origin].append(delivery)
        leg_of = {d.id: (d.destination, d.origin) for d in history.deliveries}
        self.attempts: dict[Leg, int] = defaultdict(int)
        self.accepted_s: dict[Leg, float] = {}
        self.interrupted: list[tuple[Leg, float]] = []
        self.cut_off: dict[Leg, list[float]] = defaultdict(list)
        for attempt in history.attempts:
            leg = leg_of.get(attempt.delivery_id)
            if leg is None:
                continue
            self.attempts[leg] += 1
            if attempt.outcome == "accepted":
                self.accepted_s[leg] = min(attempt.ended_s, self.accepted_s.get(leg, attempt.ended_s))
            if attempt.code == "INTERRUPTED":
                self.interrupted.append((leg, attempt.ended_s))
            if attempt.code == "CONNECTION_LOST":
                self.cut_off[leg].append(attempt.ended_s)
        self.parked = {leg_of[number] for number in history.parked if number in leg_of}
        self.stored: dict[tuple[str, str], set[str]] = defaultdict(set)
        for message in history.messages:
            self.stored[message.channel, message.control_id].add(message.digest)

        self._forgets = _forgets(history)

    def forgotten(self, arrival: Arrival) -> bool:
        """Whether the engine that sent it may have ended, or lost its store, before it could note what came of it."""
        known_s = max(arrival.at_s, arrival.known_s)
        return any(begin_s <= known_s and arrival.at_s <= end_s for life, begin_s, end_s in self._forgets if life in (arrival.life, ANY))

    def taken(self, leg: Leg) -> list[Arrival]:
        """The arrivals that had the effect, the first of them, and those that would have had it again."""
        return [arrival for arrival in self.arrivals.get(leg, ()) if arrival.took]


def _forgets(history: History) -> list[tuple[int, float, float]]:
    """(life, from, to): what was under way of a run of the engine then may be on no record.

    Its last moments, with the trouble that its store was in or the time that it stood still just before; and any run's
    while there were two.
    """
    spans = [(ANY, span.begin_s - SLACK_S, span.end_s) for span in history.seconds]
    for end in history.ends:
        begin_s = end.at_s - end.took_s - SLACK_S
        for trouble in sorted([*history.troubles, *history.frozen], key=lambda span: -span.end_s):
            if trouble.begin_s < begin_s <= trouble.end_s + RECOVERY_S:
                begin_s = trouble.begin_s - SLACK_S
        spans.append((end.life, begin_s, end.at_s))
    return spans


def _legs(sent: Iterable[Sent]) -> Iterator[Leg]:
    """Where acknowledged messages have to be."""
    for one in sent:
        if one.acked_s:
            yield from ((sink, one.control_id) for sink in SINKS_OF[one.kind])


def waits(history: History, leg: Leg, seen: _Seen | None = None) -> bool:
    """Whether a person is told of this message at this sink: an open exception names it."""
    seen = seen or _Seen(history)
    named = any(d.state in BY_A_PERSON and (d.origin, d.id) in history.excepted for d in seen.deliveries.get(leg, ()))
    return named or (leg[1], None) in history.excepted


# -- messages -----------------------------------------------------------------------------------------------------------


def _lost(history: History, seen: _Seen) -> Iterator[str]:
    for leg in _legs(history.sent):
        if not seen.taken(leg) and not waits(history, leg, seen):
            states = ", ".join(f"delivery {d.id} is {d.state}" for d in seen.deliveries.get(leg, ())) or "there is no delivery"
            yield f"{leg[1]} never took effect at {leg[0]}: {states}"


def _false(history: History, seen: _Seen) -> Iterator[str]:
    for leg, deliveries in seen.deliveries.items():
        if any(d.state in DELIVERED for d in deliveries) and not seen.taken(leg):
            yield f"{leg[1]} counts as accepted by {leg[0]}, which never took it"


def _doubled(history: History, seen: _Seen) -> Iterator[str]:
    owners: dict[Leg, str] = {}
    for leg in seen.arrivals:
        keys = {arrival.key for arrival in seen.taken(leg)}
        if len(keys) > 1:
            yield f"{leg[1]} took effect {len(keys)} times at {leg[0]}, under as many keys"
        for key in sorted(keys):
            if owners.setdefault((leg[0], key), leg[1]) != leg[1]:
                yield f"{leg[1]} came to {leg[0]} under the key of {owners[leg[0], key]}"
    firsts: dict[tuple[str, str], int] = defaultdict(int)
    for message in history.messages:
        firsts[message.channel, message.control_id] += message.state != "duplicate"
    yield from (f"{control_id} is in the store {count} times" for (_, control_id), count in firsts.items() if count > 1)


def _twice(history: History, seen: _Seen) -> Iterator[str]:
    """At a sink that knows nothing again, nothing follows what it may have taken."""
    for leg, arrivals in seen.arrivals.items():
        unclear = next((n for n, arrival in enumerate(arrivals) if not arrival.denied), len(arrivals))
        if leg[0] in HOLDING and unclear + 1 < len(arrivals) and leg not in history.insisted:
            did = ", ".join(arrival.did for arrival in arrivals)
            yield f"{leg[1]} came {len(arrivals)} times to {leg[0]}, which knows nothing again ({did})"


def _again(history: History, seen: _Seen) -> Iterator[str]:
    """A message goes out again only when the attempt before it is on record, or was lost with the engine that made it."""
    for leg, arrivals in seen.arrivals.items():
        unforgotten = sum(not seen.forgotten(arrival) for arrival in arrivals)
        if unforgotten > seen.attempts[leg] and seen.deliveries.get(leg):
            record = f"{seen.attempts[leg]} attempts on record and {len(arrivals) - unforgotten} lost with an engine"
            yield f"{leg[1]} came {len(arrivals)} times to {leg[0]}, with {record}"
        late_s = max(arrival.at_s for arrival in arrivals) - seen.accepted_s.get(leg, float("inf"))
        if late_s > SLACK_S and leg not in history.insisted:
            yield f"{leg[1]} came to {leg[0]} {late_s:.1f} s after its acceptance was recorded"


def _changed(history: History, seen: _Seen) -> Iterator[str]:
    bodies: dict[Leg, set[str]] = defaultdict(set)
    for arrival in history.arrivals:
        bodies[arrival.sink, arrival.key].add(arrival.digest)
    yield from (f"under the key {key} {len(each)} different bodies came to {sink}" for (sink, key), each in bodies.items() if len(each) > 1)


def _stuck(history: History, seen: _Seen) -> Iterator[str]:
    for d in history.deliveries:
        if d.state in WAITING:
            yield f"delivery {d.id} ({d.origin} to {d.destination}) is {d.state}"
    yield from (f"message {m.id} ({m.control_id}) is still received" for m in history.messages if m.state == "received")


def _interrupted(history: History, seen: _Seen) -> Iterator[str]:
    """Only the end of an engine interrupts a send, or another engine that takes its place."""
    for leg, at_s in seen.interrupted:
        arrivals = [arrival.at_s for arrival in seen.arrivals.get(leg, ()) if arrival.at_s < at_s]
        since_s = max(arrivals, default=0.0) - SLACK_S
        if not any(since_s <= end.at_s <= at_s for end in history.ends) and not _about(history.seconds, at_s):
            yield f"{leg[1]} waits for a person as interrupted on its way to {leg[0]}, and no engine ended meanwhile"


def _thrown(history: History, seen: _Seen) -> Iterator[str]:
    """An answer that came whole counts, though the connection was reset right behind it."""
    for leg, ends_s in seen.cut_off.items():
        for arrival in seen.arrivals.get(leg, ()):
            if arrival.did == ANSWER_AND_RESET and any(-0.1 < end_s - arrival.at_s < SLACK_S for end_s in ends_s):
                yield f"the answer of {leg[0]} to {leg[1]} was thrown away, because a reset came with it"


def _order(history: History, seen: _Seen) -> Iterator[str]:
    """Within an account, messages arrive first and take effect in the order in which they were acknowledged."""
    by_account: dict[tuple[str, str], list[Sent]] = defaultdict(list)
    for one in sorted((one for one in history.sent if one.acked_s), key=lambda one: one.number):
        for sink in SINKS_OF[one.kind]:
            if (sink, one.control_id) not in seen.parked:
                by_account[sink, one.account].append(one)
    for (sink, account), sent in by_account.items():
        firsts = [(one.control_id, list(seen.arrivals.get((sink, one.control_id), ()))) for one in sent]
        effects = [(origin, [arrival for arrival in arrivals if arrival.took]) for origin, arrivals in firsts]
        for what, rows in (("arrived", firsts), ("took effect", effects)):
            yield from (f"{text} of account {account} {what} at {sink}" for text in _out_of_order(rows))


def _out_of_order(rows: list[tuple[str, list[Arrival]]]) -> Iterator[str]:
    latest_s, latest = 0.0, ""
    for origin, arrivals in rows:
        if arrivals and arrivals[0].at_s < latest_s:
            yield f"{origin} before {latest}"
        elif arrivals:
            latest_s, latest = arrivals[0].at_s, origin


# -- the store ----------------------------------------------------------------------------------------------------------


def _unstored(history: History, seen: _Seen) -> Iterator[str]:
    for one in history.sent:
        stored = seen.stored.get((CHANNEL_OF[one.kind], one.control_id))
        if one.acked_s and not stored:
            yield f"{one.control_id} was acknowledged and is not in the store"
        elif one.acked_s and stored and one.digest not in stored:
            yield f"{one.control_id} is in the store with other bytes"


def _early(history: History, seen: _Seen) -> Iterator[str]:
    for dark in history.blackouts:
        for one in history.sent:
            if dark.begin_s < one.began_s and one.acked_s and one.acked_s < dark.end_s:
                yield f"{one.control_id} was sent and acknowledged while {dark.what}"


def _green(history: History, seen: _Seen) -> Iterator[str]:
    """An engine that stood still meanwhile could notice nothing: its time begins when it goes on."""
    for dark in history.blackouts:
        ends_s = [dark.begin_s, *(span.end_s for span in history.frozen if dark.begin_s < span.end_s)]
        green = [
            at_s
            for at_s, status in history.ready
            if status == 200 and dark.begin_s < at_s < dark.end_s and at_s - max(s for s in ends_s if s <= at_s) > NOTICE_S + 2 * SLACK_S
        ]
        if green:
            yield f"ready {green[-1] - dark.begin_s:.1f} s after {dark.what} began"


# -- the engine ---------------------------------------------------------------------------------------------------------


def _overlapping(history: History, seen: _Seen) -> Iterator[str]:
    """Of two engines on one store, one at a time sends."""
    lives: dict[int, list[float]] = defaultdict(list)
    for arrival in history.arrivals:
        lives[arrival.life].append(arrival.at_s)
    for later, times in lives.items():
        begin_s, end_s = min(times) + SLACK_S, max(times) - SLACK_S
        for life in (life for life in lives if life < later):
            count = sum(begin_s < at_s < end_s for at_s in lives[life])
            if count:
                yield f"{count} messages from engine {life} while engine {later} was sending"


def _ended(history: History, seen: _Seen) -> Iterator[str]:
    for end in history.ends:
        if not end.asked and not _explained(end, history):
            yield f"engine {end.life} ended by itself with code {end.code}"


def _explained(end: End, history: History) -> bool:
    """An engine that has lost its store to another one may end; one that starts while the store is in trouble, too."""
    if _about(history.seconds, end.at_s):
        return True
    return not end.ready and _about(history.troubles, end.at_s)


def _during(spans: list[Span], end: End) -> bool:
    return any(span.begin_s <= end.at_s and span.end_s >= end.at_s - end.took_s for span in spans)


def _about(spans: list[Span], at_s: float) -> bool:
    return any(span.begin_s <= at_s <= span.end_s + START_S for span in spans)


def _stops(history: History, seen: _Seen) -> Iterator[str]:
    for end in history.ends:
        unheard = end.code == -signal.SIGTERM and not end.ready  # it was asked before it could listen for that
        unwritten = end.code == NOT_IN_ORDER and _during(history.troubles, end)
        badly = end.code and not unheard and not unwritten
        if end.asked == "stop" and (badly or end.took_s > STOP_S):
            yield f"engine {end.life} was asked to end and took {end.took_s:.1f} s, with code {end.code}"


def _leaked(history: History, seen: _Seen) -> Iterator[str]:
    yield from ("a socket that leads nowhere stayed open in the engine" for _ in range(history.leaked))


VERDICTS: dict[str, Callable[[History, _Seen], Iterator[str]]] = {
    "lost": _lost,
    "false": _false,
    "doubled": _doubled,
    "twice": _twice,
    "again": _again,
    "changed": _changed,
    "stuck": _stuck,
    "interrupted": _interrupted,
    "thrown": _thrown,
    "order": _order,
    "unstored": _unstored,
    "early": _early,
    "green": _green,
    "overlapping": _overlapping,
    "ended": _ended,
    "stops": _stops,
    "leaked": _leaked,
}
"""Verdicts from the history. The driver adds: starved, refused, unready, log, books, confused."""
