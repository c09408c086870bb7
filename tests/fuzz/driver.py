"""Runs a target on many inputs, and keeps what breaks it."""

from __future__ import annotations

import hashlib
import random
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.mutation import SEEDS, mutated
from tests.fuzz.targets import TARGETS

CRASHERS = Path(__file__).parent / "crashers"
HANG_S = 5.0
"""Processor time for one input of at most 64 kB that counts as a hang."""


@dataclass
class Found:
    """What a run came to. crasher: the file of the input that broke the target."""

    inputs: int = 0
    slowest_s: float = 0.0
    crasher: Path | None = None


def seeds(corpus: Path | None = None) -> Sequence[bytes]:
    """Messages to begin from: our own, and those of a directory."""
    files = sorted(corpus.rglob("*.hl7")) if corpus else []
    return (*SEEDS, *(file.read_bytes()[:65_536] for file in files))


def for_seconds(seconds: float, clock: Callable[[], float]) -> Iterator[int]:
    """Counts until the time is over."""
    end_s, number = clock() + seconds, 0
    while clock() < end_s:
        yield number
        number += 1


def check(name: str, data: bytes) -> float:
    """Run a target on one input; seconds of the processor. Raises what the target raises, and on a hang."""
    begin_s = time.process_time()
    TARGETS[name](data)
    took_s = time.process_time() - begin_s
    assert took_s < HANG_S, f"{len(data)} bytes took {took_s:.1f} s"
    return took_s


def run(name: str, seed: int, numbers: Iterator[int], begin: Sequence[bytes] = SEEDS) -> Found:
    """Run a target on input after input; ends with the first that breaks it, which is written to CRASHERS."""
    rng, found = random.Random(f"{name}{seed}"), Found()
    for _ in numbers:
        data = mutated(rng, begin)
        found.inputs += 1
        try:
            found.slowest_s = max(found.slowest_s, check(name, data))
        except Exception:
            traceback.print_exc()
            found.crasher = CRASHERS / f"{name}-{hashlib.sha256(data).hexdigest()[:12]}.bin"
            found.crasher.write_bytes(data)
            return found
    return found
