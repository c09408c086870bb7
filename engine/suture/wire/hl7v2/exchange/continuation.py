"""Messages in fragments: MSH-14, DSC and ADD (HL7 2.9.1 section 2.9.2). Pure: time comes in as a number.

The last segment of a fragment is DSC with a pointer; the next fragment has that pointer in MSH-14 and a control id of its
own. Segments of the fragments follow each other; a segment that was split ends with an empty ADD before the DSC, and goes on
in the ADD that the next fragment begins with.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

from suture.model.value import Value
from suture.wire.hl7v2.text import lines, widths
from suture.wire.hl7v2.text.header import Header
from suture.wire.hl7v2.text.widths import Width

Item = TypeVar("Item")

_TAIL_UNITS = 1024
"""As much of the end of a message as is looked at for its DSC; a pointer is at most 180 characters."""


class Limits(Value, frozen=True):
    """fragments, size_bytes: most of one message. chains, waiting_bytes: unfinished messages at a time, and all that has come
    of them. timeout_s: until the next fragment."""

    fragments: int = 1000
    size_bytes: int = 67_108_864
    chains: int = 100
    timeout_s: float = 300.0
    waiting_bytes: int = 67_108_864


class Links(NamedTuple):
    """How a message is linked: follows is MSH-14, points_to is DSC-1, each b"" when absent."""

    follows: bytes
    points_to: bytes


def is_fragment(header: Header, raw: bytes) -> bool:
    """Is this message a part of another?"""
    return links(header, raw) != (b"", b"")


def links(header: Header, raw: bytes) -> Links:
    """The links of a message. A DSC whose style is I (an interactive query goes on) makes no fragment (HL7 table 0398)."""
    follows = header.get(14).strip()
    width = header.width
    tail = width.narrow(raw[max(0, len(raw) // width.size - _TAIL_UNITS) * width.size :]).replace(b"\n", b"\r").rstrip(b"\r")
    line = tail[tail.rfind(b"\r") + 1 :].lstrip(b" \t")
    s = header.separator
    if not line.startswith(b"DSC" + s):
        return Links(follows, b"")
    fields = line.split(s)
    interactive = len(fields) > 2 and fields[2].strip().upper() == b"I"
    return Links(follows, b"" if interactive else fields[1].strip())


@dataclass(slots=True)
class Chain(Generic[Item]):
    """The fragments of one message so far. items: what the caller gave with each. codec: of its `Width`."""

    separator: bytes
    until_s: float
    fragments: list[bytes] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)
    size_bytes: int = 0
    codec: str = ""

    def joined(self) -> bytes:
        """The whole message, as its sender had it before the cutting, segments ended by CR."""
        return join(self.fragments, self.separator)


class Broken(Value, Generic[Item], frozen=True):
    """Fragments that will never be a message. code: as in docs/errors.md."""

    code: str
    reason: str
    items: list[Item]


class Assembler(Generic[Item]):
    """Joins the fragments of all senders of a channel, within limits."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._chains: dict[tuple[str, bytes], Chain[Item]] = {}

    @property
    def waiting(self) -> int:
        """Unfinished messages."""
        return len(self._chains)

    @property
    def waiting_bytes(self) -> int:
        """What has come of unfinished messages."""
        return sum([chain.size_bytes for chain in self._chains.values()])

    def add(self, sender: str, header: Header, raw: bytes, item: Item, now_s: float) -> Chain[Item] | Broken[Item] | None:
        """Take a fragment: the chain when it was the last of it, Broken when it fits nowhere, None while more is to come."""
        at = links(header, raw)
        chain: Chain[Item] | None
        if not at.follows:
            if len(self._chains) >= self._limits.chains:
                return Broken("CONTINUATION_TOO_LARGE", f"{self._limits.chains} messages in fragments are open already", [item])
            chain = Chain(header.separator, 0, codec=header.width.codec)
        else:
            chain = self._chains.pop((sender, at.follows), None)
            if chain is None:
                return Broken("CONTINUATION_UNKNOWN", "no fragment came before it whose DSC-1 is its MSH-14", [item])
        chain.fragments.append(raw)
        chain.items.append(item)
        chain.size_bytes += len(raw)
        if chain.separator != header.separator:
            return Broken("CONTINUATION_UNKNOWN", "its field separator is not that of the fragments before it", chain.items)
        if chain.codec != header.width.codec:
            return Broken("CONTINUATION_UNKNOWN", "its character set is not that of the fragments before it", chain.items)
        if len(chain.fragments) > self._limits.fragments or chain.size_bytes > self._limits.size_bytes:
            most = f"{self._limits.fragments} fragments and {self._limits.size_bytes} bytes"
            return Broken("CONTINUATION_TOO_LARGE", f"more than {most} for one message", chain.items)
        if not at.points_to:
            return chain
        if chain.size_bytes + self.waiting_bytes > self._limits.waiting_bytes:
            most = f"{self._limits.waiting_bytes} bytes"
            return Broken("CONTINUATION_TOO_LARGE", f"more than {most} of unfinished messages", chain.items)
        return self._wait(chain, (sender, at.points_to), now_s)

    def _wait(self, chain: Chain[Item], key: tuple[str, bytes], now_s: float) -> Broken[Item] | None:
        chain.until_s = now_s + self._limits.timeout_s
        replaced = self._chains.pop(key, None)
        self._chains[key] = chain
        if replaced is None:
            return None
        return Broken("CONTINUATION_UNKNOWN", "its sender uses the same pointer for another message", replaced.items)

    def expired(self, now_s: float) -> list[Broken[Item]]:
        """The chains that waited too long for their next fragment; they are forgotten."""
        late = [key for key, chain in self._chains.items() if chain.until_s <= now_s]
        reason = f"no fragment followed its DSC within {self._limits.timeout_s:g} s"
        return [Broken("CONTINUATION_TIMEOUT", reason, self._chains.pop(key).items) for key in late]

    def next_s(self) -> float | None:
        """When the first chain expires, None when none waits."""
        return min((chain.until_s for chain in self._chains.values()), default=None)


def join(fragments: list[bytes], separator: bytes) -> bytes:
    """The message that was cut into these fragments: one MSH, no DSC, split segments whole; in UTF-16 with the mark of the first."""
    width = widths.width_of(fragments[0])
    end = width.ascii(b"\r")
    found: list[list[bytes]] = []  # each in the parts it was cut into
    for number, raw in enumerate(fragments):
        own = _segments(raw)
        if own and _behind(b"DSC" + separator, own[-1], width) is not None:
            own.pop()
            if own and width.view(own[-1]).strip(b" \t").rstrip(separator) == b"ADD":
                own.pop()
        for line in own[1 if number else 0 :]:
            if found and (rest := _behind(b"ADD" + separator, line, width)) is not None:
                found[-1].append(rest)
            else:
                found.append([line])
    return width.mark + b"".join([part for line in found for part in (*line, end)])


def _behind(name: bytes, line: bytes, width: Width) -> bytes | None:
    """What follows the name of a segment and the separator in its line; None where it is another segment."""
    view = width.view(line)
    bare = view.lstrip(b" \t")
    return line[(len(view) - len(bare) + len(name)) * width.size :] if bare.startswith(name) else None


def _segments(raw: bytes) -> list[bytes]:
    """The lines of a fragment, as its reader will have them."""
    width = widths.width_of(raw)
    raw = raw.removeprefix(width.mark)
    view, size = width.view(raw), width.size
    return [raw[begin * size : end * size] for begin, end in lines.spans_of(view, lines.lead_of(view))]
