"""Text to typed values and back: exact numbers, HL7 times, JSON.

Parsers answer None for text that is not such a value, because a message may hold anything; they never raise. What
repeats from message to message is remembered, within limits.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from functools import lru_cache
from operator import methodcaller
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import orjson

REMEMBERED = 8192
"""How many parsed values of a kind are kept."""

REMEMBERED_CHARACTERS = 64
"""Longer texts are parsed and not kept: a field may be as long as a message."""

YEARS = range(1900, 9999)
"""Years of a time. What lies before or after stands for no time (00010101, 99991231), and no calendar of a zone reaches it."""

DIGITS_MAX = 40
"""A number with more characters is not a quantity or an amount."""

_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)")
_WHOLE = re.compile(r"[+-]?[0-9]+")
_TIME = re.compile(
    r"(?P<day>[0-9]{8})(?:(?P<hour>[0-9]{2})(?:(?P<minute>[0-9]{2})(?:(?P<second>[0-9]{2})(?:\.(?P<fraction>[0-9]{1,9}))?)?)?)?"
    r"(?:(?P<sign>[+-])(?P<zone_h>[0-9]{2})(?P<zone_m>[0-9]{2}))?"
)

Parser = Callable[[str], Any]
T = TypeVar("T")


class _Remembered(dict[str, Any]):
    """Values by their texts; emptied when it is full."""

    __slots__ = ("_parse",)

    def __init__(self, parse: Parser) -> None:
        self._parse = parse

    def __missing__(self, text: str) -> Any:
        value = self._parse(text)
        if len(text) <= REMEMBERED_CHARACTERS:
            if len(self) >= REMEMBERED:
                self.clear()
            self[text] = value
        return value


def _remembered(parse: Callable[[str], T]) -> Callable[[str], T]:
    """A parser that remembers; a look-up of what it knows costs no call in Python."""
    return _Remembered(parse).__getitem__


@_remembered
def decimal(text: str) -> Decimal | None:
    """An HL7 NM as an exact Decimal: digits, a sign and a point; no exponent, no thousands."""
    return _number(text.strip(), _NUMBER)


@_remembered
def integer(text: str) -> Decimal | None:
    """A whole number, as a Decimal."""
    return _number(text.strip(), _WHOLE)


def _number(text: str, form: re.Pattern[str]) -> Decimal | None:
    if len(text) > DIGITS_MAX or not form.fullmatch(text):
        return None
    number = Decimal(text)
    return number if number else number.copy_abs()


@lru_cache(16)
def time_parser(zone: tzinfo) -> Callable[[str], datetime | None]:
    """A parser of HL7 times (YYYYMMDD[HH[MM[SS[.S...]]]][+-ZZZZ]) into datetimes with a fixed offset.

    A time without an offset is read in zone; one that zone has twice (clocks go back) is taken as the first. Less than
    a day's precision is no time, nor is a year that is not in YEARS.
    """

    @_remembered
    def parse(text: str) -> datetime | None:
        found = _TIME.fullmatch(text.strip())
        try:
            return _moment(found, zone) if found and int(found["day"][:4]) in YEARS else None
        except (ValueError, OverflowError):  # 31 February, hour 25, an offset of 99 hours
            return None

    return parse


def _moment(found: re.Match[str], zone: tzinfo) -> datetime:
    day = found["day"]
    fraction = int((found["fraction"] or "0")[:6].ljust(6, "0"))
    clock = (int(found["hour"] or 0), int(found["minute"] or 0), int(found["second"] or 0), fraction)
    naive = datetime(int(day[:4]), int(day[4:6]), int(day[6:]), *clock)
    offset = _offset(found) if found["sign"] else naive.replace(tzinfo=zone).utcoffset()
    return naive.replace(tzinfo=timezone(offset or timedelta()))


def _offset(found: re.Match[str]) -> timedelta:
    size = timedelta(hours=int(found["zone_h"]), minutes=int(found["zone_m"]))
    return -size if found["sign"] == "-" else size


@lru_cache(16)
def midnight_parser(zone: tzinfo) -> Callable[[str], datetime | None]:
    """A parser of HL7 times that keeps the day only: midnight of that day in zone."""
    parse = time_parser(zone)

    @_remembered
    def day(text: str) -> datetime | None:
        return parse(text.strip()[:8]) if parse(text) else None

    return day


def iso_day(text: str) -> str | None:
    """The day of an HL7 time, as YYYY-MM-DD."""
    found = _TIME.fullmatch(text.strip())
    try:
        return _moment(found, UTC).date().isoformat() if found else None
    except (ValueError, OverflowError):
        return None


def text_parser(text: str) -> str:
    """Text stays as it is."""
    return text


def parser(kind: type, as_: str | None, zone: ZoneInfo) -> Parser | None:
    """The parser for a canonical field of this type with this `as` (None = what the field is); None when they don't go together."""
    return _parsers(kind, zone).get(as_ or _NATURAL.get(kind, "text"))


def forms(kind: type) -> list[str]:
    """What `as` may say for a canonical field of this type."""
    return list(_parsers(kind, UTC))


_NATURAL: dict[type, str] = {Decimal: "decimal", datetime: "time", str: "text"}


def _parsers(kind: type, zone: tzinfo) -> dict[str, Parser]:
    if kind is Decimal:
        return {"decimal": decimal, "integer": integer}
    if kind is datetime:
        return {"time": time_parser(zone), "date": midnight_parser(zone)}
    return {"text": text_parser, "date": iso_day}


@lru_cache(REMEMBERED)
def day_in(moment: datetime, zone: ZoneInfo) -> date:
    """The calendar day of a moment where the site is."""
    return moment.astimezone(zone).date()


@lru_cache(REMEMBERED)
def hl7_time(moment: datetime, zone: ZoneInfo) -> str:
    """A moment as an HL7 time in zone, to the second, with its offset."""
    return moment.astimezone(zone).strftime("%Y%m%d%H%M%S%z")


def plain(number: Decimal) -> str:
    """A number as text, never with an exponent."""
    return format(number, "f")


_DECIMAL = methodcaller("__format__", "f")
"""`plain` for what JSON has no form for; not written in Python, because every number of every event comes here. All other
types that get here have no such format, and raise the TypeError that says so."""


def dumps(value: Any) -> bytes:
    """JSON, UTF-8: Decimals as strings (exact), datetimes in ISO 8601 with their offset."""
    return bytes(memoryview(orjson.dumps(value, _DECIMAL)))  # a copy: orjson leaves some KiB of its buffer behind the last byte
