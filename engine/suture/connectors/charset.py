"""The character set that a receiver of HL7 knows: settings that destinations share."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel

from suture.wire.recode import target


def _known(name: str) -> str:
    target(name)
    return name


CharacterSet = Annotated[str, AfterValidator(_known)]
"""A character set to send in, as MSH-18 has it."""
SEND_AS = "Character set that HL7 goes out in, MSH-18 with it: ASCII, 8859/1, UTF-8 or another of MSH-18. Absent: as it came or was made"
SEND_AS_UNFIT = (
    "Characters that `send_as` does not have: refuse = the delivery is held (CHARSET); replace = the letter without its marks, "
    "else a question mark, with a note; escape = \\X..\\ with the bytes of their UTF-8 form (default refuse)"
)


def check_unfit(settings: BaseModel) -> None:
    """Raise ValueError for a setting without a meaning."""
    if "send_as_unfit" in settings.model_fields_set and getattr(settings, "send_as", None) is None:
        raise ValueError("send_as_unfit has no meaning without send_as; name a character set, or remove it")
