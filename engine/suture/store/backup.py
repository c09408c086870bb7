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
from suture.store.archive import Manifest, Worked, Writer, require_free


class Origin(Value, frozen=True):
    """What is backed up, and by whom. files: the site's own, by the names that they have in the backup."""

    suture: str
    site: str
    actor: str
    files: Mapping[str, Path]


def paced(worked: Worked, share: int, now: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep) -> Worked:
    """`worked`, followed by a rest, so that of any time about `share` percent is worked."""
    begun_s = now()

    def rested(name: str, count: int, size_bytes: int) -> None:
        nonlocal begun_s
        worked(name, count, size_bytes)
        rest_s = (now() - begun_s) * (100 - share) / share
        if rest_s > 0:
            sleep(rest_s)
        begun_s = now()

    return rested


def make(engine: Engine, path: Path, origin: Origin, worked: Worked, replace: bool = False) -> Manifest:
    """Write a backup to path. Raises StoreError (StoreRefused where a file is there already), and leaves nothing there then.

    The rows are those of one instant; the engine goes on meanwhile, and its log grows until the backup has been made.
    """
    if not replace:
        require_free(path)
    revision = schema.known(engine)  # it may be an older one: a backup is made before an upgrade
    writer = Writer(path, worked)
    try:
        manifest = Manifest(origin.suture, revision, origin.site, engine.dialect.name, int(time.time() * 1e6))
        manifest.files |= {name: writer.file(name, source) for name, source in origin.files.items()}
        with dialect.reading(engine) as connection:
            dialect.unhurried(connection)
            if schema.revision_of(connection) != revision:
                raise StoreRefused(f"the database {dialect.name_of(engine.url)} is being upgraded; back it up when that has ended")
            for shape in copying.shapes(connection):
                manifest.tables[shape.name] = writer.table(shape.name, shape.columns, copying.unload(connection, shape))
        manifest.ended_us = int(time.time() * 1e6)
        writer.finish(manifest, replace)
    except BaseException:
        writer.abandon()
        raise
    with suppress(StoreError), dialect.writing(engine) as connection:  # a store that takes no writes is backed up all the same
        orders.record(connection, origin.actor, "db_backup", str(path), "", int(time.time() * 1e6))
    return manifest
