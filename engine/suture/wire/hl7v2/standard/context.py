"""Whose a message is: the segments that all its lines belong to, and stand once unless its structure has them more often."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from suture.model.errors import MessageError
from suture.wire.hl7v2.standard import dictionary
from suture.wire.hl7v2.standard.dictionary import Group, SegmentRef
from suture.wire.hl7v2.text.er7 import Message

CONTEXT = ("MSH", "PID", "PV1")


def require_one(message: Message, names: Sequence[str] = CONTEXT) -> None:
    """Raise MessageError (AMBIGUOUS_CONTEXT) for a message in which one of them stands a second time against its structure.

    The structure is that of MSH-9 in the version of MSH-12 (ADT^A17 has two PID); a message type without one has each once.
    """
    for name in names:
        if len(message.named(name)) > 1 and (name == "MSH" or not may_repeat(_structure_of(message), name)):
            reason = f"a second {name}, and the structure of the message has one: whose its lines are cannot be told"
            raise MessageError("map", "AMBIGUOUS_CONTEXT", f"{name}(2)", reason)


def require_own_header(message: Message) -> None:
    """Raise MessageError (AMBIGUOUS_CONTEXT) for what has a second MSH: it is more than one message, and has one answer.

    It takes one look at each byte of a message that has none.
    """
    raw = message.raw
    if raw[:3] != b"MSH" or raw.find(b"MSH", 3) >= 0:
        require_one(message, ("MSH",))


def is_shared(message: Message, name: str, each: str) -> bool:
    """Does the one segment of that name belong to all lines (segments `each`), and not to the one of them that it stands behind?

    It does before the first of them; and behind the last, where the structure has it outside of what repeats with a line
    (IN1 of DFT^P03). What no structure knows, as Z-segments, is taken to belong to the line before it.
    """
    if len(message.named(each)) < 2 or not message.named(name):
        return True
    names = message.names
    at = names.index(name)
    if at < names.index(each):
        return True
    return each not in names[at:] and stands_outside(_structure_of(message), name, each)


def _structure_of(message: Message) -> Group | None:
    """The structure of a message, of the version that it declares, else of the usual one; None where neither has any."""
    return _structure(message.get("MSH-12.1"), "^".join([message.get("MSH-9.1"), message.get("MSH-9.2"), message.get("MSH-9.3")]))


@lru_cache(1024)
def _structure(declared: str, kind: str) -> Group | None:
    """Versions that are old had messages that no table of theirs has."""
    return dictionary.structure(declared, kind) or dictionary.structure(dictionary.DEFAULT_VERSION, kind)


@lru_cache(1024)
def may_repeat(structure: Group | None, name: str) -> bool:
    """Does a structure of the dictionary have room for a second segment of that name?"""
    return structure is not None and _room(structure, name) > 1


def _room(place: Group | SegmentRef, name: str) -> int:
    """How many of them it has room for; 2 stands for any more."""
    if isinstance(place, SegmentRef):
        inside = int(place.name == name)
    else:
        rooms = [_room(child, name) for child in place.children]
        inside = max(rooms, default=0) if place.choice else sum(rooms)
    return min(2, inside * (place.max or 2))


@lru_cache(1024)
def stands_outside(structure: Group | None, name: str, each: str) -> bool:
    """Does a structure have the segment, and nowhere in a group that repeats with segments `each` in it?"""
    return structure is not None and name in structure.names and not _together(structure, name, each)


def _together(place: Group | SegmentRef, name: str, each: str) -> bool:
    if isinstance(place, SegmentRef):
        return False
    return (place.max != 1 and {name, each} <= place.names) or any(_together(child, name, each) for child in place.children)
