"""Changes of a message. A change touches one place; everything else stays as it is, byte for byte."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from suture.model.errors import MessageError
from suture.wire.hl7v2.text import charsets
from suture.wire.hl7v2.text.choosing import meets
from suture.wire.hl7v2.text.delimiters import HEADERS, NULL_TEXT, Delimiters
from suture.wire.hl7v2.text.escapes import escape
from suture.wire.hl7v2.text.path import Path, path, place_of, segment_path
from suture.wire.hl7v2.text.reading import found_at, segments_at
from suture.wire.hl7v2.text.segment import Segment

if TYPE_CHECKING:
    from suture.wire.hl7v2.text.er7 import Message

FIELDS_MAX = 9999
"""Number of the last field that a segment can be given, as in a path; HL7's own segments have less than a hundred."""


def place_to_set(place: str | Path) -> Path:
    """The path to one value that may be changed. Raises ValueError with the remedy."""
    found = path(place) if isinstance(place, str) else place
    if found.many:
        raise ValueError(f"{found.text!r} names several values where one is wanted")
    if found.segment in HEADERS and found.field <= 2:
        raise ValueError(f"{found.text} holds the separators of the message and cannot be set")
    return found


def set_value(message: Message, place: Path, value: str) -> None:
    """What `Message.set` does."""
    text = escape(value, message.delimiters)
    segment, missing = _segment_to_set(message, place)
    segment.put(place.index, _with_part(segment, _field_text(segment, place), place, text))
    _add(message, missing)


def set_raw(message: Message, place: Path, text: str) -> None:
    """What `Message.set_raw` does."""
    _check_raw(message.delimiters, place, text)
    segment, missing = _segment_to_set(message, place)
    if place.component is None and not place.one_repetition:
        segment.put(place.index, text)
    else:
        segment.put(place.index, _with_part(segment, _field_text(segment, place), place, text))
    _add(message, missing)


def put(message: Message, place: Path, text: str) -> None:
    """Put ER7 text in a whole field, or a value, escaped, in a component: the changes that a channel's file names.

    Raises MessageError (stage render) where this message has no such place.
    """
    try:
        (set_raw if place.component is None else set_value)(message, place_to_set(place), text)
    except ValueError as error:
        raise MessageError("render", "NOT_SETTABLE", place.text, str(error)) from None


def check_places(message: Message) -> None:
    """Raise MessageError (stage render) where a separator may have been taken for a part of a character.

    A change would then touch more than its place. (In all other sets a byte that is not of the set stands for itself.)
    """
    if message.undecodable and charsets.is_spread(message.encoding):
        reason = f"bytes that are not {message.encoding}, in which they may hide separators; nothing can be changed safely"
        raise MessageError("render", "CHARSET", "MSH-18", reason)


def insert_repetition(message: Message, place: Path, value: str) -> None:
    """What `Message.insert` does."""
    if place.component is not None or not place.one_repetition:
        raise ValueError(f"{place.text!r} names no repetition; write where the new one is to stand, e.g. {place.segment}-{place.field}[2]")
    text = escape(value, message.delimiters)
    segment, missing = _segment_to_set(message, place)
    field = _field_text(segment, place)
    repetitions = list(segment.cut(field, segment.delimiters.repetition)) if field else []
    at = _repetition(segment, repetitions, place)
    if at > len(repetitions):
        raise ValueError(f"{place.text!r}: there are only {len(repetitions)} repetitions; the next one is [{len(repetitions) + 1}]")
    repetitions.insert(at, text)
    segment.put(place.index, _joined(repetitions, segment.delimiters.repetition, place))
    _add(message, missing)


def delete(message: Message, place: str | Path) -> None:
    """What `Message.delete` does."""
    found = place_of(place) if isinstance(place, str) else place
    if found.segment == "MSH" and not found.field:
        raise ValueError("MSH cannot be deleted: a message begins with it")
    if found.segment in HEADERS and 0 < found.field <= 2:
        raise ValueError(f"{found.text} holds the separators of the message and cannot be deleted")
    segments = segments_at(message, found)
    if not found.field:
        gone = set(map(id, segments))
        message.segments[:] = [one for one in message.segments if id(one) not in gone]
        message.forget_names()
        return
    for segment in segments:
        if found.index < len(segment.fields) and segment.fields[found.index]:
            segment.put(found.index, _without(segment, segment.fields[found.index], found))


