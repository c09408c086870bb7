"""Who is told in a message, and what of it a copy still tells: found without the tables that the anonymizer goes by.

What identifies is known by the standard's dictionary alone: the data types of names, identifiers, addresses, telephones and
dates, and the names of fields and components (Account Number, SSN, Driver's License, County, Maiden Name). A value counts as left
where a place of the copy has it and the same place of the original had it too: a pseudonym that happens to be another's
number is no leak, and nothing moves between places.

Some values say nothing by themselves, and are judged at their own place alone: cities of fewer than four letters, identifiers
without three digits; or not at all: names of fewer than three letters, identifiers of fewer than five, and a year without a month,
which safe harbor leaves. Elsewhere a name is looked for in
texts, as a word, in any case, and not in codes, which may as well be that word; an identifier of a person and a telephone
number is looked for everywhere, with whatever punctuation stands between its characters, in a code if it is all of it; the
number of an order, a device or a message not in codes, which may be those of the same item.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from suture.wire.hl7v2.standard import dictionary
from suture.wire.hl7v2.text.delimiters import NULL_TEXT
from suture.wire.hl7v2.text.er7 import Message, Segment, unescape
from suture.wire.hl7v2.tools.parts import Leaf, leaves

THINGS = frozenset({"ITM", "IVT", "ILT", "VND", "PKG", "IIM", "PRC", "CDM", "MFI", "MFE", "SFT", "INV"})
"""Segments about things, which the anonymizer promises to leave."""
PERSONS = frozenset({"XPN", "PN", "XCN", "CN", "CNN", "CNS", "PPN", "CN_SIMPLE"})
NUMBERED = frozenset({"CX", "CK", "CK_ACCOUNT_NO", "CM_PAT_ID", "CM_PAT_ID_0192", "CM_LICENSE_NO", "DLN", "EI", "CM_PLACER", "CM_FILLER"})
THINGS_NUMBERED = frozenset({"EI", "CM_PLACER", "CM_FILLER", "CM_GROUP_ID"})
ADDRESSES = frozenset({"XAD", "AD", "SAD"})
PHONES = frozenset({"XTN", "TN"})
DATES = frozenset({"DT", "TS", "DTM"})
CODES = frozenset({"ID", "IS", "SI", "NM", "HD", "PL", "CM_INTERNAL_LOCATION", "MSG", "CM_MSG", "PT", "VID", "MO", "CP", "CQ", "TM", "SN"})
CODED = frozenset({"CE", "CWE", "CNE", "CF"})

_NAMED = re.compile(r"famil|given|surname|middle initial|last name|maiden name|\balias\b|called by|addressee", re.I)
_NUMBER = re.compile(
    r"social security|\bssn\b|driver'?s license|licen[cs]e number|account number|visit number|(placer|filler|group) (order )?number|"
    r"guarantor number|patient id\b|patient identifier|member number|medicare|medicaid|champus id|military id|employee (id|number)|"
    r"policy number|subscriber id|certification number|case number|operator id|\bid number|person identifier|card number|"
    r"preadmit number|control id",
    re.I,
)
_NO_NUMBER = re.compile(r"set id|number of|sequence|type of id|organi[sz]ation|insurance company", re.I)
_PLACE = re.compile(r"street|mailing address|dwelling|city$|zip|county|census|birth place|geographic", re.I)
_PLACED = re.compile(r"^\d{4}(\d{2})?(\d{2})?((?:\d{2}){0,3}(?:\.\d{1,4})?(?:[+-]\d{4})?)$")


@dataclass(frozen=True)
class Place:
    """A value's place: index of its segment in the message, and the value with its numbers."""

    segment: Segment
    leaf: Leaf
    kind: str
    code: bool
    thing: bool = False

    @property
    def name(self) -> str:
        """As a finding would name it, without the value."""
        return self.leaf.path(self.segment.name)

    @property
    def text(self) -> str:
        """The value, escapes resolved."""
        return unescape(self.leaf.raw, self.segment.delimiters)


def places(message: Message, version: str) -> list[list[Place]]:
    """The values of each segment that the standard has, with what they tell."""
    return [
        [Place(segment, leaf, *_judged(version, segment, leaf)) for leaf in leaves(segment) if leaf.raw != NULL_TEXT]
        for segment in message.segments
    ]


def _judged(version: str, segment: Segment, leaf: Leaf) -> tuple[str, bool, bool]:
    """What a value tells, "" for nothing; whether it is a code; whether it is the number of a thing: an order, a device, a message."""
    field = dictionary.field(version, segment.name, leaf.field)
    if segment.name in THINGS or (segment.name == "MSH" and leaf.field not in (7, 10)):
        return "", True, False
    if field is None:
        return "", False, False
    whole = segment.get(2) if (segment.name, leaf.field) == ("OBX", 5) else field.datatype
    types, names = [whole], [field.name]
    for number in (leaf.component or 1, leaf.sub or 1):
        known = dictionary.components(version, types[-1])
        part = known[number - 1] if number <= len(known) else None
        if part is None:
            break
        types.append(part.datatype)
        names.append(part.name)
    divided = leaf.component > 1 or leaf.sub > 1
    beyond = (leaf.component > 1 and len(types) < 2) or (leaf.sub > 1 and len(types) < 3)
    thing = bool(set(types) & THINGS_NUMBERED) or re.search("control id|order number|group number", field.name, re.I) is not None
    return ("" if beyond else _kind(types, names, divided)), _code(types, leaf), thing


