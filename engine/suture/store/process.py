"""Which process this is, told so that another one on the same machine can say whether it still lives.

A number alone would not do: it is given again, every container has a process 1, and two machines may bear one name.
"""

from __future__ import annotations

import os
from pathlib import Path

_PROC = Path("/proc")
_STARTED = 19
"""The start time's place behind the process's name in /proc/PID/stat (proc(5): field 22); the state comes first."""
_GONE = ("Z", "X", "x")


def identity() -> str:
    """This process: the machine's boot, the namespace of its number, the number, its start. "" where the system does not tell."""
    try:
        return ":".join((*_here(), str(os.getpid()), _started(os.getpid())))
    except OSError:
        return ""


def lives(told: str) -> bool | None:
    """Whether the process that told this identity lives; None where that cannot be seen from here (another machine or container)."""
    try:
        boot, namespace, number, started = told.split(":")
        if (boot, namespace) != _here():
            return None
    except (OSError, ValueError):
        return None
    try:
        return _started(int(number)) == started
    except (OSError, ValueError):
        return False


def _here() -> tuple[str, str]:
    boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    return boot, str(os.stat(_PROC / "self/ns/pid").st_ino)


def _started(number: int) -> str:
    """In ticks since the boot; "" for one that has ended and is not yet forgotten by its parent."""
    words = (_PROC / str(number) / "stat").read_text().rpartition(")")[2].split()
    return "" if words[0] in _GONE else words[_STARTED]
