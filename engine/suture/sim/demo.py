"""`suture demo`: a surgical day, played against a real engine and simulated systems, and the proof that the books balance."""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import signal
import tempfile
from dataclasses import dataclass, fields, is_dataclass
from datetime import date
from pathlib import Path
from random import Random
from typing import Any

from suture.config.init import write_example_site
from suture.config.site import load_site
from suture.model.errors import SutureError
from suture.model.views import View
from suture.sim import report
from suture.sim.audit import Check, audit
from suture.sim.cabinet import Cabinet
from suture.sim.catalogue import Catalogue
from suture.sim.day import CABINETS, Day, Phase, plan
from suture.sim.ledger import Books, Ledger
from suture.sim.processes import ChildError, free_ports
from suture.sim.stage import CHANNEL, ENVIRONMENT, Ports, Stage, eventually

DAY = date(2026, 3, 10)
SEED = 4471
PACE_S = 0.02
"""Pause of a cabinet between two messages: slow enough to watch."""
DOWN_S = 4.0
"""How long the ERP is down at least."""
SETTLE_S = 120.0


@dataclass(slots=True)
class Outcome:
    """What a played day came to."""

    ledger: Ledger
    counts: Any
    checks: list[Check]

    @property
    def balanced(self) -> bool:
        """Whether every comparison holds."""
        return all(check.ok for check in self.checks)


def main(keep: bool = False, messages: int = 300, as_json: bool = False, seed: int = SEED) -> int:
    """Play the day; returns 0 when the books balance, else 1. keep: leave the site's directory for a look at it."""
    progress = report.Progress(report.stdout_or_stderr(as_json))
    directory = Path(tempfile.mkdtemp(prefix="suture-demo-"))
    try:
        outcome = asyncio.run(_interruptible(_demo(directory / "site", messages, seed, progress)))
    except (SutureError, ChildError, ValueError) as e:
        progress.say(f"The demo could not be played: {e}")
        keep = keep or isinstance(e, ChildError)
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        progress.say("Stopped. Engine and simulators are down.")
        return 130
    finally:
        _tidy(directory, keep, progress)
    print(_as_json(outcome) if as_json else report.tables(outcome.ledger, outcome.checks))
    return 0 if outcome.balanced else 1


def _tidy(directory: Path, keep: bool, progress: report.Progress) -> None:
    if keep:
        progress.say(f"The site is kept in {directory / 'site'}")
    else:
        shutil.rmtree(directory, ignore_errors=True)


def _as_json(outcome: Outcome) -> str:
    body = {"balanced": outcome.balanced, "checks": outcome.checks, "ledger": outcome.ledger, "counts": outcome.counts}
    return json.dumps(body, indent=2, default=_plain)


def _plain(value: Any) -> Any:
    """Books as JSON has them: views and dataclasses by their fields, a set sorted, a number as text."""
    if isinstance(value, View):
        return value.public()
    if is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    return sorted(value) if isinstance(value, set) else str(value)


async def _interruptible(work: Any) -> Any:
    """Run to the end, or cancel on SIGTERM as Ctrl-C does."""
    task = asyncio.ensure_future(work)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await task


async def _demo(site: Path, messages: int, seed: int, progress: report.Progress) -> Outcome:
    write_example_site(site)
    day = plan(Catalogue.read(site / "mappings" / "tables"), Random(seed), DAY, messages)
    stage = Stage.private(site, Ports(*free_ports(6)))
    progress.say("A surgical day at General Hospital: cabinets -> Suture -> ERP, billing, analytics")
    try:
        await stage.open()
        progress.say(f"  engine (process {stage.engine.pid}) and simulators (process {stage.world.pid}) are up\n")
        return await _played(stage, day, progress)
    finally:
        code = await stage.close()
        progress.say(f"  engine stopped, exit code {code}\n")


