"""Backing up a store while its engine works: all rows as they are at one instant, and the site's own files."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from sqlalchemy import Engine

from suture.model.errors import StoreError, StoreRefused
from suture.model.value import Value
from suture.store import copying, dialect, orders, schema
from suture.store.archive import Manifest, Worked, Writer


class Origin(Value, frozen=True):
    """What is backed up, and by whom. files: the site's own, by the names that they have in the backup."""

    suture: str
    site: str
    actor: str
    files: Mapping[str, Path]


class Pace:
    """Rests after work, so that of any time about `share` percent is worked."""

    def __init__(self, share: int, now: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep) -> None:
        self._rest, self._now, self._sleep = (100 - share) / share, now, sleep
        self._begun_s = now()

    def rest(self) -> None:
        """A piece of work is done."""
        worked_s = self._now() - self._begun_s
        if self._rest and worked_s > 0:
            self._sleep(worked_s * self._rest)
        self._begun_s = self._now()


def make(engine: Engine, path: Path, origin: Origin, pace: Pace, worked: Worked, replace: bool = False) -> Manifest:
    """Write a backup to path. Raises StoreError (StoreRefused where a file is there already), and leaves nothing there then.

    The rows are those of one instant; the engine goes on meanwhile, and its log grows until the backup has been made.
    """
    if path.exists() and not replace:
        raise StoreRefused(f"{path} is there already; name another file, or add --yes to replace it")
    revision = _known_schema(engine)

    def paced(name: str, count: int, size_bytes: int) -> None:
        worked(name, count, size_bytes)
        pace.rest()

    writer = Writer(path, paced)
    try:
        manifest = Manifest(origin.suture, revision, origin.site, engine.dialect.name, int(time.time() * 1e6))
        _files(writer, origin.files, manifest)
        with dialect.reading(engine) as connection:
            dialect.unhurried(connection)
            for shape in copying.shapes(connection):
                manifest.tables[shape.name] = writer.table(shape.name, shape.columns, copying.unload(connection, shape))
        manifest.ended_us = int(time.time() * 1e6)
        writer.finish(manifest, replace)
    except BaseException:
        writer.abandon()
        raise
    _audit(engine, origin, path)
    return manifest


def _known_schema(engine: Engine) -> str:
    """The schema of the database, which may be an older one: a backup is made before an upgrade."""
    found = schema.current(engine)
    if found is None or found not in schema.revisions():
        schema.check(engine)
        raise StoreRefused(f"the database {dialect.name_of(engine.url)} has no schema of Suture's")
    return found


def _files(writer: Writer, files: Mapping[str, Path], manifest: Manifest) -> None:
    for name, source in files.items():
        manifest.files[name] = writer.file(name, source)


def _audit(engine: Engine, origin: Origin, path: Path) -> None:
    """All content was read. A store that takes no writes is backed up all the same."""
    with suppress(StoreError), dialect.writing(engine) as connection:
        orders.record(connection, origin.actor, "db_backup", str(path), "", int(time.time() * 1e6))
