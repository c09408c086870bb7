"""Whether the segments of a message follow its structure: what is missing, unexpected or too often, and where.

A cursor walks through the structure and each segment takes the nearest place that it can have: in the group that is
open, in its next repetition, or further out. Where two groups begin with the same segment (in CSU^C09 an ORC begins an
observation or a medication), the segment after it tells which. A segment that nothing expects is noted and passed over
(HL7 2.5.1 section 2.5.2: receivers ignore unexpected segments), so one mistake makes one finding. Z-segments may stand
anywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from suture.model.value import Value
from suture.wire.hl7v2.standard.dictionary import ANY_SEGMENT, Group, SegmentRef

MISPLACED_MAX = 1000
"""Segments out of place, after which a message is no more looked at."""
CONTINUATION = "DSC"
"""The segment that may end any message, to say that it goes on in another (HL7 2.5.1 section 2.10.2)."""
MISSING, UNEXPECTED, REPEATS = "segment_missing", "segment_unexpected", "segment_repeats"


class Misplaced(Value, frozen=True):
    """One thing wrong with the order. index: of the segment in the message, its number of segments when missing at the end."""

    kind: str
    name: str
    index: int
    group: str = ""


Place = Group | SegmentRef


@dataclass(slots=True)
class _Frame:
    """An open group. at: index of the child that was filled last (-1: none). count: how often that child was filled."""

    node: Place
    at: int = -1
    count: int = 0


@dataclass(slots=True)
class _Wanted:
    """A segment that looks for its place. following: the one after it, "" when that does not matter.

    skipping: past what is required, if need be.
    """

    name: str
    following: str = ""
    skipping: bool = False

    def fits(self, place: Place) -> bool:
        """Can it begin there, or stand there at all when it skips?"""
        if self.skipping:
            return self.name in place.names
        following = self.following
        return self.name in place.first and (not following or following in place.second.get(self.name, (following,)))


class _Cursor:
    """Where in the structure the last segment stood: open groups from the outermost to the innermost."""

    def __init__(self, root: Place) -> None:
        self.frames = [_Frame(root)]
        self.missing: list[tuple[str, str]] = []

    def take(self, name: str, following: str = "") -> bool:
        """Give the segment the nearest place it can have; what had to be there before it is in `missing`.

        A place where the following segment fits too goes first ("": none that the structure knows follows).
        """
        self.missing = []
        wanted = _Wanted(name, following)
        if self.put(wanted):
            return True
        return (bool(following) and self.put(_Wanted(name))) or self.put(_Wanted(ANY_SEGMENT)) or self.put(_Wanted(name, "", True))

    def put(self, wanted: _Wanted) -> bool:
        """Give the segment the nearest place that it fits, if there is one."""
        for depth in range(len(self.frames) - 1, -1, -1):
            if self._take_in(depth, wanted):
                return True
            if not wanted.skipping and _required_after(self.frames[depth]):
                break
        return False

    def _take_in(self, depth: int, wanted: _Wanted) -> bool:
        """Take the segment in the open group at that depth: further in it, or as its next repetition."""
        frame = self.frames[depth]
        target = _forward(frame, wanted)
        if target is None and depth and self._may_repeat(depth, wanted):
            self._close(depth)
            self.frames[depth - 1].count += 1
            frame = _Frame(frame.node)
            self.frames.append(frame)
            target = _forward(frame, wanted)
        if target is None:
            return False
        self._close(depth + 1)
        self._enter(frame, target, wanted)
        return True

    def _may_repeat(self, depth: int, wanted: _Wanted) -> bool:
        node, parent = self.frames[depth].node, self.frames[depth - 1]
        if node.max and parent.count >= node.max:
            return False
        return wanted.fits(node) and (wanted.skipping or not _required_after(self.frames[depth]))

    def _close(self, depth: int) -> None:
        """Leave the groups from that depth inwards, noting what they still needed."""
        for frame in self.frames[depth:]:
            self.missing += [(example(node), frame.node.name) for node in _required_after(frame)]
        del self.frames[depth:]

    def _enter(self, frame: _Frame, target: int, wanted: _Wanted) -> None:
        """Fill that child of the group, opening the groups on the way down to the segment."""
        if frame.at != target:
            between = [] if frame.node.choice else frame.node.children[frame.at + 1 : target]
            self.missing += [(example(node), frame.node.name) for node in between if not node.optional]
            frame.at, frame.count = target, 0
        frame.count += 1
        child = frame.node.children[target]
        if child.children:
            inner = _Frame(child)
            self.frames.append(inner)
            inside = _forward(inner, wanted)
            if inside is None:
                inside = _forward(inner, _Wanted(wanted.name, "", True))
            self._enter(inner, inside or 0, wanted)

    def end(self) -> list[tuple[str, str]]:
        """What is still required when the message ends."""
        self.missing = []
        self._close(0)
        return self.missing


def _forward(frame: _Frame, wanted: _Wanted) -> int | None:
    """The child, from the last filled one on, that can take the segment."""
    node, name = frame.node, wanted.name
    if frame.at >= 0:
        current = node.children[frame.at]
        if not current.children and name in current.names and (not current.max or frame.count < current.max):
            return frame.at
        if node.choice:
            return None
    for i in range(frame.at + 1, len(node.children)):
        child = node.children[i]
        if wanted.fits(child):
            return i
        if not (child.optional or wanted.skipping or node.choice):
            return None
    return None


def _required_after(frame: _Frame) -> list[Place]:
    """The children that must still come."""
    if frame.node.choice:
        return [] if frame.at >= 0 or frame.node.optional else [frame.node]
    return [node for node in frame.node.children[frame.at + 1 :] if not node.optional]


def example(node: Place) -> str:
    """The segment that stands for what is missing: the first required one of a group."""
    while node.children:
        node = next((child for child in node.children if not child.optional), node.children[0])
    return node.name


def _followings(known: frozenset[str], names: Sequence[str]) -> list[str]:
    """To each segment the next one that the structure has, "" where there is none."""
    found, following = [], ""
    for name in reversed(names):
        found.append(following)
        following = name if name in known else following
    return found[::-1]


def misplaced(whole: Group, names: Sequence[str]) -> list[Misplaced]:
    """Hold the names of a message's segments against a structure; in the order of the message, linear in their number.

    A segment that stands in the wrong place is told once, as unexpected, and not as missing too.
    """
    cursor = _Cursor(whole)
    known = whole.names
    found: list[Misplaced] = []
    missing: dict[str, Misplaced] = {}
    last = ""
    for index, (name, following) in enumerate(zip(names, _followings(known, names), strict=True)):
        if name[:1] == "Z":
            continue
        if name == CONTINUATION and index == len(names) - 1:
            cursor.put(_Wanted(name))
        elif cursor.take(name, following):
            for wanted, group in cursor.missing:
                missing.setdefault(wanted, Misplaced(MISSING, wanted, index, group))
        else:
            missing.pop(name, None)
            if len(found) >= MISPLACED_MAX:
                return found
            found.append(Misplaced(REPEATS if name == last and name in known else UNEXPECTED, name, index))
        last = name
    for wanted, group in cursor.end():
        if wanted != CONTINUATION or last != CONTINUATION:
            missing.setdefault(wanted, Misplaced(MISSING, wanted, len(names), group))
    return sorted([*found, *missing.values()], key=lambda one: one.index)
