"""A restore that is killed at any point: the store is the old one or the new one, whole, and the next one succeeds."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine

from suture.model.errors import StoreError
from suture.store import soundness, switch
from suture.store.archive import Backup
from suture.store.engine import open_engine
from tests.filling import Store
from tests.store.test_backup import content, fill, made, restored

HOLDS = """
import sys, time
from suture.store import dialect, ownership
from suture.store.engine import open_engine
engine = open_engine(sys.argv[1], site=None)
ownership.take(engine)
if engine.dialect.name != "sqlite":
    connection = dialect.writer(engine)
    ownership.lock(connection)
print("held", flush=True)
time.sleep(600)
"""
DIES = """
import os, signal, sys, time
from pathlib import Path
from suture.store import restore
from suture.store.after_restore import Restoring
from suture.store.archive import Backup
from suture.store.engine import open_engine

left = int(sys.argv[3])

def deadly(function):
    def call(*arguments, **options):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **options)
    return call

for name in ("rename", "unlink", "fsync", "replace"):
    setattr(os, name, deadly(getattr(os, name)))
backup = Backup(Path(sys.argv[2]))
what = Restoring(backup.manifest.began_us, int(time.time() * 1e6), "me", "x", "b")
restore.restore(open_engine(sys.argv[1], site=None), backup, what, lambda *a: None)
"""
RESTORES = DIES.replace("left == 0", "False")


@contextmanager
def running(url: str) -> Iterator[None]:
    """An engine, as far as its lock goes, in a process of its own."""
    process = subprocess.Popen([sys.executable, "-c", HOLDS, url], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None and process.stdout.readline() == b"held\n"
        yield
    finally:
        process.kill()
        process.wait()
        process.stdout and process.stdout.close()


def two_stores(engine: Engine, directory: Path) -> tuple[Path, int]:
    """A backup of 30 messages, and a store that has gone on to 31 since."""
    store = Store(engine)
    fill(store)
    made(store, directory / "b.zip")
    store.message(id=777)
    return directory / "b.zip", 31


def messages(engine: Engine) -> int:
    return len(content(engine, {"received"})["received"]) - 1


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[str]:
    from suture.store import schema

    url = f"sqlite:///{tmp_path / 's.db'}"
    engine = open_engine(url, site=None)
    schema.upgrade(engine)
    engine.dispose()
    yield url


def test_killed_at_every_step_of_the_switch(sqlite: str, tmp_path: Path) -> None:
    engine = open_engine(sqlite, site=None)
    path, before = two_stores(engine, tmp_path)
    engine.dispose()
    seen = set()
    for step in range(1, 40):
        done = subprocess.run([sys.executable, "-c", DIES, sqlite, str(path), str(step)], capture_output=True, check=False)
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL, done.stderr.decode()
        again = open_engine(sqlite, site=None, create=False)
        count = messages(again)
        seen.add(count)
        assert count in (before, 30), f"a mixture after step {step}"
        assert list(soundness.problems(again, False, lambda text: None)) == []
        again.dispose()
        assert not os.path.exists(f"{tmp_path / 's.db'}{switch.INTENT}")
        before = count if count == 30 else before
        if count == 30:  # the old one again, for the next step
            Store(again).message(id=777)
            before = 31
            again.dispose()
    else:
        pytest.fail("the restore has no end")
    assert seen == {30, 31} and step > 8


def test_killed_at_any_time_on_postgresql(postgres_database: str, tmp_path: Path) -> None:
    from suture.store import schema

    engine = open_engine(postgres_database, site=None)
    schema.upgrade(engine)
    path, before = two_stores(engine, tmp_path)
    for after_s in (0.2, 0.5, 0.8, 1.0, 1.2):
        process = subprocess.Popen([sys.executable, "-c", RESTORES, postgres_database, str(path), "0"])
        time.sleep(after_s)  # wherever it is then
        process.kill()
        process.wait()
        deadline_s = time.monotonic() + 20
        while time.monotonic() < deadline_s:  # the server notices that its client is gone
            try:
                count = messages(engine)
                break
            except StoreError:
                time.sleep(0.1)
        assert count in (before, 30)
        assert list(soundness.problems(engine, True, lambda text: None)) == []
        if count == 30:
            Store(engine).message(id=777)
    engine.dispose()
    engine = open_engine(postgres_database, site=None)
    restored(engine, path)
    assert messages(engine) == 30
    engine.dispose()


def test_an_old_log_is_never_left_beside_a_new_database(sqlite: str, tmp_path: Path) -> None:
    file = tmp_path / "s.db"
    engine = open_engine(sqlite, site=None)
    path, before = two_stores(engine, tmp_path)
    engine.dispose()
    writer = "import sys, time\nfrom suture.store.engine import open_engine\nfrom tests.filling import Store\n"
    writer += "e = open_engine(sys.argv[1], site=None)\nStore(e).message(id=888)\nprint('in', flush=True)\ntime.sleep(600)\n"
    process = subprocess.Popen([sys.executable, "-c", writer, sqlite], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
    assert process.stdout is not None and process.stdout.readline() == b"in\n"
    process.kill()  # as a killed engine, it leaves its log beside the file
    process.wait()
    process.stdout.close()
    assert file.with_name("s.db-wal").stat().st_size
    engine = open_engine(sqlite, site=None)
    _, aside = restored(engine, path)
    engine.dispose()
    assert not file.with_name("s.db-wal").exists() and not file.with_name("s.db-shm").exists()
    again = open_engine(sqlite, site=None)
    assert messages(again) == 30 and list(soundness.problems(again, False, lambda text: None)) == []
    old = open_engine(f"sqlite:///{aside}", site=None)
    assert messages(old) == before + 1
    again.dispose()
    old.dispose()


def test_a_damaged_store_and_no_store_at_all_give_way(sqlite: str, tmp_path: Path) -> None:
    engine = open_engine(sqlite, site=None)
    path, _ = two_stores(engine, tmp_path)
    engine.dispose()
    file = tmp_path / "s.db"
    garbage = b"garbage" * 10_000
    file.write_bytes(garbage)
    file.with_name("s.db-wal").write_bytes(b"of another")
    engine = open_engine(sqlite, site=None)
    _, aside = restored(engine, path)
    assert messages(engine) == 30 and Path(aside).read_bytes() == garbage
    engine.dispose()
    file.unlink()
    engine = open_engine(sqlite, site=None)
    restored(engine, path)
    assert messages(engine) == 30
    engine.dispose()


def test_a_store_under_a_symbolic_link_is_restored_where_it_is(sqlite: str, tmp_path: Path) -> None:
    engine = open_engine(sqlite, site=None)
    path, _ = two_stores(engine, tmp_path)
    engine.dispose()
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "elsewhere" / "link.db"
    link.symlink_to(tmp_path / "s.db")
    engine = open_engine(f"sqlite:///{link}", site=None)
    restored(engine, path)
    engine.dispose()
    assert link.is_symlink() and sorted(p.name for p in link.parent.iterdir() if not p.name.endswith("-lock")) == ["link.db"]
    again = open_engine(sqlite, site=None)
    assert messages(again) == 30
    again.dispose()


def test_nobody_opens_a_store_that_is_being_restored(sqlite: str, tmp_path: Path) -> None:
    file = tmp_path / "s.db"
    with running(sqlite):
        file.with_name(f"s.db{switch.INTENT}").write_text('{"aside": "x"}')
        with pytest.raises(StoreError, match="is being restored"):
            open_engine(sqlite, site=None)
    open_engine(sqlite, site=None)
    assert not file.with_name(f"s.db{switch.INTENT}").exists()


def test_a_restore_that_cannot_be_made_leaves_the_store(sqlite: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from suture.store import restore

    engine = open_engine(sqlite, site=None)
    path, _ = two_stores(engine, tmp_path)
    before = content(engine)
    monkeypatch.setattr(restore, "ROOM", 1e15)
    with pytest.raises(StoreError, match="MB free"):
        restored(engine, path)
    assert content(engine) == before
    assert not [p.name for p in tmp_path.iterdir() if "restor" in p.name]
    assert Backup(path).manifest.rows("received") == 30
    engine.dispose()


def test_an_owner_of_which_nobody_knows_whether_it_is_gone_is_waited_out(postgres_database: str, tmp_path: Path) -> None:
    """It may have lost its session and go on sending, until its lease is over; and what it still wants to write is refused."""
    from suture.store import dialect, schema, tenure

    engine = open_engine(postgres_database, site=None)
    schema.upgrade(engine)
    path, _ = two_stores(engine, tmp_path)
    owner = {"epoch": 7, "node": "elsewhere", "pid": 1, "process": "another machine's", "lease_s": 1.0, "since_us": 1}
    store = Store(engine)
    store.engine_fact("owner", json.dumps(owner), 1)
    store.engine_fact("journal", "7.abc signature", 1)
    begin_s = time.monotonic()
    restored(engine, path)
    assert time.monotonic() - begin_s >= 1.0 + tenure.MARGIN_S
    with dialect.reading(engine) as connection:
        mark = connection.exec_driver_sql("SELECT value FROM engine_state WHERE name = 'journal'").scalar()
        assert tenure.owner(connection) is None and str(mark).startswith("8.")
    engine.dispose()


BACKS_UP = """
import os, signal, sys
from pathlib import Path
from suture.store import backup
from suture.store.engine import open_engine

