"""`hl7v2.answer` of a channel: whom it refuses, how long an answer may wait, and what is set in its answers."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from suture.config.section import Listed, Section
from suture.wire.hl7v2.exchange.reply import PLACES

_PLACE = re.compile(r"(MSH|MSA)-([1-9]\d?)")
_FIXED = {"MSH": (1, 2, 7, 10), "MSA": (1, 2, 4)}
"""Fields that make an answer an answer: its separators, its own time and number, and what it says about which message."""
_LAST = {"MSH": 25, "MSA": 8}


def _settable(text: str) -> str:
    match = _PLACE.fullmatch(text)
    if match is None or int(match[2]) > _LAST[match[1]]:
        raise ValueError(f"{text!r} is not a field of MSH or MSA, e.g. MSA-3 or MSH-4")
    if int(match[2]) in _FIXED[match[1]]:
        raise ValueError(f"{text} is the engine's to write and cannot be set")
    return text


def _own_header(text: str) -> str:
    match = _PLACE.fullmatch(text)
    if match is None or match[1] != "MSH" or int(match[2]) < 3:
        raise ValueError(f"{text!r} is not a field of the received MSH, e.g. MSH-6")
    return text


def _template(segments: list[str]) -> list[str]:
    """Segments of an answer; what is in braces is checked, for a misspelt place would go out as it stands."""
    if not segments:
        return segments
    if not segments[0].startswith("MSH"):
        raise ValueError("the first segment of an answer is MSH")
    if not any(segment.startswith("MSA") and "{MSH-10}" in segment and "{code}" in segment for segment in segments):
        raise ValueError("an answer needs an MSA segment with {code} and {MSH-10}, e.g. MSA|{code}|{MSH-10}")
    for segment in segments:
        if "\r" in segment or "\n" in segment:
            raise ValueError("write one segment a text, without line ends")
        if strange := re.search(r"\{[^}]*\}?", PLACES.sub("", segment)):
            raise ValueError(f"{strange[0]!r} is not {{code}}, {{text}}, {{id}}, {{now}} or a field of the received MSH such as {{MSH-10}}")
    return segments


class FromHeader(Section):
    """A field of the answer that is copied from the message's MSH."""

    from_: Annotated[str, AfterValidator(_own_header)] = Field(alias="from", description="Field of the received MSH: MSH-6")

    @property
    def number(self) -> int:
        """The number of the field."""
        return int(self.from_[4:])


class Answer(Section):
    """How a channel answers its senders."""

    within_s: float = Field(default=60, gt=0, description="Seconds that an answer may wait with after_process or after_delivery; then AR")
    waiting: int = Field(default=50_000, ge=1, description="Messages that may wait for an answer at a time; one more gets AR at once")
    unsupported: Literal["filter", "refuse"] = Field(
        default="filter", description="A type that is not in `accept`: filter (AA) or refuse it (AR or CR with code 200 or 201)"
    )
    versions: Annotated[list[str], Listed] = Field(
        default_factory=list, description="Values of MSH-12 that are taken; others are refused with code 203. Absent: all"
    )
    processing_ids: Annotated[list[str], Listed] | None = Field(
        default=None,
        description='Values of MSH-11.1 that are taken ("" = an empty one); others are refused with code 202. []: all. '
        "Absent: those of the site (`site.processing_ids` of conf)",
    )
    set: dict[Annotated[str, AfterValidator(_settable)], str | FromHeader] = Field(
        default_factory=dict, description="Fields of the answer: {MSH-3: SUTURE, MSA-3: Received, MSH-4: {from: MSH-6}}"
    )
    template: Annotated[list[str], AfterValidator(_template)] = Field(
        default_factory=list,
        description="The whole answer, one text a segment, with {code}, {text}, {id}, {now} and fields of the received MSH: {MSH-10}",
    )
    application: str | None = Field(
        default=None, description="Destination for application acknowledgements in enhanced mode. Absent: the connection of the message"
    )
    batch: Literal["all", "errors", "none"] = Field(
        default="all", description="Answer to a batch: a batch of all acknowledgements, of those that are not positive, or nothing"
    )
    batch_messages: int = Field(default=10_000, ge=1, description="Most messages in one MLLP frame; a larger batch is refused whole")


class Continuation(Section):
    """Messages that come in fragments (MSH-14, DSC, ADD). Fragments are stored, and the whole is processed."""

    timeout_s: float = Field(default=300, gt=0, description="Seconds to wait for the next fragment; then what came is parked")
    fragments: int = Field(default=1000, ge=2, description="Most fragments of one message")
    size_bytes: int = Field(default=67_108_864, ge=1024, description="Largest whole message, in bytes (64 MiB)")
    messages: int = Field(default=100, ge=1, description="Unfinished messages at a time")
    waiting_bytes: int = Field(default=67_108_864, ge=1024, description="Bytes that have come of unfinished messages, at most (64 MiB)")
