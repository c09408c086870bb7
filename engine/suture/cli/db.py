"""The database: db upgrade, db current, and its backups (keeping.py)."""

from __future__ import annotations

import click

from suture.cli import exits, output
from suture.cli.keeping import backup, restore, verify
from suture.cli.options import site_options
from suture.cli.session import Session


@click.group()
def db() -> None:
    """The database: its schema, its backups."""


for _command in (backup, restore, verify):
    db.add_command(_command)


@db.command()
@site_options
def upgrade(session: Session) -> int:
    """Bring the database to the schema this Suture needs; back it up first, and stop the engine.

    \b
    Example:
      suture db upgrade --site mysite
    """
    from suture.store import schema

    engine = session.engine(create=True)
    before = schema.current(engine)
    schema.upgrade(engine)
    after = schema.current(engine)
    if session.as_json:
        output.print_json({"before": before, "after": after})
    else:
        click.echo(f"the schema is {after}, and was that before" if before == after else f"upgraded from {before or 'nothing'} to {after}")
    return exits.OK


@db.command()
@site_options
def current(session: Session) -> int:
    """Show the schema the database has, and the one this Suture needs; exit 1 when they differ.

    \b
    Example:
      suture db current --site mysite
    """
    from suture.store import schema

    found, needed = schema.current(session.engine()), schema.HEAD
    if session.as_json:
        output.print_json({"current": found, "needed": needed})
    else:
        click.echo(f"the database has schema {found or 'none'}; this Suture needs {needed}")
    return exits.OK if found == needed else exits.FAILED
