"""Mapping files as they are written. The vocabulary is closed; every scalar arrives as text.

Only the shape is checked here. Names, paths, tables and functions are checked, all at once, by the compilers.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from suture.model.section import Listed, Section

Texts = Annotated[list[str], Listed]
"""One text, or a list of them."""

Conditions = dict[str, Texts]
"""A path or a column of a bound row -> the values that match. All of them must match."""


class Value(Section):
    """Where one value comes from and what becomes of it. A plain text is short for `from`.

    The order of work: the first source that is not empty, else `default`; a text function of `call`; the look-up in
    `table`; the conversion to `as`, which is held `between` bounds; a number function of `call`. HL7's null ends the
    search for a source: there is no value then, and no default.
    """

    from_: Texts = Field(default_factory=list, alias="from", description="Paths or columns (item.<column>); the first not empty counts")
    table: str | None = Field(None, description="Look it up here; gives the column `to`, or the key where there is none")
    const: str | None = Field(None, description="This very text")
    default: str | None = Field(None, description="Stands in for an empty value: a text or a column; empty = may be absent")
    required: bool | None = Field(None, description="An empty value or unknown code holds the event; default: true with a table")
    as_: str | None = Field(None, alias="as", description="text, decimal, integer, time, date; absent = as the field is")
    between: Annotated[list[Decimal], Field(min_length=2, max_length=2)] | None = Field(
        None, description="The least and the most that a number may be, in place of the channel's bounds; another one is a gap"
    )
    call: str | None = Field(None, description="One listed function (mapping/functions.py)")

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, given: Any) -> Any:
        return {"from": given} if isinstance(given, str) else given


VOCABULARY = frozenset(field.alias or name for name, field in Value.model_fields.items())
"""The keys that make a mapping of keys a value and not a nested object."""


class Convert(Section):
    """Conversion of a quantity to another unit, exact, with the factor of the item (or of `*`) in a conversion table."""

    quantity: str = Field(description="The field that is converted")
    unit: str = Field(description="The field with the unit it is in")
    to: str = Field(description="The unit it is converted to: a column of a bound row, such as item.stock_unit")
    table: str = Field(description="A table with the columns item, unit, to, factor: 1 unit = factor to")


class Emit(Section):
    """One kind of event that a line gives rise to."""

    event: str = Field(description="The type of the canonical event")
    when: Conditions = Field(default_factory=dict, description="The event is raised only where all of these match")
    set: dict[str, Value] = Field(description="Canonical field -> where its value comes from")
    convert: Convert | None = Field(None, description="Unit conversion of the quantity")
    credit: Conditions = Field(default_factory=dict, description="Lines where all of these match get a negative quantity and amount")


class InboundSpec(Section):
    """mappings/<name>.yaml: from a received message to canonical events."""

    mapping: str = Field(description="The mapping's name, which is the file's name too")
    from_: str = Field(alias="from", description="What is read: the format of the channel, such as hl7v2")
    each: str | None = Field(None, description="A segment or array; events are raised for each one; absent = once a message")
    skip: Conditions = Field(default_factory=dict, description="Lines where any of these matches are filtered; nothing else is")
    emit: list[Emit] = Field(min_length=1, description="The events of a line")
    search: dict[str, Texts] = Field(default_factory=dict, description="What the message is found by: kind -> paths, first not empty")


class OutboundSpec(Section):
    """mappings/<name>.yaml: from canonical events to one payload for a destination.

    Outside `each: event`, a field is that of the first event of the payload. A nested object of a JSON body may say
    `each: event` too and is a list then.
    """

    mapping: str = Field(description="The mapping's name, which is the file's name too")
    to: Literal["json", "hl7v2"] = Field(description="What is written: json or hl7v2")
    each: Literal["event"] | None = Field(None, description="json: the body is built for each event; absent = once a payload")
    body: dict[str, Any] | None = Field(None, description="json: key -> value or nested object")
    segments: list[dict[str, dict[str, Any]]] | None = Field(None, description="hl7v2: the segments in order, each one as name -> fields")