def _kind(types: list[str], names: list[str], divided: bool) -> str:
    """By the innermost type that says something, with the names that lead to it."""
    first, last = names[0], names[-1]
    if types[-1] in DATES or (types[0] in DATES and not divided) or (len(types) > 1 and types[-2] == "TS" and not divided):
        return "date"
    if set(types) & PERSONS:
        within = names[-2] if types[-2] == "FN" else ""
        named = _NAMED.search(last) or (_NAMED.search(within) and re.search("surname|family", last, re.I))
        return "name" if named else "number" if re.fullmatch(r"id( number)?( st)?|person identifier", last, re.I) and not divided else ""
    if set(types) & ADDRESSES:
        return "place" if any(_PLACE.search(each) for each in names[1:] or [last]) else ""
    if set(types) & PHONES:
        at = types.index(next(each for each in types if each in PHONES))
        wanted = re.search(r"telephone number|local number|phone number|address|unformatted|any text", last, re.I)
        return "phone" if wanted or at == len(types) - 1 else ""
    if set(types) & NUMBERED and len(types) > 1:
        return "number" if not divided and re.search(r"identifier|number|\bid\b", last, re.I) else ""
    if types[-1] in CODED or set(types) & CODED:
        return ""
    if re.search("maiden name|alias", first, re.I) and not divided:
        return "name"
    if _PLACE.search(first) and not divided and types[0] != "NM":
        return "place"
    return "number" if _NUMBER.search(first) and not _NO_NUMBER.search(first) and not divided else ""


def _code(types: list[str], leaf: Leaf) -> bool:
    """Is it a code, or a number that counts something, in which no text is expected, and none stands: it has no blank?"""
    if " " in leaf.raw.strip():
        return False
    if any(each in CODED for each in types):
        at = next(n for n, each in enumerate(types) if each in CODED)
        return (leaf.component, leaf.sub)[min(at, 1)] not in (2, 5, 9)
    return any(each in CODES for each in types)


@dataclass
class Told:
    """What a message tells of people, for looking it up elsewhere."""

    names: set[str]
    numbers: set[str]
    entities: set[str]

    @classmethod
    def of(cls, found: list[list[Place]]) -> Told:
        """All of it that is long enough to be looked for in other places."""
        told = cls(set(), set(), set())
        for place in (place for places in found for place in places):
            text = place.text.strip()
            letters, digits = sum(map(str.isalpha, text)), sum(map(str.isdigit, text))
            if (place.kind == "name" and letters >= 3) or (place.kind == "place" and letters >= 4 and not digits and text):
                told.names.add(text.casefold())
            elif place.kind in ("number", "phone") and digits >= 3 and letters + digits >= 5:
                (told.entities if place.thing else told.numbers).add(_bare(text))
        return told


def _bare(text: str) -> str:
    return re.sub(r"[\W_]", "", text).casefold()


_RUN = re.compile(r"[^\W_]+")


@lru_cache(4096)
def _numbers(text: str, longest: int) -> frozenset[str]:
    """Every run of letters and digits, and every few of them that up to two characters part, put together."""
    runs = list(_RUN.finditer(text.casefold()))
    found = set()
    for at, run in enumerate(runs):
        key, end = "", run.start()
        for part in runs[at:]:
            if part.start() - end > 2 or len(key) > longest:
                break
            key, end = key + part[0], part.end()
            found.add(key)
    return frozenset(found)


def _has_name(text: str, name: str) -> bool:
    return name in text.casefold() and re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text.casefold()) is not None


def left(original: Message, copy: Message, version: str) -> Iterator[str]:
    """The places of the copy that tell what the original told there, with what kind of thing it is; never the value."""
    before, after = places(original, version), places(copy, version)
    told = Told.of(before)
    if len(before) != len(after):
        yield "the copy has another number of segments"
        return
    for was, now in zip(before, after, strict=True):
        old: dict[tuple[int, int, int, int], list[Place]] = {}
        for place in was:
            old.setdefault(_at(place), []).append(place)
        for place in now:
            for one in old.get(_at(place), ()):
                yield from (f"{one.name} ({one.segment.name}): {what}" for what in _same(one, place, told))


def _at(place: Place) -> tuple[int, int, int, int]:
    return place.leaf.field, place.leaf.repetition, place.leaf.component, place.leaf.sub


def _same(was: Place, now: Place, told: Told) -> Iterator[str]:
    """What the new value at a place still tells of the old one."""
    old, new = was.text, now.text
    if was.kind == "date":
        yield from _date(old, new)
    elif was.kind and old.casefold() == new.casefold() and len(_bare(old)) >= (5 if was.kind == "number" else 3) and _bare(old).strip("0"):
        yield f"{was.kind} in clear"
    if was.code and _bare(old) == _bare(new) in told.numbers:
        yield "a number of somebody"
    elif not was.code:
        known = told.numbers | told.entities
        longest = max(map(len, known), default=0)
        yield from ("a number of somebody" for _ in known & _numbers(old, longest) & _numbers(new, longest))
    if not was.code:
        for name in told.names:
            if name != old.casefold() and _has_name(old, name) and _has_name(new, name):
                yield "a name of somebody"


def _date(old: str, new: str) -> Iterator[str]:
    """A date that is one has moved, to a day that there is, with its precision, its time and its offset."""
    match = _PLACED.match(old)
    if not match or not possible(old) or not match[1]:
        return
    moved = _PLACED.match(new)
    if old == new:
        yield "date in clear"
    elif not moved or not possible(new) or [bool(each) for each in match.groups()] != [bool(each) for each in moved.groups()]:
        yield "date is none"
    elif match[3] != moved[3]:
        yield "another time of day"


def possible(text: str) -> bool:
    """Is it a date of the calendar?"""
    try:
        date(int(text[:4]), int(text[4:6] or 1), int(text[6:8] or 1))
    except ValueError:
        return False
    return True
