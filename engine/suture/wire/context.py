"""Whose a message is: the segments that all its lines belong to, and stand once unless its structure has them more often."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from suture.model.errors import MessageError
from suture.wire import dictionary
from suture.wire.dictionary import Group, SegmentRef
from suture.wire.er7 import Message

CONTEXT = ("MSH", "PID", "PV1")


def require_one(message: Message, names: Sequence[str] = CONTEXT) -> None:
    """Raise MessageError (AMBIGUOUS_CONTEXT) for a message in which one of them stands a second time against its structure.

    The structure is that of MSH-9 in the version of MSH-12 (ADT^A17 has two PID); a message type without one has each once.
    """
    for name in names:
        if len(message.named(name)) > 1 and not _may_repeat(message, name):
            reason = f"a second {name}, and the structure of the message has one: whose its lines are cannot be told"
            raise MessageError("map", "AMBIGUOUS_CONTEXT", f"{name}(2)", reason)


def _may_repeat(message: Message, name: str) -> bool:
    version = dictionary.nearest(message.get("MSH-12.1"))
    kind = "^".join(message.get(place) for place in ("MSH-9.1", "MSH-9.2", "MSH-9.3"))
    return name != "MSH" and may_repeat(version, dictionary.structure_name(version, kind), name)


@lru_cache(1024)
def may_repeat(version: str, structure: str, name: str) -> bool:
    """Does a structure of the dictionary have room for a second segment of that name?"""
    found = dictionary.structure(version, structure) if structure else None
    return found is not None and _room(found, name) > 1


def _room(place: Group | SegmentRef, name: str) -> int:
    """How many of them it has room for; 2 stands for any more."""
    if isinstance(place, SegmentRef):
        inside = int(place.name == name)
    else:
        rooms = [_room(child, name) for child in place.children]
        inside = max(rooms, default=0) if place.choice else sum(rooms)
    return min(2, inside * (place.max or 2))
