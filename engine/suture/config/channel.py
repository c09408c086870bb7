"""channels/<name>/channel.yaml: what comes in, what it means, where it goes; the same in every environment."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from suture.config.answer import Answer, Continuation
from suture.config.connector import OneConnector, with_connectors
from suture.config.zone import known_zone
from suture.connectors.registry import SOURCES
from suture.model.meant import did_you_mean
from suture.wire.hl7v2.standard.dictionary import VERSIONS
from suture.wire.hl7v2.standard.validate import SEVERITIES
from suture.wire.hl7v2.text import charsets, er7


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _path(text: str) -> str:
    er7.path(text)
    return text


def _settable(text: str) -> str:
    place = er7.path(text)
    if place.segment == "MSH" and place.field in (1, 2):
        raise ValueError(f"{text} holds the separators of the message and cannot be set")
    if place.choices or place.sub or place.repetition > 1 or place.condition:
        raise ValueError(f"{text!r} cannot be set; only a whole field (PID-18) or a component of its first repetition (PID-18.1) can")
    return text


def _matching(pattern: str, text: str) -> Callable[[str], str]:
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if not compiled.fullmatch(value):
            raise ValueError(f"{value!r} is not {text}")
        return value

    return check


Listed = BeforeValidator(_listed)
"""One text may stand where a list of texts is meant."""
Place = Annotated[str, AfterValidator(_path)]
"""A path into a message: PID-18.1"""
Settable = Annotated[str, AfterValidator(_settable)]
MessageType = Annotated[str, AfterValidator(_matching(r"[A-Z][A-Z0-9]{2}(\^[A-Z0-9]{3})?", "a message type, e.g. DFT^P03"))]
Name = Annotated[str, AfterValidator(_matching(r"[a-z0-9][a-z0-9_-]{0,63}", "a name; use a-z, 0-9, - and _, e.g. or-supply"))]


def _encoding(value: str) -> str:
    try:
        return charsets.codec_of(value) or charsets.canonical(codecs.lookup(value).name)
    except LookupError:
        raise ValueError(f"{value!r} is not a character set, e.g. utf-8, iso8859-1 or a name of MSH-18 such as 8859/1") from None


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Duplicates(_Section):
    """How long a business key or the same bytes count as a duplicate."""

    window_s: int = Field(default=34_560_000, ge=1, description="Seconds that a business key is remembered (default 400 days)")


def _version(value: str) -> str:
    if value not in VERSIONS:
        raise ValueError(f"{value!r} is no version of the dictionary; there are: {', '.join(VERSIONS)}")
    return value


def _kind(value: str) -> str:
    if value not in SEVERITIES:
        raise ValueError(f"{value!r} is no kind of finding{did_you_mean(value, SEVERITIES)}")
    return value


FindingKind = Annotated[str, AfterValidator(_kind)]
SEVERITY_LETTERS = {"error": "E", "warning": "W", "information": "I", "off": ""}
"""A severity as it is written, to that of HL7 table 0516; "": the kind of finding is left out."""


SITE, SENDER = "site", "sender"
"""What `zone` may say beside the name of a zone."""


def _zone(value: str) -> str:
    return known_zone(value, (SITE, SENDER))


class Bounds(_Section):
    """What can be a value at all. What lies outside is not what it is taken for, and its line waits for a person."""

    quantity: Decimal = Field(default=Decimal(9_999), gt=0, description="Largest quantity, whatever the sign, as sent and as converted")
    amount: Decimal = Field(
        default=Decimal("9999999.99"), gt=0, description="Largest amount, price or cost, whatever the sign, in the site's currency"
    )
    past_d: int = Field(default=3653, ge=0, le=50_000, description="Days that a service date may lie before the day of receipt")
    future_d: int = Field(default=31, ge=0, le=50_000, description="Days that a service date may lie after the day of receipt")


class Validate(_Section):
    """Whether messages are held against the HL7 standard and a site profile before they are processed."""

    standard: Literal["off", "report", "enforce"] = Field(
        default="off", description="Against the HL7 standard: not at all, to report, or to park messages with errors"
    )
    version: Annotated[str, AfterValidator(_version)] | None = Field(
        default=None, description="HL7 version to judge by. Absent: the one that the message declares (MSH-12)"
    )
    severity: dict[FindingKind, Literal["error", "warning", "information", "off"]] = Field(
        default_factory=dict, description="Severity of kinds of findings, where it is to differ: {table: warning, segment_unexpected: off}"
    )
    profile: str | None = Field(default=None, description="Site profile of mappings/profiles. Absent: none")
    profile_mode: Literal["report", "enforce"] = Field(
        default="enforce", description="What breaks the profile: report it, or park messages with errors"
    )
    limit: int = Field(default=100, ge=1, le=1000, description="Findings of one message that are kept, of the standard and of the profile")


class SourceBase(OneConnector):
    """Where messages come from: one connector with its settings."""


if TYPE_CHECKING:

    class Source(SourceBase): ...

else:
    Source = with_connectors(SourceBase, SOURCES)
    Source.__name__ = Source.__qualname__ = "Source"


class Route(_Section):
    """One destination of a channel. `events` and `as` send what the mapping made; `message` sends the received message on."""

    to: str = Field(description="Endpoint of conf to deliver to")
    events: Annotated[list[str], Listed] = Field(
        default_factory=lambda: ["*"], min_length=1, description='Events to deliver, as patterns: "charge.*" or "*"'
    )
    as_: str | None = Field(default=None, alias="as", description="Form of the payload: events, cloudevents or an outbound mapping")
    per: Literal["message", "event"] = Field(default="message", description="One delivery a message (all its events) or an event")
    message: dict[Settable, str] | None = Field(
        default=None, description="Send the received message on, with these fields set: {MSH-5: LAB}"
    )
    acknowledgement: bool = Field(
        default=False, description="Gets the application acknowledgements of enhanced mode (`answer.application`), and nothing else"
    )


class Channel(_Section):
    """What comes in, what it means and where it goes."""

    channel: Name = Field(description="Name of the channel; the name of its directory")
    about: str = Field(default="", description="What the channel is for")
    source: Source = Field(description="Where messages come from")
    accept: Annotated[list[MessageType], Listed] | None = Field(
        default=None, min_length=1, description="Message types to process; others are stored, acknowledged and filtered. Absent: all"
    )
    order_by: Place | None = Field(
        default=None, description="Path of the order key: messages with one value stay in order. Absent: all stay in order"
    )
    business_key: Annotated[list[Place], Listed] | None = Field(
        default=None,
        min_length=1,
        description="Paths of what makes a charge the same charge. Absent: MSH-3, MSH-4, MSH-10 and the line. "
        "The first one that is neither of MSH nor a code that the mapping tests is the sender's own number: where it is empty, "
        "MSH-10 and the line are added",
    )
    duplicates: Duplicates = Field(default_factory=Duplicates, description="How long a business key is remembered")
    map: str | None = Field(default=None, description="Inbound mapping. Absent: messages are passed on, and destinations have `message`")
    zone: Annotated[str, AfterValidator(_zone)] = Field(
        default=SITE,
        description="Zone of HL7 times without an offset: site (that of conf), sender (the offset of MSH-7, else the site's zone) "
        "or the name of one, such as America/Denver",
    )
    bounds: Bounds = Field(default_factory=Bounds, description="What quantities, amounts and service dates may be")
    stock: bool = Field(
        default=False, description="Usage moves stock positions and raises replenishment.due (needs mappings/tables/stock.csv)"
    )
    validate_: Validate = Field(
        default_factory=Validate, alias="validate", description="Hold messages against the HL7 standard and a site profile"
    )
    encoding: Annotated[str, AfterValidator(_encoding)] = Field(
        default="utf-8", description="Character set of messages whose MSH-18 is empty"
    )
    encoding_override: Annotated[str, AfterValidator(_encoding)] | None = Field(
        default=None, description="Character set of all messages, for a sender whose MSH-18 is wrong. Absent: MSH-18 counts"
    )
    broken_lines: Literal["park", "join"] = Field(
        default="park",
        description="A line that does not begin with a segment's name and the field separator: park the message (BAD_SEGMENT), or join "
        "the line to the field before it, the line end kept as an escape sequence",
    )
    answer: Answer = Field(default_factory=Answer, description="How senders are answered, beyond the source's `ack`")
    continuation: Continuation | None = Field(
        default=None, description="Join messages that come in fragments. Absent: DSC and MSH-14 have no meaning"
    )
    sequence: bool = Field(default=False, description="Follow the sequence numbers of MSH-13; a message out of sequence is refused")
    destinations: dict[Name, Route] = Field(min_length=1, description="Where the channel delivers, by name")
    on_error: Literal["park", "stop"] = Field(
        default="park", description="A message that cannot be processed: park it and go on, or stop the channel"
    )
