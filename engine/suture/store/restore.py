"""Putting a backup in the place of a store, whole or not at all; what was there is kept aside."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import DBAPIError

from suture.model.errors import StoreError, StoreRefused
from suture.model.value import changed
from suture.store import after_restore, copying, dialect, ownership, rows, schema, switch, tenure, views
from suture.store.after_restore import Held, Restoring
from suture.store.archive import TABLES, Backup, Row, Worked
from suture.store.engine import open_file

ROOM = 1.5
"""A SQLite database is so much larger than the rows in it, about, with its indexes."""
TOLD = 1000
_LOCK_S = 10


def require_readable(backup: Backup, worked: Worked) -> None:
    """Raises StoreRefused unless the backup is as it was written, and of a schema that this Suture knows."""
    manifest = backup.manifest
    if manifest.schema not in schema.revisions():
        raise StoreRefused(
            f"the backup has schema {manifest.schema}, which this Suture (schema {schema.HEAD}) does not know; use the newer one"
        )
    if wrong := backup.check(worked):
        raise StoreRefused(f"the backup {backup.path} is damaged: {'; '.join(wrong[:5])}")


def restore(engine: Engine, backup: Backup, what: Restoring, worked: Worked) -> tuple[Held, str]:
    """Put a readable backup in the place of the store; what is held for a person, and where the old store is ("" for none).

    Raises StoreError when an engine works on the store, or when it cannot be done; the store is as it was then.
    """
    if dialect.file_of(engine):
        return _into_file(engine, backup, what, worked)
    return _into_schema(engine, backup, what, worked)


def _fill(connection: Connection, backup: Backup, what: Restoring, worked: Worked) -> Held:
    """All rows of a backup into an empty database, and what follows for them."""
    schema.make(connection, backup.manifest.schema)
    for shape in copying.shapes(connection):
        if shape.name in backup.manifest.tables:
            columns, given = backup.table(shape.name)
            copying.load(connection, shape, columns, _told(shape.name, given, worked))
    rows.count_on(connection, ("exception", "command", "audit"))
    _require_counts(connection, backup)
    schema.make(connection, "head")
    return after_restore.settle(connection, what)


def _told(name: str, given: Iterator[Row], worked: Worked) -> Iterator[Row]:
    for number, row in enumerate(given, 1):
        if not number % TOLD:
            worked(f"{TABLES}{name}", TOLD, 0)
        yield row


def _require_counts(connection: Connection, backup: Backup) -> None:
    there = {shape.name for shape in copying.shapes(connection)}
    for name, part in backup.manifest.tables.items():
        found = connection.execute(text(f'SELECT count(*) FROM "{name}"')).scalar_one() if name in there else None
        if found != part.rows:
            raise StoreRefused(f"of the table {name}, {found or 0} rows were restored, and the backup has {part.rows}")


# -- SQLite: a new file in the place of the old one ---------------------------------------------------------------------


def _into_file(engine: Engine, backup: Backup, what: Restoring, worked: Worked) -> tuple[Held, str]:
    path = os.path.realpath(dialect.file_of(engine))
    mine, new = _owner(Path(path)), Path(path + switch.NEW)
    with ownership.alone(engine):
        what = _knowing(engine, what)
        engine.dispose()
        _remove(new)
        try:
            held = _build(new, backup, what, worked)
            _give(mine, new, Path(path + switch.LOCK))
        except BaseException:
            _remove(new)
            raise
        aside = f"{path}.before-{_stamp(what)}"
        switch.begin(path, aside)
    return held, aside


def _owner(path: Path) -> tuple[int, int]:
    """Whose the database is to be: that of the one that is there, else of its directory."""
    there = (path if path.exists() and path.stat().st_size else path.parent).stat()
    return there.st_uid, there.st_gid


def _give(owner: tuple[int, int], *paths: Path) -> None:
    """root restores for the user of the engine, who could not open files of root's."""
    if os.geteuid() == 0:
        for path in paths:
            os.chown(path, *owner)


