"""Opening the store: URLs, pragmas, transactions, and errors an operator understands."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest
from sqlalchemy import Engine, insert, select, text

from suture.model.errors import StoreError
from suture.store import dialect, tables
from suture.store.engine import open_engine


def sqlite(tmp_path: Path, **options: float) -> Engine:
    return open_engine(f"sqlite:///{tmp_path / 'a.db'}", site=None, **options)


def test_a_relative_sqlite_path_is_relative_to_the_site(tmp_path: Path) -> None:
    engine = open_engine("sqlite:///inside.db", site=tmp_path)
    assert (tmp_path / "inside.db").is_file()
    assert engine.url.database == str(tmp_path / "inside.db")


def test_sqlite_is_durable_and_bounded(tmp_path: Path) -> None:
    with sqlite(tmp_path).connect() as connection:
        values = {name: connection.execute(text(f"PRAGMA {name}")).scalar() for name in ("journal_mode", "synchronous", "cache_size")}
    assert values == {"journal_mode": "wal", "synchronous": 2, "cache_size": -4_000}


def test_a_new_sqlite_file_is_for_its_owner_only(tmp_path: Path) -> None:
    engine = sqlite(tmp_path)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE t (a INTEGER)"))
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert set(modes.values()) == {0o600}


def test_ddl_is_part_of_the_transaction(engine_db: Engine) -> None:
    with engine_db.connect() as connection:
        connection.execute(text("CREATE TABLE half_done (a INTEGER)"))
        connection.rollback()
    with pytest.raises(StoreError), dialect.reading(engine_db) as connection:
        connection.execute(text("SELECT a FROM half_done"))


def test_reads_see_one_state_of_the_store(engine_db: Engine) -> None:
    count = select(tables.audit.c.id)
    with dialect.reading(engine_db) as reader:
        before = len(reader.execute(count).all())
        with dialect.writing(engine_db) as writer:
            writer.execute(insert(tables.audit).values(at_us=1, actor="a", verb="v", target="t"))
        assert len(reader.execute(count).all()) == before
    with dialect.reading(engine_db) as reader:
        assert len(reader.execute(count).all()) == before + 1


def test_a_writer_waits_for_the_lock_and_gets_it(engine_db: Engine) -> None:
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with dialect.writing(engine_db) as connection:
            connection.execute(insert(tables.audit).values(at_us=1, actor="a", verb="first", target="t"))
            held.set()
            done.wait(0.2)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(5)
    with dialect.writing(engine_db) as connection:
        connection.execute(insert(tables.audit).values(at_us=2, actor="a", verb="second", target="t"))
    thread.join()
    with dialect.reading(engine_db) as connection:
        assert connection.execute(select(tables.audit.c.verb).order_by(tables.audit.c.id)).scalars().all() == ["first", "second"]


def test_a_lock_that_stays_is_an_error_in_plain_words(tmp_path: Path) -> None:
    first, second = sqlite(tmp_path), sqlite(tmp_path, busy_timeout_s=0.1)
    with dialect.writing(first) as connection:
        connection.execute(text("CREATE TABLE t (a INTEGER)"))
        with pytest.raises(StoreError, match="another process holds it locked"), dialect.writing(second):
            pass


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("mysql://u:secret@h/d", "the scheme 'mysql' is not supported"),
        ("", "not a database URL"),
        ("nonsense", "not a database URL"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite:////no/such/directory/a.db", "no directory /no/such/directory"),
        ("postgresql://u:secret@h:port/d", "cannot be read"),
    ],
)
def test_a_url_that_cannot_be_used_says_why_without_its_password(url: str, says: str) -> None:
    with pytest.raises(StoreError, match=says) as caught:
        open_engine(url, site=None)
    assert "secret" not in str(caught.value)


def test_postgres_is_accepted_under_all_its_names() -> None:
    for name in ("postgres", "postgresql", "postgresql+psycopg"):
        assert open_engine(f"{name}://u:p@h/d", site=None).url.drivername == "postgresql+psycopg"


def test_a_server_that_does_not_answer_is_named_without_the_password() -> None:
    engine = open_engine("postgresql://someone:secret@127.0.0.1:1/hospital", site=None)
    with pytest.raises(StoreError, match=r"127\.0\.0\.1:1/hospital: nothing answers there") as caught, dialect.reading(engine):
        pass
    assert "secret" not in str(caught.value)


def test_a_database_that_is_not_there_is_not_made_when_one_only_looks(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no database"):
        open_engine("sqlite:///a.db", site=tmp_path, create=False)
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_no_database_is_called_so(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_bytes(os.urandom(8192))
    with pytest.raises(StoreError, match="not a SQLite database"), dialect.reading(sqlite(tmp_path)):
        pass


def test_an_error_quotes_no_values(engine_db: Engine) -> None:
    row = {"id": 1, "channel": "DOE^JANE", "received_at_us": 1, "state": "received", "control_id": "", "type": ""}
    with pytest.raises(StoreError) as caught, dialect.writing(engine_db) as connection:
        connection.execute(insert(tables.received).values(**row))
    assert "JANE" not in str(caught.value)
