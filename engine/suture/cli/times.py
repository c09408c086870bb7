"""Times as people write and read them; inside they are UTC microseconds since 1970."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, tzinfo

EXAMPLES = "2026-03-04, 2026-03-04T10:30, today, yesterday, 30m, 2h or 7d"
_AGO = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d|w)(?: ago)?")
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def parse(text: str, zone: tzinfo, now_us: int) -> int:
    """A time as written: a date or a time in `zone` unless it has an offset, or how long ago. Raises ValueError."""
    text = text.strip()
    if ago := _AGO.fullmatch(text):
        return _before(now_us, float(ago[1]) * _UNIT_S[ago[2]], text)
    today = datetime.fromtimestamp(now_us / 1e6, zone).date()
    if text in ("today", "yesterday"):
        return _midnight(today - timedelta(days=text == "yesterday"), zone)
    if text == "now":
        return now_us
    try:
        moment = datetime.fromisoformat(text)
        return int((moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp() * 1e6)
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is not a time; write for example {EXAMPLES}") from None


def _before(now_us: int, ago_s: float, text: str) -> int:
    if ago_s * 1e6 > now_us:
        raise ValueError(f"{text!r} is before 1970; write for example {EXAMPLES}")
    return now_us - int(ago_s * 1e6)


def _midnight(day: date, zone: tzinfo) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp() * 1e6)


def shown(at_us: int | None, zone: tzinfo, precise: bool = False) -> str:
    """A time for people, with its offset: 2026-03-04 10:30:05-06:00, or with milliseconds; "" for none."""
    if not at_us:
        return ""
    moment = datetime.fromtimestamp(at_us // 1_000_000, zone)
    offset = moment.strftime("%z")
    part = f".{at_us // 1000 % 1000:03d}" if precise else ""
    return f"{moment:%Y-%m-%d %H:%M:%S}{part}{offset[:3]}:{offset[3:5]}"


def iso(at_us: int) -> str:
    """A time for scripts: ISO 8601 in UTC with microseconds."""
    return f"{datetime.fromtimestamp(at_us // 1_000_000, UTC):%Y-%m-%dT%H:%M:%S}.{at_us % 1_000_000:06d}Z"


def span(duration_us: int) -> str:
    """How long, in one or two units: 4 s, 3 min, 2 h 10 min, 5 d 3 h."""
    seconds = max(0, duration_us) // 1_000_000
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min"
    if seconds < 86_400:
        return f"{seconds // 3600} h {seconds % 3600 // 60} min"
    return f"{seconds // 86_400} d {seconds % 86_400 // 3600} h"
