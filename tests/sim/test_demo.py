"""The demo as a user runs it: real processes, a balance that holds, and nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[2]
DEMO = [sys.executable, "-m", "suture.sim.demo"]


def environment(tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT / "engine"), "TMPDIR": str(tmp_path)}


def test_a_small_day_balances(tmp_path: Path) -> None:
    command = [*DEMO, "--messages", "40", "--json"]
    ran = subprocess.run(command, env=environment(tmp_path), capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    result = json.loads(ran.stdout)
    assert result["balanced"]
    assert result["ledger"]["messages"] == {"processed": 37, "duplicate": 2, "parked": 1}
    assert result["ledger"]["legs"]["billing"]["states"]["dead"] == 1
    assert result["ledger"]["legs"]["erp"]["attempts"] > 0, "the ERP was down, so something was tried again"
    assert sorted(row["code"] for row in result["ledger"]["exceptions"]) == ["AE", "NOT_HL7", "UNKNOWN_CODE"]
    assert "07:00" in ran.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_stops_its_children_and_tidies_up(tmp_path: Path, number: int) -> None:
    demo = subprocess.Popen(DEMO, env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert demo.stdout is not None
    for line in demo.stdout:
        if "are up" in line:
            break
    children = psutil.Process(demo.pid).children()
    assert len(children) == 2
    demo.send_signal(number)
    said = demo.stdout.read()
    assert demo.wait(timeout=40) == 130
    demo.stdout.close()
    assert "Engine and simulators are down." in said
    assert "Traceback" not in said
    gone, alive = psutil.wait_procs(children, timeout=5)
    assert not alive
    assert list(tmp_path.iterdir()) == []


def test_too_few_messages_are_refused_in_words(tmp_path: Path) -> None:
    ran = subprocess.run([*DEMO, "--messages", "3"], env=environment(tmp_path), capture_output=True, text=True, timeout=60)
    assert ran.returncode == 1
    assert "at least 20 messages" in ran.stdout
    assert "Traceback" not in ran.stderr


def test_the_site_that_stays_runs_until_it_is_told_to_stop(tmp_path: Path) -> None:
    env = environment(tmp_path) | {"SUTURE_DEMO_PORTS": "free"}
    stay = subprocess.Popen(
        [sys.executable, "-m", "suture.sim.stay", str(tmp_path / "site")],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert stay.stdout is not None
    lines = []
    for line in stay.stdout:
        lines.append(line)
        if "/erp/down" in line or stay.poll() is not None:
            break
    time.sleep(0.1)
    stay.send_signal(signal.SIGTERM)
    rest = stay.stdout.read()
    assert stay.wait(timeout=40) == 0, "".join(lines) + rest
    stay.stdout.close()
    assert (tmp_path / "site" / "suture.db").exists()
    assert any("suture status --site" in line for line in lines)
