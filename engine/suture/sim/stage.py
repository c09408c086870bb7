"""The stage of a demo: a site on free or usual ports, the simulators, and the engine, all as real processes."""

from __future__ import annotations

import asyncio
import os
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp

from suture.model.errors import CommandError
from suture.sim.processes import Child, ChildError, inherited, python

CHANNEL = "or-supply"
ENVIRONMENT = "dev"
READY_S = 60.0


VARIABLES = {
    "mllp": "OR_SUPPLY_PORT",
    "http": "SUTURE_HTTP_PORT",
    "erp": "ERP_PORT",
    "billing": "BILLING_PORT",
    "analytics": "ANALYTICS_PORT",
    "control": "CONTROL_PORT",
}
"""The variable that gives each port; all but the last are those of the example site's files."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Where everything listens on the loopback."""

    mllp: int = 2575
    http: int = 8080
    erp: int = 9310
    billing: int = 9320
    analytics: int = 9330
    control: int = 9340

    @classmethod
    def given(cls, environ: Mapping[str, str], others: Ports) -> Ports:
        """The ports that the environment names; where it names none, those of others. Raises CommandError."""
        set_here = {field: name for field, name in VARIABLES.items() if environ.get(name)}
        ports = replace(others, **{field: _port(name, environ[name]) for field, name in set_here.items()})
        used = Counter(ports.numbers())
        if twice := [f"{name} is {port}" for name, port in zip(VARIABLES.values(), ports.numbers(), strict=True) if used[port] > 1]:
            raise CommandError(f"{' and '.join(twice)}: give each a port of its own")
        return ports

    def numbers(self) -> list[int]:
        """All of them, in the order of VARIABLES."""
        return [getattr(self, field) for field in VARIABLES]

    def environment(self) -> dict[str, str]:
        """The variables that the example site's files ask for."""
        return {"SUTURE_ENV": ENVIRONMENT, **{name: str(getattr(self, field)) for field, name in VARIABLES.items()}}

    def arguments(self) -> list[str]:
        """The simulators' command line."""
        named = {"--erp-port": self.erp, "--billing-port": self.billing, "--analytics-port": self.analytics, "--control-port": self.control}
        return [text for name, port in named.items() for text in (name, str(port))]


def _port(name: str, text: str) -> int:
    if re.fullmatch(r"[0-9]{1,5}", text) and 0 < int(text) < 65536:
        return int(text)
    raise CommandError(f"{name} has to be a port from 1 to 65535")


class Stage:
    """Engine and simulators of one site. environment: what the children get.

    quiet: the children's output goes to files in the site's directory instead of the terminal.
    """

    def __init__(self, site: Path, ports: Ports, environment: dict[str, str], quiet: bool) -> None:
        self.site, self.ports = site, ports
        self.environment = environment
        items = str(site / "mappings" / "tables" / "item_master.csv")
        world = python("-m", "suture.sim", *ports.arguments(), "--items", items)
        engine = python("-m", "suture.cli.main", "run", "--site", str(site))
        self.world = Child("simulators", world, environment, site / "simulators.log" if quiet else Path(os.devnull))
        self.engine = Child("engine", engine, environment, site / "engine.log" if quiet else None)

    @classmethod
    def private(cls, site: Path, ports: Ports) -> Stage:
        """A stage that uses the site's own SQLite file, whatever SUTURE_DATABASE_URL says."""
        environment = inherited(**ports.environment())
        environment.pop("SUTURE_DATABASE_URL", None)
        return cls(site, ports, environment, quiet=True)

    async def open(self) -> None:
        """Start the simulators, then the engine; returns when both are ready. Raises ChildError."""
        await self.world.start()
        await self._until(self.world, f"http://127.0.0.1:{self.ports.control}/stats")
        await self.engine.start()
        await self._until(self.engine, f"http://127.0.0.1:{self.ports.http}/readyz")

    async def close(self) -> int:
        """Stop the engine, then the simulators. Returns the engine's exit code."""
        code = await self.engine.stop()
        await self.world.stop()
        return code

    def check(self) -> None:
        """Raise ChildError when one of the two has ended by itself."""
        self.engine.check()
        self.world.check()

    async def steer(self, path: str, body: Any = None) -> None:
        """One order to the simulators, such as /erp/down."""
        await _request("POST", f"http://127.0.0.1:{self.ports.control}{path}", body)

    async def counts(self) -> Any:
        """What the simulators have counted."""
        return await _request("GET", f"http://127.0.0.1:{self.ports.control}/stats")

    async def documents(self) -> list[dict[str, str]]:
        """The ERP's documents."""
        rows: list[dict[str, str]] = await _request("GET", f"http://127.0.0.1:{self.ports.erp}/documents")
        return rows

    async def _until(self, child: Child, url: str) -> None:
        for _ in range(int(READY_S / 0.1)):
            child.check()
            if await _answers(url):
                return
            await asyncio.sleep(0.1)
        raise ChildError(f"the {child.name} did not become ready in {READY_S:g} s; see {child.log}")


async def _answers(url: str) -> bool:
    try:
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            return answer.status == 200
    except (aiohttp.ClientError, OSError):
        return False


async def _request(method: str, url: str, body: Any = None) -> Any:
    async with aiohttp.ClientSession() as session, session.request(method, url, json=body) as answer:
        if answer.status != 200:
            raise ChildError(f"the simulators answered {answer.status} to {url}")
        return await answer.json()


async def eventually(condition: Callable[[], bool], limit_s: float, stage: Stage, pause_s: float = 0.25) -> bool:
    """Wait until the condition holds; False when it does not within limit_s. Raises ChildError when a child has ended."""
    until = asyncio.get_running_loop().time() + limit_s
    while not condition():
        if asyncio.get_running_loop().time() > until:
            return False
        stage.check()
        await asyncio.sleep(pause_s)
    return True
