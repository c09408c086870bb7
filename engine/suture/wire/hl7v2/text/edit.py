"""Changes of a message, which are its verbs too. A change touches one place; everything else stays as it is, byte for byte."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from suture.model.errors import MessageError
from suture.wire.hl7v2.text import charsets
from suture.wire.hl7v2.text.delimiters import HEADERS, NULL_TEXT, Delimiters
from suture.wire.hl7v2.text.escapes import escape
from suture.wire.hl7v2.text.lines import is_name
from suture.wire.hl7v2.text.path import Path, path, place_of, segment_path
from suture.wire.hl7v2.text.reading import found_at, meets, segments_at
from suture.wire.hl7v2.text.segment import Segment

if TYPE_CHECKING:
    from suture.wire.hl7v2.text.er7 import Message

FIELDS_MAX = 9999
"""Number of the last field that a segment can be given, as in a path; HL7's own segments have less than a hundred."""


def set_value(message: Message, place: str | Path, value: str) -> None:
    """Make the text the value at a path; `get` then gives it back. Raises ValueError where there is no such place.

    It is escaped. A path without a repetition means the first one, as in `get`. What the message has not as far as
    the path goes (fields, repetitions, components, one segment of that name at the end) is added, empty.
    """
    where = _place_to_set(place)
    _put(message, where, escape(value, message.delimiters), False)


def set_raw(message: Message, place: str | Path, text: str) -> None:
    """Put ER7 text at a path as it is; without a repetition and a component, in place of the field with all repetitions.

    Raises ValueError where there is no such place, and when the text holds a separator that would cut further out.
    """
    where = _place_to_set(place)
    _check_raw(message.delimiters, where, text)
    _put(message, where, text, where.component is None and not where.one_repetition)


def _place_to_set(place: str | Path) -> Path:
    """The path to one value that may be changed. Raises ValueError with the remedy."""
    found = path(place) if isinstance(place, str) else place
    if found.many:
        raise ValueError(f"{found.text!r} names several values where one is wanted")
    if found.segment in HEADERS and found.field <= 2:
        raise ValueError(f"{found.text} holds the separators of the message and cannot be set")
    return found


def put(message: Message, place: Path, text: str) -> None:
    """Put ER7 text in a whole field, or a value, escaped, in a component: the changes that a channel's file names.

    Raises MessageError (stage render) where this message has no such place.
    """
    try:
        (set_raw if place.component is None else set_value)(message, place, text)
    except ValueError as error:
        raise MessageError("render", "NOT_SETTABLE", place.text, str(error)) from None


def check_places(message: Message) -> None:
    """Raise MessageError (stage render) where a separator may have been taken for a part of a character.

    A change would then touch more than its place. (In all other sets a byte that is not of the set stands for itself.)
    """
    if message.undecodable and charsets.is_spread(message.encoding):
        reason = f"bytes that are not {message.encoding}, in which they may hide separators; nothing can be changed safely"
        raise MessageError("render", "CHARSET", "MSH-18", reason)


def insert(message: Message, place: str | Path, value: str) -> None:
    """Put a repetition before the one that the path names (PID-3[2]), or behind the last one; its value is escaped.

    Raises ValueError when the path names none.
    """
    where = _place_to_set(place)
    if where.component is not None or not where.one_repetition:
        raise ValueError(f"{where.text!r} names no repetition; write where the new one is to stand, e.g. {where.segment}-{where.field}[2]")
    text = escape(value, message.delimiters)
    segment, missing = _segment_to_set(message, where)
    field, between = segment.raw(where.field), segment.delimiters.repetition
    repetitions = list(segment.cut(field, between)) if field else []
    at = _repetition(segment, repetitions, where)
    if at > len(repetitions):
        raise ValueError(f"{where.text!r}: there are only {len(repetitions)} repetitions; the next one is [{len(repetitions) + 1}]")
    repetitions.insert(at, text)
    segment.put(where.index, _joined(repetitions, between, where))
    if missing:
        message.append(segment)


def delete(message: Message, place: str | Path) -> None:
    """Empty a field or component, or take out a repetition (PID-3[2]) or a segment (FT1(2)); `*` means all of them.

    What is absent already is no error. Raises ValueError for a path that is none and for MSH, MSH-1 and MSH-2.
    """
    found = place_of(place) if isinstance(place, str) else place
    if found.segment == "MSH" and not found.field:
        raise ValueError("MSH cannot be deleted: a message begins with it")
    if found.segment in HEADERS and 0 < found.field <= 2:
        raise ValueError(f"{found.text} holds the separators of the message and cannot be deleted")
    segments = segments_at(message, found)
    if not found.field:
        gone = set(map(id, segments))
        message.segments = [one for one in message.segments if id(one) not in gone]
        return
    for segment in segments:
        if found.index < len(segment.fields) and segment.fields[found.index]:
            segment.put(found.index, _without(segment, segment.fields[found.index], found))


def add_segment(
    message: Message,
    name: str,
    fields: Sequence[str] | Mapping[int, str] = (),
    after: str | Segment | None = None,
    before: str | Segment | None = None,
) -> Segment:
    """Add a segment behind or before another one (a path such as FT1(2), or a segment), else at the end; and give it.

    fields: values from field 1 on, or by number; they are escaped. Raises ValueError for a name that is none and for
    a place that there is not.
    """
    if not is_name(name) or name in HEADERS:
        raise ValueError(f"{name[:10]!r} is not the name of a segment to add; it has three characters, e.g. NTE or ZPM")
    if isinstance(fields, str):
        raise ValueError("fields: a list of values, or a value by its number")
    values = fields if isinstance(fields, Mapping) else dict(enumerate(fields, 1))
    if any(not 1 <= number <= FIELDS_MAX for number in values):
        raise ValueError(f"fields are counted from 1, and to {FIELDS_MAX} at most")
    at = _position(message, after, before)
    segment = message.new_segment(name)
    for number, value in sorted(values.items()):
        segment.put(number, escape(value, message.delimiters))
    if at == len(message.segments):
        message.append(segment)
    else:
        message.segments = [*message.segments[:at], segment, *message.segments[at:]]
    return segment


