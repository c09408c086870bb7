"""Which SQLite this process uses, and whether its release is one to trust. The only place that imports a driver of it.

Two SQLite libraries in one process must not open the same file: closing it in one lets go of the other's locks.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable
from functools import cache
from typing import Any

from suture.model.errors import StoreError

CHOICE = "SUTURE_SQLITE"
"""Environment variable: the driver to use, `sqlite3` (Python's own) or `pysqlite3`; else the better one that is installed."""
DRIVERS = {"pysqlite3": "pysqlite3.dbapi2", "sqlite3": "sqlite3"}
FIXED = (3, 51, 3)
BACKPORTS = {(3, 50): 7, (3, 44): 6}
"""Releases of older lines that have the repair too: (major, minor) to the first patch."""
Release = tuple[int, ...]


def is_fixed(release: Release) -> bool:
    """Has this release no WAL-reset fault (https://sqlite.org/wal.html)?"""
    patch = BACKPORTS.get((release[0], release[1]))
    return release >= FIXED or (patch is not None and release[2] >= patch)


def best(found: Iterable[tuple[str, Release]]) -> str:
    """The driver to use, of those that are installed with their releases: the first that is fixed, else the newest."""
    seen: list[tuple[Release, str]] = []
    for name, release in found:
        if is_fixed(release):
            return name
        seen.append((release, name))
    return max(seen)[1]


@cache
def module() -> Any:
    """The driver (DB-API 2.0) that everything here uses; one for the whole process. Raises StoreError for a choice there is not.

    It takes bytes and None as they are: unless told, it asks each of them for two methods that it has not, and the two errors
    take as long as ten numbers.
    """
    name = os.environ.get(CHOICE) or best((name, _imported(name).sqlite_version_info) for name in DRIVERS if _imported(name))
    driver = _imported(name)
    if driver is None:
        raise StoreError(f"{CHOICE} asks for {name!r}; there is {' and '.join(filter(_imported, DRIVERS))}")
    driver.register_adapter(bytes, bytes)
    driver.register_adapter(type(None), {}.get)
    return driver


def _imported(name: str) -> Any:
    try:
        return importlib.import_module(DRIVERS[name])
    except (ImportError, KeyError):
        return None


def title() -> str:
    """Release and driver, for people: SQLite 3.53.4 (pysqlite3)."""
    return f"SQLite {module().sqlite_version} ({module().__name__.partition('.')[0]})"


def warning() -> str:
    """What is to be said of this process's release, "" for nothing."""
    return warning_of(module().sqlite_version_info)


def warning_of(release: Release) -> str:
    """What is to be said of a release, "" for nothing."""
    if is_fixed(release):
        return ""
    shown = ".".join(map(str, release))
    return (
        f"SQLite {shown} can damage a database when two programs write to it at one instant (fixed in 3.51.3, 3.50.7 and 3.44.6); "
        "use a fixed one: pip install 'suture[sqlite]'"
    )
