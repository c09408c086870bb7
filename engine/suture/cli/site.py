"""Verbs about a whole site: init, run, demo, check."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from suture.cli import exits, output
from suture.cli.options import site_options
from suture.cli.session import Session
from suture.model.errors import CommandError

if TYPE_CHECKING:
    from suture.config.check import CheckResult


@click.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
def init(directory: Path, as_json: bool) -> int:
    """Make a site: a directory with a working channel, its mappings and tables.

    \b
    Example:
      suture init mysite && suture check --site mysite && suture run --site mysite
    """
    from suture.config.init import write_example_site

    try:
        files = write_example_site(directory)
    except CommandError as error:
        click.echo(f"suture: {error}", err=True)
        return exits.WRONG
    channels = Session(directory).channels()
    if as_json:
        output.print_json({"site": str(directory), "channels": channels, "files": [str(file) for file in files]})
    else:
        click.echo(f"made {directory} with {len(files)} files; channels: {', '.join(channels)}")
        click.echo(f"next:  suture check --site {directory}\n       suture run --site {directory}")
    return exits.OK


@click.command()
@site_options
def run(session: Session) -> int:
    """Run the engine until Ctrl-C or SIGTERM; it drains, then stops.

    \b
    Examples:
      suture run --site mysite
      SUTURE_DATABASE_URL=postgresql://suture@db/suture suture run --site mysite --env prod
    """
    from suture.app import run as run_engine

    return run_engine(session.directory, session.environment)


@click.command()
@click.option("--keep", is_flag=True, help="Keep the demo's site and database, and say where they are.")
@click.option("--messages", type=click.IntRange(20, 100_000), default=300, show_default=True, help="Messages of the day.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON, for scripts.")
def demo(keep: bool, messages: int, as_json: bool) -> int:
    """Play a surgical day through the engine with simulated cabinets, ERP, billing and analytics, and prove the balance.

    \b
    Examples:
      suture demo
      suture demo --keep --messages 1000
    """
    from suture.sim.demo import main

    return main(keep=keep, messages=messages, as_json=as_json)


@click.command()
@site_options
def check(session: Session) -> int:
    """Check a site's files and run the channels' own tests; nothing is started.

    \b
    Examples:
      suture check --site mysite
      suture check --site mysite --env prod --json
    """
    from suture.config.check import check_site

    result = check_site(session.directory, session.environment, os.environ)
    if session.as_json:
        output.print_json(
            {"ok": result.ok, "problems": result.problems, "warnings": result.warnings, "tests": result.tests, "store": result.store}
        )
    else:
        _show_check(result)
    if result.problems:
        return exits.WRONG
    return exits.OK if result.ok else exits.FAILED


def _show_check(result: CheckResult) -> None:
    for problem in result.problems:
        click.echo(str(problem), err=True)
    for warning in result.warnings:
        click.echo(f"{warning} (warning)", err=True)
    for test in result.tests:
        place = "" if test.ok else f" ({test.file}:{test.line})"
        click.echo(f"{'passed' if test.ok else 'FAILED'}  {test.channel}: {test.name}{place}")
        for difference in test.differences:
            click.echo(f"        {difference}")
    if result.store:
        click.echo(f"store: {result.store}")
    failed = sum(not test.ok for test in result.tests)
    click.echo(f"{len(result.problems)} problems, {len(result.warnings)} warnings; {len(result.tests)} tests, {failed} failed")
