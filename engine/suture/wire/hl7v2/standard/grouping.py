"""The segments of a message put into the groups of its structure, none lost and none moved."""

from __future__ import annotations

from dataclasses import dataclass, field

from suture.wire.hl7v2.standard.dictionary import Group, SegmentRef
from suture.wire.hl7v2.text.er7 import Segment


@dataclass(slots=True)
class Node:
    """One occurrence of a group, with its segments and groups in the order of the message."""

    group: Group
    children: list[Node | Segment] = field(default_factory=list)
    at: int = 0
    """The child of the structure that was filled last."""
    used: bool = False
    """That child is filled, so that it may only come again where it repeats."""


def grouped(structure: Group, segments: list[Segment]) -> Node:
    """Place every segment; one that the structure does not have there stays where the message has it."""
    root = Node(structure)
    open_ = [root]
    for segment in segments:
        open_ = _place(open_, segment)
    return root


def _place(open_: list[Node], segment: Segment) -> list[Node]:
    """Put a segment in the innermost group that takes it: further on in one that is open, or as its next repetition."""
    for depth in range(len(open_) - 1, -1, -1):
        node = open_[depth]
        index = _find(node.group, segment.name, node.at + (node.used and not _repeats(node.group, node.at)))
        if index is None and depth and node.group.max != 1:
            index = _find(node.group, segment.name, 0)
            if index is not None:
                node = Node(node.group)
                open_[depth - 1].children.append(node)
        if index is not None:
            return [*open_[:depth], *_descend(node, index, segment)]
    open_[-1].children.append(segment)
    return open_


def _repeats(group: Group, index: int) -> bool:
    return group.choice or group.children[index].max != 1


def _find(group: Group, name: str, begin: int) -> int | None:
    return next((i for i in range(begin, len(group.children)) if name in group.children[i].names), None)


def _descend(node: Node, index: int, segment: Segment) -> list[Node]:
    opened = [node]
    while True:
        node.at, node.used = index, True
        child = node.group.children[index]
        if isinstance(child, SegmentRef):
            node.children.append(segment)
            return opened
        inner = Node(child)
        node.children.append(inner)
        opened.append(inner)
        node, index = inner, _find(child, segment.name, 0) or 0
