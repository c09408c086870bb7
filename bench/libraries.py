"""Reading and writing HL7 v2 with Suture, python-hl7 and hl7apy, side by side: the same message, the same six values."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from suture.wire.hl7v2.text import er7, quick

PATHS = ("MSH-10", "PID-3.1", "PID-18.1", "FT1-2", "FT1-7.1", "FT1-10")
"""What is read of a DFT^P03."""
Read = Callable[[bytes], list[str]]
Write = Callable[[bytes], bytes]

_GETTERS = [er7.getter(er7.path(text)) for text in PATHS]
read_suture = quick.reader([er7.path(text) for text in PATHS])
"""The six values, without a message being made."""


def read_message(raw: bytes) -> list[str]:
    """The six values, one by one, of a message that can be changed and written too."""
    message = er7.Message.parse(raw)
    return [get(message, None) for get in _GETTERS]


def write_suture(raw: bytes) -> bytes:
    """Read and write back."""
    return er7.Message.parse(raw).to_bytes()


def read_python_hl7(raw: bytes) -> list[str]:
    """The six values, by python-hl7's own accessor."""
    import hl7

    message = hl7.parse(raw.decode())
    pick = message.extract_field
    return [
        pick("MSH", 1, 10),
        pick("PID", 1, 3, 1, 1),
        pick("PID", 1, 18, 1, 1),
        pick("FT1", 1, 2),
        pick("FT1", 1, 7, 1, 1),
        pick("FT1", 1, 10),
    ]


def write_python_hl7(raw: bytes) -> bytes:
    """Read and write back."""
    import hl7

    return str(hl7.parse(raw.decode("utf-8", "surrogateescape"))).encode("utf-8", "surrogateescape")


def _parsed_hl7apy(raw: bytes, groups: bool) -> Any:
    logging.getLogger("hl7apy").setLevel(logging.CRITICAL)
    from hl7apy.consts import VALIDATION_LEVEL
    from hl7apy.parser import parse_message

    text = raw.decode("utf-8", "surrogateescape")
    return parse_message(text, validation_level=VALIDATION_LEVEL.TOLERANT, find_groups=groups)


def read_hl7apy(raw: bytes) -> list[str]:
    """The six values, from a message that is not cut into groups."""
    m = _parsed_hl7apy(raw, groups=False)
    line = m.ft1[0]
    fields = (m.msh.msh_10, m.pid.pid_3.pid_3_1, m.pid.pid_18.pid_18_1, line.ft1_2, line.ft1_7.ft1_7_1, line.ft1_10)
    return [field.to_er7() for field in fields]


def write_hl7apy(raw: bytes) -> bytes:
    """Read as its documentation begins (with groups) and write back."""
    return str(_parsed_hl7apy(raw, groups=True).to_er7()).encode("utf-8", "surrogateescape")


READ: dict[str, Read] = {"Suture": read_suture, "Suture, a message": read_message, "python-hl7": read_python_hl7, "hl7apy": read_hl7apy}
WRITE: dict[str, Write] = {"Suture": write_suture, "python-hl7": write_python_hl7, "hl7apy": write_hl7apy}
