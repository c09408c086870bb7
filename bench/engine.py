"""The process that is measured: an engine on a site, or the floor."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from bench import proc
from bench.child import BenchError
from bench.workloads import HERE, HOST, Workload

START_S = 60
STOP_S = 20
SUTURE = f"{shlex.quote(sys.executable)} -m suture.cli.main run --site {{site}}"
"""The engine of this checkout, installed or not: `suture run --site SITE`."""


class Engine:
    """One process that listens for MLLP where its workload says; `stop` ends it in order."""

    def __init__(self, command: str, workload: Workload, database_url: str, directory: Path) -> None:
        """command: `{site}` and `{database}` (a file in the directory) are filled in. Raises BenchError when it does not start."""
        self._log, self._listener = directory / "engine.log", workload.listener
        words = [
            word.replace("{site}", str(workload.site)).replace("{database}", str(directory / "floor.db")) for word in shlex.split(command)
        ]
        begin_s = time.monotonic()
        with self._log.open("wb") as log:
            try:
                self._process = subprocess.Popen(
                    words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment(database_url), start_new_session=True
                )
            except OSError as e:
                raise BenchError(f"cannot run {words[0]}: {e.strerror}") from e
        try:
            self._wait(begin_s + START_S)
        except BaseException:
            self.stop()
            raise
        self.start_s = time.monotonic() - begin_s

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def usage(self) -> proc.Usage:
        """CPU and memory of its process tree."""
        return proc.usage(self.pid)

    def check(self) -> None:
        """Raise BenchError, with the end of its log, when it has ended."""
        if self._process.poll() is not None:
            raise BenchError(f"the engine ended with exit code {self._process.returncode}{self._tail()}")

    def stop(self) -> None:
        """SIGTERM, and SIGKILL when it does not end in time."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _wait(self, deadline_s: float) -> None:
        while not listens(self._listener):
            self.check()
            if time.monotonic() > deadline_s:
                raise BenchError(f"the engine does not listen on {HOST}:{self._listener} after {START_S} s{self._tail()}")
            time.sleep(0.05)

    def _tail(self, lines: int = 15) -> str:
        text = self._log.read_text(errors="replace").splitlines()[-lines:]
        return ":\n" + "\n".join(f"    {line}" for line in text) if text else ""


def environment(database_url: str) -> dict[str, str]:
    """Ours, with the database, for a program of the engine on a site of the bench: this checkout's comes before an installed one."""
    path = os.pathsep.join(filter(None, (str(HERE.parent / "engine"), os.environ.get("PYTHONPATH"))))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SUTURE_")}
    return kept | {"SUTURE_DATABASE_URL": database_url, "PYTHONPATH": path}


def listens(port: int) -> bool:
    """Whether somebody accepts connections on the port."""
    try:
        socket.create_connection((HOST, port), 0.5).close()
    except OSError:
        return False
    return True


def require_free(*ports: int) -> None:
    """Raise BenchError when a port is in use."""
    for port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError as e:
                raise BenchError(
                    f"port {port} of {HOST} is not free ({e.strerror}); the benchmark's sites need it. "
                    f"`ss -ltnp 'sport = :{port}'` shows who has it: stop that, then run again"
                ) from e
