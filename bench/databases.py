"""A fresh database for every run: a SQLite file, or one of a PostgreSQL server that is started for the benchmark."""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg

from bench.child import BenchError
from bench.proc import parent_of
from tests import postgres

NAMES = ("sqlite", "postgresql")
_numbers = itertools.count(1)


class Databases:
    """Makes databases of both kinds. The PostgreSQL server is started when the first is asked for; it syncs every commit."""

    def __init__(self) -> None:
        self._server: postgres.Server | None = None
        self.server_pid = 0

    @contextlib.contextmanager
    def fresh(self, kind: str, directory: Path) -> Iterator[str]:
        """The URL of a new empty database, which is gone afterwards. directory: for what is kept in files."""
        if kind == "sqlite":
            yield f"sqlite:///{directory / 'bench.db'}"
            return
        server, name = self._started(), f"bench_{next(_numbers)}"
        with psycopg.connect(server.url(), autocommit=True) as admin:
            admin.execute(f"CREATE DATABASE {name}".encode())
        yield server.url(name)
        with psycopg.connect(server.url(), autocommit=True) as admin:
            admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())

    def _started(self) -> postgres.Server:
        if self._server is None:
            try:
                self._server = postgres.Server()
            except RuntimeError as e:
                raise BenchError(str(e)) from e
            with psycopg.connect(self._server.url()) as connection:
                self.server_pid = parent_of(connection.info.backend_pid)
                self._insist(connection)
        return self._server

    @staticmethod
    def _insist(connection: psycopg.Connection[tuple[str]]) -> None:
        for name in ("fsync", "synchronous_commit", "full_page_writes"):
            row = connection.execute(f"SHOW {name}".encode()).fetchone()
            if row is None or row[0] != "on":
                raise BenchError(f"PostgreSQL's {name} is not on: what it commits would not be durable, and no figure worth having")

    def close(self) -> None:
        """Stop the server."""
        if self._server is not None:
            self._server.stop()
            self._server = None


def size_bytes(url: str) -> int:
    """What a database takes of the disk, its indexes with it, without what is free in a file or waits in a log."""
    if url.startswith("sqlite"):
        path = Path(url.removeprefix("sqlite:///"))
        if not path.exists():  # the floor has one of its own
            return 0
        with contextlib.closing(sqlite3.connect(path)) as file:
            (pages, free, page_bytes) = (
                file.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
            )
            return (pages - free) * page_bytes
    with psycopg.connect(url.replace("postgresql+psycopg:", "postgresql:")) as connection:
        row = connection.execute(b"SELECT pg_database_size(current_database())").fetchone()
        return int(row[0]) if row else 0


def filesystem(directory: Path) -> str:
    """The type of the file system that a directory is on; "unknown" when /proc does not say."""
    best, kind = Path(), "unknown"
    for line in Path("/proc/mounts").read_text().splitlines():
        _, mount, found, *_ = line.split()
        place = Path(mount)
        if directory.resolve().is_relative_to(place) and len(place.parts) >= len(best.parts):
            best, kind = place, found
    return kind


def scratch() -> tempfile.TemporaryDirectory[str]:
    """A directory for one run."""
    return tempfile.TemporaryDirectory(prefix="suture-bench-")
