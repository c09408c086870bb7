"""How the values of a payload are written, by `as`: in JSON and in HL7."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from suture.mapping.times import Time, day_in, from_iso, hl7_day, hl7_time, month_or_year, whole
from suture.mapping.values import decimal, plain

Write = Callable[[Any], Any]


class Unfit(Exception):
    """A value is not what `as` or `call` asks for."""


def json_forms(zone: ZoneInfo) -> Mapping[str, Write]:
    """`as` -> what JSON gets; "": the value as it is. Days are days of zone."""
    return {
        "": lambda value: value,
        "text": lambda value: as_text(value, lambda time: time.isoformat()),
        "decimal": number_of,
        "number": lambda value: orjson.Fragment(plain(number_of(value)).encode()),
        "integer": _whole,
        "time": lambda value: whole(time_of(value)),
        "date": lambda value: value if _is_rough(value) else day_in(time_of(value), zone),
        "hl7time": lambda value: _hl7(value, zone),
    }


def hl7_forms(zone: ZoneInfo) -> Mapping[str, Write]:
    """`as` -> the text in HL7, a list of them for a list; "": by what the value is. Moments are written in zone."""

    def written(value: Any) -> Any:
        return [written(one) for one in value] if isinstance(value, list) else as_text(value, lambda time: hl7_time(time, zone))

    return {
        "": written,
        "text": written,
        "decimal": lambda value: plain(number_of(value)),
        "integer": lambda value: str(_whole(value)),
        "time": lambda value: _hl7(value, zone),
        "date": lambda value: month_or_year(value) if _is_rough(value) else hl7_day(day_in(time_of(value), zone)),
        "hl7time": lambda value: _hl7(value, zone),
    }


def as_text(value: Any, time: Callable[[Time], str]) -> str:
    """Any value as text; time writes times."""
    if isinstance(value, date):
        return time(value)
    return plain(value) if isinstance(value, Decimal) else str(value)


def number_of(value: Any) -> Decimal:
    """A number; text is read. Raises Unfit."""
    number = value if isinstance(value, Decimal) else decimal(str(value))
    if number is None:
        raise Unfit("not a number")
    return number


def time_of(value: Any) -> Time:
    """A time; text in ISO 8601, as events are kept in the store, is read. Raises Unfit."""
    time = value if isinstance(value, date) else from_iso(str(value))
    if time is None:
        raise Unfit("neither a day nor a time with an offset")
    return time


def _hl7(value: Any, zone: ZoneInfo) -> str:
    return month_or_year(value) if _is_rough(value) else hl7_time(time_of(value), zone)


def _is_rough(value: Any) -> bool:
    """Is it the text of a month or a year?"""
    return isinstance(value, str) and bool(month_or_year(value))


def _whole(value: Any) -> int:
    number = number_of(value)
    if number != number.to_integral_value():
        raise Unfit("not a whole number")
    return int(number)
