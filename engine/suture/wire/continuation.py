"""Messages in fragments: MSH-14, DSC and ADD (HL7 2.9.1 section 2.9.2). Pure: time comes in as a number.

The last segment of a fragment is DSC with a pointer; the next fragment has that pointer in MSH-14 and a control id of its
own. Segments of the fragments follow each other; a segment that was split ends with an empty ADD before the DSC, and goes on
in the ADD that the next fragment begins with.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

from suture.wire.header import Header

Item = TypeVar("Item")

_TAIL_BYTES = 1024
"""As much of the end of a message as is looked at for its DSC; a pointer is at most 180 characters."""


@dataclass(frozen=True, slots=True)
class Limits:
    """fragments, size_bytes: most of one message. chains: unfinished messages at a time. timeout_s: until the next fragment."""

    fragments: int = 1000
    size_bytes: int = 67_108_864
    chains: int = 100
    timeout_s: float = 300.0


@dataclass(frozen=True, slots=True)
class Links:
    """How a message is linked: follows is MSH-14, points_to is DSC-1, each b"" when absent."""

    follows: bytes
    points_to: bytes

    @property
    def alone(self) -> bool:
        """It is a whole message."""
        return not self.follows and not self.points_to


def links(header: Header, raw: bytes) -> Links:
    """The links of a message. A DSC whose style is I (an interactive query goes on) makes no fragment (HL7 table 0398)."""
    follows = header.get(14).strip()
    tail = raw[-_TAIL_BYTES:].replace(b"\n", b"\r").rstrip(b"\r")
    line = tail[tail.rfind(b"\r") + 1 :]
    s = header.separator
    if not line.startswith(b"DSC" + s) or header.wide:
        return Links(follows, b"")
    fields = line.split(s)
    interactive = len(fields) > 2 and fields[2].strip().upper() == b"I"
    return Links(follows, b"" if interactive else fields[1].strip())


@dataclass(slots=True)
class Chain(Generic[Item]):
    """The fragments of one message so far. items: what the caller gave with each."""

    sender: str
    separator: bytes
    until_s: float
    fragments: list[bytes] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)
    size_bytes: int = 0

    def joined(self) -> bytes:
        """The whole message, as its sender had it before the cutting, segments ended by CR."""
        return join(self.fragments, self.separator)


@dataclass(frozen=True, slots=True)
class Broken(Generic[Item]):
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

    def add(self, sender: str, header: Header, raw: bytes, item: Item, now_s: float) -> Chain[Item] | Broken[Item] | None:
        """Take a fragment: the chain when it was the last of it, Broken when it fits nowhere, None while more is to come."""
        at = links(header, raw)
        chain: Chain[Item] | None
        if not at.follows:
            if len(self._chains) >= self._limits.chains:
                return Broken("CONTINUATION_TOO_LARGE", f"{self._limits.chains} messages in fragments are open already", [item])
            chain = Chain(sender, header.separator, 0)
        else:
            chain = self._chains.pop((sender, at.follows), None)
            if chain is None:
                return Broken("CONTINUATION_UNKNOWN", "no fragment came before it whose DSC-1 is its MSH-14", [item])
        chain.fragments.append(raw)
        chain.items.append(item)
        chain.size_bytes += len(raw)
        if chain.separator != header.separator:
            return Broken("CONTINUATION_UNKNOWN", "its field separator is not that of the fragments before it", chain.items)
        if len(chain.fragments) > self._limits.fragments or chain.size_bytes > self._limits.size_bytes:
            most = f"{self._limits.fragments} fragments and {self._limits.size_bytes} bytes"
            return Broken("CONTINUATION_TOO_LARGE", f"more than {most} for one message", chain.items)
        if not at.points_to:
            return chain
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
    """The message that was cut into these fragments: one MSH, no DSC, split segments whole."""
    lines: list[bytes] = []
    for number, raw in enumerate(fragments):
        own = _segments(raw)
        if own and own[-1].startswith(b"DSC" + separator):
            own.pop()
            if own and own[-1].rstrip(separator) == b"ADD":
                own.pop()
        for line in own[1 if number else 0 :]:
            if line[:4] == b"ADD" + separator and lines:
                lines[-1] += line[4:]
            else:
                lines.append(line)
    return b"".join(line + b"\r" for line in lines)


def _segments(raw: bytes) -> list[bytes]:
    raw = raw.replace(b"\r\n", b"\r") if b"\r" in raw else raw.replace(b"\n", b"\r")
    return [line for line in raw.split(b"\r") if line]
