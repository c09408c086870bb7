"""Queues beside one another: this engine's on a database, and another's on the same PostgreSQL server."""

from __future__ import annotations

import json
import statistics
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench import deliveries
from bench.child import BenchError, Child
from bench.databases import Databases, scratch
from bench.figures import rate
from bench.report import number, table
from bench.workloads import HERE

TIMES = 3
"""How often each queue is measured, each time on a new database; the medians are given."""
PARTS = ("enqueue_s", "complete_s")
Say = Callable[[str], None]
Measured = Callable[[str, int], dict[str, float]]
"""measured(url, count): seconds of both parts on this empty database."""


def measure(kind: str, databases: Databases, count: int, procrastinate: str | None, say: Say) -> list[dict[str, Any]]:
    """Results of this engine's queue, and of procrastinate's where it is named and the database is PostgreSQL, in turn."""
    queues: dict[str, Measured] = {"suture": ours}
    if procrastinate is not None and kind == "postgresql":
        queues["procrastinate"] = lambda url, count: jobs(procrastinate, url, count)
    times: dict[str, list[dict[str, float]]] = {name: [] for name in queues}
    for _ in range(TIMES):
        for name, measured in queues.items():
            with scratch() as directory, databases.fresh(kind, Path(directory)) as url:
                seconds = measured(url, count)
            times[name].append(seconds)
            say(f"{name}: queue, {kind}: {count / seconds['enqueue_s']:,.0f} enqueued/s, {count / seconds['complete_s']:,.0f} completed/s")
    return [_result(name, kind, count, runs) for name, runs in times.items()]


def ours(url: str, count: int) -> dict[str, float]:
    """Seconds of this engine's queue."""
    child = Child("queue", deliveries.serve, url, count)
    try:
        seconds: dict[str, float] = child.answer()
    finally:
        child.close()
    return seconds


def jobs(python: str, url: str, count: int) -> dict[str, float]:
    """Seconds of procrastinate's, with a Python that has it. Raises BenchError when it does not work."""
    command = [python, "-m", "bench.procrastinate_jobs", url, str(count)]
    try:
        done = subprocess.run(command, cwd=HERE.parent, capture_output=True, text=True, check=False)
    except OSError as e:
        raise BenchError(f"cannot run {python}: {e.strerror}") from e
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["it does not run"])[-1]
        raise BenchError(f"procrastinate was not measured ({reason}); --procrastinate names a Python that has procrastinate and psycopg")
    seconds: dict[str, float] = json.loads(done.stdout)
    return seconds


def _result(name: str, kind: str, count: int, times: list[dict[str, float]]) -> dict[str, Any]:
    medians = {part: statistics.median(one[part] for one in times) for part in PARTS}
    whole_s = statistics.median(sum(one.values()) for one in times)
    return {
        "kind": "queue",
        "engine": name,
        "database": kind,
        "count": count,
        "enqueued_per_s": rate(count, medians["enqueue_s"]),
        "completed_per_s": rate(count, medians["complete_s"]),
        "through_per_s": rate(count, whole_s),
        "seconds": times,
    }


RATES = {"enqueued_per_s": "enqueued/s", "completed_per_s": "taken and completed/s", "through_per_s": "both/s"}


def text(results: list[dict[str, Any]]) -> str:
    """A row a queue, and of each database on which there are two the ratios."""
    rows = [[r["engine"], r["database"], number(r["count"]), *(number(r[name]) for name in RATES)] for r in results]
    for kind in dict.fromkeys(r["database"] for r in results):
        both = {r["engine"]: r for r in results if r["database"] == kind}
        if len(both) == 2:
            rows.append(["ratio", kind, "", *(number(both["suture"][name] / both["procrastinate"][name], 2) for name in RATES)])
    return table(["queue", "database", "deliveries", *RATES.values()], rows, left=2)
