"""`python -m tests.fuzz`: look for bytes that Suture cannot stand, for as long as wanted.

    python -m tests.fuzz --minutes 60                  every target in turn
    python -m tests.fuzz --target ack --minutes 10     one of them
    python -m tests.fuzz --atheris --target ack        led by coverage; needs `pip install atheris`; Ctrl-C ends it

What breaks a target is written to tests/fuzz/crashers/ and is a test from then on.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from pathlib import Path

from tests.fuzz import driver
from tests.fuzz.targets import TARGETS


def main() -> int:
    """Fuzz; exit 1 when something broke."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Look for bytes that Suture cannot stand.")
    parser.add_argument("--minutes", type=float, default=5, help="how long, all targets together (default 5)")
    parser.add_argument("--target", choices=sorted(TARGETS), action="append", help="only this one (can be given again)")
    parser.add_argument("--seed", type=int, default=None, help="where to begin; the same seed gives the same inputs")
    parser.add_argument("--corpus", type=Path, help="a directory of *.hl7 files to begin from, too")
    parser.add_argument("--atheris", action="store_true", help="let atheris choose the inputs, for one target")
    given = parser.parse_args()
    names = given.target or sorted(TARGETS)
    if given.atheris:
        return _atheris(names[0])
    seed = random.SystemRandom().randrange(1 << 32) if given.seed is None else given.seed
    seeds = driver.seeds(given.corpus)
    broken = 0
    for name in names:
        found = driver.run(name, seed, driver.for_seconds(given.minutes * 60 / len(names), time.monotonic), seeds)
        print(f"{name}: {found.inputs:,} inputs from seed {seed}, the slowest {found.slowest_s * 1000:.0f} ms: {found.crasher or 'fine'}")
        broken += found.crasher is not None
    return 1 if broken else 0


def _atheris(name: str) -> int:
    import atheris  # type: ignore[import-not-found]

    def one(data: bytes) -> None:
        driver.check(name, data)

    atheris.instrument_all()
    atheris.Setup([sys.argv[0]], one)
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
