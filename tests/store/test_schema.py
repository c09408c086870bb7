"""The schema: migrating from nothing gives the tables of store/tables.py, and another schema is refused."""

from __future__ import annotations

import re
import threading
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, text

from suture.model.errors import StoreError
from suture.store import dialect, indexes, past, schema, state
from suture.store.engine import open_engine
from suture.store.sequences import Sequences


def test_migrating_from_nothing_gives_the_tables_of_the_code(empty_db: Engine) -> None:
    schema.upgrade(empty_db)
    with empty_db.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": empty_db.dialect.name == "postgresql"})
        assert compare_metadata(context, indexes.metadata) == []


def _ddl(engine: Engine) -> dict[str, str]:
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite%'")).all()
    return {name: _sorted(re.sub(r"\s+", " ", sql.replace('"', ""))) for name, sql in rows if name != "alembic_version"}


def _sorted(sql: str) -> str:
    """A statement with its columns and constraints in the order of the alphabet: a column that was added later comes behind the key."""
    begin, end = sql.index("("), sql.rindex(")")
    return sql[:begin] + ", ".join(sorted(one.strip() for one in re.split(r",(?![^(]*\))", sql[begin + 1 : end]))) + sql[end:]


def test_the_sqlite_tables_are_the_same_to_the_letter(tmp_path: Path) -> None:
    migrated, created = (open_engine(f"sqlite:///{name}.db", site=tmp_path) for name in ("migrated", "created"))
    schema.upgrade(migrated)
    indexes.metadata.create_all(created)
    assert _ddl(migrated) == _ddl(created)


def test_head_is_the_newest_migration() -> None:
    assert schema.revisions()[-1] == schema.HEAD


def test_upgrading_twice_changes_nothing(empty_db: Engine) -> None:
    assert schema.current(empty_db) is None
    schema.upgrade(empty_db)
    schema.upgrade(empty_db)
    assert schema.current(empty_db) == schema.HEAD
    schema.check(empty_db)


def test_two_that_upgrade_at_once_both_succeed(database_url: str) -> None:
    errors: list[Exception] = []

    def run() -> None:
        engine = open_engine(database_url, site=None)
        try:
            schema.prepare(engine)
        except Exception as error:
            errors.append(error)
        engine.dispose()

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_a_new_database_is_made_ready_by_running(empty_db: Engine) -> None:
    schema.prepare(empty_db)
    assert schema.current(empty_db) == schema.HEAD


def test_sequence_numbers_and_what_a_restore_kept_free_are_carried_over(empty_db: Engine) -> None:
    facts = [
        ("sequence/lab/CAB|OR/2", "17"),
        ("sequence/lab/cab|OR/2", ""),
        ("sent/lab/erp", "8 42"),
        ("numbers_after", "1000000000"),
        ("version", "0.1"),
    ]
    with dialect.writing(empty_db) as connection:
        schema.make(connection, "0002")
        for name, value in facts:
            row = {"name": name, "value": value, "at_us": 5}
            connection.execute(text("INSERT INTO engine_state (name, value, updated_at_us) VALUES (:name, :value, :at_us)"), row)
    schema.upgrade(empty_db)
    with dialect.writing(empty_db) as connection:
        assert state.engine_facts(connection, "any") == {"version": "0.1"}
        assert past.expected_numbers(connection, "lab") == {"CAB|OR/2": 17, "cab|OR/2": None}
        assert past.last_sent(connection, "lab", "erp") == (8, 42)
        assert connection.execute(text("SELECT name FROM engine_state")).scalars().all() == ["version"]
        numbers = Sequences()
        numbers.load(connection)
        assert (numbers.next_message(connection), numbers.next_delivery(connection)) == (1_000_000_001, 1_000_000_001)


def test_numbers_go_on_behind_those_of_an_older_store(empty_db: Engine) -> None:
    with dialect.writing(empty_db) as connection:
        schema.make(connection, "0002")
        connection.execute(
            text("""INSERT INTO message (id, channel, received_at_us, state, control_id, type, sender, peer, size_bytes)
            VALUES (7, 'c', 1, 'processed', '', '', '', '', 1)""")
        )
    schema.upgrade(empty_db)
    with dialect.writing(empty_db) as connection:
        numbers = Sequences()
        numbers.load(connection)
        assert (numbers.next_message(connection), numbers.next_delivery(connection)) == (1024, 1), "in a new run of the search index"


def _pretend(engine: Engine, revision: str) -> None:
    schema.upgrade(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})


def test_a_newer_schema_is_refused(empty_db: Engine) -> None:
    _pretend(empty_db, "9999")
    for use in (schema.check, schema.prepare, schema.upgrade):
        with pytest.raises(StoreError, match="schema 9999, which this Suture"):
            use(empty_db)


def test_an_older_schema_is_refused_with_the_way_out(empty_db: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    schema.upgrade(empty_db)
    made = schema.HEAD
    monkeypatch.setattr(schema, "HEAD", "9998")
    for use in (schema.check, schema.prepare):
        with pytest.raises(StoreError, match=f"has schema {made}, and this Suture needs 9998; back it up and run `suture db upgrade`"):
            use(empty_db)


def test_an_empty_database_says_what_makes_its_schema(empty_db: Engine) -> None:
    with pytest.raises(StoreError, match="has no schema yet; `suture run` or `suture db upgrade`"):
        schema.check(empty_db)


def test_somebody_elses_tables_are_left_alone(empty_db: Engine) -> None:
    with empty_db.begin() as connection:
        connection.execute(text("CREATE TABLE payroll (a INTEGER)"))
    for use in (schema.prepare, schema.upgrade):
        with pytest.raises(StoreError, match="no schema of Suture's"):
            use(empty_db)
