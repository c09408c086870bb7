"""Fixtures for everybody: databases of both kinds, and a clock that a test moves by hand."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from hypothesis import settings
from sqlalchemy import Engine
from twisted.internet.task import Clock

from suture.store import schema
from suture.store.engine import open_engine
from tests import postgres

_numbers = itertools.count(1)

settings.register_profile("suture", deadline=None)  # a machine that is shared takes now and then ten times as long
settings.load_profile("suture")


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The maintenance database of a real PostgreSQL; SUTURE_TEST_POSTGRES_URL names another than the wheel's."""
    given = os.environ.get("SUTURE_TEST_POSTGRES_URL")
    if given:
        yield given
        return
    server = postgres.Server(postgres.FAST)
    yield server.url()
    server.stop()


@pytest.fixture(scope="session")
def _migrated_template(postgres_url: str) -> Iterator[str]:
    """A migrated database that others are copied from, for copying is quicker than migrating."""
    name = f"suture_template_{os.getpid()}"
    with _admin(postgres_url) as admin:
        admin.execute(f"CREATE DATABASE {name}")
    engine = open_engine(_other(postgres_url, name), site=None)
    schema.upgrade(engine)
    engine.dispose()
    yield name
    with _admin(postgres_url) as admin:
        admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.fixture
def postgres_database(postgres_url: str) -> Iterator[str]:
    """The URL of a new empty PostgreSQL database."""
    yield from _new_database(postgres_url, "template1")


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a new empty database; the test runs once on SQLite and once on PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'suture.db'}"
    return request.getfixturevalue("postgres_database")  # type: ignore[no-any-return]


@pytest.fixture(params=["sqlite", "postgresql"])
def engine_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a new migrated database of each kind, for code that opens it itself."""
    if request.param == "postgresql":
        template = request.getfixturevalue("_migrated_template")
        yield from _new_database(request.getfixturevalue("postgres_url"), template)
        return
    url = f"sqlite:///{tmp_path / 'suture.db'}"
    engine = open_engine(url, site=None)
    schema.upgrade(engine)
    engine.dispose()
    yield url


@pytest.fixture
def engine_db(engine_url: str) -> Iterator[Engine]:
    """A migrated, open database of each kind."""
    yield from _opened(engine_url)


@pytest.fixture
def empty_db(database_url: str) -> Iterator[Engine]:
    """An open database of each kind, with nothing in it."""
    yield from _opened(database_url)


def _opened(url: str) -> Iterator[Engine]:
    engine = open_engine(url, site=None)
    yield engine
    engine.dispose()


@pytest.fixture
def clock() -> Clock:
    """Time that stands still until the test advances it."""
    return Clock()


def _new_database(url: str, template: str) -> Iterator[str]:
    name = f"suture_test_{os.getpid()}_{next(_numbers)}"
    with _admin(url) as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    yield _other(url, name)
    with _admin(url) as admin:
        admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def _admin(url: str) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(url, autocommit=True)


def _other(url: str, database: str) -> str:
    """The same server's other database: the last part of the path is the name."""
    head, mark, query = url.partition("?")
    return f"{head.rpartition('/')[0]}/{database}{mark}{query}"
