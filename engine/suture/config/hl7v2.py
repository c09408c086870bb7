"""`hl7v2:` of a channel: how its messages are read and judged, and how those who send them are answered."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from suture.config.shape import file_keys
from suture.config.yaml_file import Document
from suture.model.errors import Problem
from suture.model.meant import did_you_mean
from suture.model.section import Listed, Section
from suture.wire.hl7v2.exchange.reply import PLACES
from suture.wire.hl7v2.standard.dictionary import VERSIONS
from suture.wire.hl7v2.standard.validate import KINDS
from suture.wire.hl7v2.text import charsets


def _encoding(value: str) -> str:
    try:
        return charsets.codec_of(value) or charsets.canonical(codecs.lookup(value).name)
    except LookupError:
        raise ValueError(f"{value!r} is not a character set, e.g. utf-8, iso8859-1 or a name of MSH-18 such as 8859/1") from None


def _version(value: str) -> str:
    if value not in VERSIONS:
        raise ValueError(f"{value!r} is no version of the dictionary; there are: {', '.join(VERSIONS)}")
    return value


def _kind(value: str) -> str:
    if value not in KINDS:
        raise ValueError(f"{value!r} is no kind of finding{did_you_mean(value, KINDS)}")
    return value


Encoding = Annotated[str, AfterValidator(_encoding)]
SEVERITY_LETTERS = {"error": "E", "warning": "W", "information": "I", "off": ""}
"""A severity as it is written, to that of HL7 table 0516; "": the kind of finding is left out."""


class Validate(Section):
    """Whether messages are held against the HL7 standard and a site profile before they are processed."""

    standard: Literal["off", "report", "enforce"] = Field(
        default="off", description="Against the HL7 standard: not at all, to report, or to park messages with errors"
    )
    version: Annotated[str, AfterValidator(_version)] | None = Field(
        default=None, description="HL7 version to judge by. Absent: the one that the message declares (MSH-12)"
    )
    severity: dict[Annotated[str, AfterValidator(_kind)], Literal["error", "warning", "information", "off"]] = Field(
        default_factory=dict, description="Severity of kinds of findings, where it is to differ: {table: warning, segment_unexpected: off}"
    )
    profile: str | None = Field(default=None, description="Site profile of mappings/profiles. Absent: none")
    profile_mode: Literal["report", "enforce"] = Field(
        default="enforce", description="What breaks the profile: report it, or park messages with errors"
    )
    limit: int = Field(default=100, ge=1, le=1000, description="Findings of one message that are kept, of the standard and of the profile")


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


class HL7v2Section(Section):
    """How a channel reads HL7 v2, and converses in it."""

    encoding: Encoding = Field(default="utf-8", description="Character set of messages whose MSH-18 is empty")
    encoding_override: Encoding | None = Field(
        default=None, description="Character set of all messages, for a sender whose MSH-18 is wrong. Absent: MSH-18 counts"
    )
    broken_lines: Literal["park", "join"] = Field(
        default="park",
        description="A line that does not begin with a segment's name and the field separator: park the message (BAD_SEGMENT), or join "
        "the line to the field before it, the line end kept as an escape sequence",
    )
    validate_: Validate = Field(
        default_factory=Validate, alias="validate", description="Hold messages against the HL7 standard and a site profile"
    )
    answer: Answer = Field(default_factory=Answer, description="How senders are answered, beyond the source's `ack`")
    continuation: Continuation | None = Field(
        default=None, description="Join messages that come in fragments. Absent: DSC and MSH-14 have no meaning"
    )
    sequence: bool = Field(default=False, description="Follow the sequence numbers of MSH-13; a message out of sequence is refused")


def misplaced(document: Document) -> Iterator[Problem]:
    """A problem for each key of the section that stands beside it, marked as broken so that nothing else is said of it."""
    keys = [key for key in file_keys(HL7v2Section) if key in document.section()]
    together = ", ".join(f"{key}: ..." for key in keys)  # one section for them all, for a second one would be a problem of its own
    for key in keys:
        document.broken.add((key,))
        yield document.problem((key,), f"stands under hl7v2 now; write hl7v2: {{{together}}}")
