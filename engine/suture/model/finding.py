"""What validation finds wrong with a message, and where. How an answer tells it is the business of its format."""

from __future__ import annotations

from suture.model.value import Value

SEGMENT_SEQUENCE = 100
REQUIRED_FIELD_MISSING = 101
DATA_TYPE = 102
TABLE_VALUE = 103
TOO_LONG = 104
CARDINALITY = 198
OTHER = 199
UNSUPPORTED_MESSAGE_TYPE = 200
UNSUPPORTED_EVENT = 201
UNSUPPORTED_PROCESSING_ID = 202
UNSUPPORTED_VERSION = 203
UNKNOWN_KEY = 204
DUPLICATE_KEY = 205
RECORD_LOCKED = 206
APPLICATION_ERROR = 207
"""What can be wrong. The numbers are those of HL7 table 0357, which tests of channels and metrics have known from the beginning."""

ERROR, WARNING, INFORMATION = "E", "W", "I"
"""How bad it is."""


class Location(Value, frozen=True):
    """A place in a message of segments; numbers count from 1, 0: not named.

    sequence: which of the segments of that name.
    """

    segment: str
    sequence: int = 1
    field: int = 0
    repetition: int = 0
    component: int = 0
    subcomponent: int = 0

    def __str__(self) -> str:
        """The place as a path that an analyst knows: FT1(2)-7[1].1."""
        text = self.segment if self.sequence == 1 else f"{self.segment}({self.sequence})"
        if self.field:
            text += f"-{self.field}"
            text += f"[{self.repetition}]" if self.repetition > 1 else ""
            text += f".{self.component}" if self.component else ""
            text += f".{self.subcomponent}" if self.subcomponent else ""
        return text


class Finding(Value, frozen=True):
    """One thing wrong. code and severity: as above. text: for people, never content (PHI)."""

    code: int
    severity: str
    location: Location | None
    text: str

    def __str__(self) -> str:
        return f"{self.location}: {self.text}" if self.location else self.text
