"""What hl7apy's tables have otherwise than the HL7 v2 standard: usages, repetitions, data types, tables, positions, structures.

The facts are in corrections.tsv beside this module, with their sources; they are read when a version is first asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any


def corrected(version: str, name: str, number: int) -> Mapping[str, Any]:
    """What differs for field number of a segment, or component number of a data type: FieldSpec's attributes and their values."""
    return _facts(version).get((name, number), {})


def left_out(version: str, name: str) -> Mapping[int, str]:
    """The withdrawn positions of a segment or data type that hl7apy does not have, with their names."""
    return _left_out(version).get(name, {})


def like(version: str, structure: str) -> tuple[str, str]:
    """The version and name of the structure that one of the version is like: mostly itself."""
    at, _, name = _facts(version).get((structure, 0), {}).get("like", f"{version} {structure}").partition(" ")
    return at, name


def open_entries(version: str, structure: str) -> bool:
    """Is it a master file, behind whose MFE any segments may stand?"""
    return "entries" in _facts(version).get((structure, 0), {})


@lru_cache(maxsize=16)
def _facts(version: str) -> Mapping[tuple[str, int], Mapping[str, Any]]:
    found: dict[tuple[str, int], dict[str, Any]] = {}
    for name, number, what, value in _lines(version):
        if what != "withdrawn":
            found.setdefault((name, number), {})[what] = int(value) if what in ("min", "max") else value
    return found


@lru_cache(maxsize=16)
def _left_out(version: str) -> Mapping[str, Mapping[int, str]]:
    found: dict[str, dict[int, str]] = {}
    for name, number, what, value in _lines(version):
        if what == "withdrawn":
            found.setdefault(name, {})[number] = value
    return found


def _lines(version: str) -> Iterator[tuple[str, int, str, str]]:
    """Name, number, what and value of every fact that holds in a version."""
    for line in files(__package__).joinpath("corrections.tsv").read_text(encoding="utf-8").splitlines():
        if line and line[0] != "#":
            places, versions, what, value = line.split("\t")
            name, _, numbers = places.partition("-")
            if any(_holds(version, each) for each in versions.split()):
                yield from ((name, number, what, value) for number in _numbers(numbers))


def _holds(version: str, written: str) -> bool:
    """Is the version the one that is written, or behind it where a plus says so?"""
    since = written.removesuffix("+")
    return version == since or (written != since and _ordered(version) > _ordered(since))


def _ordered(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def _numbers(written: str) -> Iterator[int]:
    """1,3-5 is 1, 3, 4, 5; nothing, of a structure, is 0."""
    for first, last in re.findall(r"(\d+)(?:-(\d+))?", written or "0"):
        yield from range(int(first), int(last or first) + 1)
