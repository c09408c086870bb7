"""Rounds, one after the other, on the databases in turn."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.campaign.ledger import Finding
from tests.campaign.report import Result
from tests.campaign.round import Round
from tests.campaign.schedule import KINDS, Fault, generate
from tests.crash.mortal_postgres import MortalServer

AFTERMATH_S = 30.0
"""What a round takes beyond its faults, about."""


class Campaign:
    """Rounds in directories below this one. kinds: of faults. round_s: seconds of faults a round. progress: is told a line."""

    def __init__(self, directory: Path, kinds: Sequence[str], round_s: float, progress: Callable[[str], None]) -> None:
        self._directory, self._kinds, self._round_s, self._progress = directory.resolve(), tuple(kinds), round_s, progress
        self._server: MortalServer | None = None

    def __enter__(self) -> Campaign:
        self._directory.mkdir(parents=True)
        return self

    def __exit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.stop()

    def run(
        self, databases: Sequence[str], seed: int, seconds: float, rounds: int | None = None, faults: Sequence[Fault] | None = None
    ) -> list[Result]:
        """Rounds until the time is over, or of this number; one on each database at least. Round n has the seed `seed + n`."""
        results: list[Result] = []
        begin_s, number = time.monotonic(), 0
        while number < rounds if rounds is not None else not number or self._fits(begin_s, seconds, len(databases)):
            results += [self._round(database, seed + number, faults) for database in databases]
            number += 1
        return results

    def _fits(self, begin_s: float, seconds: float, databases: int) -> bool:
        return time.monotonic() - begin_s + databases * (self._round_s + AFTERMATH_S) <= seconds

    def _round(self, database: str, seed: int, given: Sequence[Fault] | None) -> Result:
        faults = given if given is not None else generate(seed, self._round_s, self._kinds, database)
        directory = self._directory / f"{database}-{seed}"
        kinds = "" if self._kinds == tuple(KINDS) else ",".join(self._kinds)
        result = Result(database, seed, self._round_s, faults, str(directory), kinds)
        try:
            one = Round(directory, seed, faults, self._server_for(database), lambda line: self._progress(f"{database} {seed}: {line}"))
            result.findings = one.run()
            result.counts, result.struck = one.counts(), one.struck()
        except Exception:  # the next round may tell more; this one counts as a failure
            result.findings = [Finding("driver", 1, traceback.format_exc())]
        return result

    def _server_for(self, database: str) -> MortalServer | None:
        if database == "sqlite":
            return None
        self._server = self._server or MortalServer()
        return self._server
