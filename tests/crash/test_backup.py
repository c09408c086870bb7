"""The procedure of docs/operations.md, as it is written there, on a real engine under load that is killed afterwards."""

from __future__ import annotations

import re
import shlex
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.crash.hospital import Hospital, wait_until

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"


def procedure() -> list[list[str]]:
    """The blocks of commands of the section, each a list of lines without comments."""
    section = PAGE.read_text(encoding="utf-8").split("\n## Backup and restore\n")[1].split("\n## ")[0]
    blocks = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    return [[line.split("  #")[0].strip() for line in block.splitlines()] for block in blocks]


@pytest.fixture(params=["sqlite", "postgresql"])
def hospital(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Hospital]:
    url = request.getfixturevalue("durable_database") if request.param == "postgresql" else ""
    with Hospital(tmp_path, url) as one:
        yield one


def typed(hospital: Hospital, line: str, directory: Path) -> None:
    """Type a line of the page, with this site and this place for backups."""
    words = shlex.split(line.replace("/backup/", f"{directory}/").replace("--site /srv/suture", ""))
    assert words[0] == "suture"
    if words[1] == "run":
        hospital.start()
        return
    done = hospital.suture(*words[1:])
    assert done.returncode == 0, f"{line}:\n{done.stdout}{done.stderr}"


def charges(hospital: Hospital) -> set[str]:
    return {row[0] for row in hospital.query("SELECT control_id FROM message")}


def delivered(hospital: Hospital) -> list[Any]:
    return [row[0] for row in list(hospital.erp.seen)]


def test_backup_under_load_kill_restore_start(hospital: Hospital, tmp_path: Path) -> None:
    online, offline = procedure()
    hospital.start()
    load = hospital.send_charges()
    wait_until(lambda: len(load.acked) > 300)
    before = set(load.acked)
    for line in online:
        typed(hospital, line, tmp_path)
    during = set(load.acked)
    assert len(during) > len(before), "the engine took nothing while it was backed up"
    wait_until(lambda: len(load.acked) > len(during) + 100)
    hospital.kill()
    load.stop()
    had = len(hospital.erp.seen)

    start = next(number for number, line in enumerate(offline) if line.startswith("suture run"))
    for line in offline[: start + 1]:
        typed(hospital, line, tmp_path)
    there = charges(hospital)
    assert before <= there, "acknowledged before the backup, and not in it"
    held = {
        row[0] for row in hospital.query("SELECT m.control_id FROM delivery d JOIN message m ON m.id = d.message_id WHERE d.state = 'held'")
    }
    parked = {row[0] for row in hospital.query("SELECT control_id FROM message WHERE state = 'parked'")}
    assert hospital.query("SELECT count(*) FROM delivery WHERE state IN ('queued', 'retrying', 'in_flight')") == [(0,)]
    assert there - held - parked <= set(delivered(hospital)), "neither delivered nor held"
    assert len(hospital.erp.seen) == had, "something went out by itself"

    for line in offline[start + 1 :]:
        if held:
            typed(hospital, line, tmp_path)
    if parked:
        again = hospital.suture("message", "reprocess", "--state", "parked", "--reason", "restored", "--yes")
        assert again.returncode == 0, again.stderr
    wait_until(lambda: there <= set(delivered(hospital)), what="all of the restored store is delivered")
    keys: dict[str, set[str]] = {}
    for control_id, key, _ in list(hospital.erp.seen):
        keys.setdefault(control_id, set()).add(key)
    assert {len(found) for found in keys.values()} == {1}, "one charge under two keys"
    assert len(hospital.erp.seen) - had <= len(held) + len(parked)
    sent = 1 + max(int(control_id[1:]) for control_id in load.acked)
    hospital.send_charges(sent + 100).join(120)  # the senders send all again, and more: what is known is a duplicate
    hospital.wait_for_delivery()
    assert hospital.query("SELECT count(*) FROM message WHERE state = 'processed'") == [(sent + 100,)]
    assert hospital.query("SELECT max(id) FROM message")[0][0] > 1_000_000_000
    wait_until(lambda: hospital.query("SELECT DISTINCT state FROM delivery") == [("accepted",)], what="all is noted as accepted")
    hospital.terminate()
    assert hospital.suture("db", "verify").returncode == 0


@pytest.mark.slow
def test_an_unhurried_backup_does_not_hold_up_the_engine(tmp_path: Path) -> None:
    with Hospital(tmp_path) as hospital:
        hospital.start()
        load = hospital.send_charges(connections=8)
        wait_until(lambda: len(load.acked) > 12_000, 120)
        command = [*hospital.command[:3], "db", "backup", str(tmp_path / "b.zip"), "--share", "8", "--site", str(hospital.directory)]
        with subprocess.Popen(command, env=hospital.environment, stdout=subprocess.DEVNULL) as process:
            longest_s, count, since_s = 0.0, len(load.acked), time.monotonic()
            while process.poll() is None:
                if len(load.acked) > count:
                    count, since_s = len(load.acked), time.monotonic()
                longest_s = max(longest_s, time.monotonic() - since_s)
                time.sleep(0.005)
        assert process.returncode == 0
        load.stop()
        hospital.wait_for_delivery(60)
        hospital.terminate()
        assert longest_s < 2, f"nothing was acknowledged for {longest_s:.1f} s"
