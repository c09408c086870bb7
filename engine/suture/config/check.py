"""`suture check`: a whole site and its channels' own tests, without starting anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from suture.config.channel_tests import CaseResult, run_channel_tests
from suture.config.site import SiteLoader
from suture.model.errors import Problem


@dataclass(slots=True)
class CheckResult:
    """What a check found. tests: of the channels whose files are right. warnings do no harm."""

    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    tests: list[CaseResult] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Would the site start, and do all tests pass?"""
        return not self.problems and all(test.ok for test in self.tests)


def check_site(directory: Path, environment: str | None, environ: Mapping[str, str]) -> CheckResult:
    """Read everything and run every channel's tests; never raises for what stands in files."""
    loader = SiteLoader(directory, environment, environ)
    loader.load()
    result = CheckResult(warnings=loader.warnings)
    for channel in loader.channels.values():
        tests, problems = run_channel_tests(channel)
        result.tests += tests
        loader.problems += problems
        if not tests and not problems:
            result.warnings.append(Problem(f"channels/{channel.name}/tests.yaml", 1, "", "the channel has no tests"))
    result.problems = loader.sorted_problems()
    return result
