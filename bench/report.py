"""Results as people and programs read them."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.databases import filesystem
from bench.workloads import HERE, WORKLOADS

Result = Mapping[str, Any]
RESULTS = HERE / "results"
RATIOS = {
    "delivered_per_s": "delivered/s",
    "ack_p50_ms": "ACK p50",
    "ack_p99_ms": "ACK p99",
    "cpu_ms_per_message": "CPU",
}
GROWING = {"cpu_ms_per_message": "CPU a message", "delivered_per_s": "delivered/s"}


def number(value: float | None, digits: int = 0) -> str:
    """A number with thousands apart; "-" for None."""
    return "-" if value is None else f"{value:,.{digits}f}"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], left: int = 3) -> str:
    """Columns under their heads; the first `left` columns flush left, figures flush right."""
    lines = [list(heads), *(list(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(heads))]

    def laid(line: Sequence[str]) -> str:
        cells = [cell.ljust(width) if i < left else cell.rjust(width) for i, (cell, width) in enumerate(zip(line, widths, strict=True))]
        return "  ".join(cells).rstrip()

    return "\n".join([laid(lines[0]), "  ".join("-" * width for width in widths), *(laid(line) for line in lines[1:])])


_LOAD: dict[str, Callable[[Result], str]] = {
    "engine": lambda r: r["engine"],
    "load": lambda r: r["workload"],
    "database": lambda r: r["database"],
    "senders": lambda r: number(r["connections"]),
    "accepted/s": lambda r: number(r["accepted_per_s"]),
    "delivered/s": lambda r: number(r["delivered_per_s"]),
    "ACK p50 ms": lambda r: number(r["ack_ms"]["p50"], 2),
    "ACK p99 ms": lambda r: number(r["ack_ms"]["p99"], 2),
    "CPU ms": lambda r: number(r["cpu_ms_per_message"], 3),
    "db CPU ms": lambda r: number(r["database_cpu_ms_per_message"], 3),
    "RSS MB": lambda r: f"{number(r['rss_mb']['before'])} > {number(r['rss_mb']['after'])}",
    "disk B": lambda r: number(r.get("disk_bytes_per_message")),
    "lost": lambda r: number(r["lost"]),
    "doubled": lambda r: number(r["duplicated"]),
    "disordered": lambda r: number(r["disordered"]),
}


def load_table(results: Sequence[Result]) -> str:
    """The main table: a line a run."""
    return table(list(_LOAD), ([column(result) for column in _LOAD.values()] for result in results))


def ratio_table(comparisons: Sequence[Result]) -> str:
    """The engine's figures over the floor's."""
    heads = ["load", "database", "senders", *(f"{name}, of the floor's" for name in RATIOS.values())]
    rows = [
        [one["workload"], one["database"], number(one["connections"]), *(number(one["ratios"][name], 2) for name in RATIOS)]
        for one in comparisons
    ]
    return table(heads, rows, left=2)


def growth_table(result: Result) -> str:
    """A line for each block of messages, and the ratios beneath."""
    heads = ["from message", "CPU ms", "delivered/s", "ACK p99 ms", "RSS MB"]
    rows = [
        [
            number(block["first"]),
            number(block["cpu_ms_per_message"], 3),
            number(block["delivered_per_s"]),
            number(block["ack_ms"]["p99"], 2),
            number(block["rss_mb"]),
        ]
        for block in result["blocks"]
    ]
    ratios = [
        f"{title}, last block over first: {number(result[name]['last_over_first'], 2)}"
        f" (median of the last fifth over the first fifth: {number(result[name]['last_fifth_over_first_fifth'], 2)})"
        for name, title in GROWING.items()
    ]
    turns = [_turns(title, result["old_over_new"][name], len(result["pairs"])) for name, title in GROWING.items()]
    return "\n".join([_title(result), table(heads, rows, left=0), *ratios, *turns, _balance(result)])


def _turns(title: str, ratios: Mapping[str, float | None], pairs: int) -> str:
    low, middle, high = (number(ratios[name], 2) for name in ("min", "median", "max"))
    turns = f"{pairs} pair{'s' * (pairs != 1)} in turn"
    return f"{title}, one more block over the first of a new engine on an empty store, {turns}: {middle} ({low} to {high})"


def readers_text(result: Result) -> str:
    """What messages cost under the readers, over what they cost before, and the old rows that were left."""
    heads = ["table", "inserted", "updated", "updated_in_place", "removed", "dead", "autovacuums"]
    rows = [[each["table"], *(number(each[name]) for name in heads[1:])] for each in result["tables"]]
    ratios = [
        f"{title}, last blocks over those before the readers came: {number(result['last_over_before'][name], 2)}"
        f" (last fifth under them over the first: {number(result['within'][name]['last_fifth_over_first_fifth'], 2)})"
        for name, title in GROWING.items()
    ]
    return "\n".join([f"{_title(result)}, {result['minutes']} minutes", *ratios, table(heads, rows, left=0), _balance(result)])


def against_text(result: Result) -> str:
    """What this checkout costs of what the other does."""
    launches = f"{result['launches']} launches of both, {result['turns']} turns each"
    ratios = []
    for name, title in GROWING.items():
        low, middle, high = (number(result["this_over_other"][name][which], 3) for which in ("min", "median", "max"))
        ratios.append(f"{title}, this checkout over the other, {launches}: {middle} ({low} to {high})")
    return "\n".join([_title(result), *ratios, _balance(result)])


def sink_down_text(result: Result) -> str:
    """What a sink that was down did to the engine."""
    memory = result["rss_mb"]
    return "\n".join(
        [
            _title(result),
            f"accepted with the sink down: {number(result['accepted_per_s'])}/s, ACK p99 {number(result['ack_ms']['p99'], 2)} ms",
            f"memory: {number(memory['before'])} MB before, {number(max(memory['down'], memory['down_peak']))} MB at most while it was down"
            f" (growth {number(result['rss_growth_mb'], 1)} MB), {number(memory['after'])} MB after",
            f"drained in {number(result['drain_s'], 1)} s once it was back: {number(result['delivered_per_s'])}/s",
            _balance(result),
        ]
    )


def _title(result: Result) -> str:
    count, senders = number(result["count"]), result["connections"]
    return f"{result['workload']} on {result['database']}, {count} messages, {senders} senders"


def _balance(result: Result) -> str:
    return f"lost {result['lost']}, doubled {result['duplicated']}, out of their account's order {result['disordered']}"


def good(result: Result) -> bool:
    """Whether nothing was lost, doubled, disordered, refused or left without an answer."""
    faults = ("lost", "duplicated", "disordered", "errors", "mismatched", "nameless")
    parts = [result, *result.get("blocks", []), *(block for pair in result.get("pairs", []) for block in pair.values())]
    refused = any(code not in ("AA", "CA") for part in parts for code in part.get("codes", ()))
    return not refused and not any(part.get(name) for part in parts for name in faults)


def circumstances(directory: Path) -> dict[str, Any]:
    """What the figures depend on. directory: where the databases are."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processors": os.cpu_count(),
        "filesystem": filesystem(directory),
        "workloads": {name: workload.title for name, workload in WORKLOADS.items()},
    }


def _commit() -> str | None:
    try:
        done = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=HERE, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() or None


def write(document: Mapping[str, Any], name: str) -> Path:
    """Write a document to bench/results/."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return path
