"""Names of time zones."""

from __future__ import annotations

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from suture.config.shape import nearest


def known_zone(zone: str, words: tuple[str, ...] = ()) -> str:
    """The text, where it is the name of a time zone or one of the words. Raises ValueError with the remedy."""
    if zone in words:
        return zone
    try:
        ZoneInfo(zone)
        return zone
    except (ValueError, OSError, ZoneInfoNotFoundError):
        meant = nearest(zone, {*available_timezones(), *words})
    others = f", or {' or '.join(words)}" if words else ""
    raise ValueError(
        f"{zone!r} is not a time zone; " + (f"did you mean {meant!r}?" if meant else f"write one such as America/Chicago{others}")
    )
