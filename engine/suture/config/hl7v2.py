"""`hl7v2:` of a channel: how its messages are read and judged, and how those who send them are answered."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from suture.config.answer import Answer, Continuation
from suture.config.section import Section
from suture.config.shape import file_keys
from suture.config.yaml_file import Document
from suture.model.errors import Problem
from suture.model.meant import did_you_mean
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