async def _played(stage: Stage, day: Day, progress: report.Progress) -> Outcome:
    books = books_of(stage)
    player = _Player(stage, day, books, progress)
    try:
        for phase in day.phases:
            await player.play(phase)
        await player.settle()
        ledger, counts = books.read(), await stage.counts()
        return Outcome(ledger, counts, audit(day.expected, player.acknowledged, ledger, counts, await stage.documents()))
    finally:
        await player.close()
        books.close()


def books_of(stage: Stage) -> Books:
    """The books of the stage's site. Raises ConfigError when its files are wrong."""
    site = load_site(stage.site, ENVIRONMENT, stage.environment)
    routes = site.channels[CHANNEL].destinations
    return Books(site.database_url, CHANNEL, {name: destination.route.events for name, destination in routes.items()})


class _Player:
    """Plays phases: the world's part first, then every cabinet its messages, in order."""

    def __init__(self, stage: Stage, day: Day, books: Books, progress: report.Progress) -> None:
        self.stage, self.day, self.books, self.progress = stage, day, books, progress
        self.cabinets = [Cabinet("127.0.0.1", stage.ports.mllp) for _ in range(CABINETS)]
        self.acknowledged = 0

    async def play(self, phase: Phase) -> None:
        """Play one phase to its end."""
        await self._act(phase.action)
        began_s = asyncio.get_running_loop().time()
        done = 0

        async def send(number: int) -> None:
            nonlocal done
            for sending in phase.sendings:
                if sending.cabinet == number:
                    await self._send(number, sending.raw)
                    done += 1
                    self.progress.phase(phase.at, phase.title, done, len(phase.sendings))

        await asyncio.gather(*(send(number) for number in range(CABINETS)))
        self.stage.check()
        if phase.action == "erp_down":
            await self._stay_down(began_s)

    async def _send(self, number: int, raw: bytes) -> None:
        sent = await self.cabinets[number].send(raw)
        if not sent.code:
            self.stage.check()
            raise ChildError("the engine did not acknowledge a message within a minute")
        self.acknowledged += 1
        await asyncio.sleep(PACE_S)

    async def _act(self, action: str) -> None:
        if action == "erp_down":
            await self.stage.steer("/erp/down", {"mode": "refuse"})
        elif action == "erp_up":
            await self.stage.steer("/erp/up")
        elif action == "billing_nack":
            await self.stage.steer("/billing/nack", {"transactions": self.day.expected.nacked, "code": "AE"})

    async def _stay_down(self, began_s: float) -> None:
        """Keep the ERP down until there is something to see, and say what an operator sees."""
        await asyncio.sleep(max(0.0, DOWN_S - (asyncio.get_running_loop().time() - began_s)))
        await eventually(lambda: bool(self.books.trouble("erp")), 5, self.stage)
        waiting = self.books.waiting("erp") + self.books.waiting("requisitions")
        self.progress.say(f"         {waiting} deliveries wait for the ERP: {self.books.trouble('erp') or 'no reason known'}")
        self.progress.say(f"         billing waits for {self.books.waiting('billing')}, analytics for {self.books.waiting('analytics')}")

    async def settle(self) -> None:
        """Wait until the engine has nothing left to do."""
        sent = self.day.expected.messages
        good = await eventually(lambda: self.books.received() >= sent and not self.books.unsettled(), SETTLE_S, self.stage)
        self.progress.say("  18:00  the day is over; everything has settled" if good else f"  18:00  not settled after {SETTLE_S:g} s")

    async def close(self) -> None:
        """Hang up the cabinets."""
        for cabinet in self.cabinets:
            await cabinet.close()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m suture.sim.demo", description="Play a surgical day and prove that the books balance.")
    parser.add_argument("--messages", type=int, default=300, help="messages of the day (default 300)")
    parser.add_argument("--keep", action="store_true", help="keep the site's directory")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    options = _arguments()
    raise SystemExit(main(options.keep, options.messages, options.json))
