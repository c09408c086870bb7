"""A path as a function that gives the one value there, or says why there is none: null, or several that differ."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from suture.model.reading import Doubt
from suture.wire.hl7v2.text.delimiters import HEADERS, NULL_TEXT
from suture.wire.hl7v2.text.path import Path
from suture.wire.hl7v2.text.reading import finder, getter, is_first, meant, meets, value_of
from suture.wire.hl7v2.text.segment import Segment

if TYPE_CHECKING:
    from suture.wire.hl7v2.text.er7 import Message


Told = Callable[["Message", "Segment | None"], "str | Doubt"]


def told(place: Path) -> Told:
    """Compile a path to what `getter` makes of it, without blanks around it; but for places that are in doubt.

    A path without a repetition means all of them, and one with a condition all that meet it: they must not differ, as
    far as they hold something. The first is meant only where the path says so: FT1-20[1].1. NULL: the sender asks to delete
    the value (`""`), its component or its whole field.
    """
    find, index, simple = finder(place), place.index, is_first(place)
    if place.segment in HEADERS and place.field <= 2:
        return lambda message, segment: found.raw(place.field).strip() if (found := find(message, segment)) else ""

    def get(message: Message, segment: Segment | None) -> str | Doubt:
        found = find(message, segment)
        if found is None:
            return ""
        fields = found.known or found.fields
        if index >= len(fields):
            return ""
        text = fields[index]
        if simple and text.isalnum():  # no letter or digit is a delimiter
            return text
        if not text or text == NULL_TEXT:
            return Doubt.NULL if text else ""
        between = found.delimiters.repetition
        if between and between in text:
            value = _of_several(found, text, place)
        elif place.repetition > 1 or (place.choices and not meets(found, text, place.choices)):
            return ""
        else:
            value = _value(found, text, place)
        return value.strip() if isinstance(value, str) else value

    return get


def first_told(place: Path) -> Callable[[Message, Segment | None], str]:
    """Compile a path to the same text; where it is in doubt, "" for null and the first of several."""
    get, tell = getter(place), told(place)

    def read(message: Message, segment: Segment | None) -> str:
        text = tell(message, segment)
        if text is Doubt.SEVERAL:
            return get(message, segment).strip()
        return text if isinstance(text, str) else ""

    return read


def every(place: Path) -> Callable[[Message, Segment | None], list[str]]:
    """Compile a path to the values of all repetitions that it means, without those that hold nothing."""
    find, index = finder(place), place.index

    def get(message: Message, segment: Segment | None) -> list[str]:
        found = find(message, segment)
        if found is None or index >= len(found.fields):
            return []
        values = [_value(found, one, place) for one in meant(found, found.fields[index], place)]
        return [stripped for value in values if isinstance(value, str) and (stripped := value.strip())]

    return get


def _of_several(segment: Segment, text: str, place: Path) -> str | Doubt:
    values = {_value(segment, one, place) for one in meant(segment, text, place)} - {""}
    if len(values) > 1:
        return Doubt.SEVERAL
    return values.pop() if values else ""


def _value(segment: Segment, repetition: str, place: Path) -> str | Doubt:
    value = value_of(segment, repetition, place.component, place.sub)
    if NULL_TEXT not in repetition:
        return value
    null = value == NULL_TEXT or repetition == NULL_TEXT
    return Doubt.NULL if null or (place.sub and value_of(segment, repetition, place.component, None) == NULL_TEXT) else value
