"""An upgrade that is killed, in a process of its own, at every step: nothing is lost or there twice then, and the next one ends it."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from suture.store import schema, soundness
from suture.store.engine import open_engine
from tests.store import older
from tests.store.test_upgrade import COUNT, SIZE_BYTES

DIES = """
import os, signal, sys
from sqlalchemy import event
from suture.store import rows, schema
from suture.store.engine import open_engine

EVERY = 6
steps = statements = 0

def step(*_):
    global steps
    steps += 1
    if steps == last:
        os.kill(os.getpid(), signal.SIGKILL)

def statement(*_):
    global statements
    statements += 1
    if statements % EVERY == 0:
        step()

def counted(function):
    def call(*arguments, **options):
        statement()
        return function(*arguments, **options)
    return call

def upgrade(url):
    rows.execute, rows.query = counted(rows.execute), counted(rows.query)
    engine = open_engine(url, site=None)
    for name in ("begin", "commit"):
        event.listen(engine, name, step)
    event.listen(engine, "before_cursor_execute", statement)
    schema.upgrade(engine)
    engine.dispose()

for argument in sys.argv[1:]:
    last, _, url = argument.partition(" ")
    last = int(last)
    child = os.fork()  # what is imported is, so that each of them is there at once
    if not child:
        upgrade(url)
        print(steps, "steps", flush=True)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def ran(*arguments: str) -> list[str]:
    """What the script says of upgrades, one after the other, each of which is killed at one step."""
    done = subprocess.run([sys.executable, "-c", DIES, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def whole(url: str, before: dict[str, list[Any]]) -> str | None:
    """Look at a store whose upgrade was killed, and end it; the schema that it was found with."""
    engine = open_engine(url, site=None)
    try:
        found = schema.current(engine)
        assert older.told(engine) == before
        schema.upgrade(engine)
        assert schema.current(engine) == schema.HEAD
        assert older.told(engine) == before
        assert list(soundness.problems(engine, True, lambda said: None)) == []
        return found
    finally:
        engine.dispose()


def filled(url: str) -> dict[str, list[Any]]:
    engine = open_engine(url, site=None)
    older.fill(engine, "0001", COUNT, SIZE_BYTES, 6_000)
    before = older.told(engine)
    engine.dispose()
    return before


def steps_of(said: list[str]) -> int:
    """How many steps an upgrade has that nothing kills."""
    assert said[1] == "0"
    return int(said[0].split()[0])


EVERYWHERE = {"0001", "0002", "0003", "0004", "0005 begun", "0005"}
"""What a store that was killed can be found with; HEAD too, where a step comes after the last commit."""


@pytest.mark.slow
def test_killed_at_every_step_on_sqlite(tmp_path: Path) -> None:
    before = filled(f"sqlite:///{tmp_path / 's.db'}")

    def copy(step: int) -> str:
        shutil.copy(tmp_path / "s.db", tmp_path / f"{step}.db")
        return f"{step} sqlite:///{tmp_path / f'{step}.db'}"

    last = steps_of(ran(copy(10**9)))
    assert last > 50
    copies = [copy(step) for step in range(1, last + 1)]
    assert ran(*copies) == [str(-signal.SIGKILL)] * last
    assert {whole(each.partition(" ")[2], before) for each in copies} - {schema.HEAD} == EVERYWHERE


@contextmanager
def copied(url: str, name: str) -> Iterator[str]:
    """A copy of a database of PostgreSQL."""
    head, _, query = url.partition("?")
    server, _, original = head.rpartition("/")
    with psycopg.connect(f"{server}/postgres?{query}", autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE {original}")
        try:
            yield f"{server}/{name}?{query}"
        finally:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.slow
def test_killed_at_many_steps_on_postgresql(postgres_database: str) -> None:
    before, found = filled(postgres_database), set()
    name = f"{postgres_database.partition('?')[0].rpartition('/')[2]}_killed"
    with copied(postgres_database, name) as url:
        last = steps_of(ran(f"{10**9} {url}"))
    for step in range(1, last + 1, 3):
        with copied(postgres_database, name) as url:
            assert ran(f"{step} {url}") == [str(-signal.SIGKILL)]
            found.add(whole(url, before))
    assert {"0001", "0004", "0005 begun", schema.HEAD} <= found


def test_killed_again_and_again_it_comes_to_its_end(database_url: str) -> None:
    """Each time a little later, so that it is resumed from what a resumed one has left."""
    before = filled(database_url)
    for step in range(9, 99, 4):
        if ran(f"{step} {database_url}")[-1] == "0":
            break
        engine = open_engine(database_url, site=None)
        assert older.told(engine) == before
        engine.dispose()
    assert step > 17 and whole(database_url, before) == schema.HEAD
