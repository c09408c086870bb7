"""What it takes to find a message in a large store: in the store, and as a person does it, from the shell."""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench import stored
from bench.child import BenchError
from bench.databases import Databases, scratch, size_bytes
from bench.engine import environment
from bench.report import number, table
from bench.template import control_id
from bench.workloads import WORKLOADS
from suture.cli import exits
from suture.store import dialect, queries
from suture.store.engine import open_engine
from suture.store.queries import MessageFilter

VALUES = 20
"""Of each kind that are looked for, spread over the store."""
TIMES = 5
"""How often a command is run."""
SMALL = 100
"""The store that a large one is compared with has so many times fewer messages."""
LIMIT = 50
ABSENT = "39999999"
"""An account that no message has: the whole index is looked through."""

Say = Callable[[str], None]


def measure(kind: str, databases: Databases, count: int, say: Say) -> dict[str, Any]:
    """Fill a small store and a large one, and look for messages in them."""
    result: dict[str, Any] = {"kind": "looking", "engine": "suture", "database": kind}
    for name, messages in (("small", max(stored.BLOCK, count // SMALL)), ("large", count)):
        say(f"looking: {kind}, {messages:,} messages")
        with ExitStack() as stack:
            url = stack.enter_context(databases.fresh(kind, Path(stack.enter_context(scratch()))))
            result[name] = _store(url, messages, say)
    return result


def _store(url: str, count: int, say: Say) -> dict[str, Any]:
    """Fill a store with so many messages, and look at it."""
    fill_s = stored.fill(url, count, say)
    say(f"  filled in {fill_s:.0f} s: {count / fill_s:,.0f} messages/s")
    facts = {"count": count, "fill_s": round(fill_s, 1), "bytes": size_bytes(url)}
    return facts | {"in_store_ms": in_store(url, count), "shell_s": shell(url, count)}


def _numbers(count: int, values: int) -> list[int]:
    """Of messages, spread over the store; the same every time."""
    return random.Random(count).sample(range(count), values)


def _filters(count: int) -> dict[str, list[MessageFilter]]:
    """What is looked for, by its name."""
    numbers = _numbers(count, VALUES)

    def by(kind: str, value: Callable[[int], str]) -> list[MessageFilter]:
        return [MessageFilter(find=((kind, value(n)),), limit=LIMIT) for n in numbers]

    both = [MessageFilter(find=(("account", stored.account_of(n)), ("item", stored.items_of(n)[0])), limit=LIMIT) for n in numbers]
    return {
        "patient": by("patient", stored.patient_of),
        "account": by("account", stored.account_of),
        "item": by("item", lambda n: stored.items_of(n)[1]),
        "account and item": both,
        "account that is not there": by("account", lambda n: f"{ABSENT}{n}"),
        "control id": [MessageFilter(control_id=control_id(n).decode(), limit=LIMIT) for n in numbers],
    }


def in_store(url: str, count: int) -> dict[str, dict[str, float]]:
    """Milliseconds of a search on a connection that is open, by what is looked for: of VALUES values the median and the longest."""
    database = open_engine(url, site=None, create=False)
    found: dict[str, dict[str, float]] = {}
    try:
        with dialect.reading(database) as connection:
            for name, filters in _filters(count).items():
                queries.messages(connection, filters[0])  # the statements are made
                times = []
                for wanted in filters:
                    begin_s = time.perf_counter()
                    messages = queries.messages(connection, wanted)
                    times.append((time.perf_counter() - begin_s) * 1000)
                    if bool(messages) == ("not there" in name):
                        raise BenchError(f"looking by {name}: {len(messages)} messages found")
                found[name] = {"median": round(statistics.median(times), 2), "max": round(max(times), 2)}
    finally:
        database.dispose()
    return found


def shell(url: str, count: int) -> dict[str, float]:
    """Seconds of a command, from its start to its end: of TIMES the median."""
    numbers = _numbers(count, TIMES)
    commands: dict[str, list[list[str]]] = {
        "message list --account": [["message", "list", "--account", stored.account_of(n)] for n in numbers],
        "message list --account (not there)": [["message", "list", "--account", ABSENT]] * TIMES,
        "message list --control-id": [["message", "list", "--control-id", control_id(n).decode()] for n in numbers],
        "status": [["status", "--json"]] * TIMES,
        "exception list": [["exception", "list"]] * TIMES,
        "--version": [["--version"]] * TIMES,
    }
    return {name: round(statistics.median(_seconds(url, words) for words in each), 3) for name, each in commands.items()}


def _seconds(url: str, words: Sequence[str]) -> float:
    site = [] if words == ["--version"] else ["--site", str(WORKLOADS["w1"].site)]
    command = [sys.executable, "-m", "suture.cli.start", *words, *site]
    begin_s = time.perf_counter()
    done = subprocess.run(command, env=environment(url), capture_output=True, text=True, check=False, cwd=os.sep)
    seconds = time.perf_counter() - begin_s
    if done.returncode not in (exits.OK, exits.NO_ANSWER):
        raise BenchError(f"suture {' '.join(words)}: exit code {done.returncode}\n{done.stderr}")
    if words[0] == "status" and (missing := json.loads(done.stdout)["missing"]):
        raise BenchError(f"suture status did not count all: {'; '.join(missing)}")
    return seconds


def text(results: Sequence[dict[str, Any]]) -> str:
    """A row a search and a command, for each database."""
    rows = []
    for result in results:
        small, large = result["small"], result["large"]
        for name, times in large["in_store_ms"].items():
            few = small["in_store_ms"][name]
            rows.append([result["database"], f"in the store, by {name}", *_row(few["median"], times["median"], 1), number(times["max"], 1)])
        for name, seconds in large["shell_s"].items():
            rows.append([result["database"], f"suture {name}", *_row(small["shell_s"][name] * 1000, seconds * 1000, 0), ""])
    counts = [f"{number(results[0][name]['count'])} messages, ms" for name in ("small", "large")]
    filled = [_filled(result) for result in results]
    return "\n".join([table(["database", "what", *counts, "times", "longest, ms"], rows, left=2), *filled])


def _row(few: float, many: float, digits: int) -> list[str]:
    return [number(few, digits), number(many, digits), number(many / few, 1)]


def _filled(result: dict[str, Any]) -> str:
    large = result["large"]
    rate, size = large["count"] / large["fill_s"], large["bytes"] / large["count"]
    return f"{result['database']}: filled with {number(rate)} messages/s, {number(size)} bytes a message"
