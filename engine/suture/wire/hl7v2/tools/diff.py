"""What differs between two messages, by segment and field."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from difflib import SequenceMatcher

from suture.model.value import Value
from suture.wire.hl7v2.text.delimiters import NULL_TEXT
from suture.wire.hl7v2.text.er7 import Message, Segment
from suture.wire.hl7v2.tools import parts

ALWAYS_IGNORED = ("MSH-7", "MSH-10")
"""When a message was made, and its control id: a copy sent again has others."""
IDENTITY: dict[str, tuple[int, ...]] = {
    **{"OBX": (3, 4), "FT1": (7, 2), "OBR": (4, 2), "ORC": (2, 3), "DG1": (3,), "AL1": (3,), "NK1": (2,), "IN1": (2, 3)},
    **{"PR1": (3,), "RXE": (2,), "RXA": (5,), "RXD": (2,), "AIS": (3,), "AIP": (3,), "AIL": (3,), "TXA": (12,)},
    **{"ROL": (3, 4), "SPM": (2, 4), "MFE": (1, 4), "ITM": (1,), "IVT": (2,), "VND": (2,), "PCE": (2,)},
}
"""The fields by which two repeated segments are the same thing, although they differ elsewhere."""
PAIRS_MAX = 1_000_000
"""Above so many possible pairs, segments of a name are paired in their order instead of compared each with each."""

_IGNORE = re.compile(r"([A-Z][A-Z0-9]{2})(?:\(([1-9]\d{0,8})\))?(?:-([1-9]\d{0,8})(?:\.([1-9]\d{0,8})(?:\.([1-9]\d{0,8}))?)?)?")

Key = tuple[int, int, int, int]
"""Field, repetition, component, subcomponent."""


class Ignored(Value, frozen=True):
    """A place that does not count: a segment, a field, or a component. 0: all of them."""

    segment: str
    occurrence: int = 0
    field: int = 0
    component: int = 0
    sub: int = 0

    @classmethod
    def read(cls, text: str) -> Ignored:
        """Read PID, PID-5, PID-5.2, FT1(2)-7. Raises ValueError with the remedy."""
        match = _IGNORE.fullmatch(text)
        if not match:
            raise ValueError(f"{text!r} is no place; write a segment, a field or a component, such as EVN, PID-5 or PID-5.2")
        return cls(match[1], *(int(group or 0) for group in match.groups()[1:]))

    def covers(self, occurrence: int, key: Key) -> bool:
        """Whether a value of the segment is meant."""
        if self.occurrence not in (0, occurrence):
            return False
        wanted = ((self.field, key[0]), (self.component, key[2]), (self.sub, key[3]))
        return all(mine in (0, its) for mine, its in wanted)


class Difference(Value, frozen=True):
    """One place where they differ. a, b: the values, None where there is none; place counts in the message that has it.

    name: what is there, by the dictionary. segment: a whole segment is in one of them alone, and a or b is its text.
    """

    place: str
    name: str
    a: str | None
    b: str | None
    segment: bool = False


class _Seen(Value, frozen=True):
    """A segment with what is compared: its values without those that are ignored."""

    place: str
    segment: Segment
    values: dict[Key, str]
    raw: dict[Key, parts.Leaf]


def compare(a: Message, b: Message, ignored: Sequence[Ignored] = (), version: str = "") -> Iterator[Difference]:
    """What differs, in the order of a. What is empty and what is absent are the same; null is not.

    Segments are aligned by their whole content, then by what identifies them (IDENTITY), then by name.
    """
    ignored = (*map(Ignored.read, ALWAYS_IGNORED), *ignored)
    version = parts.version_of(a, version)
    for one, other in aligned(_seen(a, ignored), _seen(b, ignored)):
        if one and other:
            yield from _values(version, one, other)
        elif one:
            yield Difference(one.place, "", one.segment.text, None, True)
        elif other:
            yield Difference(other.place, "", None, other.segment.text, True)


def _seen(message: Message, ignored: Sequence[Ignored]) -> list[_Seen]:
    counts: dict[str, int] = {}
    found = []
    for place, segment in parts.places(message):
        counts[segment.name] = occurrence = counts.get(segment.name, 0) + 1
        rules = [rule for rule in ignored if rule.segment == segment.name]
        if any(not rule.field and rule.occurrence in (0, occurrence) for rule in rules):
            continue
        kept = {}
        for leaf in parts.leaves(segment):
            key = (leaf.field, leaf.repetition, leaf.component or 1, leaf.sub or 1)
            if not any(rule.covers(occurrence, key) for rule in rules):
                kept[key] = leaf
        values = {key: NULL_TEXT if leaf.raw == NULL_TEXT else parts.value(segment, leaf) for key, leaf in kept.items()}
        found.append(_Seen(place, segment, values, kept))
    return found


Pair = tuple[_Seen | None, _Seen | None]


def aligned(a: Sequence[_Seen], b: Sequence[_Seen], level: int = 0) -> Iterator[Pair]:
    """Pairs of segments that are the same thing; None beside one that is in one message alone."""
    if not a or not b or level == len(_LEVELS):
        yield from ((one, None) for one in a)
        yield from ((None, other) for other in b)
        return
    key = _LEVELS[level]
    keys_a, keys_b = [key(each) for each in a], [key(each) for each in b]
    if len(a) * len(b) > PAIRS_MAX:
        keys_a, keys_b = _numbered(keys_a), _numbered(keys_b)
    for kind, a1, a2, b1, b2 in SequenceMatcher(None, keys_a, keys_b, autojunk=False).get_opcodes():
        if kind == "equal":
            yield from zip(a[a1:a2], b[b1:b2], strict=True)
        else:
            yield from aligned(a[a1:a2], b[b1:b2], level + 1)


_LEVELS: tuple[Callable[[_Seen], tuple[object, ...]], ...] = (
    lambda each: (each.segment.name, *each.values.items()),
    lambda each: (each.segment.name, *(each.segment.raw(number) for number in IDENTITY.get(each.segment.name, ()))),
    lambda each: (each.segment.name,),
)


def _numbered(keys: list[tuple[object, ...]]) -> list[tuple[object, ...]]:
    counts: dict[tuple[object, ...], int] = {}
    out = []
    for key in keys:
        counts[key] = number = counts.get(key, 0) + 1
        out.append((*key, number))
    return out


def _values(version: str, one: _Seen, other: _Seen) -> Iterator[Difference]:
    for key in sorted(one.values.keys() | other.values.keys()):
        a, b = one.values.get(key), other.values.get(key)
        if a != b:
            seen = one if key in one.raw else other
            leaf = seen.raw[key]
            divided = any(key in each.raw and each.raw[key].component for each in (one, other))
            name = parts.name_of(version, seen.segment, leaf)
            yield Difference(leaf.path(seen.place, divided), name, a, b)