def _position(message: Message, after: str | Segment | None, before: str | Segment | None) -> int:
    if after is not None and before is not None:
        raise ValueError("say after or before, not both")
    anchor = after if after is not None else before
    if anchor is None:
        return len(message.segments)
    if isinstance(anchor, str):
        place = segment_path(anchor)
        found = segments_at(message, place)
        if not found:
            raise ValueError(f"the message has no {anchor}")
        anchor = found[-1] if after is not None else found[0]
    last = len(message.segments) - 1
    at = last if anchor is message.segments[last] else next((i for i, one in enumerate(message.segments) if one is anchor), None)
    if at is None:
        raise ValueError("the segment is none of this message")
    if before is not None and at == 0:
        raise ValueError("nothing can stand before MSH: a message begins with it")
    return at + (after is not None)


def _put(message: Message, place: Path, text: str, whole: bool) -> None:
    """Put ER7 text at a place. whole: in place of the field, with all that it holds."""
    segment, missing = _segment_to_set(message, place)
    segment.put(place.index, text if whole else _with_part(segment, place, text))
    if missing:
        message.append(segment)


def _segment_to_set(message: Message, place: Path) -> tuple[Segment, bool]:
    """The segment that a path names; a new one, and True, where it would be the next of its name, which then is to be added."""
    found = found_at(message, place)
    if place.occurrence <= len(found):
        return found[place.occurrence - 1], False
    if place.condition is not None or place.occurrence > len(found) + 1 or place.segment in HEADERS:
        raise ValueError(f"{place.text!r}: the message has {len(found)} such {place.segment}; add a segment first")
    return message.new_segment(place.segment), True


def _with_part(segment: Segment, place: Path, text: str) -> str:
    """The field with the text at the place in it."""
    d, field = segment.delimiters, segment.raw(place.field)
    ways = [(d.repetition, 0)]
    if place.component is not None:
        field = "" if field == NULL_TEXT else field
        ways.append((d.component, place.component - 1))
    if place.sub is not None:
        ways.append((d.subcomponent, place.sub - 1))
    ways[0] = d.repetition, _repetition(segment, segment.cut(field, d.repetition), place)
    return _with_inner(segment, place, field, ways, text)


def _with_inner(segment: Segment, place: Path, whole: str, ways: Sequence[tuple[str, int]], text: str) -> str:
    """The whole with the text in it. ways: which part it is between which separators, from the outermost ones on."""
    if not ways:
        return text
    separator, at = ways[0]
    parts = list(segment.cut(whole, separator))
    parts.extend([""] * (at + 1 - len(parts)))
    parts[at] = _with_inner(segment, place, parts[at], ways[1:], text)
    return _joined(parts, separator, place)


def _repetition(segment: Segment, repetitions: Sequence[str], place: Path) -> int:
    """The position of the repetition that the path names. Raises ValueError when none is like that."""
    if not place.choices:
        return place.repetition - 1
    for i, repetition in enumerate(repetitions):
        if meets(segment, repetition, place.choices):
            return i
    raise ValueError(f"{place.text!r}: no repetition is like that; insert one first")


def _joined(parts: list[str], separator: str, place: Path) -> str:
    if not separator and len(parts) > 1:
        raise ValueError(f"{place.text!r}: the message's MSH-2 names no separator for such parts")
    return separator.join(parts)


def _without(segment: Segment, field: str, place: Path) -> str:
    """The field without what the path names."""
    d = segment.delimiters
    whole_repetition = place.component is None and not place.all_components
    if whole_repetition and (place.all_repetitions or not place.one_repetition):
        return ""
    repetitions = []
    for number, repetition in enumerate(segment.cut(field, d.repetition), 1):
        if not (meets(segment, repetition, place.choices) if place.choices else place.all_repetitions or number == place.repetition):
            repetitions.append(repetition)
        elif not whole_repetition:
            repetitions.append(_without_component(segment, repetition, place))
    return d.repetition.join(repetitions)


def _without_component(segment: Segment, repetition: str, place: Path) -> str:
    d = segment.delimiters
    components = list(segment.cut(repetition, d.component))
    for i, component in enumerate(components):
        if place.all_components or i + 1 == place.component:
            parts = segment.cut(component, d.subcomponent) if place.sub else ()
            components[i] = d.subcomponent.join(["" if number == place.sub else part for number, part in enumerate(parts, 1)])
    return d.component.join(components)


def _check_raw(d: Delimiters, place: Path, text: str) -> None:
    """Raise ValueError for ER7 text that holds what ends its place."""
    forbidden = {"\r": "a line end", "\n": "a line end", d.field: "the field separator"}
    if place.one_repetition or place.component is not None:
        forbidden[d.repetition] = "the repetition separator"
    if place.component is not None:
        forbidden[d.component] = "the component separator"
    if place.sub is not None:
        forbidden[d.subcomponent] = "the subcomponent separator"
    for character, what in forbidden.items():
        if character and character in text:
            raise ValueError(f"{place.text!r}: the text holds {what}; escape it, or set the value instead of raw text")
