"""The database: db upgrade, db current, and its backups (keeping.py)."""

from __future__ import annotations

import click

from suture.cli import exits, output
from suture.cli.keeping import Progress, backup, restore, verify
from suture.cli.options import site_options
from suture.cli.session import Session


@click.group()
def db() -> None:
    """The database: its schema, its backups."""


for _command in (backup, restore, verify):
    db.add_command(_command)


class _Moving:
    """What an upgrade moves, told on the error output: how much there is before it begins, and on a terminal how far it is."""

    def __init__(self, aloud: bool) -> None:
        self._aloud, self._begun, self._progress = aloud, False, Progress("upgrade")

    def told(self, revision: str, done: int, total: int) -> None:
        """So many messages of so many are moved to a revision."""
        if self._aloud and not self._begun and total > done:
            click.echo(
                f"to schema {revision}: {total - done:,} messages of {total:,} are to be moved;"
                " when this is ended early, `suture db upgrade` goes on where it stopped",
                err=True,
            )
        self._begun = True
        self._progress.at(f"to schema {revision}, {done:,} of {total:,} messages moved ({100 * done // max(1, total)} %)")

    def end(self) -> None:
        """It is over."""
        self._progress.end()


@db.command()
@site_options
def upgrade(session: Session) -> int:
    """Bring the database to the schema this Suture needs; back it up first, and stop the engine.

    It may be ended at any moment: the same command goes on from there.

    \b
    Example:
      suture db upgrade --site mysite
    """
    from suture.store import schema

    engine, moving = session.engine(create=True), _Moving(not session.as_json)
    before = schema.current(engine)
    try:
        moved = schema.upgrade(engine, moving.told)
    finally:
        moving.end()
    after = schema.current(engine)
    if session.as_json:
        output.print_json({"before": before, "after": after, "moved_messages": moved})
    elif before == after:
        click.echo(f"the schema is {after}, and was that before")
    else:
        click.echo(f"upgraded from {_named(before)} to {after}{f'; {moved:,} messages were moved' if moved else ''}")
    return exits.OK


def _named(found: str | None) -> str:
    from suture.store import schema

    return f"an unfinished {schema.begun(found)}" if schema.begun(found) else found or "nothing"


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
    elif revision := schema.begun(found):
        click.echo(
            f"an upgrade of the database to schema {revision} was begun and has not ended; this Suture needs {needed}:"
            " run `suture db upgrade`, which goes on where it stopped"
        )
    else:
        click.echo(f"the database has schema {found or 'none'}; this Suture needs {needed}")
    return exits.OK if found == needed else exits.FAILED
