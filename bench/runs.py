"""The measurements: one load, the growth of cost over a long one, and a sink that is down for a while."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench import figures
from bench.checkout import Checkout
from bench.child import BenchError
from bench.databases import Databases, scratch, size_bytes
from bench.engine import Engine, require_free
from bench.figures import Arrived, Sent
from bench.load import Order, Senders
from bench.proc import rss_mb, usage
from bench.report import GROWING
from bench.sinks import Sink
from bench.workloads import Workload

WARM_FIRST = 900_000_000
"""Messages that warm up are numbered from here."""
BLOCK = 10_000
PAIRS = 9
"""How often a new engine's first block and one more of the old engine are measured in turn: as fast as the machine is then."""
LAUNCHES, TURNS = 8, 6
"""How often two checkouts are started beside one another, and how often each is measured then."""
SETTLE_S = 0.3
"""How long a duplicate is waited for when everything is there."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Case:
    """What one run is about. command: see Engine. warm: messages before the measurement. limit_s: wait so long for progress."""

    workload: Workload
    database: str
    connections: int
    command: str
    warm: int
    limit_s: float

    def facts(self) -> dict[str, Any]:
        """As a result begins."""
        return {"workload": self.workload.name, "database": self.database, "connections": self.connections}


@dataclass(frozen=True)
class Spent:
    """CPU seconds of the engine, of the database's server (None without one), and of the load and the sink."""

    engine_s: float
    server_s: float | None
    load_s: float

    def since(self, before: Spent, count: int) -> dict[str, float | None]:
        """CPU ms a message between then and now."""
        server_s = None if self.server_s is None else self.server_s - (before.server_s or 0.0)
        return {
            "cpu_ms_per_message": round((self.engine_s - before.engine_s) * 1000 / count, 3),
            "database_cpu_ms_per_message": None if server_s is None else round(server_s * 1000 / count, 3),
            "load_cpu_ms_per_message": round((self.load_s - before.load_s) * 1000 / count, 3),
        }


class Bench:
    """One engine under load: its processes, and what they say."""

    def __init__(self, case: Case, engine: Engine, senders: Senders, server_pid: int, url: str) -> None:
        """server_pid: the database server, 0 when the engine brings its own. url: of the database."""
        self.case, self.engine, self.senders, self.server_pid, self.url = case, engine, senders, server_pid, url
        self.sink: Sink | None = None
        self.peak_mb = 0.0

    def raise_sink(self) -> None:
        """Start the sink."""
        self.sink = Sink(self.case.workload)

    def drop_sink(self) -> None:
        """Stop the sink; the engine's connections to it break."""
        if self.sink is not None:
            self.sink.close()
            self.sink = None

    def send(self, first: int, count: int) -> Sent:
        """Send, and keep an eye on the engine meanwhile."""
        self.senders.send(Order(first, count))
        while not self.senders.answered(0.1):
            self._watch()
        sent: Sent = self.senders.answer()
        if count and not sent.codes:
            raise BenchError(f"none of {count} messages was answered ({sent.errors} errors)")
        return sent

    def drained(self, count: int) -> Arrived:
        """Wait until so many messages have arrived, or none has for `limit_s`; a little longer for duplicates."""
        assert self.sink is not None
        had, since_s = -1, time.monotonic()
        while (have := self.sink.unique()) < count:
            if have != had:
                had, since_s = have, time.monotonic()
            if time.monotonic() - since_s > self.case.limit_s:
                break
            self._watch()
            time.sleep(0.02)
        time.sleep(SETTLE_S)
        return self.sink.take()

    def warm_up(self) -> None:
        """Load that is not counted: connections are opened, caches filled."""
        if self.case.warm:
            sent = self.send(WARM_FIRST, self.case.warm)
            self.drained(len(sent.acked))

    def cpu_s(self) -> Spent:
        """CPU seconds so far."""
        load_s = sum(usage(child.pid).cpu_s for child in (self.senders, self.sink) if child is not None)
        return Spent(self.engine.usage().cpu_s, usage(self.server_pid).cpu_s if self.server_pid else None, load_s)

    def _watch(self) -> None:
        self.engine.check()
        self.peak_mb = max(self.peak_mb, rss_mb(self.engine.pid))

    def close(self) -> None:
        """End the load and the sink."""
        self.senders.close()
        self.drop_sink()


