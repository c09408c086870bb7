"""`suture check`: a whole site and its channels' own tests, without starting anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from suture.config.channel_tests import CaseResult, run_channel_tests
from suture.config.site import Site, SiteLoader
from suture.model.errors import Problem, StoreError


@dataclass(slots=True)
class CheckResult:
    """What a check found. tests: of the channels whose files are right. warnings do no harm. store: the database and its settings."""

    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    tests: list[CaseResult] = field(default_factory=list)
    store: str = ""

    @property
    def ok(self) -> bool:
        """Would the site start, and do all tests pass?"""
        return not self.problems and all(test.ok for test in self.tests)


def check_site(directory: Path, environment: str | None, environ: Mapping[str, str]) -> CheckResult:
    """Read everything and run every channel's tests; never raises for what stands in files."""
    loader = SiteLoader(directory, environment, environ)
    site = loader.load()
    result = CheckResult(warnings=loader.warnings)
    if site is not None:
        _check_store(site, result, loader.problems)
    for channel in loader.channels.values():
        tests, problems = run_channel_tests(channel)
        result.tests += tests
        loader.problems += problems
        if not tests and not problems:
            result.warnings.append(Problem(f"channels/{channel.name}/tests.yaml", 1, "", "the channel has no tests"))
    result.problems = loader.sorted_problems()
    return result


def _check_store(site: Site, result: CheckResult, problems: list[Problem]) -> None:
    """Look at the database's release and settings. One that cannot be reached from here is told, and is no mistake in a file."""
    from suture.store import fitness, sqlite, url

    def said(text: str) -> Problem:
        return Problem("conf/base.yaml", 1, "store.url", text)

    try:
        if url.is_file(site.database_url):
            sqlite.module()
        try:
            found = fitness.examine_url(site.database_url, site.directory)
        except StoreError as error:
            result.warnings.append(said(f"its release and settings are not known: {error}"))
            return
        result.store = found.title
        result.warnings += [said(text) for text in found.worries]
        fitness.require(found, site.environment, site.conf.store.accept_unsafe)
    except StoreError as error:
        problems.append(said(str(error)))
