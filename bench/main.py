"""Runs what the options ask for, one engine at a time, and reports."""

from __future__ import annotations

import contextlib
import json
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench import figures, looking, options, queues, readers, report, runs, upgrading
from bench.checkout import Checkout
from bench.child import BenchError
from bench.databases import NAMES, Databases
from bench.options import Options
from bench.proc import PROC
from bench.runs import Case
from bench.workloads import WORKLOADS


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and report; returns the exit code."""
    chosen = options.parse(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    document: dict[str, Any] = {}
    try:
        directory = _directory(chosen)
        document |= report.circumstances(directory) | {"runs": [], "comparisons": []}
        _measure(chosen, document)
    except BenchError as e:
        print(f"bench: {e}", file=sys.stderr)
        _report(document, chosen.json)
        return 2
    except KeyboardInterrupt:
        print("bench: stopped", file=sys.stderr)
        return 130
    _report(document, chosen.json)
    return 0 if all(report.good(result) for result in document["runs"]) else 1


def _directory(chosen: Options) -> Path:
    """Where the databases go, PostgreSQL's too."""
    if not (PROC / "self" / "stat").exists():
        raise BenchError("CPU and memory are read from /proc; this system has none (Linux has)")
    if chosen.directory is not None:
        if not chosen.directory.is_dir():
            raise BenchError(f"{chosen.directory} is no directory")
        tempfile.tempdir = str(chosen.directory.resolve())
    directory = Path(tempfile.gettempdir())
    kind = report.filesystem(directory)
    if kind in ("tmpfs", "ramfs", "overlay"):
        say(f"note: {directory} is on {kind}: a commit may cost less there than on a disk; --directory names another place")
    return directory


def say(text: str) -> None:
    """Progress, for the person who waits."""
    print(text, file=sys.stderr, flush=True)


def cases(chosen: Options) -> list[Case]:
    """The runs, in order."""
    return [
        Case(WORKLOADS[workload], database, connections, chosen.engine, chosen.warm, chosen.limit)
        for workload in chosen.workload
        for database in NAMES
        if database in chosen.database
        for connections in chosen.connections
    ]


def _measure(chosen: Options, document: dict[str, Any]) -> None:
    """Do the runs; what is done is in the document, even when a later run fails."""
    with contextlib.closing(Databases()) as databases:
        if chosen.queue is not None:
            for database in chosen.database:
                document["runs"] += queues.measure(database, databases, chosen.queue, chosen.procrastinate, say)
        elif chosen.looking is not None:
            for database in chosen.database:
                document["runs"].append(looking.measure(database, databases, chosen.looking, say))
        elif chosen.upgrade is not None:
            for database in chosen.database:
                document["runs"].append(upgrading.measure(database, databases, chosen.upgrade, say))
        else:
            _measure_cases(chosen, databases, document)


def _measure_cases(chosen: Options, databases: Databases, document: dict[str, Any]) -> None:
    """Engines under load, one after another."""
    measure, floor = _measurement(chosen), _floor(chosen)
    for case in cases(chosen):
        result = _run(case, "suture", measure, databases, document)
        if floor is not None and case.workload.name == "w1" and case.database == "sqlite":
            bare = Case(case.workload, "sqlite", case.connections, floor, case.warm, case.limit_s)
            least = _run(bare, "floor", measure, databases, document)
            document["comparisons"].append(case.facts() | {"ratios": figures.against_floor(result, least)})


Measurement = Callable[[Case, Databases], dict[str, Any]]


def _measurement(chosen: Options) -> Measurement:
    growing, down, other = chosen.growth, chosen.sink_down, _other(chosen)
    if growing is not None:
        return lambda case, databases: runs.growth(case, databases, growing, say) | {"kind": "growth"}
    if down is not None:
        return lambda case, databases: runs.sink_down(case, databases, down, say) | {"kind": "sink down"}
    if (minutes := chosen.readers) is not None:
        return lambda case, databases: readers.measure(case, databases, minutes, say) | {"kind": "readers"}
    if other is not None:
        return lambda case, databases: runs.against(case, other, databases, chosen.count, say) | {"kind": "against"}
    return lambda case, databases: runs.load(case, databases, chosen.count) | {"kind": "load"}


def _other(chosen: Options) -> Checkout | None:
    """The other checkout; it has every site that is asked for."""
    if chosen.against is None:
        return None
    other = Checkout.at(chosen.against)
    for name in chosen.workload:
        other.workload(WORKLOADS[name])
    return other


def _run(case: Case, name: str, measure: Measurement, databases: Databases, document: dict[str, Any]) -> dict[str, Any]:
    say(f"{name}: {case.workload.name}, {case.database}, {case.connections} senders")
    result = {"engine": name} | measure(case, databases)
    document["runs"].append(result)
    return result


def _floor(chosen: Options) -> str | None:
    """The command of the floor, when it is asked for and can run."""
    if chosen.floor is None:
        return None
    if chosen.growth is not None or chosen.sink_down is not None or chosen.against is not None:
        raise BenchError("--floor compares the plain load only: leave out --growth, --sink-down and --against")
    script = chosen.floor / "floor.py"
    if not script.exists():
        raise BenchError(f"{script} does not exist; without --floor the engine is measured alone")
    done = subprocess.run([chosen.floor_python, "-c", "import httptools, orjson, twisted"], capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["it does not run"])[-1]
        raise BenchError(f"floor.py needs httptools, orjson and twisted ({reason}); --floor-python names a Python that has them")
    return shlex.join([chosen.floor_python, str(script.resolve()), "{database}"])


def _report(document: dict[str, Any], as_json: bool) -> None:
    if not document.get("runs"):
        return
    path = report.write(document, document["at"].replace(":", "").replace("+0000", "Z"))
    print(json.dumps(document, indent=1) if as_json else text(document))
    say(f"written to {path}")


def text(document: dict[str, Any]) -> str:
    """All results for people."""
    plain = [result for result in document["runs"] if result["kind"] == "load"]
    parts = [report.load_table(plain)] if plain else []
    if document["comparisons"]:
        parts.append(report.ratio_table(document["comparisons"]))
    parts += [report.growth_table(result) for result in document["runs"] if result["kind"] == "growth"]
    parts += [report.sink_down_text(result) for result in document["runs"] if result["kind"] == "sink down"]
    parts += [report.readers_text(result) for result in document["runs"] if result["kind"] == "readers"]
    parts += [report.against_text(result) for result in document["runs"] if result["kind"] == "against"]
    waiting = [result for result in document["runs"] if result["kind"] == "queue"]
    parts += [queues.text(waiting)] if waiting else []
    looked = [result for result in document["runs"] if result["kind"] == "looking"]
    parts += [looking.text(looked)] if looked else []
    upgraded = [result for result in document["runs"] if result["kind"] == "upgrade"]
    parts += [upgrading.text(upgraded)] if upgraded else []
    return "\n\n".join(parts)
