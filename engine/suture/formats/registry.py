"""The one list of formats."""

from __future__ import annotations

from collections.abc import Mapping

from suture.formats.hl7v2 import Hl7v2
from suture.formats.json import Json
from suture.model.reading import Reading

FORMATS: Mapping[str, Reading] = {one.name: one for one in (Hl7v2(), Json())}
