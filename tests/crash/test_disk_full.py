"""A full disk: nothing is acknowledged that is not durable, the engine says so, and goes on when there is room."""

from __future__ import annotations

import resource
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from suture.model import ending
from tests.crash.hospital import Hospital, wait_until
from tests.crash.load import Load

FULL_BYTES = 2_000_000


def fill_up(hospital: Hospital) -> Load:
    """Send until the engine says that the store takes nothing."""
    hospital.start()
    charges = hospital.send_charges()
    wait_until(lambda: hospital.page("readyz")[0] == 503, 40, "the engine says that it is not ready")
    return charges


def room_again(hospital: Hospital, charges: Load, make_room: Callable[[], None]) -> None:
    """Look at what a full disk did, make room, and look again."""
    assert "the store takes nothing" in hospital.page("readyz")[1]
    assert "the store takes nothing" in hospital.said()
    assert hospital.page("healthz")[0] == 200
    acked = set(charges.acked)
    assert acked, "the disk was full from the beginning"
    assert acked <= {row[0] for row in hospital.query("SELECT control_id FROM message")}, "acknowledged and not in the store"
    make_room()
    wait_until(hospital.is_ready, what="the engine is ready again")
    wait_until(lambda: len(charges.acked) > len(acked) + 100, what="messages are taken again")
    hospital.wait_for_delivery()
    hospital.terminate()
    hospital.check()


def test_a_file_that_may_grow_no_more(hospital: Hospital) -> None:
    hospital.limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (FULL_BYTES, resource.RLIM_INFINITY))
    charges = fill_up(hospital)
    room_again(hospital, charges, lambda: hospital.file_limit(resource.RLIM_INFINITY))


def test_killed_while_the_disk_is_full(hospital: Hospital) -> None:
    hospital.limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (FULL_BYTES, resource.RLIM_INFINITY))
    charges = fill_up(hospital)
    acked = len(charges.acked)
    hospital.kill()
    hospital.limit = None
    hospital.start()
    wait_until(lambda: len(charges.acked) > acked + 100, what="messages are taken again")
    hospital.wait_for_delivery()
    hospital.terminate()
    hospital.check()


def test_asked_to_end_while_the_disk_is_full(hospital: Hospital) -> None:
    hospital.limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (FULL_BYTES, resource.RLIM_INFINITY))
    fill_up(hospital)
    assert hospital.terminate(20, ending.UNCLEAN) < 15
    hospital.limit = None
    hospital.start()
    hospital.wait_for_delivery()
    hospital.terminate()
    hospital.check()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real small file system, where this user may mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(place)], capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount a file system")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_file_system_without_room(tmp_path: Path, small_disk: Path) -> None:
    with Hospital(tmp_path, f"sqlite:///{small_disk / 'suture.db'}") as hospital:
        charges = fill_up(hospital)
        room = ["mount", "-o", "remount,size=200m", str(small_disk)]
        room_again(hospital, charges, lambda: subprocess.run(room, check=True))
