"""The store of a round, and what can befall it: one class a database, with the same faults."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import psycopg

from tests.campaign.ledger import History, Span
from tests.campaign.ward import Ward
from tests.crash.mortal_postgres import MortalServer

DISK_BYTES = 2_000_000_000
"""Size of the disk in memory that a PostgreSQL database gets, where this user may mount one; what is not used takes nothing."""

ROOM_BYTES = 100_000
"""What is left of it when it is full: it cannot be made smaller than what is on it."""


class Store(Protocol):
    """What befalls a store. Each fault ends before it returns; all are noted in the history."""

    url: str
    free: threading.Lock

    def opened(self, ward: Ward) -> None: ...

    def stall(self, wait_s: float) -> None: ...

    def fill(self, wait_s: float) -> bool: ...

    def end_sessions(self, holders_only: bool = False) -> None: ...

    def kill(self, wait_s: float) -> None: ...

    def close(self) -> None: ...


class _Trouble:
    """Notes when the store was in trouble, and when it could take nothing at all."""

    def __init__(self, history: History) -> None:
        self._history, self.free = history, threading.Lock()

    @contextlib.contextmanager
    def _trouble(self, what: str) -> Iterator[None]:
        with self.free:
            begin_s = time.time()
            try:
                yield
            finally:
                self._history.troubles.append(Span(begin_s, time.time(), what))

    @contextlib.contextmanager
    def _dark(self, what: str) -> Iterator[None]:
        begin_s = time.time()
        yield
        self._history.blackouts.append(Span(begin_s, time.time(), what))


class Sqlite(_Trouble):
    """A file; its lock is held by a connection that stays open all the while, so that it is never the last to close."""

    def __init__(self, directory: Path, history: History) -> None:
        super().__init__(history)
        self.path = directory / "suture.db"
        self.url = f"sqlite:///{self.path}"
        self._ward: Ward | None = None
        self._connection: sqlite3.Connection | None = None

    def opened(self, ward: Ward) -> None:
        """The engine has made it."""
        self._ward = ward
        self._connection = sqlite3.connect(self.path, timeout=0, isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA wal_autocheckpoint = 0")

    def stall(self, wait_s: float) -> None:
        """Another process holds the file's write lock."""
        assert self._connection is not None
        with self._trouble("locked"):
            self._lock(self._connection)
            try:
                with self._dark("the database file was locked"):
                    time.sleep(wait_s)
            finally:
                self._connection.execute("ROLLBACK")

    def _lock(self, connection: sqlite3.Connection) -> None:
        """SQLite's own wait sleeps between its tries, and would miss the gaps between the engine's commits."""
        while True:
            with contextlib.suppress(sqlite3.OperationalError):
                connection.execute("BEGIN IMMEDIATE")
                return
            time.sleep(0.001)

    def fill(self, wait_s: float) -> bool:
        """No file of the engine may grow: its log of some kilobytes still fits."""
        assert self._ward is not None
        with self._trouble("full"):
            said = max(path.stat().st_size for path in self._ward.logs())
            self._ward.limit_files(said + 200_000)
            try:
                time.sleep(wait_s)
            finally:
                self._ward.limit_files(0)
        return True

    def end_sessions(self, holders_only: bool = False) -> None:
        """There are none."""

    def kill(self, wait_s: float) -> None:
        """There is no server."""

    def close(self) -> None:
        """Close the connection; the engine has ended."""
        if self._connection is not None:
            self._connection.close()


class Postgres(_Trouble):
    """A database of a server of the campaign's own; on a small disk, where one can be mounted."""

    def __init__(self, server: MortalServer, name: str, history: History) -> None:
        super().__init__(history)
        self._server, self._name = server, name
        self.url = server.url(name)
        self._disk = self._mounted()
        with self._admin() as admin:
            place = ""
            if self._disk is not None:
                admin.execute(f"CREATE TABLESPACE {name} LOCATION '{self._disk}'")
                place = f" TABLESPACE {name}"
            admin.execute(f"CREATE DATABASE {name}{place}")

    def opened(self, ward: Ward) -> None:
        """It is there from the beginning."""

    def stall(self, wait_s: float) -> None:
        """Every process of the server stands still."""
        with self._trouble("frozen"):
            self._server.freeze()
            try:
                with self._dark("the server was frozen"):
                    time.sleep(wait_s)
            finally:
                self._server.thaw()

    def fill(self, wait_s: float) -> bool:
        """The disk that the database is on has no room. False where it is on no disk of its own."""
        if self._disk is None:
            return False
        with self._trouble("full"):
            while not self._resize(self._used_bytes() + ROOM_BYTES):
                time.sleep(0.01)  # it has grown meanwhile
            try:
                time.sleep(wait_s)
            finally:
                self._resize(DISK_BYTES)
        return True

    def _used_bytes(self) -> int:
        found = os.statvfs(str(self._disk))
        return (found.f_blocks - found.f_bfree) * found.f_frsize

    def _resize(self, size: int) -> bool:
        return not subprocess.run(["mount", "-o", f"remount,size={size}", str(self._disk)], capture_output=True, check=False).returncode

    def end_sessions(self, holders_only: bool = False) -> None:
        """The server ends the engine's sessions; holders_only: those alone that hold the lock on the store."""
        only = " AND pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory')" if holders_only else ""
        with self._trouble("sessions ended"), self._admin() as admin:
            admin.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{self._name}'{only}")

    def kill(self, wait_s: float) -> None:
        """SIGKILL to the server, and a start on the same data."""
        with self._trouble("killed"):
            self._server.kill()
            # Its children end when they notice, and may commit until then.
            time.sleep(wait_s)
            self._server.start_again()

    def close(self) -> None:
        """Drop the database and let the disk go."""
        with self._admin() as admin:
            admin.execute(f"DROP DATABASE IF EXISTS {self._name} WITH (FORCE)")
            if self._disk is not None:
                admin.execute(f"DROP TABLESPACE IF EXISTS {self._name}")
        if self._disk is not None:
            subprocess.run(["umount", "-l", str(self._disk)], check=False)
            self._disk.rmdir()

    def _admin(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(self._server.url(), autocommit=True, connect_timeout=20)

    def _mounted(self) -> Path | None:
        disk = Path(tempfile.mkdtemp(prefix="suture-disk-"))
        options = ["-o", f"size={DISK_BYTES},mode=0777"]
        if subprocess.run(["mount", "-t", "tmpfs", *options, "tmpfs", str(disk)], capture_output=True, check=False).returncode:
            disk.rmdir()
            return None
        self._server.own(disk)
        return disk
