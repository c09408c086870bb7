"""A SQLite store is known by its files: what happens to them is noticed, and one look at their directory is enough as a rule."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

import suture
from suture.model.errors import StoreError
from suture.store import identity, ownership, schema
from suture.store.engine import open_engine
from suture.store.faults import StoreMoved
from suture.store.identity import Files

TAKE = "import sys; from suture.store import ownership; from suture.store.engine import open_engine; "
TAKE += "ownership.PATIENCE_S = 0.2; ownership.take(open_engine(sys.argv[1], site=None)); print('taken', flush=True); sys.stdin.read()"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    (tmp_path / "data").mkdir()
    one = open_engine(f"sqlite:///{tmp_path / 'data' / 'suture.db'}", site=None)
    schema.upgrade(one)
    (tmp_path / "data" / "suture.db-lock").touch()
    with one.connect() as connection:  # the files are there as long as it is
        connection.execute(text("SELECT count(*) FROM message"))
        yield one
    one.dispose()


@pytest.fixture
def files(engine: Engine) -> Iterator[Files]:
    one = Files(engine)
    one.settle()
    yield one
    one.let_go()


def path(engine: Engine, end: str = "") -> Path:
    return Path(f"{engine.url.database}{end}")


def replaced(file: Path) -> None:
    copy = file.with_name("copy")
    copy.write_bytes(b"x")
    copy.rename(file)


CHANGES: list[Callable[[Path], Any]] = [Path.unlink, replaced, lambda file: file.rename(file.with_name("away"))]


@pytest.mark.parametrize("change", CHANGES, ids=["removed", "replaced", "renamed"])
@pytest.mark.parametrize("end", ["", "-wal", "-shm", "-lock"])
@pytest.mark.parametrize("quiet", [False, True], ids=["at once", "after a while"])
def test_every_file_and_every_change_is_noticed_with_the_next_look(
    engine: Engine, files: Files, end: str, change: Callable[[Path], Any], quiet: bool
) -> None:
    files.check()
    while quiet and not files._is_quiet():
        files.check()
    change(path(engine, end))
    with pytest.raises(StoreMoved) as error:
        files.check()
    assert error.value.for_good == (end in ("-wal", "-shm"))
    assert "restart the engine" in str(error.value) if error.value.for_good else "put it back" in str(error.value)
    assert not end or f"suture.db{end}" in str(error.value)


@pytest.mark.parametrize("end", ["", "-lock"])
def test_what_is_put_back_is_right_again(engine: Engine, files: Files, end: str) -> None:
    file = path(engine, end)
    file.rename(away := file.with_name("away"))
    with pytest.raises(StoreMoved):
        files.check()
    away.rename(file)
    files.check()


def test_a_directory_that_is_renamed_and_put_back(engine: Engine, files: Files) -> None:
    directory = path(engine).parent
    while not files._is_quiet():
        files.check()
    directory.rename(away := directory.with_name("away"))
    with pytest.raises(StoreMoved) as error:
        files.check()
    assert not error.value.for_good
    away.rename(directory)
    files.check()


def test_a_link_that_leads_elsewhere_now(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (link := tmp_path / "link.db").symlink_to(path(engine))
    other = open_engine(f"sqlite:///{link}", site=None)
    with other.connect() as connection:
        assert connection.execute(text("PRAGMA database_list")).first()[2] == str(path(engine))  # type: ignore[index]
        files = Files(other)
        files.settle()
        files.check()
        link.unlink()
        link.symlink_to(tmp_path / "nothing.db")
        monkeypatch.setattr(identity, "LOOK_S", 0.0)  # it is not in the store's directory: seen with the next look at all
        with pytest.raises(StoreMoved):
            files.check()
        files.let_go()
    other.dispose()


def test_one_look_is_enough_as_a_rule_and_all_is_looked_at_each_second(
    engine: Engine, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    while not files._is_quiet():
        files.check()
    looks, stat, now_s = [], os.stat, time.monotonic()
    monkeypatch.setattr(identity.os, "stat", lambda name: looks.append(name) or stat(name))
    monkeypatch.setattr(identity.time, "monotonic", lambda: now_s)
    files._looked_s = now_s
    for _ in range(100):
        files.check()
    assert looks == [str(path(engine).parent)] * 100
    looks.clear()
    now_s += identity.LOOK_S
    files.check()
    assert {str(path(engine, end)) for end in ("", "-wal", "-shm", "-lock")} <= set(looks)


def test_a_new_connection_to_another_file_is_refused(engine: Engine, files: Files) -> None:
    replaced(path(engine))
    with pytest.raises(StoreMoved), engine.connect():
        pass


def test_a_connection_makes_no_file_where_there_is_none(engine: Engine) -> None:
    path(engine).unlink()
    with pytest.raises(Exception, match="unable to open"), engine.connect():
        pass
    assert not path(engine).exists()


def test_on_postgresql_there_is_nothing_to_look_at(postgres_database: str) -> None:
    engine = open_engine(postgres_database, site=None)
    files = Files(engine)
    files.settle()
    files.check()
    files.let_go()
    engine.dispose()


# -- one engine a store ------------------------------------------------------------------------------------------------


def taker(url: str) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": str(Path(suture.__file__).parents[1])}
    return subprocess.Popen(
        [sys.executable, "-c", TAKE, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )


def takes(url: str) -> str:
    """What somebody says who wants to be the engine of this store: `taken`, or why not."""
    out, err = taker(url).communicate("", timeout=30)
    return out.strip() or err.strip().splitlines()[-1]


@pytest.fixture
def taken(tmp_path: Path) -> Iterator[Path]:
    """A store that another process is the engine of."""
    file = tmp_path / "data" / "suture.db"
    file.parent.mkdir()
    schema.upgrade(one := open_engine(f"sqlite:///{file}", site=None))
    one.dispose()
    process = taker(f"sqlite:///{file}")
    assert process.stdout is not None
    assert process.stdout.readline() == "taken\n"
    yield file
    process.communicate("", timeout=30)
    assert takes(f"sqlite:///{file}") == "taken", "it is free again"


def test_another_name_does_not_help(taken: Path, tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(taken)
    (tmp_path / "elsewhere").symlink_to(taken.parent)
    for name in (taken, tmp_path / "link.db", tmp_path / "elsewhere" / "suture.db"):
        assert "another engine works on this store" in takes(f"sqlite:///{name}")


@pytest.mark.parametrize("change", CHANGES[:2], ids=["removed", "replaced"])
def test_a_lock_that_is_not_there_any_more_does_not_help(taken: Path, change: Callable[[Path], Any]) -> None:
    change(Path(f"{taken}-lock"))
    assert "another engine works on this store" in takes(f"sqlite:///{taken}")


def test_another_file_in_its_place_does_not_help(taken: Path) -> None:
    taken.rename(away := taken.with_name("away.db"))
    schema.upgrade(one := open_engine(f"sqlite:///{taken}", site=None))
    one.dispose()
    assert "another engine works on this store" in takes(f"sqlite:///{taken}")
    away.rename(taken)


def test_a_renamed_file_or_directory_does_not_help(taken: Path) -> None:
    taken.rename(other := taken.with_name("other.db"))
    assert "another engine works on this store" in takes(f"sqlite:///{other}")
    other.rename(taken)
    taken.parent.rename(away := taken.parent.with_name("away"))
    assert "another engine works on this store" in takes(f"sqlite:///{away / 'suture.db'}")
    away.rename(taken.parent)


def test_a_file_with_two_names_is_nobodys(tmp_path: Path) -> None:
    """Each name has a log of its own: what is in the one is not seen through the other."""
    file = tmp_path / "suture.db"
    open_engine(f"sqlite:///{file}", site=None).dispose()
    (other := tmp_path / "other.db").hardlink_to(file)
    for name in (file, other):
        with pytest.raises(StoreError, match="has another name too"):
            open_engine(f"sqlite:///{name}", site=None, create=False)
    other.unlink()
    open_engine(f"sqlite:///{file}", site=None).dispose()


def test_a_lock_that_is_removed_while_it_is_taken_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between opening and locking: the lock would be on a file that no name leads to, and keep nobody out."""
    name = str(tmp_path / "suture.db-lock")
    lock = ownership._lock

    def removed_first(file: int) -> bool:
        os.unlink(name)
        return lock(file)

    monkeypatch.setattr(ownership, "_lock", removed_first)
    assert not ownership._lock_file(name)
    monkeypatch.undo()
    assert ownership._lock_file(name)
