"""SQLite's log: one connection copies it into the database, and never begins on a log that is copied wholly."""

from __future__ import annotations

import os
import resource
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Engine, event, text

import suture
from suture.store import checkpoint, dialect, faults, rows, schema, state
from suture.store.engine import open_engine
from tests.store.running import Running, running

WRITE = """
import sys
from suture.store import dialect, state
from suture.store.engine import open_engine
engine = open_engine(sys.argv[1], site=None, create=False)
for n in range(int(sys.argv[2])):
    with dialect.writing(engine) as connection:
        state.put_engine(connection, state.STORE, {"other": n}, 0)
with dialect.reading(engine) as connection:
    state.desired(connection)
engine.dispose()
"""
"""What a command does: writes so often, reads, and ends."""


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    one = open_engine(f"sqlite:///{tmp_path / 'suture.db'}", site=None)
    schema.upgrade(one)
    one.dispose()
    yield one
    one.dispose()


def path(engine: Engine, end: str = "") -> Path:
    return Path(f"{engine.url.database}{end}")


def seen_from_outside(file: Path, size: int = -1) -> bytes:
    """A file's bytes, read by another process: to close it in this one would let go of SQLite's locks on it."""
    command = ["cat", file] if size < 0 else ["head", "-c", str(size), file]
    return subprocess.run(command, check=True, capture_output=True, timeout=60).stdout


def marks(engine: Engine) -> tuple[int, int]:
    """(frames in the log, frames that are in the database), as the index of the log has them: see sqlite.org/walformat.html."""
    head = seen_from_outside(path(engine, "-shm"), 136)
    return struct.unpack_from("=I", head, 16)[0], struct.unpack_from("=I", head, 96)[0]


def other_process(engine: Engine, writes: int) -> None:
    environment = os.environ | {"PYTHONPATH": str(Path(suture.__file__).parents[1])}
    subprocess.run([sys.executable, "-c", WRITE, f"sqlite:///{path(engine)}", str(writes)], check=True, timeout=60, env=environment)


class Watch:
    """Every checkpoint that is asked for: its connection, its kind, and how far the log was copied then."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.seen = engine, []
        event.listen(engine, "connect", self._connected)

    def _connected(self, connection: Any, _record: Any) -> None:
        number = id(connection)
        connection.set_trace_callback(lambda sql: self._asked(sql, number))

    def _asked(self, sql: str, number: int) -> None:
        if "wal_checkpoint(" in sql:
            self.seen.append((number, sql.partition("(")[2].rstrip(")"), *marks(self.engine)))


def test_a_command_never_copies_the_log(engine: Engine) -> None:
    """However long the log is: not with its commits, nor when it ends, while an engine is there."""
    with running(engine) as desk:
        desk.work("large", lambda c: state.put_engine(c, state.STORE, {"large": "x" * 20_000_000}, 0))
        desk.settle()
        frames, copied = marks(engine)
        assert frames > 4_000 > copied
        was, log = seen_from_outside(path(engine)), path(engine, "-wal").stat()
        other_process(engine, 3)
        assert seen_from_outside(path(engine)) == was
        assert path(engine, "-wal").stat().st_ino == log.st_ino
        assert marks(engine)[0] > frames
        assert marks(engine)[1] == copied


def test_one_connection_copies_it_and_begins_it_anew(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    _eager(monkeypatch)
    watch = Watch(engine)
    with running(engine) as desk:
        _until(desk, lambda: {kind for _, kind, _, _ in watch.seen} == {"PASSIVE", "RESTART"}, engine)
    assert len({number for number, *_ in watch.seen}) == 1


def test_it_never_begins_on_a_log_that_is_copied_wholly(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which is where SQLite before 3.51.3 can damage the database; with commands that write at the same time."""
    _eager(monkeypatch)
    watch = Watch(engine)
    commands = [threading.Thread(target=other_process, args=(engine, 200)) for _ in range(2)]
    with running(engine) as desk:
        desk.receive("first")
        desk.settle()
        for command in commands:
            command.start()
        _until(desk, lambda: len(watch.seen) > 60 and not any(command.is_alive() for command in commands), engine)
    for command in commands:
        command.join()
    assert [(kind, frames, copied) for _, kind, frames, copied in watch.seen if copied >= frames] == []
    with engine.connect() as connection:
        assert rows.query(connection, "PRAGMA integrity_check") == [("ok",)]


def _eager(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("PERIOD_S", 0.001), ("OPERATIONS", 1), ("LOG_PAGES", 5)):
        monkeypatch.setattr(checkpoint, name, value)


def _until(desk: Running, true: Any, engine: Engine) -> None:
    """Write until something is true."""
    number = 0
    while not true():
        number += 1
        assert number < 50_000
        desk.receive(f"N{number}")
        desk.settle()


