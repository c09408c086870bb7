"""A PostgreSQL server that can be killed and started again on the same data."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
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

    def own(self, directory: Path) -> None:
        """Give it a directory, to keep a tablespace in."""
        if self._user:
            os.chown(directory, self._user.pw_uid, self._user.pw_gid)
        directory.chmod(0o700)

    def freeze(self) -> None:
        """SIGSTOP to all its processes, first to the one that starts the others: the server is there, and answers nothing."""
        self._main().suspend()
        self._to_children(psutil.Process.suspend)

    def thaw(self) -> None:
        """SIGCONT to all its processes."""
        self._to_children(psutil.Process.resume)
        self._main().resume()

    def _main(self) -> psutil.Process:
        assert self._process is not None
        return psutil.Process(self._process.pid)

    def _to_children(self, do: Callable[[psutil.Process], None]) -> None:
        for child in self._main().children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                do(child)

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
