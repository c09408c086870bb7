"""Another checkout of Suture, to be measured beside this one: its engine, on its own sites."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from pathlib import Path

from bench.child import BenchError
from bench.engine import SUTURE
from bench.workloads import Workload


@dataclass(frozen=True)
class Checkout:
    """directory: its top, an absolute path."""

    directory: Path

    @classmethod
    def at(cls, directory: Path) -> Checkout:
        """The checkout in a directory. Raises BenchError when there is none."""
        if not (directory / "engine" / "suture").is_dir():
            raise BenchError(f"{directory} is no checkout of Suture: it has no engine/suture")
        return cls(directory.resolve())

    @property
    def command(self) -> str:
        """Runs its engine, with the Python of this one; see Engine."""
        return shlex.join(["/usr/bin/env", f"PYTHONPATH={self.directory / 'engine'}", *shlex.split(SUTURE)])

    def workload(self, ours: Workload) -> Workload:
        """A workload on the checkout's own site, which its engine understands; the load and the ports are ours.

        Raises BenchError when it has no such site.
        """
        site = self.directory / "bench" / "sites" / ours.name
        if not site.is_dir():
            raise BenchError(f"{self.directory} has no site for {ours.name}: there is no {site.relative_to(self.directory)}")
        return replace(ours, site=site)
