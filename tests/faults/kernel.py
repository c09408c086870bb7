"""What the kernel knows of our own connections to a peer, while the event loop of the test stands still."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

ESTABLISHED = "01"

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what the event loop has not told yet")


def connections(port: int) -> list[tuple[str, int]]:
    """Of each connection from this machine to that port of 127.0.0.1: its state, and bytes that were not read."""
    found = []
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, _, remote, state, queues = line.split()[:5]
        if remote == f"0100007F:{port:04X}":
            found.append((state, int(queues.split(":")[1], 16)))
    return found


def wait_until(true: Callable[[], bool], timeout_s: float = 10) -> None:
    """Wait without a turn of the event loop."""
    deadline_s = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline_s, "the kernel does not say so"
        time.sleep(0.001)
