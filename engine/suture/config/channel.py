"""channels/<name>/channel.yaml: what comes in, what it means, where it goes; the same in every environment."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo

from suture.config.connector import OneConnector, with_connectors
from suture.config.hl7v2 import HL7v2Section
from suture.connectors.registry import SOURCES
from suture.formats.registry import FORMATS
from suture.mapping.rules import Bounds
from suture.model.meant import did_you_mean
from suture.model.section import Listed, Section, known_zone
from suture.wire.hl7v2.text import er7


def _format(name: str) -> str:
    if name not in FORMATS:
        raise ValueError(f"unknown format {name!r}{did_you_mean(name, FORMATS)}")
    return name


def _path(text: str, info: ValidationInfo) -> str:
    FORMATS[info.data.get("format", HL7V2)].path(text)
    return text


def _place(text: str, info: ValidationInfo) -> str:
    reading = FORMATS[info.data.get("format", HL7V2)]
    reading.place(reading.path(text), None)
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


HL7V2 = "hl7v2"
Place = Annotated[str, AfterValidator(_path)]
"""A path into a message: PID-18.1"""
Settable = Annotated[str, AfterValidator(_settable)]
MessageType = Annotated[str, AfterValidator(_matching(r"[A-Z][A-Z0-9]{2}(\^[A-Z0-9]{3})?", "a message type, e.g. DFT^P03"))]
Name = Annotated[str, AfterValidator(_matching(r"[a-z0-9][a-z0-9_-]{0,63}", "a name; use a-z, 0-9, - and _, e.g. or-supply"))]


class Duplicates(Section):
    """How long a business key or the same bytes count as a duplicate."""

    window_s: int = Field(default=34_560_000, ge=1, description="Seconds that a business key is remembered (default 400 days)")


SITE, SENDER = "site", "sender"
"""What `zone` may say beside the name of a zone."""


@with_connectors(SOURCES)
class Source(OneConnector):
    """Where messages come from: one connector with its settings."""


class Route(Section):
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
        default=False, description="Gets the application acknowledgements of enhanced mode (`hl7v2.answer.application`), and nothing else"
    )


class Channel(Section):
    """What comes in, what it means and where it goes."""

    channel: Name = Field(description="Name of the channel; the name of its directory")
    about: str = Field(default="", description="What the channel is for")
    source: Source = Field(description="Where messages come from")
    format: Annotated[str, AfterValidator(_format)] = Field(
        default=HL7V2, description=f"What messages are written in: {' or '.join(FORMATS)}; paths are that format's, and so is the mapping"
    )
    accept: Annotated[list[MessageType], Listed] | None = Field(
        default=None, min_length=1, description="Message types to process; others are stored, acknowledged and filtered. Absent: all"
    )
    order_by: Annotated[str, AfterValidator(_place)] | None = Field(
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
    zone: Annotated[str, AfterValidator(partial(known_zone, words=(SITE, SENDER)))] = Field(
        default=SITE,
        description="Zone of HL7 times without an offset: site (that of conf), sender (the offset of MSH-7, else the site's zone) "
        "or the name of one, such as America/Denver",
    )
    bounds: Bounds = Field(default_factory=Bounds, description="What quantities, amounts and service dates may be")
    stock: bool = Field(
        default=False, description="Usage moves stock positions and raises replenishment.due (needs mappings/tables/stock.csv)"
    )
    hl7v2: HL7v2Section = Field(default_factory=HL7v2Section, description="How HL7 v2 is read, judged and answered")
    destinations: dict[Name, Route] = Field(min_length=1, description="Where the channel delivers, by name")
    on_error: Literal["park", "stop"] = Field(
        default="park", description="A message that cannot be processed: park it and go on, or stop the channel"
    )
