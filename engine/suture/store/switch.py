"""One SQLite database in the place of another: at any instant, also after a kill or a power cut, it is wholly one of them.

A database is up to three files, and no system call renames three. So an intent is written first; from then on the new one
is meant, and whoever opens the database next finishes what was begun. The old files are kept under other names, its log
with them: a log beside a database that it does not belong to would be taken for its own, and damage it.
"""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path

from suture.model.errors import StoreError

INTENT, NEW, LOCK = "-restoring", "-restored", "-lock"
"""Beside the database: the intent, the new database until it has its name, and the engine's lock (ownership.py)."""
COMPANIONS = ("", "-wal", "-shm", "-journal", "-damaged")


def begin(path: str, aside: str) -> None:
    """Put the new database, which is whole and closed, in the place of this one, which is kept under the name aside.

    path: where its files are, not another name of them. The caller holds the engine's lock.
    """
    sync(path + NEW)
    intent = path + INTENT
    with open(os.open(intent + "~", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump({"aside": aside}, file)
    sync(intent + "~")
    os.rename(intent + "~", intent)
    sync(Path(path).parent)
    _finish(path)


def complete(path: str) -> None:
    """Finish what a restore that was ended before its end had begun. Raises StoreError while one is at work."""
    place = os.path.realpath(path)
    if not os.path.exists(place + INTENT):
        return
    lock = os.open(place + LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _finish(place)
    except BlockingIOError:
        raise StoreError(f"the database {path} is being restored; try again when that has ended") from None
    finally:
        os.close(lock)


def _finish(place: str) -> None:
    directory = Path(place).parent
    try:
        with open(place + INTENT) as file:
            aside = json.load(file)["aside"]
    except FileNotFoundError:
        return  # another process was quicker
    if os.path.exists(place + NEW):
        for companion in COMPANIONS:
            if os.path.exists(place + companion):
                os.rename(place + companion, aside + companion)
        sync(directory)  # the old log must be away, durably, before a new database has its name
        os.rename(place + NEW, place)
        sync(directory)
    os.unlink(place + INTENT)
    sync(directory)


def sync(path: str | Path) -> None:
    """Make the content of a file, or the names in a directory, durable.

    (Not for a database that this process has open: closing it lets go of SQLite's locks.)
    """
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
