"""CPU and memory of a process and its descendants, from /proc."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Stat:
    """One process. cpu_s: user and system time, its own. rss_mb: resident memory in 10^6 bytes."""

    parent: int
    cpu_s: float
    rss_mb: float


@dataclass(frozen=True)
class Usage:
    """The sums over a process tree."""

    cpu_s: float
    rss_mb: float


def parse_stat(text: str, ticks: int = _TICKS, page: int = _PAGE) -> Stat:
    """Read the text of /proc/PID/stat (see proc(5)); a command's name may hold blanks and brackets."""
    fields = text.rpartition(")")[2].split()
    return Stat(int(fields[1]), (int(fields[11]) + int(fields[12])) / ticks, int(fields[21]) * page / 1e6)


def descendants(pid: int, parents: dict[int, int]) -> list[int]:
    """The process and all that came from it. parents: the parent of every process."""
    children: dict[int, list[int]] = {}
    for child, parent in parents.items():
        children.setdefault(parent, []).append(child)
    found, todo = [], [pid]
    while todo:
        one = todo.pop()
        found.append(one)
        todo.extend(children.get(one, []))
    return found


def read_all(proc: Path = PROC) -> dict[int, Stat]:
    """Every process there is."""
    found = {}
    for entry in proc.iterdir():
        if entry.name.isdigit():
            try:
                found[int(entry.name)] = parse_stat((entry / "stat").read_text())
            except OSError:
                continue  # it has ended
    return found


def usage(pid: int) -> Usage:
    """CPU and memory of a process tree now; zeros when it has ended."""
    stats = read_all()
    tree = [stats[one] for one in descendants(pid, {one: stat.parent for one, stat in stats.items()}) if one in stats]
    return Usage(sum(stat.cpu_s for stat in tree), sum(stat.rss_mb for stat in tree))


def rss_mb(pid: int) -> float:
    """Memory of one process, without a look at the others; 0 when it has ended."""
    try:
        return parse_stat((PROC / str(pid) / "stat").read_text()).rss_mb
    except OSError:
        return 0.0


def parent_of(pid: int) -> int:
    """The parent of a process. Raises OSError when it has ended."""
    return parse_stat((PROC / str(pid) / "stat").read_text()).parent
