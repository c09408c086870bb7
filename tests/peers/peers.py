"""Programs of others that speak MLLP, with the settings that docs/mllp.md gives for each, and an engine to meet them."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from sqlalchemy import text

import suture
from suture.store.engine import open_engine
from tests.crash.hospital import free_ports, listens, wait_until

HERE = Path(__file__).parent
INSTALLED = HERE.parents[1] / "build" / "peers"
"""Where `make test-peers` puts the packages and the drivers."""
DOCS = HERE.parents[1] / "docs" / "mllp.md"
COUNT = 1000

DRIVERS = {
    "hl7v2-net": ("hl7v2-net.send.mjs", "hl7v2-net.receive.mjs"),
    "node-hl7-client": ("node-hl7-client.send.mjs", ""),
    "node-hl7-server": ("", "node-hl7-server.receive.mjs"),
    "simple-hl7": ("simple-hl7.send.mjs", "simple-hl7.receive.mjs"),
    "@medplum/hl7": ("medplum-hl7.send.mjs", "medplum-hl7.receive.mjs"),
    "@medplum/hl7, enhancedMode": ("", "medplum-hl7.receive.mjs enhanced"),
    "hl7.mllp": ("hl7_mllp_send.py", "hl7_mllp_receive.py"),
}
"""What drives each peer of the documentation, as a sender and as a receiver."""


@dataclass(frozen=True)
class Peer:
    """A row of the documentation's table. sends, receives: settings of mllp_in and mllp_out; None where it is no such thing."""

    name: str
    version: str
    sends: dict[str, Any] | None
    receives: dict[str, Any] | None

    def __str__(self) -> str:
        return self.name

    @property
    def installed(self) -> str:
        """The version that is there."""
        if self.name.startswith("hl7.mllp"):
            return importlib.metadata.version("hl7")
        package = INSTALLED / "node_modules" / self.name.split(",")[0] / "package.json"
        return str(json.loads(package.read_text(encoding="utf-8"))["version"])


def documented() -> list[Peer]:
    """The peers of docs/mllp.md."""
    section = DOCS.read_text(encoding="utf-8").split("## Peers", 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| `([^`]+)` \| ([\d.]+) \| ([^|]+) \| ([^|]+) \|", section, re.MULTILINE)
    return [Peer(name, version, _settings(sends), _settings(receives)) for name, version, sends, receives in rows]


def _settings(cell: str) -> dict[str, Any] | None:
    """`pipeline: 1`, "defaults", or a dash."""
    if cell.strip() == "-":
        return None
    found: dict[str, Any] = {}
    for line in re.findall("`([^`]+)`", cell):
        found |= yaml.safe_load(line)
    return found


def command(driver: str, *arguments: object) -> list[str]:
    """How a driver is run."""
    file, *more = driver.split()
    program = [sys.executable, str(HERE / file)] if file.endswith(".py") else ["node", str(INSTALLED / file)]
    return [*program, *map(str, arguments), *more]


class Engine:
    """The real command on a site with one channel, from MLLP to one destination."""

    def __init__(self, directory: Path, source: dict[str, Any], destination: dict[str, Any]) -> None:
        self.directory, self.log = directory / "site", directory / "engine.log"
        self.port, self._pages = free_ports(2)
        endpoint = {"in_flight": 8, "retry": {"first_s": 0.1, "max_s": 0.5}, **destination}
        conf = {"site": {"name": "peers", "zone": "UTC"}, "http": {"port": self._pages}, "endpoints": {"there": endpoint}}
        channel = {
            "channel": "c",
            "source": {"mllp_in": {"port": self.port, **source}},
            "order_by": "PID-18.1",
            "destinations": {"there": {"to": "there", "message": {}}},
        }
        self._write("conf/base.yaml", conf)
        self._write("channels/c/channel.yaml", channel)
        self._process: subprocess.Popen[bytes] | None = None

    def _write(self, name: str, content: dict[str, Any]) -> None:
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(content), encoding="utf-8")

    def __enter__(self) -> Engine:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SUTURE_")}
        environment["PYTHONPATH"] = str(Path(suture.__file__).parents[1])
        command = [sys.executable, "-m", "suture.cli.main", "run", "--site", str(self.directory)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        wait_until(self._ready, 60, "the engine is ready")
        return self

    def _ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"the engine has ended:\n{self.said()[-3000:]}"
        return listens(self.port) and listens(self._pages)

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        assert self._process.wait(60) == 0, self.said()[-3000:]

    def said(self) -> str:
        """Its log."""
        return self.log.read_text(errors="replace")

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Rows of its store."""
        engine = open_engine(f"sqlite:///{self.directory / 'suture.db'}", site=None)
        try:
            with engine.connect() as connection:
                return [tuple(row) for row in connection.execute(text(query))]
        finally:
            engine.dispose()

    def count(self, query: str) -> int:
        """The one number of a query."""
        return int(self.rows(query)[0][0])
