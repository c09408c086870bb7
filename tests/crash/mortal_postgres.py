"""A PostgreSQL server that can be killed and started again on the same data."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import psutil

from tests.postgres import START_TIMEOUT_S, Server


class MortalServer(Server):
    """As a production server: fsync on."""

    def kill(self) -> None:
        """SIGKILL to the server's main process; its children notice and end."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(10)

    def freeze(self) -> None:
        """SIGSTOP to all of the server: connections stay, and nothing is answered."""
        for process in self._all():
            process.suspend()

    def thaw(self) -> None:
        """Let it go on."""
        for process in self._all():
            process.resume()

    def _all(self) -> list[psutil.Process]:
        assert self._process is not None
        main = psutil.Process(self._process.pid)
        return [main, *main.children(recursive=True)]

    def start_again(self) -> None:
        """Start on the same data, with the same arguments; what was not finished is recovered from the log."""
        assert self._process is not None
        arguments = self._process.args
        assert isinstance(arguments, list)
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while True:
            with (self._home / "log").open("ab") as log:
                self._process = subprocess.Popen(arguments, stdout=log, stderr=log, cwd=self._home, **self._as_user())
            try:
                self._wait(Path(arguments[0]).parent / "pg_isready")
                return
            except RuntimeError:  # children of the killed process still hold its shared memory
                if time.monotonic() > deadline_s:
                    raise
                time.sleep(0.1)
