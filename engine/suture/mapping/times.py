"""HL7 times to days and moments, and back, in the precision that they were said in.

A day is a `date`: it has no clock and no offset, and stays that day wherever it goes. A time to the second is a
`datetime` with a fixed offset. What was said to the hour, to the minute or to a fraction of a second is a Moment.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from suture.model.remembered import REMEMBERED, remembered

YEARS = range(1900, 9999)
"""Years of a time. What lies before or after stands for no time (00010101, 99991231), and no calendar of a zone reaches it."""

_TIME = re.compile(
    r"(?P<day>[0-9]{8})(?P<clock>(?P<hour>[0-9]{2})(?:(?P<minute>[0-9]{2})(?:(?P<second>[0-9]{2})(?:\.(?P<fraction>[0-9]{1,9}))?)?)?)?"
    r"(?:(?P<sign>[+-])(?P<zone_h>[0-9]{2})(?P<zone_m>[0-9]{2}))?"
)
_LESS_THAN_A_DAY = re.compile(r"(?P<year>(?!0000)[0-9]{4})(?:-?(?P<month>0[1-9]|1[0-2]))?")
_OFFSET = re.compile(r".*?(?P<offset>[+-][0-9]{4})")
_ISO_CLOCK = re.compile(r"[^T]*T(?P<clock>[0-9:]+(?:\.[0-9]+)?)")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECOND = 6
"""Characters of HHMMSS."""
FRACTION_DIGITS_MAX = 6


class Moment(datetime):
    """A time that was not said to the second. clock: how much of HHMMSS.ffffff was said, in characters: 2, 4, or 8 and more."""

    clock = SECOND

    @classmethod
    def of(cls, moment: datetime, clock: int) -> datetime:
        """That moment, said so far: a plain datetime where that is to the second."""
        if clock == SECOND:
            return moment
        made = cls.fromisoformat(datetime.isoformat(moment))
        made.clock = min(clock, SECOND + 1 + FRACTION_DIGITS_MAX)
        return made

    def isoformat(self, sep: str = "T", timespec: str = "auto") -> str:
        """ISO 8601 as far as it was said: 2026-03-10T08:15-05:00."""
        if self.clock == SECOND:
            return super().isoformat(sep, timespec)
        clock = self.strftime("%H:%M:%S.%f")[: {2: len("HH"), 4: len("HH:MM")}.get(self.clock, self.clock + len("::"))]
        return f"{self.strftime('%Y-%m-%d')}{sep}{clock}{datetime.isoformat(self)[-len('-05:00') :]}"

    def __format__(self, form: str) -> str:
        """As JSON has it, where nothing is asked for."""
        return self.isoformat() if form in ("", "f") else super().__format__(form)


Time = date | datetime
"""What an HL7 time is read as."""
TimeParser = Callable[[str], Time | None]


@lru_cache(16)
def time_parser(zone: tzinfo) -> TimeParser:
    """A parser of HL7 times (YYYYMMDD[HH[MM[SS[.S...]]]][+-ZZZZ]).

    A time without an offset is read in zone; one that zone has twice (clocks go back) is taken as the first, one that
    it does not have (clocks go forward) with the offset before the change. Less than a day's precision is no time, nor
    is a year that is not in YEARS.
    """

    @remembered
    def parse(text: str) -> Time | None:
        found = _read(text, zone)
        return found if found is not None and found.year in YEARS else None

    return parse


def _read(text: str, zone: tzinfo) -> Time | None:
    """A time of any year."""
    found = _TIME.fullmatch(text.strip())
    try:
        return _said(found, zone) if found else None
    except (ValueError, OverflowError):  # 31 February, hour 25, an offset of 99 hours
        return None


def _said(found: re.Match[str], zone: tzinfo) -> Time:
    day = found["day"]
    fraction = int((found["fraction"] or "0")[:FRACTION_DIGITS_MAX].ljust(FRACTION_DIGITS_MAX, "0"))
    clock = (int(found["hour"] or 0), int(found["minute"] or 0), int(found["second"] or 0), fraction)
    naive = datetime(int(day[:4]), int(day[4:6]), int(day[6:]), *clock)
    offset = timezone(_offset(found)) if found["sign"] else None  # also of a day, where it has to be one
    if found["clock"] is None:
        return naive.date()
    own = offset or timezone(naive.replace(tzinfo=zone).utcoffset() or timedelta())
    return Moment.of(naive.replace(tzinfo=own), len(found["clock"]))


def _offset(found: re.Match[str]) -> timedelta:
    size = timedelta(hours=int(found["zone_h"]), minutes=int(found["zone_m"]))
    return -size if found["sign"] == "-" else size


@lru_cache(16)
def day_parser(zone: tzinfo) -> TimeParser:
    """A parser of HL7 times that keeps the day only, as it was said."""
    parse = time_parser(zone)

    @remembered
    def day(text: str) -> Time | None:
        found = parse(text)
        return None if found is None else _day(found)

    return day


def _day(time: Time) -> date:
    return time.date() if isinstance(time, datetime) else time


def moment_at(at_us: int, zone: tzinfo) -> datetime:
    """The moment that is so many microseconds after the beginning of 1970 (UTC), in zone."""
    return (_EPOCH + timedelta(microseconds=at_us)).astimezone(zone)


def iso_day(text: str) -> str | None:
    """The day of an HL7 time, as YYYY-MM-DD; the month or the year where no more was said."""
    text = text.strip()
    rough = _LESS_THAN_A_DAY.fullmatch(text)
    if rough and "-" not in text:
        return "-".join(filter(None, rough.groups()))
    said = _read(text, UTC)
    return None if said is None else _day(said).isoformat()


def offset_of(text: str) -> str:
    """The offset at the end of an HL7 time (-0800), "" where it has none, or is no time."""
    found = _OFFSET.fullmatch(text.strip())
    return found["offset"] if found and time_parser(UTC)(text) is not None else ""


def from_iso(text: str) -> Time | None:
    """A time as JSON has it, None for any other text and for one without an offset."""
    try:
        if len(text) == len("2026-03-10"):
            return date.fromisoformat(text)
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    clock = _ISO_CLOCK.match(text)
    return Moment.of(moment, len(clock["clock"].replace(":", ""))) if clock and moment.tzinfo else None


@lru_cache(REMEMBERED)
def day_in(time: Time, zone: ZoneInfo) -> date:
    """The calendar day of a moment where the site is; a day is that day everywhere."""
    return time.astimezone(zone).date() if isinstance(time, datetime) else time


def hl7_time(time: Time, zone: ZoneInfo) -> str:
    """A time in HL7's form, as far as it was said; a moment in zone, with its offset."""
    if type(time) is datetime:
        return _to_the_second(time, zone)
    if not isinstance(time, Moment):
        return hl7_day(time)
    there = time.astimezone(zone)
    if time.clock < SECOND - 2 and there.minute != time.minute:
        there = time  # an hour is none any more where the offset differs by half of one
    return there.strftime("%Y%m%d%H%M%S.%f")[: 8 + time.clock] + there.strftime("%z")


@lru_cache(REMEMBERED)
def _to_the_second(moment: datetime, zone: ZoneInfo) -> str:
    return moment.astimezone(zone).strftime("%Y%m%d%H%M%S%z")


def hl7_day(day: date) -> str:
    """A day in HL7's form."""
    return day.strftime("%Y%m%d")


def whole(time: Time) -> Time:
    """A moment with its seconds, as RFC 3339 wants them; a day stays a day."""
    return datetime.fromisoformat(datetime.isoformat(time)) if isinstance(time, Moment) else time


def month_or_year(text: str) -> str:
    """A month or a year of ISO 8601 in HL7's form, "" for any other text."""
    return text.replace("-", "") if _LESS_THAN_A_DAY.fullmatch(text) and len(text) != len("202603") else ""