def worked(name, rows, size_bytes):
    if name == "store/message_body":
        os.kill(os.getpid(), signal.SIGKILL)

backup.make(open_engine(sys.argv[1], site=None), Path(sys.argv[2]), backup.Origin("1", "s", "me", {}), worked)
"""
LIMITED = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), int(sys.argv[3])))\n"


def test_a_backup_that_is_killed_leaves_no_backup_and_the_next_tidies_up(sqlite: str, tmp_path: Path) -> None:
    engine = open_engine(sqlite, site=None)
    fill(Store(engine))
    path = tmp_path / "b.zip"
    done = subprocess.run([sys.executable, "-c", BACKS_UP, sqlite, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert not path.exists() and [p for p in tmp_path.iterdir() if "unfinished" in p.name]
    made(Store(engine), path)
    assert Backup(path).check(lambda *a: None) == [] and not [p for p in tmp_path.iterdir() if "unfinished" in p.name]
    engine.dispose()


def test_a_full_disk_ends_a_backup_without_a_trace(sqlite: str, tmp_path: Path) -> None:
    engine = open_engine(sqlite, site=None)
    store = Store(engine)
    for _ in range(20):
        store.message(raw=os.urandom(20_000))
    engine.dispose()
    script = LIMITED + BACKS_UP.replace("store/message_body", "nothing")
    done = subprocess.run([sys.executable, "-c", script, sqlite, str(tmp_path / "b.zip"), "100000"], capture_output=True, check=False)
    assert b"StoreRefused: the backup" in done.stderr and b"cannot be written: File too large" in done.stderr
    assert not [p for p in tmp_path.iterdir() if "b.zip" in p.name]


def test_a_full_disk_ends_a_restore_and_the_store_is_as_it_was(sqlite: str, tmp_path: Path) -> None:
    engine = open_engine(sqlite, site=None)
    store = Store(engine)
    for _ in range(20):
        store.message(raw=os.urandom(20_000))
    made(store, tmp_path / "b.zip")
    before = content(engine)
    engine.dispose()
    done = subprocess.run(
        [sys.executable, "-c", LIMITED + RESTORES, sqlite, str(tmp_path / "b.zip"), "300000"], capture_output=True, check=False
    )
    assert done.returncode == 1 and b"StoreError" in done.stderr
    engine = open_engine(sqlite, site=None, create=False)
    assert content(engine) == before
    assert not [p.name for p in tmp_path.iterdir() if "restor" in p.name or "before" in p.name]
    engine.dispose()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to others")
def test_what_root_restores_belongs_to_the_user_of_the_engine(sqlite: str, tmp_path: Path) -> None:
    engine = open_engine(sqlite, site=None)
    path, _ = two_stores(engine, tmp_path)
    engine.dispose()
    file = tmp_path / "s.db"
    os.chown(file, 65534, 65534)
    engine = open_engine(sqlite, site=None)
    restored(engine, path)
    engine.dispose()
    for name in ("s.db", "s.db-lock"):
        assert file.with_name(name).stat().st_uid == 65534
    assert file.stat().st_mode & 0o777 == 0o600
