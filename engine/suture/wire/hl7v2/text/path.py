"""Paths: how analysts name a place in a message. One grammar for mappings, channels, commands and code.

PID-3             a field
PID-3.1           a component, and PID-3.4.2 a subcomponent
PID-3[2].1        the second repetition
PID-3[MR].1       the repetition whose type (component 5) is MR
PID-3[4='GENERAL' & 5='MR'].1   the repetition whose components are so; [4.2='...'] compares a subcomponent
FT1(2)-7.1        the second FT1
OBX[3='ITEM']-5   the first OBX whose field 3 is ITEM; [3.2='...'] compares a component
FT1(*)-7.1        of all FT1; PID-3[*].1 of all repetitions; PID-5.* all components
"""

from __future__ import annotations

import re
from typing import Any

from suture.model.value import Value
from suture.wire.hl7v2.text.delimiters import HEADERS


class Condition(Value, frozen=True):
    """A segment is meant when this value of it is equal to `value`."""

    field: int
    component: int | None
    sub: int | None
    value: str


class Choice(Value, frozen=True):
    """A repetition is meant when this component of it (or its subcomponent) is equal to `value`."""

    component: int
    sub: int | None
    value: str


class Path(Value, frozen=True):
    """A place in a message. component None: the whole field; field 0: the segment itself (segment_path gives these).

    choices: what the repetition that is meant has to hold. condition: which segments of that name are counted.
    own: the path does not say which segment, so that of the line in hand is meant where there is one. all_...: `*`.
    """

    segment: str
    field: int
    component: int | None = None
    sub: int | None = None
    occurrence: int = 1
    repetition: int = 1
    choices: tuple[Choice, ...] = ()
    text: str = ""
    condition: Condition | None = None
    own: bool = True
    all_segments: bool = False
    all_repetitions: bool = False
    all_components: bool = False
    one_repetition: bool = False

    @property
    def many(self) -> bool:
        """May it name more than one value?"""
        return self.all_segments or self.all_repetitions or self.all_components

    @property
    def index(self) -> int:
        """The position of the field in `Segment.fields`."""
        return self.field - 1 if self.segment in HEADERS else self.field


_NUMBER = r"[1-9]\d{0,5}"
_QUOTED = r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\""
_CHOICE = rf"(?P<number>{_NUMBER})(?:\.(?P<part>{_NUMBER}))? ?= ?(?P<quoted>{_QUOTED})"
_CHOICES = re.sub(r"\?P<\w+>", "?:", _CHOICE)
TYPE = 5
"""The component of an identifier (CX) that holds its type, which a path may name alone."""
_SEGMENT = (
    r"(?P<segment>[A-Z][A-Z0-9]{2})"
    rf"(?:\[(?P<if_field>[1-9]\d{{0,3}})(?:\.(?P<if_component>{_NUMBER})(?:\.(?P<if_sub>{_NUMBER}))?)?"
    rf"=(?P<if_value>{_QUOTED})\])?"
    rf"(?:\((?P<occurrence>{_NUMBER}|\*)\))?"
)
_FIELD = (
    rf"-(?P<field>[1-9]\d{{0,3}})(?:\[(?:(?P<repetition>{_NUMBER}|\*)|(?P<kind>[A-Za-z][A-Za-z0-9]*)"
    rf"|(?P<choices>{_CHOICES}(?: ?& ?{_CHOICES})*))\])?"
    rf"(?:\.(?P<component>{_NUMBER}|\*)(?:\.(?P<sub>{_NUMBER}))?)?"
)
_PLACE = re.compile(_SEGMENT + _FIELD)
_WHOLE_SEGMENT = re.compile(_SEGMENT)
_ONE_CHOICE = re.compile(_CHOICE)


def path(text: str) -> Path:
    """Read a path that names one value. Raises ValueError with the remedy for any other text."""
    place = path_to_many(text)
    if place.many:
        one = text.replace("(*)", "(1)").replace("[*]", "[1]").replace(".*", ".1")
        raise ValueError(f"{text!r} names several values where one is wanted; say which one, e.g. {one}")
    return place


def path_to_many(text: str) -> Path:
    """Read a path that may hold `*`. Raises ValueError with the remedy."""
    match = _PLACE.fullmatch(text)
    if not match:
        raise ValueError(f"{text[:80]!r} is not a path; {_remedy(text[:80])}")
    g = match.groupdict()
    return Path(
        **_segment(g),
        field=int(g["field"]),
        component=_number(g["component"]),
        sub=_number(g["sub"]),
        repetition=_number(g["repetition"]) or 1,
        choices=_choices(g),
        text=text,
        all_repetitions=g["repetition"] == "*",
        all_components=g["component"] == "*",
        one_repetition=bool(g["repetition"] or g["kind"] or g["choices"]),
    )


