"""Names of time zones."""

from __future__ import annotations

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from suture.model.meant import nearest


def known_zone(zone: str, words: tuple[str, ...] = ()) -> str:
    """The text, where it is the name of a time zone or one of the words. Raises ValueError with the remedy."""
    if zone in words:
        return zone
    try:
        ZoneInfo(zone)
        return zone
    except (ValueError, OSError, ZoneInfoNotFoundError):
        meant = _of_city(zone) or nearest(zone, {*available_timezones(), *words})
    others = f", or {' or '.join(words)}" if words else ""
    raise ValueError(
        f"{zone!r} is not a time zone; " + (f"did you mean {meant!r}?" if meant else f"write one such as America/Chicago{others}")
    )


def _of_city(name: str) -> str:
    """The zone whose last part this is: America/Denver for Denver; "" where there is none."""
    return min((zone for zone in available_timezones() if zone.lower().endswith(f"/{name.lower()}")), default="", key=len)
