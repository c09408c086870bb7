"""Whether the database keeps what it is given: its release, its settings, and whether it was found damaged."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from suture.model.errors import StoreError
from suture.model.value import Value
from suture.store import dialect, faults, rows, sqlite, state
from suture.store import url as urls
from suture.store.engine import open_engine
from suture.store.tables import engine_state, metadata

MARK = "-damaged"
"""What a damaged SQLite database has beside it (its name and this) until it was found sound or was put right."""
DAMAGE = "store_damage"
"""The fact of the engine that says so on PostgreSQL, until the next start."""
PRODUCTION = ("prod", "production")
"""Environments in which a server that may lose what was acknowledged is refused."""
_SETTINGS = "SELECT name, setting, reset_val FROM pg_settings WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit', "
_SETTINGS += "'zero_damaged_pages', 'ignore_checksum_failure', 'data_checksums', 'server_version')"
_UNLOGGED = "SELECT relname FROM pg_class WHERE relpersistence <> 'p' AND relkind = 'r' AND pg_table_is_visible(oid)"
OWN_COMMIT = "synchronous_commit of the server"
"""Name under which the server's own default stands; our connections have their own."""
UNLOGGED = "unlogged tables"

_UNSAFE = {
    "fsync": ("off", "fsync is off: a crash of the machine loses what was acknowledged, or all; set fsync = on"),
    "full_page_writes": ("off", "full_page_writes is off: a crash of the machine may tear pages; set full_page_writes = on"),
    "zero_damaged_pages": ("on", "zero_damaged_pages is on: a damaged page is emptied in silence; set it off"),
    "ignore_checksum_failure": ("on", "ignore_checksum_failure is on: damage is passed over; set it off"),
}
"""Setting of PostgreSQL to the value that breaks the promise, and why."""


class Fitness(Value, frozen=True):
    """title: the database and what it is set to. unsafe: why it may lose what was acknowledged. warnings: what else to mend."""

    title: str
    unsafe: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def worries(self) -> tuple[str, ...]:
        """Both, the worse first."""
        return self.unsafe + self.warnings


def examine(engine: Engine) -> Fitness:
    """Look at the database. Raises StoreError when it cannot be reached."""
    if dialect.file_of(engine):
        return of_sqlite()
    with dialect.explained(engine), engine.connect() as connection:
        return of_postgresql(_settings(connection))


def examine_url(url: str, site: Path) -> Fitness:
    """Look at the database of a site that need not be there yet, as SQLite's. Raises StoreError when it cannot be reached."""
    if urls.is_file(url):
        return of_sqlite()
    engine = open_engine(url, site=site)
    try:
        return examine(engine)
    finally:
        engine.dispose()


def of_sqlite() -> Fitness:
    """The SQLite of this process; needs no file."""
    warning = sqlite.warning()
    return Fitness(sqlite.title(), (), (warning,) if warning else ())


def of_postgresql(settings: Mapping[str, str]) -> Fitness:
    """The judgement of a server with these settings."""
    shown = ", ".join(f"{name} {settings[name]}" for name in ("fsync", "full_page_writes", "synchronous_commit") if name in settings)
    unsafe = [why for name, (value, why) in _UNSAFE.items() if settings.get(name) == value]
    if unlogged := settings.get(UNLOGGED):
        unsafe.append(f"a crash of the server empties {unlogged}: ALTER TABLE {unlogged.partition(',')[0]} SET LOGGED")
    default, warnings = settings.get(OWN_COMMIT, "on"), []
    if default not in ("on", "remote_apply"):
        warnings.append(f"the server's synchronous_commit is {default}; our connections use {settings.get('synchronous_commit', 'on')}")
    return Fitness(f"PostgreSQL {settings.get('server_version', '?')} ({shown})", tuple(unsafe), tuple(warnings))


def _settings(connection: Connection) -> dict[str, str]:
    found = {}
    for name, setting, default in connection.execute(text(_SETTINGS)):
        found[name] = setting
        if name == "synchronous_commit":
            found[OWN_COMMIT] = default
    ours = sorted(name for (name,) in connection.execute(text(_UNLOGGED)) if name in metadata.tables)
    return found | {UNLOGGED: ", ".join(ours)}


def facts(fitness: Fitness) -> dict[str, str]:
    """What the running engine leaves in the store about it, for `suture status`."""
    return {"store": fitness.title, "store_warnings": "\n".join(fitness.worries), DAMAGE: ""}


def require(fitness: Fitness, environment: str | None, accepted: bool) -> None:
    """Refuse a database that may lose what was acknowledged, in production, unless the site accepts it. Raises StoreError.

    Elsewhere it is only told: a developer's or a test's server is often set so for speed.
    """
    if fitness.unsafe and environment in PRODUCTION and not accepted:
        why = "; ".join(fitness.unsafe)
        raise StoreError(f"the database may lose what was acknowledged: {why} (or accept it: store.accept_unsafe in conf)")


def note_damage(engine: Engine, why: str) -> None:
    """Leave a note that the database is damaged, for whoever looks and for the next start; as well as that can be done."""
    with suppress(OSError, SQLAlchemyError):
        if mark := _mark_of(engine):
            with open(os.open(mark, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                file.write(why + "\n")
        else:
            with engine.begin() as connection:
                state.put(connection, engine_state, {"name": DAMAGE}, {"value": why, "updated_at_us": 0})


def damage_noted(engine: Engine) -> str:
    """The note beside a SQLite database, "" for none."""
    try:
        with open(_mark_of(engine)) as file:
            return file.read().strip()
    except OSError:
        return ""


def _mark_of(engine: Engine) -> str:
    file = dialect.file_of(engine)
    return os.path.realpath(file) + MARK if file else ""


def require_sound(engine: Engine) -> bool:
    """Look through a SQLite file that an earlier run found damaged; whether there was reason to. Raises StoreError if it is."""
    if not damage_noted(engine):
        return False
    if not _is_sound(engine):
        name = dialect.name_of(engine.url)
        raise StoreError(f"the database {name} is damaged, as an earlier run found; restore a backup (docs/operations.md: A damaged store)")
    with suppress(OSError):
        os.unlink(_mark_of(engine))
    return True


def _is_sound(engine: Engine) -> bool:
    try:
        with engine.connect() as connection:
            return rows.query(connection, "PRAGMA integrity_check(1)") == [("ok",)]
    except SQLAlchemyError as error:
        if faults.sort(error).kind == faults.DAMAGED:
            return False
        raise dialect.explain(error, engine.url) from error
