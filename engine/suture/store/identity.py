"""A SQLite store is its files and not their names: database, log (-wal), index of the log (-shm) and lock (-lock).

A process goes on writing to a file that was deleted, replaced or moved, and keeps nothing. So they are compared with what
they were (device and inode) after every commit and before anything of it is told. As a rule that is one look at their
directory, whose time changes with every name in it.
"""

from __future__ import annotations

import os
import threading
import time
from typing import Any

from sqlalchemy import Engine, event

from suture.store import dialect
from suture.store.faults import StoreMoved
from suture.store.switch import LOCK

LOOK_S = 1.0
"""The files themselves are looked at this often, whatever their directory says: something may have been mounted over them."""
SETTLED_NS = 100_000_000
"""A directory's time tells of changes that are older than this: the kernel's clock for it moves in steps of milliseconds."""
Identity = tuple[int, int]

_BACK = "; put it back, or stop the engine"
_RESTART = "; restart the engine"


class Files:
    """The files of the engine's database: its file as it is now, the others as they are at `settle`. PostgreSQL has none."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self._name = engine, dialect.file_of(engine)
        self._path = os.path.realpath(self._name)
        self._directory = os.path.dirname(self._path)
        self._were: dict[str, Identity] = {}
        self._quiet: tuple[int, Identity] | None = None
        self._looked_s = 0.0
        self._lock = threading.Lock()
        self._settled = False
        self._note("")
        if self._were:
            event.listen(engine, "connect", self._connected)

    def settle(self) -> None:
        """Take the files beside it for the store's: a connection has them open, and keeps them."""
        if self._name and not self._settled:
            self._settled = True
            for end in (LOCK, "-wal", "-shm"):
                self._note(end)

    def let_go(self) -> None:
        """The files are others' business from now on."""
        with self._lock:
            if self._were:
                event.remove(self._engine, "connect", self._connected)
            self._were = {}

    def _note(self, end: str) -> None:
        if self._name and (found := _seen(self._path + end)):
            self._were[self._path + end] = found[1]

    def check(self) -> None:
        """Raise StoreMoved when they are not what they were."""
        if self._were and not self._is_quiet():
            with self._lock:
                self._look()

    def _is_quiet(self) -> bool:
        """Has nothing happened in their directory since all was found right?"""
        return self._quiet is not None and time.monotonic() - self._looked_s < LOOK_S and _seen(self._directory) == self._quiet

    def _look(self) -> None:
        self._quiet, now_s, seen = None, time.monotonic(), _seen(self._directory)
        for path, was in self._were.items():
            if path == self._path:
                self._require(self._name, was, "its file was deleted or replaced" + _BACK)
            elif path.endswith(LOCK):
                self._require(path, was, f"its lock {os.path.basename(path)} was deleted or replaced{_BACK}, and start it again")
            else:
                self._require(path, was, f"{os.path.basename(path)} was deleted or replaced, which belongs to it{_RESTART}", for_good=True)
        if seen is not None and time.time_ns() - seen[0] > SETTLED_NS:
            self._quiet, self._looked_s = seen, now_s

    @staticmethod
    def _require(path: str, was: Identity, text: str, for_good: bool = False) -> None:
        if (found := _seen(path)) is None or found[1] != was:
            raise StoreMoved(text, for_good)

    def _connected(self, connection: Any, _record: Any) -> None:
        """A new connection must be one to the same files, else it reads and writes others."""
        try:
            with self._lock:
                self._look()
        except StoreMoved:
            connection.close()
            raise


def _seen(path: str) -> tuple[int, Identity] | None:
    """When a file or a directory was changed, and which it is; None where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, (found.st_dev, found.st_ino)
