"""The demo as a user runs it: real processes, a balance that holds, and nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from suture.model.errors import CommandError
from suture.sim.processes import free_ports, is_free
from suture.sim.stage import VARIABLES, Ports

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


def stay(site: Path, env: dict[str, str]) -> tuple[subprocess.Popen[str], str]:
    """A site that stays, and what it says until it is up (or has ended)."""
    command = [sys.executable, "-m", "suture.sim.stay", str(site)]
    process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if "/erp/down" in line:
            break
    return process, said


def end(process: subprocess.Popen[str]) -> tuple[int, str]:
    process.send_signal(signal.SIGTERM)
    rest, _ = process.communicate(timeout=60)
    return process.returncode, rest


def test_the_site_that_stays_runs_until_it_is_told_to_stop(tmp_path: Path) -> None:
    process, said = stay(tmp_path / "site", environment(tmp_path) | {"SUTURE_DEMO_PORTS": "free"})
    code, rest = end(process)
    assert code == 0, said + rest
    assert (tmp_path / "site" / "suture.db").exists()
    assert "suture status --site" in said


def test_the_site_that_stays_listens_where_the_variables_say(tmp_path: Path) -> None:
    ports = Ports(*free_ports(6))
    named = {name: str(port) for name, port in zip(VARIABLES.values(), ports.numbers(), strict=True)}
    process, said = stay(tmp_path / "site", environment(tmp_path) | named)
    try:
        assert f"--to 127.0.0.1:{ports.mllp}\n" in said
        assert f"  export SUTURE_ENV=dev OR_SUPPLY_PORT={ports.mllp} SUTURE_HTTP_PORT={ports.http} ERP_PORT={ports.erp} " in said
        assert f"127.0.0.1:{ports.http}/metrics" in said
        assert f"127.0.0.1:{ports.control}/erp/down" in said
        assert not [port for port in ports.numbers() if is_free(port)]
    finally:
        code, rest = end(process)
    assert code == 0, said + rest


def test_a_port_that_is_in_use_is_named_with_its_variable(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        env = environment(tmp_path) | {"SUTURE_DEMO_PORTS": "free", "BILLING_PORT": str(port)}
        command = [sys.executable, "-m", "suture.sim.stay", str(tmp_path / "site")]
        ran = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 1
    assert f"In use already: port {port} (BILLING_PORT) of 127.0.0.1" in ran.stdout


@pytest.mark.parametrize(
    ("environ", "text"),
    [
        ({"ERP_PORT": "ninety"}, "ERP_PORT has to be a port from 1 to 65535"),
        ({"SUTURE_HTTP_PORT": "0"}, "SUTURE_HTTP_PORT has to be a port from 1 to 65535"),
        ({"CONTROL_PORT": "65536"}, "CONTROL_PORT has to be a port from 1 to 65535"),
        ({"ERP_PORT": "8080"}, "SUTURE_HTTP_PORT is 8080 and ERP_PORT is 8080: give each a port of its own"),
    ],
)
def test_ports_that_cannot_be_are_refused_with_the_variable(environ: dict[str, str], text: str) -> None:
    with pytest.raises(CommandError) as refused:
        Ports.given(environ, Ports())
    assert str(refused.value) == text


def test_variables_that_are_empty_name_no_port() -> None:
    assert Ports.given({"ERP_PORT": "", "OR_SUPPLY_PORT": "2576"}, Ports()) == Ports(mllp=2576)
