"""What the standard has otherwise than hl7apy's tables (usages, data types, tables, structures), and the lengths, which those lack.

The facts are in corrections.tsv and lengths.tsv beside this module, with their sources; they are read when a version is first
asked for. A version is one of dictionary.VERSIONS, whose order as texts is the order in which they came.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any

NO_LIMIT = 65535
"""A printed length from here on stands for any length (HL7 2.5.1 section 2.5.3.2)."""


def corrected(version: str, name: str, number: int) -> Mapping[str, Any]:
    """What differs for field number of a segment, or component number of a data type: FieldSpec's attributes and their values.

    Of a structure (0): like, the version and name of the one that it is like; entries, for a master file, behind whose MFE any
    segments may stand.
    """
    return _facts(version).get(name, {}).get(number, {})


def left_out(version: str, name: str) -> Mapping[int, str]:
    """The withdrawn positions of a segment or data type that hl7apy does not have, with their names."""
    return {number: facts["withdrawn"] for number, facts in _facts(version).get(name, {}).items() if "withdrawn" in facts}


def printed(version: str, name: str, number: int) -> int:
    """Characters that field number of a segment, or component number of a data type, may have; 0 where nothing is printed.

    NO_LIMIT and more mean any length.
    """
    known = _printed(version).get(name, ())
    return known[number - 1] if 0 < number <= len(known) else 0


@lru_cache(maxsize=16)
def _facts(version: str) -> Mapping[str, Mapping[int, Mapping[str, Any]]]:
    """By the name of a segment, data type or structure, and the number of its part: what differs, and its value."""
    found: dict[str, dict[int, dict[str, Any]]] = {}
    for places, versions, what, value in _rows("corrections.tsv"):
        name, _, numbers = places.partition("-")
        if any(version == each or (each[-1] == "+" and version >= each[:-1]) for each in versions.split()):
            for number in _numbers(numbers):
                found.setdefault(name, {}).setdefault(number, {})[what] = int(value) if what in ("min", "max") else value
    return found


@lru_cache(maxsize=16)
def _printed(version: str) -> Mapping[str, tuple[int, ...]]:
    """The lines that hold in a version: of each name the last one that is not of a later version."""
    found = {name: lengths for name, since, lengths in _rows("lengths.tsv") if since <= version}
    return {name: tuple(int(length or 0) for length in lengths.split(",")) for name, lengths in found.items() if lengths}


def _rows(name: str) -> Iterator[list[str]]:
    lines = files(__package__).joinpath(name).read_text(encoding="utf-8").splitlines()
    return (line.split("\t") for line in lines if line and line[0] != "#")


def _numbers(written: str) -> Iterator[int]:
    """1,3-5 is 1, 3, 4, 5; nothing, of a structure, is 0."""
    for first, last in re.findall(r"(\d+)(?:-(\d+))?", written or "0"):
        yield from range(int(first), int(last or first) + 1)
