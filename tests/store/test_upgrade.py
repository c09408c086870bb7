"""A store of an older schema is brought up: message by message it is what it was, whenever the upgrade was ended and begun again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from suture.model import states
from suture.model.errors import StoreError, StoreRefused
from suture.store import backup, dialect, ownership, rows, schema, soundness
from suture.store.archive import Backup
from suture.store.codec import Codec
from suture.store.engine import open_engine
from tests.store import older
from tests.store.test_backup import restored
from tests.store.test_backup_killed import running

COUNT, PORTION = 90, 15
SIZE_BYTES = 4_194_304 // PORTION - 1
"""Of so large messages, PORTION are moved at a time."""


class Ended(Exception):
    """The upgrade's process is."""


def ended_after(engine: Engine, portions: int) -> None:
    """An upgrade that ends when so many portions are moved."""

    def told(revision: str, done: int, total: int) -> None:
        if done >= portions * PORTION:
            raise Ended

    with pytest.raises(Ended):
        schema.upgrade(engine, told)


def sound(engine: Engine) -> bool:
    return list(soundness.problems(engine, False, lambda said: None)) == []


@pytest.mark.parametrize("revision", ["0001", "0002", "0003", "0004", "0005"])
def test_every_message_is_what_it_was(empty_db: Engine, revision: str) -> None:
    older.fill(empty_db, min(revision, "0004"), 600)
    before = older.told(empty_db)
    assert {row[4] for row in before["message"]} == set(states.MESSAGE_STATES)
    assert {row[5] for row in before["delivery"]} == set(states.DELIVERY_STATES)
    if revision == "0005":
        with dialect.writing(empty_db) as connection:
            schema.make(connection, "0005")
    assert schema.upgrade(empty_db) == (0 if revision == "0005" else 600)
    assert schema.current(empty_db) == schema.HEAD
    after = older.told(empty_db)
    for name in before:
        assert after[name] == before[name], name
    assert sound(empty_db)
    with empty_db.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM engine_state WHERE name = 'upgrade'")).scalar() == 0


def test_what_an_engine_of_the_first_schema_has_written_is_what_it_was(empty_db: Engine, tmp_path: Path) -> None:
    older.fill_as_written(empty_db, tmp_path)
    assert schema.current(empty_db) == "0001"
    before = older.told(empty_db)
    counts = {name: len(before[name]) for name in ("message", "raw", "event", "delivery", "delivery_body", "attempt", "exception", "claim")}
    assert list(counts.values()) == [60, 60, 297, 328, 328, 337, 3, 215]
    assert schema.upgrade(empty_db) == 60
    after = older.told(empty_db)
    for name in before:
        assert after[name] == before[name], name
    assert sound(empty_db)


def test_it_goes_on_where_it_was_ended(empty_db: Engine) -> None:
    older.fill(empty_db, "0001", COUNT, SIZE_BYTES, 6_000)
    before = older.told(empty_db)
    for portions in (1, 3, 4):
        ended_after(empty_db, portions)
        assert schema.current(empty_db) == "0005 begun"
        assert older.told(empty_db) == before
    told: list[tuple[str, int, int]] = []
    assert schema.upgrade(empty_db, lambda *what: told.append(what)) == 2 * PORTION
    assert told == [("0005", done, COUNT) for done in (60, 75, 90)]
    assert older.told(empty_db) == before and sound(empty_db)
    with empty_db.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM dictionary")).scalar() == 1