@contextlib.contextmanager
def started(case: Case, databases: Databases) -> Iterator[Bench]:
    """An engine with a fresh database, its sink up, warmed up. Raises BenchError when something is in the way."""
    require_free(case.workload.listener, case.workload.port)
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(scratch()))
        url = stack.enter_context(databases.fresh(case.database, directory))
        sink = Sink(case.workload)
        stack.callback(sink.close)
        engine = Engine(case.command, case.workload, url, directory)
        stack.callback(engine.stop)
        server_pid = databases.server_pid if case.database == "postgresql" else 0
        bench = Bench(case, engine, Senders(case.workload, case.connections), server_pid, url)
        stack.callback(bench.close)
        bench.sink = sink
        bench.warm_up()
        yield bench


def load(case: Case, databases: Databases, count: int) -> dict[str, Any]:
    """The main measurement: send, and wait until everything acknowledged has arrived."""
    with started(case, databases) as bench:
        before_bytes = size_bytes(bench.url)
        before_mb, cpu = bench.engine.usage().rss_mb, bench.cpu_s()
        sent = bench.send(0, count)
        arrived = bench.drained(len(sent.acked))
        after = bench.engine.usage()
        result = _result(sent, arrived, bench.cpu_s().since(cpu, count))
        result["rss_mb"] = {"before": round(before_mb, 1), "after": round(after.rss_mb, 1), "peak": round(bench.peak_mb, 1)}
        result["disk_bytes_per_message"] = round((size_bytes(bench.url) - before_bytes) / count) if before_bytes else None
        return case.facts() | {"count": count, "start_s": round(bench.engine.start_s, 2)} | result


def growth(case: Case, databases: Databases, count: int, say: Say) -> dict[str, Any]:
    """The cost of each block of 10,000 messages while the store grows; a block begins when the one before has arrived.

    Then, in turn, the first block of a new engine on an empty store and one more of the engine that has been running:
    a long run alone cannot tell growth from a machine that became slower meanwhile.
    """
    with contextlib.ExitStack() as stack:
        copy = Path(stack.enter_context(scratch()), case.workload.name)
        young = replace(case, workload=case.workload.beside(copy))
        old = stack.enter_context(started(case, databases))
        blocks = [_said(measured(old, first, min(BLOCK, count - first)), say) for first in range(0, count, BLOCK)]
        pairs = [_pair(old, young, databases, count + number * BLOCK, say) for number in range(PAIRS)]
    whole = [block for block in blocks if block["count"] == BLOCK] or blocks
    everything = blocks + [block for pair in pairs for block in pair.values()]
    return (
        case.facts()
        | {
            "count": count,
            **{name: figures.growth([block[name] for block in whole]) for name in GROWING},
            "old_over_new": {name: figures.in_turn([(pair["old"][name], pair["new"][name]) for pair in pairs]) for name in GROWING},
            "blocks": blocks,
            "pairs": pairs,
        }
        | {name: sum(block[name] for block in everything) for name in ("lost", "duplicated", "disordered")}
    )


def _said(block: dict[str, Any], say: Say) -> dict[str, Any]:
    done = block["first"] + block["count"]
    say(f"  {done:>9,} messages: {block['cpu_ms_per_message']} ms CPU, {block['delivered_per_s']:,.0f} delivered/s")
    return block


def _pair(old: Bench, young: Case, databases: Databases, first: int, say: Say) -> dict[str, dict[str, Any]]:
    """The first block of a new engine on an empty store, and one of the old engine, numbered from `first`."""
    with started(young, databases) as bench:
        new = measured(bench, 0, BLOCK)
    more = measured(old, first, BLOCK)
    say(f"  {BLOCK:,} messages: {new['cpu_ms_per_message']} ms CPU in a new engine, {more['cpu_ms_per_message']} ms in the old one")
    return {"new": new, "old": more}


def measured(bench: Bench, first: int, count: int) -> dict[str, Any]:
    """Send so many, and wait until they have arrived: what that cost, and what came."""
    cpu = bench.cpu_s()
    sent = bench.send(first, count)
    arrived = bench.drained(len(sent.acked))
    result = {"first": first, "count": count} | _result(sent, arrived, bench.cpu_s().since(cpu, count))
    return result | {"rss_mb": round(bench.engine.usage().rss_mb, 1)}


