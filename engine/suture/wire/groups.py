"""Segments as the groups of a message structure (HL7 2.5.1 section 2.5.2): an order with its results, a line with its procedures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol

from suture.wire.segment import Segment


@dataclass(frozen=True, slots=True)
class Leaf:
    """A segment in a structure. max None: any number of times."""

    name: str
    min: int = 0
    max: int | None = 1


@dataclass(frozen=True, slots=True)
class Group:
    """A group in a structure, or the structure itself. A text among the children is a segment that stands there once.

    min, max: how often; max None: any number of times.
    """

    name: str
    children: tuple[Group | Leaf | str, ...]
    min: int = 1
    max: int | None = 1


@dataclass(slots=True)
class Found:
    """A group that the message has: its segments and groups, in the order of the message.

    unexpected: those of its segments that the structure does not have there (Z-segments among them).
    """

    name: str
    items: list[Segment | Found] = field(default_factory=list)
    unexpected: list[Segment] = field(default_factory=list)

    def segments(self) -> list[Segment]:
        """All segments of the group and the groups in it, in order."""
        found: list[Segment] = []
        for item in self.items:
            found += item.segments() if isinstance(item, Found) else [item]
        return found

    def groups(self, name: str) -> list[Found]:
        """The groups of that name right below this one."""
        return [item for item in self.items if isinstance(item, Found) and item.name == name]


class HasSegments(Protocol):
    """A message, as far as its groups are concerned."""

    @property
    def segments(self) -> Sequence[Segment]:
        """Its segments in order."""
        ...


@dataclass(slots=True)
class _Place:
    """Where the reading stands in an open group: at which child, which has been there `count` times."""

    group: Group
    found: Found
    child: int = 0
    count: int = 0


def group(message: HasSegments, structure: Group) -> Found:
    """The message as groups. No segment is dropped, moved or refused.

    A segment goes on in the innermost open group that can still take it, in the order of the structure; a group that
    cannot is begun again where it may repeat, else closed. What the structure cannot place stays in the group it stands in.
    """
    top = Found(structure.name)
    stack = [_Place(structure, top)]
    for segment in message.segments:
        if not _placed(stack, segment):
            stack[-1].found.items.append(segment)
            stack[-1].found.unexpected.append(segment)
    return top


def _placed(stack: list[_Place], segment: Segment) -> bool:
    """Put the segment where the structure has it next; leave the stack as it is where there is no such place."""
    for depth in range(len(stack) - 1, -1, -1):
        place = stack[depth]
        at = _next_child(place, segment.name)
        if at is not None:
            del stack[depth + 1 :]
            _enter(stack, at, segment)
            return True
    return False


def _next_child(place: _Place, name: str) -> int | None:
    """The child of an open group that takes the segment: the present one once more, or a later one."""
    children = place.group.children
    for at in range(place.child, len(children)):
        child = children[at]
        full = at == place.child and place.count and _max(child) is not None and place.count >= (_max(child) or 0)
        if not full and name in names_in(child):
            return at
    return None


def _enter(stack: list[_Place], at: int, segment: Segment) -> None:
    place = stack[-1]
    while True:
        place.count = place.count + 1 if at == place.child else 1
        place.child = at
        child = place.group.children[at]
        if not isinstance(child, Group):
            place.found.items.append(segment)
            return
        inner = Found(child.name)
        place.found.items.append(inner)
        place = _Place(child, inner)
        stack.append(place)
        at = _next_child(place, segment.name) or 0


def _max(child: Group | Leaf | str) -> int | None:
    return 1 if isinstance(child, str) else child.max


@lru_cache(4096)
def names_in(child: Group | Leaf | str) -> frozenset[str]:
    """The names of all segments that can stand in a part of a structure."""
    if isinstance(child, str):
        return frozenset({child})
    if isinstance(child, Leaf):
        return frozenset({child.name})
    return frozenset().union(*map(names_in, child.children))
