"""The command line of the bench."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from bench.databases import NAMES
from bench.engine import SUTURE
from bench.workloads import WORKLOADS

EXAMPLES = """\
examples:
  python -m bench                               both workloads, both databases, 8 and 64 senders
  python -m bench --quick                       the same shape, small: does it work, and roughly how fast
  python -m bench --workload w1 --database sqlite --connections 8 --count 50000
  python -m bench --growth 500000               does the cost of a message grow with the store
  python -m bench --sink-down 100000            a destination that is down: memory, drain, order
  python -m bench --against ../before --workload w1 --database sqlite      this checkout and another, in turn
  python -m bench --queue                       the delivery queue alone: enqueued, and taken and completed a second
  python -m bench --readers 60                  W1 on PostgreSQL for an hour under a session idle in a transaction, and four that read
  python -m bench --looking                     finding messages in a store of two million, and of a hundredth of that
  python -m bench --upgrade                     bringing up a store of the oldest schema: how long, and how much room

exit codes: 0 all well; 1 something was lost, doubled or out of order; 2 it could not be measured
"""


@dataclass(frozen=True)
class Options:
    """What is to be measured; the fields are the options."""

    workload: tuple[str, ...]
    database: tuple[str, ...]
    connections: tuple[int, ...]
    count: int
    warm: int
    growth: int | None
    sink_down: int | None
    readers: int | None
    against: Path | None
    queue: int | None
    looking: int | None
    upgrade: int | None
    procrastinate: str | None
    floor: Path | None
    floor_python: str
    engine: str
    directory: Path | None
    limit: float
    json: bool


def parse(arguments: Sequence[str] | None = None) -> Options:
    """Read the command line; a wrong one ends the program with a message and exit code 2."""
    given = vars(_parser().parse_args(arguments))
    beside_readers = given["readers"] is not None
    long_run = given["growth"] is not None or given["sink_down"] is not None or beside_readers
    small = given.pop("quick")
    chosen = {
        "workload": ["w1"] if long_run else list(WORKLOADS),
        "database": ["postgresql"] if beside_readers else ["sqlite"] if long_run else list(NAMES),
        "connections": [8] if long_run or small else [8, 64],
        "count": 2_000 if small or given["against"] else 20_000,
        "warm": 500 if small else 2_000,
    }
    for name, value in chosen.items():
        if given[name] is None:
            given[name] = value
    assert given.keys() == {field.name for field in fields(Options)}
    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
    return Options(**values)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure the engine on the sites of bench/sites with a load and sinks of the bench's own.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--workload", nargs="+", choices=list(WORKLOADS), help="which sites (default both)")
    add("--database", nargs="+", choices=NAMES, help="which databases (default both; PostgreSQL is started from its wheel)")
    add("--connections", nargs="+", type=_positive, metavar="N", help="senders at a time, each waiting for its ACK (default 8 64)")
    add("--count", type=_positive, metavar="N", help="messages a run (default 20000)")
    add("--warm", type=_natural, metavar="N", help="messages before each run that are not counted (default 2000)")
    add("--quick", action="store_true", help="2000 messages, 500 to warm up, 8 senders")
    _instead_of_load(parser)
    add("--procrastinate", metavar="PYTHON", help="with --queue: a Python that has procrastinate, to measure its queue on PostgreSQL too")
    add("--floor", type=Path, metavar="DIR", help="also run DIR/floor.py, the least that w1 can cost, and print ratios to it")
    add("--floor-python", default=sys.executable, metavar="PYTHON", help="the Python for floor.py (it needs httptools)")
    add("--engine", default=SUTURE, metavar="COMMAND", help="the engine; {site} is filled in (default: this checkout's suture run)")
    add("--directory", type=Path, metavar="DIR", help="where the databases are made (default: the system's temporary directory)")
    add("--limit", type=float, default=60, metavar="S", help="give up when nothing arrives for so many seconds (default 60)")
    add("--json", action="store_true", help="print the JSON instead of the table; it is written to bench/results/ in any case")
    return parser


def _instead_of_load(parser: argparse.ArgumentParser) -> None:
    """What else can be measured, one of these at a time."""
    add = parser.add_mutually_exclusive_group().add_argument
    add("--growth", nargs="?", type=_positive, const=500_000, metavar="N", help="N messages (500000), with the cost of each 10000")
    add("--sink-down", nargs="?", type=_positive, const=100_000, metavar="N", help="N messages (100000) while the destination is down")
    add("--readers", nargs="?", type=_positive, const=60, metavar="MIN", help="so many minutes (60) on PostgreSQL while others read")
    add("--against", type=Path, metavar="DIR", help="this checkout's engine and the one of the checkout DIR, at once, in turn: ratios")
    add(
        "--queue",
        nargs="?",
        type=_positive,
        const=20_000,
        metavar="N",
        help="the delivery queue alone, without network: N deliveries (20000)",
    )
    add(
        "--looking",
        nargs="?",
        type=_positive,
        const=2_000_000,
        metavar="N",
        help="searches and commands on a store of N messages (2000000)",
    )
    add("--upgrade", nargs="?", type=_positive, const=100_000, metavar="N", help="bring up a store of N messages (100000) of schema 0001")


def _positive(text: str) -> int:
    number = _natural(text)
    if number == 0:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def _natural(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"not a whole number: {text!r}")
    return int(text)