def add_segment(
    message: Message,
    name: str,
    fields: Sequence[str] | Mapping[int, str],
    after: str | Segment | None,
    before: str | Segment | None,
) -> Segment:
    """What `Message.add_segment` does."""
    if not re.fullmatch("[A-Z][A-Z0-9]{2}", name) or name in HEADERS:
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
        message.segments.insert(at, segment)
        message.forget_names()
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


def _segment_to_set(message: Message, place: Path) -> tuple[Segment, Segment | None]:
    """The segment that a path names; a new one where it would be the next of its name, which then is to be added."""
    found = found_at(message, place)
    if place.occurrence <= len(found):
        return found[place.occurrence - 1], None
    if place.condition is not None or place.occurrence > len(found) + 1 or place.segment in HEADERS:
        raise ValueError(f"{place.text!r}: the message has {len(found)} such {place.segment}; add a segment first")
    segment = message.new_segment(place.segment)
    return segment, segment


def _add(message: Message, segment: Segment | None) -> None:
    if segment is not None:
        message.append(segment)


def _field_text(segment: Segment, place: Path) -> str:
    text = segment.raw(place.field)
    return "" if text == NULL_TEXT and place.component is not None else text


def _with_part(segment: Segment, field: str, place: Path, text: str) -> str:
    """The field with the text at the place in it."""
    d = segment.delimiters
    repetitions = list(segment.cut(field, d.repetition))
    at = _repetition(segment, repetitions, place)
    _fill(repetitions, at)
    if place.component is not None:
        text = _with_component(segment, repetitions[at], place, text)
    repetitions[at] = text
    return _joined(repetitions, d.repetition, place)


def _with_component(segment: Segment, repetition: str, place: Path, text: str) -> str:
    d = segment.delimiters
    components = list(segment.cut(repetition, d.component))
    at = (place.component or 1) - 1
    _fill(components, at)
    if place.sub is not None:
        parts = list(segment.cut(components[at], d.subcomponent))
        _fill(parts, place.sub - 1)
        parts[place.sub - 1] = text
        text = _joined(parts, d.subcomponent, place)
    components[at] = text
    return _joined(components, d.component, place)


def _repetition(segment: Segment, repetitions: list[str], place: Path) -> int:
    """The position of the repetition that the path names. Raises ValueError when none is like that."""
    if not place.choices:
        return place.repetition - 1
    for i, repetition in enumerate(repetitions):
        if meets(segment, repetition, place.choices):
            return i
    raise ValueError(f"{place.text!r}: no repetition is like that; insert one first")


def _fill(parts: list[str], at: int) -> None:
    parts.extend([""] * (at + 1 - len(parts)))


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
    repetitions = list(segment.cut(field, d.repetition))
    for i in reversed(range(len(repetitions))):
        if not _names(segment, repetitions[i], place, i):
            continue
        if whole_repetition:
            del repetitions[i]
        else:
            repetitions[i] = _without_component(segment, repetitions[i], place)
    return d.repetition.join(repetitions)


def _names(segment: Segment, repetition: str, place: Path, at: int) -> bool:
    if place.choices:
        return meets(segment, repetition, place.choices)
    return place.all_repetitions or at == place.repetition - 1


def _without_component(segment: Segment, repetition: str, place: Path) -> str:
    d = segment.delimiters
    components = list(segment.cut(repetition, d.component))
    for i in range(len(components)):
        if not place.all_components and i != (place.component or 1) - 1:
            continue
        parts = list(segment.cut(components[i], d.subcomponent)) if place.sub else []
        if place.sub and place.sub <= len(parts):
            parts[place.sub - 1] = ""
        components[i] = d.subcomponent.join(parts)
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
