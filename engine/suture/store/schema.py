"""The schema's version: what the database has, what this Suture needs, and the way from one to the other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import SQLAlchemyError

from suture.model.errors import StoreError, StoreRefused
from suture.store import dialect, ownership, tables
from suture.store.engine import free_bytes

HEAD = "0006"
"""The revision this Suture needs: the newest in migrations/versions (a test holds it there), so that a check needs not load Alembic."""

VERSION_TABLE = "alembic_version"
"""Alembic's own, with one row: the revision."""

BEGUN = " begun"
"""Behind a revision in the version table: an upgrade to it was begun and has not ended. No Suture takes that for a schema of its own."""

Told = Callable[[str, int, int], None]
"""told(revision, done, total): on the way to a revision, so many messages of so many are moved."""


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


def begun(found: str | None) -> str:
    """The revision that an upgrade has begun to make and has not made yet; "" where there is none."""
    return found.removesuffix(BEGUN) if found and found.endswith(BEGUN) else ""


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
    if begun(found) in revisions():
        return StoreError(
            f"an upgrade of the database {name} to schema {begun(found)} was begun and has not ended;"
            " run `suture db upgrade`, which goes on where it stopped"
        )
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
    return [revision.revision for revision in _scripts().walk_revisions()][::-1]


def _scripts() -> Any:
    from alembic.script import ScriptDirectory

    return ScriptDirectory(str(migrations()))


def upgrade(engine: Engine, told: Told = lambda *_: None) -> int:
    """Bring the schema to the newest revision; how many messages had to be moved for that, in this call.

    Each revision is committed by itself, and one that moves messages also a portion at a time: ended at any moment, the
    upgrade goes on from there when it is called again. Only a new database's schema is made in one transaction.
    Raises StoreError when the database is of a newer Suture, or holds something else, and StoreRefused when an engine or
    another upgrade works on it, or its disk may have too little room.
    """
    with dialect.reading(engine) as connection:
        found, is_new = revision_of(connection), not inspect(connection).get_table_names()
    if found == HEAD:
        return 0
    if is_new:
        with dialect.writing(engine) as connection:
            dialect.lock_schema(connection)
            make(connection, "head")
        return 0
    if found is None or (begun(found) or found) not in revisions():
        raise _refused(engine, found)
    with dialect.explained(engine), ownership.holding(engine) as connection:
        moved = _bring_up(connection, told)
    if moved and not dialect.file_of(engine):
        dialect.vacuum(engine, [table.name for table in tables.metadata.sorted_tables])
    return moved


def _bring_up(connection: Connection, told: Told) -> int:
    """Make the revisions that are left, one after the other; how many messages were moved."""
    with dialect.unhurried_writing(connection):
        found = revision_of(connection)
    begun_now, scripts, moved = begun(found), _scripts(), 0
    order = revisions()
    last = order.index(begun_now) - 1 if begun_now else order.index(str(found))
    for before, revision in zip(order[last:], order[last + 1 :], strict=False):
        module = scripts.get_revision(revision).module
        if hasattr(module, "portions"):
            moved += _move(connection, revision, module, revision == begun_now, told)
        with dialect.unhurried_writing(connection):
            dialect.lock_schema(connection)
            _say(connection, before)
            make(connection, revision)
        dialect.checkpoint(connection)
    return moved


def _move(connection: Connection, revision: str, module: Any, is_begun: bool, told: Told) -> int:
    """All that a revision moves, a portion in each transaction; how many messages that were."""
    with dialect.unhurried_writing(connection):
        dialect.lock_schema(connection)
        _require_room(connection, module.room_bytes(connection))
        if not is_begun:
            _begin(connection, module)
            _say(connection, revision + BEGUN)
    portions, first, done = module.portions(connection), None, 0
    try:
        while True:
            with dialect.unhurried_writing(connection):
                portion = next(portions, None)
            if portion is None:
                return done - (first or 0)
            done, total = portion
            first = done if first is None else first
            told(revision, done, total)
            dialect.checkpoint(connection)
    except SQLAlchemyError as error:
        why = dialect.explain(error, connection.engine.url)
        raise StoreError(f"{why}; what was moved to schema {revision} stays there: `suture db upgrade` goes on where it stopped") from error


def _begin(connection: Connection, module: Any) -> None:
    from alembic.migration import MigrationContext
    from alembic.operations import Operations

    with Operations.context(MigrationContext.configure(connection)):
        module.begin(connection)


def _say(connection: Connection, revision: str) -> None:
    """Write down the revision; what is not a revision keeps every Suture out."""
    connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = :revision"), {"revision": revision})


def _require_room(connection: Connection, needed: int) -> None:
    engine = connection.engine
    free = free_bytes(engine)
    if free is not None and free < needed:
        raise StoreRefused(
            f"the disk of the database {dialect.name_of(engine.url)} has {free // 1_000_000} MB free, and the upgrade may need"
            f" {needed // 1_000_000} MB; make room there and run `suture db upgrade` again"
        )


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
