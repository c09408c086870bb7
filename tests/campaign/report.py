"""What a campaign came to, for people and for programs."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.campaign.ledger import Finding
from tests.campaign.schedule import Fault, written


@dataclass(slots=True)
class Result:
    """What a round came to. struck: faults that were done, by kind. directory: where everything of it is kept."""

    database: str
    seed: int
    seconds: float
    faults: Sequence[Fault]
    directory: str
    kinds: str = ""
    counts: dict[str, int] = field(default_factory=dict)
    struck: dict[str, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    @property
    def replay(self) -> str:
        """The command that does it again."""
        kinds = f" --faults {self.kinds}" if self.kinds else ""
        return f"python -m tests.campaign --database {self.database} --seed {self.seed} --rounds 1 --round-s {self.seconds:g}{kinds}"


def as_json(results: Sequence[Result], began: str) -> str:
    """The whole, with the schedules."""
    rows: list[dict[str, Any]] = []
    for result in results:
        row = {name: getattr(result, name) for name in ("database", "seed", "seconds", "directory", "counts", "struck", "replay")}
        row["findings"] = [dataclasses.asdict(finding) for finding in result.findings]
        rows.append(row | {"schedule": written(result.faults)})
    return json.dumps({"began": began, "findings": sum(len(r.findings) for r in results), "rounds": rows}, indent=1)


COLUMNS = ("acknowledged", "arrivals", "came again", "waited for a person", "runs of the engine", "faults")


def as_table(results: Sequence[Result]) -> str:
    """A line a round, what was done, and every finding with the way to see it again."""
    head = ["database", "seed", "s", *COLUMNS, "findings"]
    rows = [
        [r.database, str(r.seed), f"{r.seconds:g}", *(f"{r.counts.get(name, 0):,}" for name in COLUMNS), _verdicts(r.findings)]
        for r in results
    ]
    widths = [max(len(row[n]) for row in [head, *rows]) for n in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in [head, *rows]]
    struck = sum((Counter(r.struck) for r in results), Counter[str]())
    lines += ["", "faults done: " + ", ".join(f"{kind} {count}" for kind, count in sorted(struck.items()))]
    for r in results:
        for finding in r.findings:
            lines += ["", f"{finding.verdict.upper()} ({finding.count}) on {r.database}, seed {r.seed}: {finding.text}"]
        if r.findings:
            lines += [f"  again: {r.replay}", f"  kept:  {r.directory}"]
    return "\n".join(lines)


def _verdicts(findings: Sequence[Finding]) -> str:
    return ", ".join(f"{finding.verdict} {finding.count}" for finding in findings) or "none"
