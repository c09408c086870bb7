"""Verbs about a whole site: init, run, demo, check."""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from suture.cli import exits, output
from suture.cli.options import site_options
from suture.cli.session import Session
from suture.model.errors import ConfigError, Problem

PARTS = ("conf", "channels", "mappings")
_GITIGNORE = "*.db\n*.db-wal\n*.db-shm\n"


@click.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
def init(directory: Path, as_json: bool) -> int:
    """Make a site: a directory with a working channel, its mappings and tables.

    \b
    Example:
      suture init mysite && suture check --site mysite && suture run --site mysite
    """
    if directory.exists() and (not directory.is_dir() or any((directory / part).exists() for part in PARTS)):
        raise ConfigError([Problem(str(directory), 1, "", "something is there already; name a new directory")])
    source = example_site()
    try:
        for part in PARTS:
            shutil.copytree(source / part, directory / part)
        if not (directory / ".gitignore").exists():
            (directory / ".gitignore").write_text(_GITIGNORE)
    except OSError as error:
        raise ConfigError([Problem(str(directory), 1, "", f"cannot be made: {error.strerror or error}")]) from None
    if as_json:
        output.print_json({"site": str(directory), "channels": Session(directory).channels()})
    else:
        click.echo(f"made {directory} with the channels {', '.join(Session(directory).channels())}\nnext: suture run --site {directory}")
    return exits.OK


def example_site() -> Path:
    """The working hospital that Suture brings: inside the installed package, else the repository's own."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "_site"
    return inside if inside.is_dir() else package.parent.parent


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
def demo(keep: bool) -> int:
    """Play a surgical day through the engine with simulated cabinet, ERP, billing and analytics, and prove the balance.

    \b
    Example:
      suture demo --keep
    """
    from suture.sim.demo import main

    return int(main(keep=keep) or exits.OK)


@click.command()
@site_options
def check(session: Session) -> int:
    """Check a site's files and run the channels' own tests; nothing is started.

    \b
    Example:
      suture check --site mysite --env prod
    """
    raise NotImplementedError
