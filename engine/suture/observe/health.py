"""Whether the engine is well, judged from facts and said in plain words. Pure: no clock, no I/O."""

from __future__ import annotations

from suture.model.value import Value
from suture.observe.facts import ChannelFact, Facts, QueueFact

FAILING_AFTER_S = 60.0
"""A destination that has been failing for so long is reported; shorter troubles are only in the metrics."""

WAITING_AFTER_S = 3600.0
"""A delivery that has been waiting for so long is reported, also where nothing fails: its peer is slow, or something hangs."""

READY, DEGRADED, NOT_READY = "ready", "degraded", "not ready"


class Health(Value, frozen=True):
    """What to tell whoever asks.

    alive: the process can still do its work; when not, restarting it is the remedy. ready: it takes messages.
    state: ready, degraded (it takes messages, but something needs a person) or not ready. reasons: each a sentence.
    """

    alive: bool
    ready: bool
    state: str
    reasons: tuple[str, ...] = ()


def judge(facts: Facts) -> Health:
    """The health of an engine of which this is known.

    A destination that fails makes the engine degraded, never not ready: it still takes and keeps messages, and a
    load balancer that stopped sending would only move the trouble to the sender.
    """
    blocking = _blocking(facts)
    worries = [text for queue in facts.queues if (text := _queue_worry(queue))]
    worries += [f"the store is not safe: {text}" for text in facts.store.unsafe]
    worries += [f"the store: {facts.store.worry}"] if facts.store.worry else []
    worries += [text for channel in facts.channels if (text := _channel_worry(channel))]
    worries += _engine_worries(facts)
    if blocking:
        return Health(facts.stopping or not facts.journal_dead, False, NOT_READY, (*blocking, *worries))
    return Health(True, True, DEGRADED if worries else READY, tuple(worries))


def _blocking(facts: Facts) -> list[str]:
    reasons = []
    if facts.owner.taken_over:
        reasons.append(f"another engine has taken the store over ({facts.owner.taken_over}); this one ends")
    elif facts.stopping:
        reasons.append("the engine is stopping")
    elif facts.journal_dead:
        reasons.append("the journal has ended; the engine has to be restarted")
    if facts.phase == "starting":
        reasons.append("the engine is starting" + _because(facts.waits_for))
    reasons += _store_faults(facts)
    wanted = [channel for channel in facts.channels if channel.wanted == "running"]
    if wanted and not any(channel.actual == "running" for channel in wanted):
        reasons.append("no channel is running")
    return reasons


def _store_faults(facts: Facts) -> list[str]:
    slow = facts.journal_oldest_s >= facts.journal_slow_s
    if facts.journal_fault:
        return [f"the store takes nothing: {facts.journal_fault}" + (f" (for {duration(facts.journal_oldest_s)})" if slow else "")]
    if slow:
        return [
            f"the store does not answer: the oldest of {facts.journal_pending:,} operations has been waiting for"
            f" {duration(facts.journal_oldest_s)}; look for a lock, a frozen server, or a disk that hangs"
        ]
    return []


def _engine_worries(facts: Facts) -> list[str]:
    worries = []
    if facts.owner.epoch and not facts.owner.may_send and not facts.owner.taken_over and facts.phase != "starting":
        age = duration(facts.owner.lease_s)
        worries.append(f"nothing is sent: the store has not confirmed for {age} that it is still this engine's")
    if facts.reading_s >= facts.journal_slow_s:
        worries.append(f"a look at the store has been waiting for {duration(facts.reading_s)}: what waits there is not sent")
    if facts.free_bytes is not None and facts.free_bytes < facts.free_least_bytes:
        worries.append(f"the disk of the store is nearly full: {facts.free_bytes / 1e6:,.0f} MB are free")
    if facts.bugs:
        worries.append(f"{facts.bugs} unexpected errors since the start; the log says where, please report them")
    return worries


def _channel_worry(channel: ChannelFact) -> str:
    if channel.wanted == channel.actual:
        return ""
    return f"channel {channel.channel} is {channel.actual}" + _because(channel.reason)


def _queue_worry(queue: QueueFact) -> str:
    name = f"{queue.destination} (channel {queue.channel})"
    if queue.failing_s >= FAILING_AFTER_S:
        text = f"{name} has been failing for {duration(queue.failing_s)}" + _because(queue.reason) + _backlog(queue)
        return text + (f", next try in {duration(queue.next_try_s)}" if queue.next_try_s > 0 else "")
    if queue.fail_alone:
        count = "1 delivery keeps" if queue.fail_alone == 1 else f"{queue.fail_alone} deliveries keep"
        return f"{name} takes others, but {count} failing; `suture delivery list --state retrying` shows why"
    if queue.waiting and queue.oldest_s >= WAITING_AFTER_S:
        return f"{name} takes too little, or nothing" + _backlog(queue)
    return ""


def _because(reason: str) -> str:
    return f": {reason}" if reason else ""


def _backlog(queue: QueueFact) -> str:
    if not queue.waiting:
        return "; nothing waits for it"
    return f"; {queue.waiting:,} waiting, the oldest for {duration(queue.oldest_s)}"


def duration(seconds: float) -> str:
    """A length of time as people say it: 45 s, 3 min, 2 h 5 min, 4 days."""
    whole = max(0, int(seconds))
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if whole < 60:
        return f"{whole} s"
    if minutes < 60:
        return f"{minutes} min"
    if days < 2:
        return f"{hours} h {minutes % 60} min" if minutes % 60 else f"{hours} h"
    return f"{days} days"
