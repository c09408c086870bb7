"""The bench's store of the oldest schema is one: what is brought up from it is sound, and found by what it is looked for."""

from pathlib import Path

from bench import options, stored, upgrading
from bench.databases import Databases
from suture.store import content, dialect, queries, schema, soundness
from suture.store.engine import open_engine
from suture.store.queries import ExceptionFilter

COUNT = stored.EXCEPTION_EVERY + 10


def test_what_is_brought_up_is_sound(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'bench.db'}"
    upgrading.fill(url, COUNT)
    database = open_engine(url, site=None, create=False)
    assert schema.current(database) == upgrading.OLDEST
    assert schema.upgrade(database) == COUNT
    assert list(soundness.problems(database, False, lambda said: None)) == []
    with dialect.reading(database) as connection:
        assert stored.account_of(7).encode() in (content.raw(connection, 7) or b"")
        assert (content.payload(connection, 7) or b"").count(b'"transaction"') == 3
        assert [each.message_id for each in queries.exceptions(connection, ExceptionFilter())] == [stored.EXCEPTION_EVERY]
    database.dispose()


def test_how_long_and_how_much_room_is_told() -> None:
    found = upgrading.measure("sqlite", Databases(), 500, lambda said: None)
    assert found["bytes_after"] < found["bytes_taken_before"] <= found["bytes_taken_after"]
    assert found["bytes_grown"] < 64_000_000 and found["seconds"] > 0
    assert "sqlite" in upgrading.text([found])


def test_the_option_names_a_hundred_thousand() -> None:
    assert options.parse(["--upgrade"]).upgrade == 100_000
