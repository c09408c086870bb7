"""What happens to a store's files under a running engine: nothing that was acknowledged is lost, nothing more is acknowledged."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from suture.model import ending
from tests.crash.hospital import Hospital, wait_until
from tests.crash.load import Load

pytestmark = pytest.mark.slow

PAGE = 4096


def files(hospital: Hospital) -> Path:
    return Path(hospital.url.removeprefix("sqlite:///"))


def under_load(hospital: Hospital) -> Load:
    hospital.start()
    charges = hospital.send_charges()
    wait_until(lambda: len(charges.acked) > 300)
    return charges


def not_ready(hospital: Hospital, says: str, charges: Load) -> None:
    """It says so, and takes nothing more."""
    wait_until(lambda: hospital.page("readyz")[0] == 503, what="the engine says that it is not ready")
    wait_until(lambda: says in hospital.page("readyz")[1], what="readyz says so")
    wait_until(lambda: says in hospital.said(), what="the log says so")
    taken = len(charges.acked)
    hospital.terminate(20, ending.UNCLEAN)
    assert len(charges.acked) == taken, "acknowledged while the store could not take it"


def goes_on(hospital: Hospital, charges: Load) -> None:
    """After a restart all that was acknowledged is there, and more is taken."""
    taken = len(charges.acked)
    hospital.start()
    wait_until(lambda: len(charges.acked) > taken + 100, what="messages are taken again")
    hospital.wait_for_delivery()
    hospital.terminate()
    hospital.check()


@pytest.mark.parametrize("end", ["-wal", "-shm"])
def test_a_part_that_is_removed(hospital: Hospital, end: str) -> None:
    charges = under_load(hospital)
    Path(f"{files(hospital)}{end}").unlink()
    wait_until(lambda: hospital.page("healthz")[0] == 503, what="only a restart helps")
    wait_until(lambda: "what was acknowledged is in its file" in hospital.page("readyz")[1])
    not_ready(hospital, f"suture.db{end} was deleted or replaced", charges)
    goes_on(hospital, charges)


def test_the_log_is_removed_and_the_engine_is_killed(hospital: Hospital) -> None:
    charges = under_load(hospital)
    Path(f"{files(hospital)}-wal").unlink()
    wait_until(lambda: hospital.page("readyz")[0] == 503, what="the engine says that it is not ready")
    hospital.kill()
    goes_on(hospital, charges)


def test_a_lock_that_is_removed_lets_nobody_else_in(hospital: Hospital) -> None:
    charges = under_load(hospital)
    Path(f"{files(hospital)}-lock").unlink()
    wait_until(lambda: hospital.page("readyz")[0] == 503, what="the engine says that it is not ready")
    assert "suture.db-lock was deleted or replaced" in hospital.page("readyz")[1]
    hospital.second_engine()
    not_ready(hospital, "suture.db-lock was deleted or replaced", charges)
    goes_on(hospital, charges)


def moved_back(hospital: Hospital, charges: Load, away: Callable[[], None], back: Callable[[], None]) -> None:
    away()
    wait_until(lambda: hospital.page("readyz")[0] == 503, what="the engine says that it is not ready")
    assert "its file was deleted or replaced; put it back, or stop the engine" in hospital.page("readyz")[1]
    taken = len(charges.acked)
    back()
    wait_until(lambda: len(charges.acked) > taken + 100, what="messages are taken again")
    hospital.wait_for_delivery()
    hospital.terminate()
    hospital.check()


def test_a_database_that_is_moved_and_put_back(hospital: Hospital, tmp_path: Path) -> None:
    charges, path, away = under_load(hospital), files(hospital), tmp_path / "away.db"
    moved_back(hospital, charges, lambda: path.rename(away), lambda: away.rename(path))


def test_a_directory_that_is_renamed_and_put_back(hospital: Hospital, tmp_path: Path) -> None:
    path, away = tmp_path / "data", tmp_path / "elsewhere"
    path.mkdir()
    hospital.url = f"sqlite:///{path / 'suture.db'}"
    moved_back(hospital, under_load(hospital), lambda: path.rename(away), lambda: away.rename(path))


def test_another_database_in_its_place_is_not_written(hospital: Hospital, tmp_path: Path) -> None:
    charges, path = under_load(hospital), files(hospital)
    shutil.copy(path, copy := tmp_path / "copy.db")
    before = copy.read_bytes()
    os.replace(path, kept := tmp_path / "kept.db")
    copy.rename(path)
    not_ready(hospital, "its file was deleted or replaced", charges)
    assert path.read_bytes() == before
    kept.rename(path)
    goes_on(hospital, charges)


def test_a_second_engine_through_another_name(hospital: Hospital, tmp_path: Path) -> None:
    path = files(hospital)
    under_load(hospital)
    (link := tmp_path / "link.db").symlink_to(path)
    hospital.second_engine(f"sqlite:///{link}")
    (other := tmp_path / "hard.db").hardlink_to(path)
    hospital.second_engine(f"sqlite:///{other}", "has another name too (a hard link)")
    other.unlink()
    hospital.wait_for_delivery()
    hospital.terminate()
    hospital.check()


def test_a_database_that_is_damaged(hospital: Hospital, tmp_path: Path) -> None:
    """Acknowledging stops for good, also for a new process, until a sound file is in its place."""
    hospital.start()
    first = hospital.send_charges(200)
    wait_until(lambda: len(first.acked) == 200)
    hospital.wait_for_delivery()
    hospital.terminate()
    path = files(hospital)
    shutil.copy(path, backup := tmp_path / "backup.db")
    hospital.start()
    charges = hospital.send_charges()
    wait_until(lambda: len(charges.acked) > 50)
    damage(path)
    wait_until(lambda: hospital.page("readyz")[0] == 503, what="the engine says that it is not ready")
    assert "restore a backup (docs/operations.md: A damaged store)" in hospital.page("readyz")[1]
    assert hospital.page("healthz")[0] == 200, "a restart does not help"
    shown = hospital.suture("status")
    assert "damaged" in (shown.stdout + shown.stderr).lower()
    not_ready(hospital, "A damaged store", charges)
    parked = {row["state"] for row in json.loads(hospital.suture("message", "list", "--json").stdout or "[]")} & {"parked"}
    assert not parked, "a message was blamed"
    refused = hospital.second_engine(hospital.url, "is damaged, as an earlier run found")
    assert "restore a backup" in refused
    for end in ("", "-wal", "-shm"):
        Path(f"{path}{end}").unlink(missing_ok=True)
    backup.rename(path)
    hospital.start()
    wait_until(lambda: hospital.page("readyz")[0] == 200)
    assert "it was looked through, and is sound" in hospital.said()
    hospital.terminate()


def damage(path: Path) -> None:
    """Overwrite every page but the first, of the file and of its log."""
    for name in (path, Path(f"{path}-wal")):
        size = name.stat().st_size
        with name.open("r+b") as file:
            file.seek(PAGE)
            for _ in range(PAGE, size, PAGE):
                file.write(os.urandom(PAGE))
