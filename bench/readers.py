"""The cost of messages on PostgreSQL while others read: one session that is idle in a transaction, and four that read on and on.

What a row was before it was changed cannot be taken away while a transaction that is open may still look at it. Where an engine
changes rows, whoever looks for the newest then passes by ever more old ones.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from statistics import median
from typing import Any

import psycopg

from bench import figures
from bench.child import BenchError
from bench.databases import Databases
from bench.report import GROWING
from bench.runs import Bench, Case, Say, measured, started

READERS = 4
BLOCK, BEFORE = 2_000, 5
"""Messages a block, and blocks before the readers come."""
REST_S = 8.0
"""Between two blocks."""
PAGE, TURN_S = 500, 1.0
"""Rows that a reader takes at a time, and how often."""
_OPEN = "BEGIN ISOLATION LEVEL REPEATABLE READ"
_READ = "DECLARE reading CURSOR FOR SELECT * FROM message"
_DEAD = """SELECT relname, n_tup_ins, n_tup_upd, n_tup_hot_upd, n_tup_del, n_dead_tup, autovacuum_count
FROM pg_stat_user_tables WHERE n_tup_upd + n_tup_del > 0 ORDER BY n_dead_tup DESC"""


def measure(case: Case, databases: Databases, minutes: int, say: Say) -> dict[str, Any]:
    """Blocks of messages with a rest between them, a few before and then for so many minutes under the readers."""
    if case.database != "postgresql":
        raise BenchError("--readers is about PostgreSQL: SQLite keeps old pages in its log, not old rows in its tables")
    with started(case, databases) as bench:
        before = [_block(bench, number, say) for number in range(BEFORE)]
        with _reading(_plain(bench.url)):
            under = [*_blocks(bench, minutes, say)]
        tables = _dead(_plain(bench.url))
    over = {name: round(median(b[name] for b in under[-BEFORE:]) / median(b[name] for b in before), 3) for name in GROWING}
    faults = {name: sum(b[name] for b in (*before, *under)) for name in ("lost", "duplicated", "disordered")}
    within = {name: figures.growth([b[name] for b in under]) for name in GROWING}
    told = {"minutes": minutes, "count": BLOCK * (len(before) + len(under)), "last_over_before": over, "within": within}
    return case.facts() | told | {"tables": tables, "blocks": [*before, *under]} | faults


def _blocks(bench: Bench, minutes: int, say: Say) -> Iterator[dict[str, Any]]:
    until_s, number = time.monotonic() + 60 * minutes, BEFORE
    while time.monotonic() < until_s:
        yield _block(bench, number, say)
        number += 1
        time.sleep(REST_S)


def _block(bench: Bench, number: int, say: Say) -> dict[str, Any]:
    found = measured(bench, number * BLOCK, BLOCK)
    if number % 10 == 0:
        cpu, server = found["cpu_ms_per_message"], found["database_cpu_ms_per_message"]
        say(f"  {number * BLOCK:>9,} messages: {cpu} ms CPU a message, {server} ms of the server, {found['delivered_per_s']:,.0f}/s")
    return found


def _plain(url: str) -> str:
    return url.replace("postgresql+psycopg:", "postgresql:")


def _dead(url: str) -> list[dict[str, Any]]:
    """Of each table that has had rows changed or removed: how many, and how many old ones are left."""
    names = ("table", "inserted", "updated", "updated_in_place", "removed", "dead", "autovacuums")
    with psycopg.connect(url) as connection:
        connection.execute(b"SELECT pg_stat_force_next_flush()")
        return [dict(zip(names, row, strict=True)) for row in connection.execute(_DEAD.encode()).fetchall()]


@contextlib.contextmanager
def _reading(url: str) -> Iterator[None]:
    """Sessions that keep old rows from being taken away."""
    over = threading.Event()
    readers = [threading.Thread(target=_read, args=(url, over), daemon=True) for _ in range(READERS)]
    with psycopg.connect(url, autocommit=True) as idle:
        idle.execute(_OPEN.encode())
        idle.execute(b"SELECT count(*) FROM numbers")
        for reader in readers:
            reader.start()
        try:
            yield
        finally:
            over.set()
            for reader in readers:
                reader.join(10 * TURN_S)


def _read(url: str, over: threading.Event) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        while not over.is_set():
            connection.execute(_OPEN.encode())
            connection.execute(_READ.encode())
            while not over.wait(TURN_S) and connection.execute(f"FETCH {PAGE} FROM reading".encode()).fetchall():
                pass
            connection.execute(b"ROLLBACK")