def try_out(new: Path, backup: Backup, worked: Worked) -> None:
    """Make a database of a backup, in a place of its own. Raises StoreError when it cannot be made."""
    manifest = backup.manifest
    what = Restoring(manifest.began_us, manifest.began_us, "", "", backup.path.name, send=True)
    _build(new, backup, what, worked)


def _build(new: Path, backup: Backup, what: Restoring, worked: Worked) -> Held:
    """A new SQLite database of a backup: in one file, without a log."""
    _require_room(new.parent, backup)
    engine = open_file(new)
    try:
        with dialect.explained(engine), engine.connect() as connection:
            for pragma in ("journal_mode = DELETE", "synchronous = OFF", "cache_size = -64000"):  # it is made durable as a whole
                rows.execute(connection, f"PRAGMA {pragma}")
            with connection.begin():
                held = _fill(connection, backup, what, worked)
            if (found := rows.query(connection, "PRAGMA quick_check(1)")) != [("ok",)]:
                raise StoreRefused(f"the new database is not sound: {found[0][0]}")
    finally:
        engine.dispose()
    return held


def _knowing(engine: Engine, what: Restoring) -> Restoring:
    """With what is known of the store that gives way, where it can be read: it may be damaged, or there may be none."""
    return changed(what, epoch=_found(engine, tenure.next_epoch, 1), given=_found(engine, after_restore.given, 0))


def _found(engine: Engine, query: Callable[[Connection], int], otherwise: int) -> int:
    try:
        with dialect.reading(engine) as connection:
            return query(connection)
    except StoreError:
        return otherwise


def _require_room(directory: Path, backup: Backup) -> None:
    needed, free = int(backup.manifest.bytes * ROOM), shutil.disk_usage(directory).free
    if free < needed:
        raise StoreRefused(f"{directory} has {free // 1_000_000} MB free, and the restored database may need {needed // 1_000_000} MB")


def _remove(new: Path) -> None:
    for companion in switch.COMPANIONS:
        Path(f"{new}{companion}").unlink(missing_ok=True)


def _stamp(what: Restoring) -> str:
    return datetime.fromtimestamp(what.now_us / 1e6, UTC).strftime("%Y%m%dT%H%M%S%fZ")


# -- PostgreSQL: one transaction ----------------------------------------------------------------------------------------


def _into_schema(engine: Engine, backup: Backup, what: Restoring, worked: Worked) -> tuple[Held, str]:
    with dialect.writing(engine) as connection:
        dialect.unhurried(connection)
        connection.execute(text(f"SET LOCAL lock_timeout = '{_LOCK_S}s'"))
        ownership.exclude(connection)
        dialect.lock_schema(connection)
        present = _present(connection)
        owner = tenure.owner(connection) if "engine_state" in present else None
        epoch, since_s = tenure.next_epoch(connection) if "engine_state" in present else 1, time.monotonic()
        what = changed(what, epoch=epoch, given=_given(connection))
        aside = _put_aside(connection, present, f"before_{_stamp(what).lower()}") if present else ""
        held = _fill(connection, backup, what, worked)
        if owner is not None:  # one whose session was lost may go on sending so long, of the store that gives way
            time.sleep(max(0.0, owner.sends_for_s - (time.monotonic() - since_s)))
    with dialect.explained(engine), engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))
    return held, aside


def _given(connection: Connection) -> int:
    try:
        with connection.begin_nested():
            return after_restore.given(connection)
    except DBAPIError:  # a store that is damaged gives way all the same
        return 0


def _present(connection: Connection) -> list[str]:
    names = [shape.name for shape in copying.shapes(connection)]
    names += sorted(set(inspect(connection).get_view_names()) & views.metadata.tables.keys())
    return [*names, schema.VERSION_TABLE] if schema.is_there(connection) else names


def _put_aside(connection: Connection, names: list[str], aside: str) -> str:
    connection.execute(text(f'CREATE SCHEMA "{aside}"'))
    for name in names:
        connection.execute(text(f'ALTER TABLE "{name}" SET SCHEMA "{aside}"'))
    return f"schema {aside}"
