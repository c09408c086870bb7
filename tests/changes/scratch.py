"""A copy of the engine in which a test makes a change, runs what came of it, and counts the files that it took."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

TOP = Path(__file__).parents[2]
ENGINE = Path("engine") / "suture"
MESSAGE = """
import json, sys
from pathlib import Path
from suture.config.plan import plan_of
from suture.config.site import load_site
from suture.model.message import Message
from suture.pipeline.process import process
site, channel, file, at_us = sys.argv[1:]
plan = plan_of(load_site(Path(site), None, {}).channels[channel])
work = process(plan, Message(channel, Path(file).read_bytes(), int(at_us), id=1), int(at_us))
settled = work.ready or work.settle({}, {})
assert not settled.gaps, settled.gaps
events = [[e.type, {name: str(value) for name, value in e.data.items()}] for e in settled.events]
bodies = [json.loads(d.body) for d in settled.deliveries if "json" in d.content_type]
print(json.dumps({"state": settled.state, "reason": settled.reason, "events": events, "bodies": bodies}))
"""
"""What a message comes to, by a channel's plan."""
RECEIVED_US = 1_772_500_000_000_000
"""A time after that of the samples: a use in the future would be held."""


class Scratch:
    """A copy of engine/ and migrations/. Names of files are those below engine/suture."""

    def __init__(self, directory: Path) -> None:
        self.engine = directory / ENGINE
        unfinished = shutil.ignore_patterns("*.pyc.*")
        shutil.copytree(TOP / ENGINE, self.engine, ignore=unfinished)  # with what Python has compiled, which saves seconds
        shutil.copytree(TOP / "migrations", directory / "migrations")

    def add(self, name: str, text: str) -> None:
        """A new file."""
        path = self.engine / name
        assert not path.exists(), f"{name} is there already"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def insert(self, name: str, lines: Mapping[str, str]) -> None:
        """In a file, put each of these texts behind the one that it stands beside here."""
        path = self.engine / name
        text = path.read_text(encoding="utf-8")
        for anchor, more in lines.items():
            count = text.count(anchor)
            assert count == 1, f"{name} has {count} times {anchor!r}: the code has moved; look where this change goes now"
            text = text.replace(anchor, anchor + more)
        path.write_text(text, encoding="utf-8")

    def touched(self) -> list[str]:
        """The files of the engine that are new, gone, or not what they were."""
        now, before = _files(self.engine), _files(TOP / ENGINE)
        return sorted(name for name in now.keys() | before.keys() if now.get(name) != before.get(name))

    @property
    def environment(self) -> dict[str, str]:
        """Of a process that runs the copy."""
        given = {name: value for name, value in os.environ.items() if not name.startswith("SUTURE_")}
        return given | {"PYTHONPATH": str(self.engine.parent)}

    def python(self, *arguments: str | Path) -> str:
        """Run this interpreter with the copy; what it said on stdout. It has to end well."""
        done = self._run([sys.executable, *map(str, arguments)])
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def suture(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run the command of the copy."""
        return self._run([sys.executable, "-m", "suture.cli.main", *map(str, arguments)])

    def _run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, capture_output=True, text=True, env=self.environment, timeout=120)

    def comes_to(self, site: Path, channel: str, file: str) -> Any:
        """State, reason, events and JSON payloads of a message, a file of the channel."""
        return json.loads(self.python("-c", MESSAGE, site, channel, site / "channels" / channel / file, str(RECEIVED_US)))


def _files(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*.py")}
