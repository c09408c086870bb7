"""Child processes: started apart from the terminal's signals, watched, and stopped in order by their own pid."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO


class ChildError(Exception):
    """A child did not start, or ended by itself; the text is fit for the terminal."""


class Child:
    """One process. log: the file that its output goes to; None leaves it on the terminal."""

    def __init__(self, name: str, arguments: list[str], environment: Mapping[str, str], log: Path | None) -> None:
        self.name, self._arguments, self._environment, self.log = name, arguments, environment, log
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        """The process id; 0 before the start."""
        return self._process.pid if self._process else 0

    @property
    def ended(self) -> bool:
        """Whether it has ended."""
        return self._process is not None and self._process.returncode is not None

    async def start(self) -> None:
        """Start it, in a session of its own: Ctrl-C reaches this process only, which then stops the children in order."""
        output: IO[bytes] | None = self.log.open("ab") if self.log else None
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=asyncio.subprocess.STDOUT if output else None,
                env=dict(self._environment),
                start_new_session=True,
            )
        finally:
            if output:
                output.close()

    async def stop(self, patience_s: float = 20) -> int:
        """SIGTERM, and SIGKILL when it has not ended in time. Returns its exit code; 0 when it was never started."""
        process = self._process
        if process is None:
            return 0
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(process.wait(), patience_s)
            except TimeoutError:
                process.kill()
        return await process.wait()

    def check(self) -> None:
        """Raise ChildError, with the end of its log, when it has ended."""
        if self.ended and self._process is not None:
            raise ChildError(f"the {self.name} ended with exit code {self._process.returncode}{self._tail()}")

    def _tail(self, lines: int = 15) -> str:
        if self.log is None or not self.log.exists():
            return ""
        text = self.log.read_text(errors="replace").splitlines()[-lines:]
        return ":\n" + "\n".join(f"    {line}" for line in text)


def python(*arguments: str) -> list[str]:
    """A command line for this very Python."""
    return [sys.executable, *arguments]


def free_ports(count: int) -> list[int]:
    """Ports of the loopback that nothing listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in sockets]
    finally:
        for s in sockets:
            s.close()


def is_free(port: int) -> bool:
    """Whether this port of the loopback can be listened on."""
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def inherited(**more: str) -> dict[str, str]:
    """This process's environment with more variables; output of Python children is not held back."""
    return {**os.environ, "PYTHONUNBUFFERED": "1", **more}
