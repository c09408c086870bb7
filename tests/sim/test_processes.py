"""Children are started, watched and stopped by their own pid."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from suture.sim.processes import Child, ChildError, free_ports, inherited, is_free, python


def test_a_child_is_stopped_in_order(tmp_path: Path) -> None:
    code = "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(3)); print('up'); time.sleep(60)"

    async def play() -> tuple[int, int]:
        child = Child("sleeper", python("-c", code), inherited(), tmp_path / "log")
        await child.start()
        while "up" not in (tmp_path / "log").read_text():
            await asyncio.sleep(0.01)
        child.check()
        return child.pid, await child.stop()

    pid, exit_code = asyncio.run(play())
    assert exit_code == 3
    assert not Path(f"/proc/{pid}").exists() or os.name != "posix"


def test_a_child_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up'); time.sleep(60)"

    async def play() -> int:
        child = Child("stubborn", python("-c", code), inherited(), tmp_path / "log")
        await child.start()
        while "up" not in (tmp_path / "log").read_text():
            await asyncio.sleep(0.01)
        return await child.stop(patience_s=0.1)

    assert asyncio.run(play()) == -9


def test_a_child_that_ends_by_itself_is_an_error_with_its_last_words(tmp_path: Path) -> None:
    async def play() -> None:
        child = Child("engine", python("-c", "print('no such channel'); raise SystemExit(2)"), inherited(), tmp_path / "log")
        await child.start()
        while not child.ended:
            await asyncio.sleep(0.01)
        child.check()

    with pytest.raises(ChildError, match=r"(?s)engine ended with exit code 2.*no such channel"):
        asyncio.run(play())


def test_stopping_what_was_never_started_does_nothing() -> None:
    assert asyncio.run(Child("none", python(), {}, None).stop()) == 0


def test_free_ports_are_free_and_different() -> None:
    ports = free_ports(5)
    assert len(set(ports)) == 5
    assert all(map(is_free, ports))
