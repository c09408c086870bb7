"""A site's engine in a process of its own, for tests that speak with it over real sockets."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import suture
from suture.wire import mllp
from tests.crash.hospital import wait_until

TIMEOUT_S = 60
ENGINE = Path(suture.__file__).parents[1]


@contextmanager
def running(site: Path, log: Path) -> Iterator[None]:
    """The engine of this site runs; what it says goes to the log."""
    with log.open("wb") as out:
        command = [sys.executable, "-m", "suture.cli.main", "run", "--site", str(site)]
        engine = subprocess.Popen(command, stdout=out, stderr=out, env=os.environ | {"PYTHONPATH": str(ENGINE)})
    try:
        yield
    finally:
        engine.terminate()
        engine.wait(TIMEOUT_S)


class Sender:
    """A connection to a source of the engine, made when that listens."""

    def __init__(self, port: int) -> None:
        self._socket: socket.socket = wait_until(lambda: _connected(port), TIMEOUT_S, "the engine listens")
        self._socket.settimeout(TIMEOUT_S)
        self._unframer = mllp.Unframer(1 << 20)
        self._came: list[bytes] = []

    def say(self, raw: bytes) -> None:
        """Send one message."""
        self._socket.sendall(mllp.frame(raw))

    def hear(self) -> bytes:
        """The next answer."""
        while not self._came:
            data = self._socket.recv(65_536)
            assert data, "the engine has closed the connection"
            self._came += self._unframer.feed(data)
        return self._came.pop(0)

    def close(self) -> None:
        """End the connection."""
        self._socket.close()


def _connected(port: int) -> socket.socket | None:
    try:
        return socket.create_connection(("127.0.0.1", port), 5)
    except OSError:
        return None
