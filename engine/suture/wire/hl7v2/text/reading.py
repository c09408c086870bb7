"""A path as a function: the value, all values, or the state of a place in a message."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from suture.wire.hl7v2.text.delimiters import HEADERS, NULL_TEXT
from suture.wire.hl7v2.text.escapes import unescape
from suture.wire.hl7v2.text.path import Choice, Condition, Path, path, path_to_many
from suture.wire.hl7v2.text.segment import LONG, Segment

if TYPE_CHECKING:
    from suture.wire.hl7v2.text.er7 import Message

ABSENT, EMPTY, NULL, VALUE = "absent", "empty", "null", "value"
"""Not there at all (as if nothing was said); there with nothing in it; `""`, the wish to delete; anything else."""

Getter = Callable[["Message", "Segment | None"], str]


def getter(place: Path) -> Getter:
    """Compile a path to a function (message, segment) -> value, "" when absent.

    segment: the repeated segment that is being mapped; it is used when the path names its kind without an occurrence.
    A path without a component gives a composite field as written, and a simple one unescaped. Raises ValueError for a
    path to several values.
    """
    if place.many:
        raise ValueError(f"{place.text!r} names several values where one is wanted")
    pick = _field_getter(place)
    if place.own and not (place.segment in HEADERS and place.field <= 2):
        return _own_getter(place, pick)
    find = finder(place)

    def get(message: Message, segment: Segment | None) -> str:
        found = find(message, segment)
        return "" if found is None else pick(found)

    return get


def _own_getter(place: Path, pick: Callable[[Segment], str]) -> Getter:
    """The getter of a path without an occurrence. It is asked for every field of every message: simple values take one look."""
    name, index, first, head = place.segment, place.index, is_first(place), place.component == 1

    def get(message: Message, segment: Segment | None) -> str:
        if segment is None or segment.name != name:
            found = message.seen.get(name) or message.named(name)
            if not found:
                return ""
            segment = found[0]
        fields = segment.known or segment.fields
        if index >= len(fields):
            return ""
        text = fields[index]
        if first:
            if head and (between := segment.delimiters.component):
                text = text.partition(between)[0]
            if text.isalnum():  # no letter or digit is a delimiter
                return text
        return pick(segment)

    return get


def finder(place: Path) -> Callable[[Message, Segment | None], Segment | None]:
    """(message, segment in hand) -> the segment that the path means."""
    name, occurrence, own, condition = place.segment, place.occurrence, place.own, place.condition

    def find_own(message: Message, segment: Segment | None) -> Segment | None:
        if segment is not None and segment.name == name:
            return segment
        found = message.seen.get(name) or message.named(name)
        return found[0] if found else None

    def find(message: Message, segment: Segment | None) -> Segment | None:
        found = message.seen.get(name) or message.named(name)
        if condition is not None:
            found = meeting(found, condition)
        return found[occurrence - 1] if len(found) >= occurrence else None

    return find_own if own else find


def is_first(place: Path) -> bool:
    """Is the value of a field that has no repetitions and parts the value at this place?"""
    return (place.component or 1) == 1 and (place.sub or 1) == 1 and place.repetition == 1 and not place.choices


def meeting(segments: list[Segment], condition: Condition) -> list[Segment]:
    """The segments that meet a condition."""
    c = condition
    return [one for one in segments if one.get(c.field, c.component or 1, 1, c.sub or 1) == c.value]


def found_at(message: Message, place: Path) -> list[Segment]:
    """All segments that a path may mean: of its name, and meeting its condition."""
    found = message.named(place.segment)
    return meeting(found, place.condition) if place.condition else found


def segments_at(message: Message, place: Path) -> list[Segment]:
    """The segments that a path names: all of them for `*`, else at most one."""
    found = found_at(message, place)
    return list(found) if place.all_segments else found[place.occurrence - 1 : place.occurrence]


def _field_getter(place: Path) -> Callable[[Segment], str]:
    if place.segment in HEADERS and place.field <= 2:
        return lambda segment: segment.raw(place.field)
    index, component, sub, repetition, choices = place.index, place.component, place.sub, place.repetition, place.choices

    first = is_first(place)

    def pick(segment: Segment) -> str:
        fields = segment.fields
        if index >= len(fields):
            return ""
        text = fields[index]
        if not text:
            return ""
        if not choices and text.isalnum():  # as most are; no letter or digit is a delimiter
            return text if first else ""
        d = segment.delimiters
        if choices:
            text = chosen(segment, text, choices)
        elif d.repetition and d.repetition in text:
            text = segment.nth(text, d.repetition, repetition)
        elif repetition > 1:
            return ""
        return value_of(segment, text, component, sub)

    return pick


def value_of(segment: Segment, text: str, component: int | None, sub: int | None) -> str:
    """The value in one repetition: of a component, of a subcomponent, or of the whole."""
    d = segment.delimiters
    between = d.component
    if component is None:
        composite = between and between in text
        return unescape(text, d, segment.encoding) if d.escape and d.escape in text and not composite else text
    if between and between in text:
        if len(text) > LONG:
            text = segment.nth(text, between, component)
        else:
            parts = text.split(between, component)
            if len(parts) < component:
                return ""
            text = parts[component - 1]
    elif component > 1:
        return ""
    if d.subcomponent and (sub or d.subcomponent in text):
        text = segment.nth(text, d.subcomponent, sub or 1)
    elif sub and sub > 1:
        return ""
    return unescape(text, d, segment.encoding)


def meets(segment: Segment, repetition: str, choices: Sequence[Choice]) -> bool:
    """Does a repetition hold in its components what a path asks for?

    A component that is divided is compared as a whole, and by its first subcomponent; "" asks for one that holds nothing.
    """
    components = segment.cut(repetition, segment.delimiters.component)
    for choice in choices:
        text = components[choice.component - 1] if choice.component <= len(components) else ""
        if text != choice.value or choice.sub:
            if not choice.value and not choice.sub:
                return False  # an authority without a name, and with a number, is one
            if value_of_component(segment, text, choice.sub) != choice.value:
                return False
    return True


def meant(segment: Segment, text: str, place: Path) -> Sequence[str]:
    """Of a field as written, the repetitions that a path may mean; it names one of them, or the first."""
    repetitions = segment.cut(text, segment.delimiters.repetition)
    if place.choices:
        return [one for one in repetitions if meets(segment, one, place.choices)]
    if place.one_repetition and not place.all_repetitions:
        return repetitions[place.repetition - 1 : place.repetition]
    return repetitions


def chosen(segment: Segment, text: str, choices: Sequence[Choice]) -> str:
    """The first repetition that holds what is asked for, "" when none does."""
    between = segment.delimiters.repetition
    if not between or between not in text:
        return text if meets(segment, text, choices) else ""
    return next((one for one in segment.cut(text, between) if meets(segment, one, choices)), "")


def all_values(message: Message, where: str | Path) -> list[str]:
    """The values at a path: one for every segment, repetition and component that its `*` stand for.

    A place that is named by number and absent gives "". Raises ValueError for a path that is none.
    """
    place = path_to_many(where) if isinstance(where, str) else where
    found = segments_at(message, place)
    if not found and not place.all_segments:
        return [] if place.many else [""]
    return [value for segment in found for value in _all_in(segment, place)]


def _all_in(segment: Segment, place: Path) -> Iterator[str]:
    d = segment.delimiters
    text = segment.raw(place.field)
    if segment.name in HEADERS and place.field <= 2:
        yield text
        return
    if place.all_repetitions:
        repetitions = segment.cut(text, d.repetition) if text else ()
    elif place.choices:
        repetitions = (chosen(segment, text, place.choices),)
    else:
        repetitions = (segment.nth(text, d.repetition, place.repetition),)
    for repetition in repetitions:
        if not place.all_components:
            yield value_of(segment, repetition, place.component, place.sub)
        elif repetition:
            for component in segment.cut(repetition, d.component):
                yield value_of_component(segment, component, place.sub)


def value_of_component(segment: Segment, text: str, sub: int | None) -> str:
    """The value in one component: of a subcomponent, the first unless named."""
    return unescape(segment.nth(text, segment.delimiters.subcomponent, sub or 1), segment.delimiters, segment.encoding)


def state(message: Message, where: str | Path) -> str:
    """ABSENT, EMPTY, NULL (the sender asks to delete the value) or VALUE. Raises ValueError as `get` does."""
    place = path(where) if isinstance(where, str) else where
    if place.many:
        raise ValueError(f"{place.text!r} names several places where one is wanted")
    found = segments_at(message, place)
    text = _text_at(found[0], place) if found else None
    return ABSENT if text is None else EMPTY if not text else NULL if text == NULL_TEXT else VALUE


def _text_at(segment: Segment, place: Path) -> str | None:
    """The place as written, None when the segment does not go as far."""
    fields, d = segment.fields, segment.delimiters
    if segment.name in HEADERS and place.field <= 2:
        return segment.raw(place.field)
    if place.index >= len(fields):
        return None
    text = _part(segment, fields[place.index], d.repetition, place.repetition)
    if place.choices:
        text = chosen(segment, fields[place.index], place.choices) or None
    if place.component is not None:
        text = _part(segment, text, d.component, place.component)
    return _part(segment, text, d.subcomponent, place.sub) if place.sub is not None else text


def _part(segment: Segment, text: str | None, separator: str, number: int) -> str | None:
    if text is None:
        return None
    parts = segment.cut(text, separator)
    return parts[number - 1] if number <= len(parts) else None
