"""The schema's version: what the database has, what this Suture needs, and the way from one to the other."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from suture.model.errors import StoreError
from suture.store import dialect

HEAD = "0006"
"""The revision this Suture needs: the newest in migrations/versions (a test holds it there), so that a check needs not load Alembic."""

VERSION_TABLE = "alembic_version"
"""Alembic's own, with one row: the revision."""


def current(engine: Engine) -> str | None:
    """The revision the database has; None when it has no schema. Raises StoreError when it cannot be reached."""
    with dialect.reading(engine) as connection:
        return revision_of(connection)


def is_there(connection: Connection) -> bool:
    """Does the database say which schema it has?"""
    return inspect(connection).has_table(VERSION_TABLE)


def revision_of(connection: Connection) -> str | None:
    """The revision that the database has, as this connection sees it."""
    if not is_there(connection):
        return None
    return connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()


def is_empty(engine: Engine) -> bool:
    """Is the database brand new, with no table at all?"""
    with dialect.reading(engine) as connection:
        return not inspect(connection).get_table_names()


def check(engine: Engine) -> None:
    """Raise StoreError unless the schema is the one this Suture knows; the text says what to do."""
    if (found := current(engine)) != HEAD:
        raise _refused(engine, found)


def known(engine: Engine) -> str:
    """The revision the database has. Raises StoreError unless it is one that this Suture knows, be it an older one."""
    found = current(engine)
    if found is None or found not in revisions():
        raise _refused(engine, found)
    return found


def _refused(engine: Engine, found: str | None) -> StoreError:
    name = dialect.name_of(engine.url)
    if found is None and is_empty(engine):
        return StoreError(f"the database {name} has no schema yet; `suture run` or `suture db upgrade` makes it")
    if found is None:
        return StoreError(f"the database {name} holds tables, and no schema of Suture's; name an empty database")
    if found in revisions():
        return StoreError(f"the database {name} has schema {found}, and this Suture needs {HEAD}; back it up and run `suture db upgrade`")
    return StoreError(f"the database {name} has schema {found}, which this Suture (schema {HEAD}) does not know; use the newer Suture")


def prepare(engine: Engine) -> None:
    """For `suture run`: make the schema of a brand-new database, and refuse any other that is not current."""
    if is_empty(engine):
        upgrade(engine)
    check(engine)


def revisions() -> list[str]:
    """Every revision there is, oldest first."""
    from alembic.script import ScriptDirectory

    script = ScriptDirectory(str(migrations()))
    return [revision.revision for revision in script.walk_revisions()][::-1]


def upgrade(engine: Engine) -> None:
    """Bring the schema to the newest revision in one transaction; nothing happens when it is there.

    Raises StoreError when the database is of a newer Suture, or holds something else.
    """
    found = current(engine)
    if found == HEAD:
        return
    if found not in [None, *revisions()] or (found is None and not is_empty(engine)):
        raise _refused(engine, found)
    with dialect.writing(engine) as connection:
        dialect.lock_schema(connection)
        make(connection, "head")


def make(connection: Connection, revision: str) -> None:
    """Make the schema of a revision in an empty database, or bring one up to it."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(migrations()).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def migrations() -> Path:
    """The directory of the migrations: inside the installed package, else the repository's own."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "_migrations"
    return inside if inside.is_dir() else package.parent.parent / "migrations"
