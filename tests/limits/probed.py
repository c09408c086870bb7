"""The engine with a probe in its loop: how much CPU each stretch of it takes, and how long it is.

    python -m tests.limits.probed FILE run --site DIRECTORY

A timer every millisecond parts the loop into stretches, none shorter than a turn that is worth a look. The time is that of
the reactor's thread alone: on a busy machine it is the same as on an idle one. The longest are written to FILE as JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from suture.app import Engine
from suture.cli.main import main

STEP_S = 0.001
TOLD = 10
TELL_S = 0.2


class Probe:
    """Watches the loop of a running engine. file: where the longest stretches are told, and how many there were."""

    def __init__(self, engine: Engine, file: Path) -> None:
        self.engine, self.file, self.count, self.told_s = engine, file, 0, 0.0
        self.worst: list[tuple[float, float]] = []  # CPU and wall seconds
        self.loop = asyncio.get_running_loop()
        self._wait()

    def _wait(self) -> None:
        if self.engine.parts.condition.phase == "running":
            self._mark()
        self.loop.call_later(STEP_S, self._step if self.engine.parts.condition.phase == "running" else self._wait)

    def _mark(self) -> None:
        self.cpu_s, self.wall_s = time.thread_time(), time.perf_counter()

    def _step(self) -> None:
        stretch = time.thread_time() - self.cpu_s, time.perf_counter() - self.wall_s
        self.count += 1
        if len(self.worst) < TOLD or stretch[0] > self.worst[-1][0]:
            self.worst = sorted([*self.worst, stretch], reverse=True)[:TOLD]
        if time.perf_counter() - self.told_s > TELL_S:
            self._tell()
        self._mark()
        self.loop.call_later(STEP_S, self._step)

    def _tell(self) -> None:
        self.told_s = time.perf_counter()
        beside = self.file.with_suffix(".new")
        beside.write_text(json.dumps({"count": self.count, "worst": self.worst}))
        os.replace(beside, self.file)


def watched(file: Path) -> None:
    """Every engine of this process gets a probe when it begins."""
    begin = Engine.begin

    def begin_watched(self: Engine) -> None:
        begin(self)
        Probe(self, file)

    setattr(Engine, "begin", begin_watched)  # noqa: B010


def read(file: Path) -> dict[str, Any]:
    """What a probe has told."""
    found: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {"count": 0, "worst": []}
    return found


if __name__ == "__main__":
    watched(Path(sys.argv.pop(1)))
    main()