def test_what_is_moved_makes_room_for_what_follows(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    engine = open_engine(f"sqlite:///{path}", site=None)
    older.fill(engine, "0001", 2_000, 4_194_304 // 50)
    with dialect.writing(engine) as connection:  # what cannot be compressed takes as much room where it is moved to
        connection.execute(text("UPDATE delivery_body SET body = randomblob(6000)"))
    engine.dispose()
    before, largest = path.stat().st_size, 0

    def told(*_: object) -> None:
        nonlocal largest
        largest = max(largest, sum(Path(f"{path}{end}").stat().st_size for end in ("", "-wal")))

    schema.upgrade(engine, told)
    assert before < largest < before * 1.3  # without that it would be nearly twice
    engine.dispose()


def test_a_begun_upgrade_keeps_every_suture_out(empty_db: Engine, tmp_path: Path) -> None:
    older.fill(empty_db, "0004", COUNT, SIZE_BYTES)
    ended_after(empty_db, 2)
    words = "to schema 0005 was begun and has not ended; run `suture db upgrade`, which goes on where it stopped"
    origin = backup.Origin("1", "s", "me", {})
    for use in (schema.check, schema.prepare, schema.known, lambda db: backup.make(db, tmp_path / "b.zip", origin, lambda *_: None)):
        with pytest.raises(StoreError, match=words):
            use(empty_db)
    assert not list(tmp_path.glob("*b.zip*"))
    (problem,) = soundness.problems(empty_db, True, lambda said: None)
    assert "an upgrade to schema 0005 was begun and has not ended" in problem


def test_of_a_newer_suture_it_is_refused(empty_db: Engine) -> None:
    schema.upgrade(empty_db)
    with dialect.writing(empty_db) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999 begun'"))
    for use in (schema.check, schema.upgrade):
        with pytest.raises(StoreError, match="has schema 9999 begun, which this Suture"):
            use(empty_db)


def test_an_engine_at_work_keeps_it_away(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = open_engine(database_url, site=None)
    older.fill(engine, "0004", 10)
    before = older.told(engine)
    engine.dispose()
    monkeypatch.setattr(ownership, "PATIENCE_S", 0.2)
    with running(database_url), pytest.raises(StoreRefused, match="another engine works on this store, or an upgrade or restore of it"):
        schema.upgrade(engine)
    assert schema.current(engine) == "0004" and older.told(engine) == before
    engine.dispose()


TRIES = """
import sys
from suture.model.errors import StoreError
from suture.store import ownership, schema
from suture.store.engine import open_engine
ownership.PATIENCE_S = 0.2
engine = open_engine(sys.argv[1], site=None)
for use in (schema.upgrade, ownership.take):
    try:
        use(engine)
    except StoreError as error:
        print(type(error).__name__, error)
"""


def test_neither_an_engine_nor_another_upgrade_comes_between(database_url: str) -> None:
    engine = open_engine(database_url, site=None)
    older.fill(engine, "0004", COUNT, SIZE_BYTES)
    before, said = older.told(engine), []

    def told(revision: str, done: int, total: int) -> None:
        if done == PORTION:
            tried = subprocess.run([sys.executable, "-c", TRIES, database_url], capture_output=True, text=True, check=True)
            said.extend(tried.stdout.splitlines())

    assert schema.upgrade(engine, told) == COUNT
    assert len(said) == 2 and all("StoreRefused" in one and "or an upgrade or restore of it; stop that one first" in one for one in said)
    assert older.told(engine) == before and sound(engine)
    engine.dispose()


def test_who_has_lost_the_lock_writes_nothing_more(postgres_database: str) -> None:
    engine, other = (open_engine(postgres_database, site=None) for _ in range(2))
    older.fill(engine, "0004", COUNT, SIZE_BYTES)
    before = older.told(engine)

    def told(revision: str, done: int, total: int) -> None:
        if done == PORTION:
            with other.begin() as connection:
                query = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid()"
                connection.execute(text(query))

    with pytest.raises(StoreError, match="what was moved to schema 0005 stays there: `suture db upgrade` goes on where it stopped"):
        schema.upgrade(engine, told)
    assert schema.current(other) == "0005 begun" and older.told(other) == before
    assert schema.upgrade(other) == COUNT - PORTION
    assert older.told(other) == before and sound(other)
    engine.dispose()
    other.dispose()


def test_a_full_disk_ends_it_in_words_and_nothing_is_lost(empty_db: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    older.fill(empty_db, "0004", COUNT, SIZE_BYTES)
    before = older.told(empty_db)
    with monkeypatch.context() as patched:
        patched.setattr(Codec, "write", _full)
        with pytest.raises(StoreError, match="what was moved to schema 0005 stays there: `suture db upgrade` goes on where it stopped"):
            schema.upgrade(empty_db)
    assert older.told(empty_db) == before
    assert schema.upgrade(empty_db) == COUNT
    assert older.told(empty_db) == before and sound(empty_db)


def _full(*_: Any) -> None:
    raise OperationalError("", {}, Exception("database or disk is full"))


def test_too_little_room_is_told_before_anything_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 's.db'}", site=None)
    older.fill(engine, "0001", 10)
    monkeypatch.setattr(schema, "free_bytes", lambda engine: 3_000_000)
    with pytest.raises(StoreRefused, match=r"s\.db has 3 MB free, and the upgrade may need 64 MB; make room there"):
        schema.upgrade(engine)
    assert schema.current(engine) == "0004"
    engine.dispose()


@pytest.mark.parametrize("revision", ["0001", "0004"])
def test_a_backup_of_an_older_schema_is_restored_message_by_message(
    empty_db: Engine, tmp_path: Path, revision: str, request: pytest.FixtureRequest
) -> None:
    """Into a database of the other kind."""
    older.fill(empty_db, revision, 600)
    before = older.told(empty_db)
    backup.make(empty_db, tmp_path / "b.zip", backup.Origin("1", "s", "me", {}), lambda *_: None)
    is_file = empty_db.dialect.name == "sqlite"
    new = open_engine(request.getfixturevalue("postgres_database") if is_file else f"sqlite:///{tmp_path / 'new.db'}", site=None)
    restored(new, tmp_path / "b.zip", send=True)
    after = older.told(new)
    for name in before:
        if name != "audit":  # the restore is in it
            assert after[name] == before[name], name
    assert Backup(tmp_path / "b.zip").manifest.schema == revision and sound(new)
    new.dispose()


def test_rows_are_told_of_as_they_are(empty_db: Engine) -> None:
    """What compares two stores must see one row too many or too few."""
    older.fill(empty_db, "0004", 20)
    before = older.told(empty_db)
    with dialect.writing(empty_db) as connection:
        rows.execute(connection, "DELETE FROM event WHERE message_id = 10 AND number = 1")
    after = older.told(empty_db)
    assert after != before and after["note"] == before["note"]


def test_old_versions_of_rows_are_cleared_away_on_postgresql(postgres_database: str) -> None:
    engine = open_engine(postgres_database, site=None)
    older.fill(engine, "0004", 500)
    schema.upgrade(engine)
    with engine.connect() as connection:
        query = "SELECT count(*) FROM pg_stat_user_tables WHERE relname IN ('queued', 'made', 'exception') AND vacuum_count = 1"
        assert connection.execute(text(query)).scalar() == 3
    engine.dispose()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to others")
def test_the_lock_that_root_makes_is_the_engines_users(tmp_path: Path) -> None:
    file = tmp_path / "s.db"
    engine = open_engine(f"sqlite:///{file}", site=None)
    older.fill(engine, "0004", 10)
    engine.dispose()
    os.chown(file, 65534, 65534)
    schema.upgrade(engine)
    assert file.with_name("s.db-lock").stat().st_uid == 65534
    engine.dispose()