def segment_path(text: str) -> Path:
    """Read the name of a segment, with an occurrence or a condition where there is more than one: PID, FT1(2), OBX[3='ITEM'].

    Raises ValueError with the remedy.
    """
    match = _WHOLE_SEGMENT.fullmatch(text)
    if not match:
        raise ValueError(f"{text[:80]!r} is not a segment; write its name of three characters, e.g. PID, FT1(2) or OBX[3='ITEM']")
    return Path(**_segment(match.groupdict()), field=0, text=text)


def place_of(text: str) -> Path:
    """Read a path or the name of a segment. Raises ValueError with the remedy."""
    return segment_path(text) if _WHOLE_SEGMENT.fullmatch(text) else path_to_many(text)


def _number(text: str | None) -> int | None:
    return int(text) if text and text != "*" else None


def _choices(g: dict[str, str | None]) -> tuple[Choice, ...]:
    if g["kind"]:
        return (Choice(TYPE, None, g["kind"]),)
    return tuple(Choice(int(m["number"]), _number(m["part"]), unquoted(m["quoted"])) for m in _ONE_CHOICE.finditer(g["choices"] or ""))


def unquoted(text: str) -> str:
    """A text in quotes without them; a quote inside is written twice."""
    return text[1:-1].replace(text[0] * 2, text[0])


def _segment(g: dict[str, str | None]) -> dict[str, Any]:
    condition = None
    if g["if_field"]:
        value = unquoted(g["if_value"] or "")
        condition = Condition(int(g["if_field"]), _number(g["if_component"]), _number(g["if_sub"]), value)
    return {
        "segment": g["segment"],
        "occurrence": _number(g["occurrence"]) or 1,
        "condition": condition,
        "own": condition is None and g["occurrence"] is None,
        "all_segments": g["occurrence"] == "*",
    }


_USUAL_MISTAKES = (
    (r"([A-Z][A-Z0-9]{2})\.(\d+)(.*)", lambda m: f"{m[1]}-{m[2]}{m[3]}", "a dash stands before the field"),
    (r"([A-Z][A-Z0-9]{2}[^-]*)-(\d+)-(\d+)", lambda m: f"{m[1]}-{m[2]}.{m[3]}", "a dot stands before the component"),
    (r"([A-Z][A-Z0-9]{2})\[(\d+)\]-(.+)", lambda m: f"{m[1]}({m[2]})-{m[3]}", "the number of a segment stands in round brackets"),
    (r"([A-Z][A-Z0-9]{2}[^-]*)-(\d+)\((\d+)\)(.*)", lambda m: f"{m[1]}-{m[2]}[{m[3]}]{m[4]}", "a repetition stands in square brackets"),
    (
        r"([A-Z][A-Z0-9]{2}-\d+)\[([\d.]+)=([^'\"\]&]+)\](.*)",
        lambda m: f"{m[1]}[{m[2]}='{m[3]}']{m[4]}",
        "a compared text stands in quotes",
    ),
    (r"([A-Z][A-Z0-9]{2})\[([\d.]+)=([^'\"\]]+)\](.*)", lambda m: f"{m[1]}[{m[2]}='{m[3]}']{m[4]}", "a compared text stands in quotes"),
    (r"([A-Za-z][A-Za-z0-9]{2})\b(.*)", lambda m: f"{m[1].upper()}{m[2]}", "names of segments are written large"),
    (r"([A-Z][A-Z0-9]{2}) ?[-_: ]? ?(\d.*)", lambda m: f"{m[1]}-{m[2]}", "a dash stands before the field"),
)
"""What people write, the path they meant, and what is wrong with it."""


def _remedy(text: str) -> str:
    for pattern, meant, wrong in _USUAL_MISTAKES:
        match = re.fullmatch(pattern, text.strip())
        if match and _PLACE.fullmatch(meant(match)):
            return f"{wrong}; did you mean {meant(match)}?"
    if re.search(r"[-.(\[]0", text):
        return "fields, components, repetitions and segments are counted from 1, without leading zeros, e.g. PID-3.1"
    return "write a segment, a dash and a field, e.g. PID-3, PID-3.1 or PID-3[MR].1"
