"""`python -m tests.campaign`: attack an engine for as long as wanted, and see whether it kept its promises.

    python -m tests.campaign --minutes 60                                  everything, on both databases in turn
    python -m tests.campaign --database sqlite --faults kill,stall,lies    some faults only
    python -m tests.campaign --database postgresql --seed 7 --rounds 1     one round again
    python -m tests.campaign --schedule DIRECTORY/schedule.json ...        the very faults of a round that was kept

It ends with 1 when a promise was not kept, and says how to see it again; docs/reliability.md says what is promised.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import sys
import time
from pathlib import Path

from tests.campaign import schedule
from tests.campaign.campaign import Campaign
from tests.campaign.report import as_json, as_table

KEEP = Path("build/campaign")


def main() -> int:
    """Run a campaign; exit 1 when something was found."""
    given = _arguments()
    if given.list:
        print("\n".join(f"{name:<10} {kind.about}" for name, kind in schedule.KINDS.items()))
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that whatever was started and mounted is ended
    seed = random.SystemRandom().randrange(1, 1 << 20) if given.seed is None else given.seed
    databases = ("sqlite", "postgresql") if given.database == "both" else (given.database,)
    began = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    directory = given.keep or KEEP / f"{began}-{seed}"
    faults = schedule.read(json.loads(given.schedule.read_text())) if given.schedule else None
    print(f"campaign of {given.minutes:g} minutes, seed {seed}, {given.database}; everything is kept in {directory}", flush=True)
    with Campaign(directory, given.faults, given.round_s, _progress) as campaign:
        results = campaign.run(databases, seed, given.minutes * 60, given.rounds, faults)
    _progress("")
    (directory / "report.json").write_text(as_json(results, began))
    (directory / "report.txt").write_text(as_table(results) + "\n")
    print(as_table(results))
    return 1 if any(result.findings for result in results) else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.campaign", description="Attack an engine, and hold it to its promises.")
    parser.add_argument("--minutes", type=float, default=5, help="how long, all rounds together (default 5)")
    parser.add_argument("--rounds", type=int, help="end after so many rounds on each database, whatever the time")
    parser.add_argument("--round-s", type=float, default=90, help="seconds of faults in a round; its aftermath comes on top (default 90)")
    parser.add_argument("--seed", type=int, help="where to begin; the same seed gives the same faults")
    parser.add_argument("--database", choices=("sqlite", "postgresql", "both"), default="both", help="which (default both, in turn)")
    parser.add_argument("--faults", type=_kinds, default=tuple(schedule.KINDS), help="only these kinds, with commas between (default all)")
    parser.add_argument("--schedule", type=Path, help="a schedule.json that was kept: these faults, at these times")
    parser.add_argument("--keep", type=Path, help=f"a new directory for logs and ledgers (default one in {KEEP}/)")
    parser.add_argument("--list", action="store_true", help="list the kinds of faults")
    return parser.parse_args()


def _kinds(text: str) -> tuple[str, ...]:
    kinds = tuple(word.strip() for word in text.split(",") if word.strip())
    unknown = [kind for kind in kinds if kind not in schedule.KINDS]
    if unknown or not kinds:
        raise argparse.ArgumentTypeError(f"no such fault: {', '.join(unknown)}; there are {', '.join(schedule.KINDS)}")
    return kinds


def _progress(line: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)
    elif line and time.monotonic() - _progress.told_s > 10:
        _progress.told_s = time.monotonic()
        print(line, file=sys.stderr, flush=True)


_progress.told_s = 0.0


if __name__ == "__main__":
    sys.exit(main())
