"""Whether a database keeps what it is given: its settings are looked at, and where they can be, set."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from suture.model.errors import StoreError
from suture.store import fitness, schema
from suture.store.engine import open_engine
from suture.store.fitness import OWN_COMMIT, UNLOGGED, Fitness

SAFE = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on", OWN_COMMIT: "on", "server_version": "18.4"}


@pytest.fixture
def postgresql(postgres_database: str) -> Iterator[Engine]:
    engine = open_engine(postgres_database, site=None)
    schema.upgrade(engine)
    yield engine
    engine.dispose()


def shown(url: str, name: str) -> str:
    engine = open_engine(url, site=None)
    try:
        with engine.connect() as connection:
            return str(connection.execute(text(f"SHOW {name}")).scalar())
    finally:
        engine.dispose()


@pytest.mark.parametrize(
    ("default", "ours"), [("off", "on"), ("local", "on"), ("remote_write", "on"), ("on", "on"), ("remote_apply", "remote_apply")]
)
def test_what_is_committed_is_durable_whatever_the_servers_default_is(postgresql: Engine, default: str, ours: str) -> None:
    with postgresql.begin() as connection:
        connection.execute(text(f"ALTER DATABASE {postgresql.url.database} SET synchronous_commit = {default}"))
    url = postgresql.url.render_as_string(False)
    assert shown(url, "synchronous_commit") == ours
    found = fitness.examine(engine := open_engine(url, site=None))
    engine.dispose()
    assert f"synchronous_commit {ours}" in found.title
    told = [text for text in found.warnings if "synchronous_commit" in text]
    assert bool(told) == (default not in ("on", "remote_apply"))
    assert all(default in text for text in told)


def test_a_rolled_back_transaction_does_not_undo_it(postgresql: Engine) -> None:
    with postgresql.begin() as connection:
        connection.execute(text(f"ALTER DATABASE {postgresql.url.database} SET synchronous_commit = off"))
    engine = open_engine(postgresql.url.render_as_string(False), site=None)
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        connection.rollback()
        assert connection.execute(text("SHOW synchronous_commit")).scalar() == "on"
    engine.dispose()


def test_a_safe_server_has_nothing_said_against_it() -> None:
    found = fitness.of_postgresql(SAFE)
    assert found == Fitness("PostgreSQL 18.4 (fsync on, full_page_writes on, synchronous_commit on)")


@pytest.mark.parametrize(
    ("name", "value"), [("fsync", "off"), ("full_page_writes", "off"), ("zero_damaged_pages", "on"), ("ignore_checksum_failure", "on")]
)
def test_a_setting_that_breaks_the_promise_is_refused_in_production(name: str, value: str) -> None:
    found = fitness.of_postgresql(SAFE | {name: value})
    (why,) = found.unsafe
    assert name in why
    for environment in ("prod", "production"):
        with pytest.raises(StoreError, match=f"{name}.*store.accept_unsafe"):
            fitness.require(found, environment, accepted=False)
        fitness.require(found, environment, accepted=True)
    for other in (None, "test", "dev"):
        fitness.require(found, other, accepted=False)


def test_the_servers_own_commit_is_a_warning_and_no_reason_to_refuse() -> None:
    found = fitness.of_postgresql(SAFE | {OWN_COMMIT: "off"})
    assert (len(found.warnings), found.unsafe) == (1, ())
    fitness.require(found, "prod", accepted=False)


def test_the_real_servers_settings_are_read(postgresql: Engine) -> None:
    with postgresql.connect() as connection:
        fsync = connection.execute(text("SHOW fsync")).scalar()
    found = fitness.examine(postgresql)
    assert f"fsync {fsync}" in found.title
    assert any("fsync is off" in why for why in found.unsafe) == (fsync == "off")


def test_a_table_that_a_crash_would_empty_is_named(postgresql: Engine) -> None:
    with postgresql.begin() as connection:
        connection.execute(text("ALTER TABLE audit SET UNLOGGED"))
        connection.execute(text("CREATE UNLOGGED TABLE somebody_elses (a int)"))
    why = [text for text in fitness.examine(postgresql).unsafe if "empties" in text]
    assert why == ["a crash of the server empties audit: ALTER TABLE audit SET LOGGED"]
    assert fitness.of_postgresql(SAFE | {UNLOGGED: ""}).unsafe == ()


def test_sqlite_is_known_by_its_release_without_a_file(tmp_path: Path) -> None:
    found = fitness.examine_url("sqlite:///none.db", tmp_path)
    assert found.title.startswith("SQLite 3.")
    assert not list(tmp_path.iterdir())


# -- damage ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    one = open_engine(f"sqlite:///{tmp_path / 'suture.db'}", site=None)
    schema.upgrade(one)
    yield one
    one.dispose()


def test_a_database_with_a_note_of_damage_is_looked_through(engine: Engine) -> None:
    assert not fitness.require_sound(engine)
    fitness.note_damage(engine, "it is damaged")
    assert fitness.damage_noted(engine) == "it is damaged"
    assert fitness.require_sound(engine)
    assert fitness.damage_noted(engine) == ""


def test_a_damaged_one_is_refused_until_it_was_put_right(engine: Engine) -> None:
    file = Path(str(engine.url.database))
    with engine.begin() as connection:
        for n in range(200):
            connection.execute(text(f"INSERT INTO audit (at_us, actor, verb, target) VALUES ({n}, 'a', 'v', 't')"))
    engine.dispose()
    sound = file.read_bytes()
    fitness.note_damage(engine, "it is damaged")
    damaged = bytearray(sound)
    for page in range(4096, len(sound), 4096):
        damaged[page : page + 2000] = b"\x07" * 2000
    file.write_bytes(damaged)
    for _ in range(2):
        with pytest.raises(StoreError, match="restore a backup"):
            fitness.require_sound(engine)
    engine.dispose()
    file.write_bytes(sound)
    assert fitness.require_sound(engine)
    assert not fitness.require_sound(engine)
