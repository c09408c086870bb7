"""The filled values of a segment with their places and their names in the dictionary."""

from __future__ import annotations

from collections.abc import Iterator

from suture.model.value import Value
from suture.wire.hl7v2.standard import dictionary
from suture.wire.hl7v2.text.er7 import Message, Segment, unescape


class Leaf(Value, frozen=True):
    """One value as it is written. Numbers count from 1; component or sub 0: the field or the component is not divided.

    repeated: the field has other repetitions.
    """

    field: int
    repetition: int
    component: int
    sub: int
    raw: str
    repeated: bool = False

    def path(self, segment: str, composite: bool = False) -> str:
        """The path that a mapping would name it by. composite: name the first component even where there is one alone."""
        text = f"{segment}-{self.field}"
        text += f"[{self.repetition}]" if self.repeated else ""
        component = self.component or (1 if composite or self.sub else 0)
        text += f".{component}" if component else ""
        return f"{text}.{self.sub}" if self.sub else text


def leaves(segment: Segment) -> Iterator[Leaf]:
    """The values of a segment that are not empty, in order."""
    for number, text in filled(segment):
        if is_separators(segment, number):
            yield Leaf(number, 1, 0, 0, text)
        else:
            yield from _field(number, text, segment)


def filled(segment: Segment) -> Iterator[tuple[int, str]]:
    """The fields that are not empty, by their numbers, as they are written."""
    numbers = range(1, len(segment.fields) + (segment.name == "MSH"))
    return ((number, text) for number in numbers if (text := segment.raw(number)))


def is_separators(segment: Segment, number: int) -> bool:
    """Is it MSH-1 or MSH-2, which is taken as it stands?"""
    return segment.name == "MSH" and number <= 2


def _field(number: int, text: str, segment: Segment) -> Iterator[Leaf]:
    d = segment.delimiters
    repetitions = split(text, d.repetition)
    repeated = len(repetitions) > 1
    for r, repetition in enumerate(repetitions, 1):
        components = split(repetition, d.component)
        for c, component in enumerate(components, 1):
            subs = split(component, d.subcomponent)
            for s, sub in enumerate(subs, 1):
                if sub:
                    yield Leaf(number, r, c if len(components) > 1 else 0, s if len(subs) > 1 else 0, sub, repeated)


def split(text: str, separator: str) -> list[str]:
    """The parts between separators; the whole where the message has no such separator."""
    return text.split(separator) if separator else [text]


def value(segment: Segment, leaf: Leaf) -> str:
    """The text of a value, escapes resolved."""
    if is_separators(segment, leaf.field):
        return leaf.raw
    return unescape(leaf.raw, segment.delimiters, segment.encoding)


def places(message: Message) -> Iterator[tuple[str, Segment]]:
    """The segments, each with its place: PV1, or FT1(2) where there are several of the name."""
    seen: dict[str, int] = {}
    for segment in message.segments:
        seen[segment.name] = number = seen.get(segment.name, 0) + 1
        yield (f"{segment.name}({number})" if len(message.named(segment.name)) > 1 else segment.name), segment


def version_of(message: Message, version: str = "") -> str:
    """The dictionary's version for a message: the one given, else the one it declares, else the nearest."""
    return dictionary.nearest(version or message.get("MSH-12"))


def datatype_of(version: str, segment: Segment, number: int) -> str:
    """The data type of a field, "" when unknown; that of OBX-5 is in OBX-2 (HL7 2.5.1 section 7.4.2.5)."""
    if segment.name == "OBX" and number == 5:
        return segment.get(2)
    spec = dictionary.field(version, segment.name, number)
    return spec.datatype if spec else ""


def name_of(version: str, segment: Segment, leaf: Leaf) -> str:
    """What a value is: Patient Identifier List / Assigning Authority / Namespace ID; "" when the dictionary does not say."""
    spec = dictionary.field(version, segment.name, leaf.field)
    names = [spec.name if spec else ""]
    datatype = datatype_of(version, segment, leaf.field)
    for number in (leaf.component or 1, leaf.sub):
        if not dictionary.components(version, datatype) or not number:
            break
        spec = dictionary.component(version, datatype, number)
        names.append(spec.name if spec else f"component {number}")
        datatype = spec.datatype if spec else ""
    return " / ".join(name for name in names if name)
