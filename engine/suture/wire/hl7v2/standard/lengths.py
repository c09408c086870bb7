"""How long the fields of segments and the components of data types may be, as the standard's tables print it.

The figures are in lengths.tsv beside this module, with their source; they are read when a version is first asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files

NO_LIMIT = 65535
"""A printed length from here on stands for any length (HL7 2.5.1 section 2.5.3.2)."""


def printed(version: str, name: str, number: int) -> int:
    """Characters that field number of a segment, or component number of a data type, may have; 0 where nothing is printed.

    version: one of dictionary.VERSIONS. NO_LIMIT and more mean any length.
    """
    known = _printed(version).get(name, ())
    return known[number - 1] if 0 < number <= len(known) else 0


@lru_cache(maxsize=16)
def _printed(version: str) -> Mapping[str, tuple[int, ...]]:
    """The lines that hold in a version: of each name the last one that is not of a later version."""
    wanted = _numbers(version)
    found: dict[str, str] = {}
    for line in files(__package__).joinpath("lengths.tsv").read_text(encoding="utf-8").splitlines():
        if line and line[0] != "#":
            name, since, lengths = line.split("\t")
            if _numbers(since) <= wanted:
                found[name] = lengths
    return {name: tuple(int(length or 0) for length in lengths.split(",")) for name, lengths in found.items() if lengths}


@lru_cache(maxsize=64)
def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))
