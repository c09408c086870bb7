"""What the sections of files have in common: of configuration, of mappings, of a connector's settings."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import BaseModel, BeforeValidator, ConfigDict

from suture.model.meant import nearest


class Section(BaseModel):
    """Keys with values: none that is not known, and no number that is none."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Listed = BeforeValidator(_listed)
"""One text may stand where a list of texts is meant."""


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
