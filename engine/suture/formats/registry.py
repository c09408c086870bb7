"""The one list of formats, by the names that a channel and a mapping give them."""

from __future__ import annotations

from collections.abc import Mapping

from suture.formats.hl7v2.reading import HL7v2Reading
from suture.formats.json import Json
from suture.model.reading import Reading
from suture.ports.format import Format

FORMATS: Mapping[str, Reading] = {one.name: one for one in (HL7v2Reading(), Json())}
PLAIN: Mapping[str, Format] = {Json.name: Json()}
"""Those of which a channel says no more than the name, and deals with their senders in the plain way."""
