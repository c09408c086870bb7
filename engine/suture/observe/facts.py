"""The state of the running engine at one moment, as the metrics page and the health pages need it.

app.py builds one `Facts` a request from what it holds in memory; nothing here is stored or counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from suture.model.value import Value, fresh


class ChannelFact(Value, frozen=True):
    """wanted: running | stopped, what the operator asked for. actual: starting | running | halting | stopped | failed.

    reason: why it is not.
    """

    channel: str
    wanted: str
    actual: str
    reason: str = ""


class QueueFact(Value, frozen=True):
    """One destination of one channel.

    A lane's own name is data of the messages (an account number), so lanes are counted here and never named.
    waiting: deliveries the engine will still send. lanes: how many lanes they wait in. longest: the most in one lane.
    oldest_s: age of the oldest. failing_s: seconds since it last took anything while attempts fail; 0 when well.
    next_try_s: seconds to the next attempt. reason: the last error in plain words, without content. fail_alone: deliveries
    that keep failing while the destination takes others.
    """

    channel: str
    destination: str
    waiting: int = 0
    lanes: int = 0
    longest: int = 0
    oldest_s: float = 0.0
    in_flight: int = 0
    failing_s: float = 0.0
    next_try_s: float = 0.0
    reason: str = ""
    fail_alone: int = 0


class CountFact(Value, frozen=True):
    """What a connector has counted since its channel started. destination: "" for the source.

    kind: framing (the peer's framing was odd), refused (connections), quarantined (answers that complete nothing).
    """

    channel: str
    destination: str
    kind: str
    code: str
    count: int


class StoreFact(Value, frozen=True):
    """The database. title: kind, release and settings. unsafe: why it may lose what was acknowledged. warnings: what else to mend.

    damaged: what it holds is damaged. worry: what is wrong and keeps nothing from being stored yet.
    """

    title: str = ""
    unsafe: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    damaged: bool = False
    worry: str = ""


class OwnerFact(Value, frozen=True):
    """Who this engine is to its store. node: the machine's name. epoch: of its taking of the store, 0 before. store: a
    fingerprint of the store's address, by which others see that this engine is theirs. lease_s: seconds since the store
    confirmed last that it is this engine's. may_send: whether that is recent enough. taken_over: who has the store instead.
    """

    node: str = ""
    pid: int = 0
    epoch: int = 0
    store: str = ""
    lease_s: float = 0.0
    may_send: bool = True
    taken_over: str = ""


class Facts(Value, frozen=True):
    """journal_fault: why nothing can be stored at the moment ("" when it can); the journal goes on trying.

    journal_dead: its thread has ended, or the files it writes are no more the store's, so that only a new process can store
    anything. stopping: told to end. store: what keeps the messages. journal_oldest_s: how long the oldest operation has been
    waiting to be durable; from journal_slow_s on the store counts as one that takes nothing. reading_s: how long the oldest look
    at the store has been waiting. phase: starting, running or stopping. waits_for: what the start waits for. free_bytes: room
    left on the disk of the store's file, None where that is not ours to see; free_least_bytes: less is a worry. bugs: unexpected
    errors since the start. cleared: connections that the watchdog closed, by code. work_bytes, frames_bytes: messages that are
    not processed, and what has come of those that have not ended, in memory.
    """

    journal_pending: int = 0
    journal_limit: int = 0
    journal_fault: str = ""
    stopping: bool = False
    channels: tuple[ChannelFact, ...] = ()
    queues: tuple[QueueFact, ...] = ()
    journal_dead: bool = False
    counts: tuple[CountFact, ...] = ()
    store: StoreFact = StoreFact()
    journal_oldest_s: float = 0.0
    journal_slow_s: float = 5.0
    reading_s: float = 0.0
    phase: str = "running"
    waits_for: str = ""
    owner: OwnerFact = OwnerFact()
    free_bytes: int | None = None
    free_least_bytes: int = 0
    bugs: int = 0
    work_bytes: int = 0
    frames_bytes: int = 0
    memory_limit_bytes: int = 0
    cleared: Mapping[str, int] = fresh(dict)


Ask = Callable[[], Facts]
"""Called on the reactor for every scrape; has to be cheap."""
