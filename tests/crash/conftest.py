"""A hospital a test, on SQLite or on a PostgreSQL that keeps its promises (fsync on) and can be killed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.crash.hospital import Hospital
from tests.crash.mortal_postgres import MortalServer


@pytest.fixture
def hospital(tmp_path: Path) -> Iterator[Hospital]:
    """On SQLite."""
    with Hospital(tmp_path) as one:
        yield one


@pytest.fixture(scope="session")
def mortal_postgres() -> Iterator[MortalServer]:
    """A PostgreSQL server of the crash tests' own."""
    server = MortalServer()
    yield server
    server.stop()


@pytest.fixture
def durable_database(mortal_postgres: MortalServer, request: pytest.FixtureRequest) -> str:
    """The URL of a new, empty database on it."""
    name = f"crash_{abs(hash(request.node.nodeid))}"
    with psycopg.connect(mortal_postgres.url(), autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
    return mortal_postgres.url(name)
