"""The one list of formats, by the names that a channel and a mapping give them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from suture.formats.hl7v2.reading import HL7v2Reading
from suture.formats.json import Json
from suture.model.reading import Reading
from suture.ports.format import Format


class PlainFormat(Reading, Format, Protocol):
    """One of which a channel says no more than the name, and deals with its senders in the plain way."""


_PLAIN: tuple[PlainFormat, ...] = (Json(),)
PLAIN: Mapping[str, PlainFormat] = {one.name: one for one in _PLAIN}
FORMATS: Mapping[str, Reading] = {one.name: one for one in (HL7v2Reading(), *_PLAIN)}
