"""Text to typed values and back: exact numbers, what `as` may say, JSON. Times are in times.py.

Parsers answer None for text that is not such a value, because a message may hold anything; they never raise.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, tzinfo
from decimal import Decimal
from operator import methodcaller
from typing import Any

import orjson

from suture.mapping.times import day_parser, iso_day, time_parser
from suture.model.remembered import remembered

DIGITS_MAX = 40
"""A number with more characters is not a quantity or an amount."""

_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)")
_WHOLE = re.compile(r"[+-]?[0-9]+")

Parser = Callable[[str], Any]


@remembered
def decimal(text: str) -> Decimal | None:
    """An HL7 NM as an exact Decimal: digits, a sign and a point; no exponent, no thousands."""
    return _number(text.strip(), _NUMBER)


@remembered
def integer(text: str) -> Decimal | None:
    """A whole number, as a Decimal."""
    return _number(text.strip(), _WHOLE)


def _number(text: str, form: re.Pattern[str]) -> Decimal | None:
    if len(text) > DIGITS_MAX or not form.fullmatch(text):
        return None
    number = Decimal(text)
    return number if number else number.copy_abs()


def parsers(kind: type, zone: tzinfo) -> dict[str, Parser]:
    """What `as` may say for a canonical field of this type, and its parsers; first what the field is where nothing is said."""
    if kind is Decimal:
        return {"decimal": decimal, "integer": integer}
    if kind is datetime:
        return {"time": time_parser(zone), "date": day_parser(zone)}
    return {"text": str, "date": iso_day}


def plain(number: Decimal) -> str:
    """A number as text, never with an exponent."""
    return format(number, "f")


_DECIMAL = methodcaller("__format__", "f")
"""`plain` for what JSON has no form for; not written in Python, because every number of every event comes here. A Moment has
such a format too. All other types that get here have none, and raise the TypeError that says so."""


def encoded(value: Any) -> bytes:
    """JSON, UTF-8: Decimals as strings (exact), times in ISO 8601 as far as they were said, with their offset.

    Not to be kept for long: orjson leaves up to as much again of its buffer behind the last byte, and 1 KiB at least.
    """
    return orjson.dumps(value, _DECIMAL)


def dumps(value: Any) -> bytes:
    """The same, to be kept."""
    return bytes(memoryview(encoded(value)))
