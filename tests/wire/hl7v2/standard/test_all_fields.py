"""Every field of every segment of HL7 2.1 to 2.8.2 can be filled, read, set in place and written; nothing moves."""

import importlib
import re

import pytest

from suture.wire.hl7v2.text import er7

VERSIONS = ["2_1", "2_2", "2_3", "2_3_1", "2_4", "2_5", "2_5_1", "2_6", "2_7", "2_8", "2_8_1", "2_8_2"]
NOT_IN_A_MESSAGE = {"MSH", "BHS", "FHS", "BTS", "FTS"}


def numbers(name: str, table: str) -> list[str]:
    """Numbers of the fields that a table names; the tables of some versions are not all of one shape."""
    return re.findall(rf"'{name}_(\d+)'", table)


def segments(version: str) -> dict[str, int]:
    """Names of segments and numbers of their last fields, from hl7apy's tables."""
    tables = importlib.import_module(f"hl7apy.v{version}.segments").SEGMENTS
    counts = {name: max(map(int, numbers(name, repr(table))), default=0) for name, table in tables.items()}
    return {name: count for name, count in counts.items() if len(name) == 3 and name not in NOT_IN_A_MESSAGE}


@pytest.mark.parametrize("version", VERSIONS)
def test_every_field_survives(version):
    counts = {name: count for name, count in segments(version).items() if count}
    assert len(counts) > 20
    lines = [f"{name}|" + "|".join(f"{name}{n}^b&c~{name}{n}x" for n in range(1, count + 1)) for name, count in counts.items()]
    raw = "\r".join(["MSH|^~\\&|A", *lines, ""]).encode()
    message = er7.Message.parse(raw)
    for name, count in counts.items():
        for n in range(1, count + 1):
            assert message.get(f"{name}-{n}.1") == f"{name}{n}"
            assert message.get(f"{name}-{n}[2].1") == f"{name}{n}x"
            message.set(f"{name}-{n}.1", f"new{n}")
            message.set(f"{name}-{n}.2.2", "|")
    for name, count in counts.items():
        for n in range(1, count + 1):
            assert message.get(f"{name}-{n}.1") == f"new{n}"
    changed = [f"{name}|" + "|".join(f"new{n}^b&\\F\\~{name}{n}x" for n in range(1, count + 1)) for name, count in counts.items()]
    assert message.to_bytes() == "\r".join(["MSH|^~\\&|A", *changed, ""]).encode()


def test_all_fields_of_the_header_survive():
    raw = ("MSH|^~\\&|" + "|".join(f"v{n}" for n in range(3, 26)) + "\r").encode()
    message = er7.Message.parse(raw)
    for n in range(3, 26):
        assert message.get(f"MSH-{n}") == f"v{n}"
        message.set(f"MSH-{n}", f"w{n}")
    assert message.to_bytes() == raw.replace(b"|v", b"|w")