def against(case: Case, other: Checkout, databases: Databases, block: int, say: Say) -> dict[str, Any]:
    """Two engines at once, of two checkouts, each on its own site and database: so many messages each, in turn.

    Each is started LAUNCHES times: two processes of one program differ by a few per cent as long as they live.
    """
    launches: list[list[dict[str, dict[str, Any]]]] = []
    for launch in range(LAUNCHES):
        with contextlib.ExitStack() as stack:
            this, that = _launched(stack, case, other, databases, launch % 2 == 1)
            launches.append([_both(this, that, turn, block) for turn in range(TURNS)])
        cpu, rate = (_median_ratio(launches[-1], name) for name in GROWING)
        say(f"  launch {launch + 1} of {LAUNCHES}: {cpu:.2f} of the other's CPU a message, {rate:.2f} of its delivered/s")
    pairs = [pair for launch in launches for pair in launch]
    ratios = {name: figures.in_turn([(_median_ratio(launch, name), 1.0) for launch in launches]) for name in GROWING}
    faults = {name: sum(part[name] for pair in pairs for part in pair.values()) for name in ("lost", "duplicated", "disordered")}
    return case.facts() | {"count": block, "launches": LAUNCHES, "turns": TURNS, "this_over_other": ratios, "pairs": pairs} | faults


def _launched(stack: contextlib.ExitStack, case: Case, other: Checkout, databases: Databases, ours_first: bool) -> tuple[Bench, Bench]:
    """This checkout's engine and the other's; the second to start has a copy of its site, on other ports."""
    theirs = replace(case, command=other.command, workload=other.workload(case.workload))
    first, second = (case, theirs) if ours_first else (theirs, case)
    beside = second.workload.beside(Path(stack.enter_context(scratch()), case.workload.name))
    one = stack.enter_context(started(first, databases))
    two = stack.enter_context(started(replace(second, workload=beside), databases))
    return (one, two) if ours_first else (two, one)


def _both(this: Bench, that: Bench, turn: int, count: int) -> dict[str, dict[str, Any]]:
    order = {"this": this, "other": that} if turn % 2 else {"other": that, "this": this}
    return {name: measured(bench, turn * count, count) for name, bench in order.items()}


def _median_ratio(pairs: list[dict[str, dict[str, Any]]], name: str) -> float:
    return statistics.median(pair["this"][name] / pair["other"][name] for pair in pairs)


def sink_down(case: Case, databases: Databases, count: int, say: Say) -> dict[str, Any]:
    """A destination that is down while so many messages come: memory meanwhile, then how fast and in what order it drains."""
    with started(case, databases) as bench:
        bench.drop_sink()
        before_mb, cpu, bench.peak_mb = bench.engine.usage().rss_mb, bench.cpu_s(), 0.0
        sent = bench.send(0, count)
        down_mb, down_peak_mb = bench.engine.usage().rss_mb, bench.peak_mb
        say(f"  {len(sent.acked):,} accepted with the sink down; memory {before_mb:.0f} -> {down_mb:.0f} MB; the sink comes back")
        bench.raise_sink()
        back_s = time.monotonic()
        arrived = bench.drained(len(sent.acked))
        result = _result(sent, arrived, bench.cpu_s().since(cpu, count))
        result["delivered_per_s"] = figures.rate(len(set(arrived.numbers)), arrived.last_s - back_s)
        memory = {"before": before_mb, "down": down_mb, "down_peak": down_peak_mb, "after": bench.engine.usage().rss_mb}
        result["rss_mb"] = {name: round(value, 1) for name, value in memory.items()}
        result["rss_growth_mb"] = round(max(down_mb, down_peak_mb) - before_mb, 1)
        return case.facts() | {"count": count, "drain_s": round(max(0.0, arrived.last_s - back_s), 2)} | result


def _result(sent: Sent, arrived: Arrived, spent: dict[str, float | None]) -> dict[str, Any]:
    verdict = figures.judge(sent, arrived)
    return {
        "accepted_per_s": figures.rate(len(sent.acked), sent.end_s - sent.begin_s),
        "delivered_per_s": figures.rate(verdict.delivered, arrived.last_s - sent.begin_s),
        "ack_ms": figures.latencies_ms(sent),
        **spent,
        "codes": sent.codes,
        "errors": sent.errors,
        "mismatched": sent.mismatched,
        "nameless": arrived.nameless,
        "lost": verdict.lost,
        "duplicated": verdict.duplicated,
        "disordered": verdict.disordered,
    }
