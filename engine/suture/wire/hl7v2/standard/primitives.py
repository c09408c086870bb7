"""What a value of a primitive HL7 data type looks like (HL7 2.5.1 section 2.A); every check is linear in the value."""

from __future__ import annotations

import re
from calendar import isleap
from collections.abc import Callable

_DATE = r"\d{4}(?:(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])?)?"
_ZONE = r"(?:[+-](?:0\d|1[0-4])[0-5]\d)?"
_TIME = r"(?:[01]\d|2[0-3])(?:[0-5]\d(?:[0-5]\d(?:\.\d{1,4})?)?)?"
_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)

_dt = re.compile(_DATE, re.ASCII).fullmatch
_dtm = re.compile(rf"{_DATE}{_ZONE}|\d{{4}}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01]){_TIME}{_ZONE}", re.ASCII).fullmatch
is_time = re.compile(_TIME + _ZONE, re.ASCII).fullmatch
"""TM: HH[MM[SS[.S[S[S[S]]]]]][+/-ZZZZ]."""
is_number = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)", re.ASCII).fullmatch
"""NM: a decimal number with an optional sign, without exponent, spaces or separators of thousands."""
is_count = re.compile(r"\d+", re.ASCII).fullmatch
"""SI: a whole number from 0."""


def _day_exists(text: str) -> bool:
    if len(text) < 8 or not text[:8].isdigit():
        return True
    day = int(text[6:8])
    return day <= _DAYS[int(text[4:6]) - 1] or (day == 29 and isleap(int(text[:4])))


def is_date(text: str) -> bool:
    """DT: YYYY[MM[DD]], a day that the calendar has."""
    return _dt(text) is not None and _day_exists(text)


def is_moment(text: str) -> bool:
    """DTM, and the first component of TS: YYYY[MM[DD[HH[MM[SS[.S[S[S[S]]]]]]]]][+/-ZZZZ], a day that the calendar has."""
    return _dtm(text) is not None and _day_exists(text)


Check = Callable[[str], object]
"""Something that is true for a value of the type."""
CHECKS: dict[str, tuple[Check, str]] = {
    "DT": (is_date, "a date as YYYY[MM[DD]]"),
    "TM": (is_time, "a time as HH[MM[SS]]"),
    "DTM": (is_moment, "a time as YYYY[MM[DD[HH[MM[SS]]]]]"),
    "TS": (is_moment, "a time as YYYY[MM[DD[HH[MM[SS]]]]]"),
    "NM": (is_number, "a number"),
    "SI": (is_count, "a whole number"),
}
"""Data type to its check, and what a value should be in words. A type that is not here takes any text."""