def test_nothing_written_is_nothing_to_copy(engine: Engine) -> None:
    watch = Watch(engine)
    with running(engine) as desk:
        desk.receive("M1")
        desk.settle()
        moving = desk.journal._store.checkpoints
        assert moving is not None
        for _ in range(3):
            moving._move()
        desk.work("reads", lambda c: c.execute(text("SELECT count(*) FROM message")).scalar())
        desk.settle()
        moving._move()
        assert [kind for _, kind, _, _ in watch.seen] == ["PASSIVE"]
        assert marks(engine)[0] == marks(engine)[1] > 0


def test_the_log_does_not_grow_without_end(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    _eager(monkeypatch)
    monkeypatch.setattr(checkpoint, "LOG_PAGES", 50)
    with running(engine) as desk:
        for n in range(3_000):
            desk.receive(f"N{n}")
            if n % 3 == 0:
                desk.settle()
        desk.settle()
        assert path(engine, "-wal").stat().st_size < 40_000_000
    assert len(desk.stored()) == 3_000


def test_a_log_whose_file_has_lost_its_name_is_saved(engine: Engine) -> None:
    with running(engine) as desk:
        desk.receive("M1", "M2")
        desk.settle()
        path(engine, "-wal").unlink()
        desk.receive("M3")
        desk.until(lambda: desk.told, "it is told")
        assert desk.journal.lost == faults.GONE
        assert "what was acknowledged is in its file" in desk.told[0]
        assert "M3" not in desk.results
        with pytest.raises(Exception, match="restart the engine"), engine.connect():
            pass  # another connection would write another log
        copy = path(engine).with_name("copy.db")
        copy.write_bytes(seen_from_outside(path(engine)))
    other = open_engine(f"sqlite:///{copy}", site=None)
    with dialect.reading(other) as connection:
        names = set(connection.execute(text("SELECT control_id FROM message")).scalars())
    other.dispose()
    assert {"M1", "M2"} <= names


def test_a_checkpoint_that_fails_is_told_and_keeps_nothing_from_being_stored(engine: Engine) -> None:
    """Here the database's file may grow no more, and its log, which is shorter, may."""
    with running(engine) as desk:
        desk.work("large", lambda c: state.put_engine(c, state.STORE, {"large": "x" * 2_000_000}, 0))
        desk.settle()
        moving = desk.journal._store.checkpoints
        assert moving is not None
        moving._move()
        desk.receive("M0")  # the log begins anew
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        desk.settle()
        resource.setrlimit(resource.RLIMIT_FSIZE, (path(engine).stat().st_size, hard))
        try:
            for n in range(300):
                desk.receive(f"M{n}" + "x" * 300)
            desk.settle()
            moving._move()
            assert "its log cannot be copied into its file" in desk.journal.worry
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert set(desk.results.values()) >= {"received"}
        assert len(desk.stored()) == 301
        moving._move()
        desk.receive("last")
        desk.settle()
        moving._move()
        assert desk.journal.worry == ""
        assert desk.told == []


@pytest.mark.parametrize("where", ["message", "sqlite_master"])
def test_damage_that_is_met_by_the_journal_ends_the_writing(engine: Engine, where: str) -> None:
    with running(engine) as desk:
        for n in range(200):
            desk.receive(f"M{n:03}")
        desk.settle()
    engine.dispose()
    _overwrite(path(engine), 0 if where == "sqlite_master" else 4096)
    with running(engine) as desk:
        desk.receive("late")
        desk.until(lambda: desk.told, "it is told")
        assert desk.journal.lost == faults.DAMAGED
        assert "restore a backup" in desk.told[0]
        assert desk.results == {}
        assert Path(f"{path(engine)}-damaged").read_text().strip() == desk.told[0]


def _overwrite(file: Path, start: int) -> None:
    size = file.stat().st_size
    with file.open("r+b") as opened:
        opened.seek(start)
        opened.write(os.urandom(size - start))


def test_a_transaction_lets_the_checkpoints_go_on_though_its_driver_says_nothing_any_more(tmp_path: Path) -> None:
    class Driver:
        """Tells once how much was changed, and is closed then."""

        told = False

        @property
        def total_changes(self) -> int:
            if self.told:
                raise ValueError("closed")
            self.told = True
            return 0

    def connected(driver: Any) -> Any:
        return SimpleNamespace(connection=SimpleNamespace(dbapi_connection=driver))

    checkpoints = checkpoint.Checkpoints(open_engine(f"sqlite:///{tmp_path / 'a.db'}", site=None), lambda error: None)
    with pytest.raises(ValueError, match="closed"), checkpoints.transaction(connected(Driver()), 1):
        pass
    with checkpoints.transaction(connected(SimpleNamespace(total_changes=0)), 1):  # it does not wait for ever
        pass
