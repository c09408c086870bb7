"""Batches and files of messages: FHS, BHS, BTS and FTS (HL7 2.9.1 section 2.9.3), cut from a stream in constant memory.

Everything in the envelope is optional, types may be mixed, and a batch may be empty. What is wrong with the envelope is
told beside the messages and never costs one of them. (Tools that give back a file byte for byte cut it with wire/cut.py.)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from suture.wire.header import Header

LIMIT_BYTES = 16_777_216
COMMENT_CHARACTERS = 80
"""Length of BTS-2 (HL7 2.5.1 section 2.15.3)."""

_START = re.compile(rb"(?:\A|[\r\n\x0b\x1c])[ \t\x0b]{0,32}(MSH|FHS|BHS|BTS|FTS)(?=[^A-Za-z0-9 ])")
_LINE_END = re.compile(rb"(?<![\r\n])[\r\n]+(?=[A-Z][A-Z0-9]{2}[^A-Za-z0-9 \r\n])")
_NOTHING = b" \t\r\n\x0b\x1c"
_OVERLAP = 64
"""Bytes at the end of what has arrived that may be the begin of a segment; more blanks than this before one are not skipped."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A file or a batch begins. line: its FHS or BHS segment."""

    kind: Literal["FHS", "BHS"]
    line: bytes


@dataclass(frozen=True, slots=True)
class Found:
    """A message, its segments ended by CR. number: in the stream, from 1. batch: the number of its batch, 0 outside of any."""

    raw: bytes
    number: int
    batch: int


@dataclass(frozen=True, slots=True)
class Closed:
    """A batch or a file ends. declared: the count of BTS-1 or FTS-1, None when it is absent. found: messages, or batches."""

    kind: Literal["BTS", "FTS"]
    declared: int | None
    found: int


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong with the envelope. code: as in docs/errors.md. offset: bytes from the begin of the stream."""

    code: str
    offset: int
    text: str


Event = Opened | Found | Closed | Fault


class Cutter:
    """Cuts a byte stream into messages and envelopes; any chunking gives the same events.

    Messages may be framed (MLLP) or not, with or without an envelope, with any line ends. limit_bytes: a message larger
    than this is a fault, and its bytes are dropped as they come.
    """

    def __init__(self, limit_bytes: int = LIMIT_BYTES) -> None:
        self._limit = limit_bytes
        self._buffer = bytearray()
        self._offset = 0  # of the buffer's first byte in the stream
        self._searched = 0
        self._dropped = 0
        self._envelope = _Envelope()

    def feed(self, data: bytes) -> list[Event]:
        """Take what arrived; the events that are completed by it, in order."""
        self._take(data)
        return list(self._cut(last=False))

    def end(self) -> list[Event]:
        """The stream is over: the last events."""
        return list(self._rest())

    def whole(self, data: bytes) -> Iterator[Event]:
        """All events of a stream that is in memory, each when it is asked for: who has seen enough of them may stop."""
        self._take(data)
        yield from self._rest()

    def _take(self, data: bytes) -> None:
        if not self._offset and not self._buffer and not self._dropped:
            data = data.removeprefix(b"\xef\xbb\xbf")
        self._buffer += data

    def _rest(self) -> Iterator[Event]:
        yield from self._cut(last=True)
        yield from self._envelope.end(self._offset)

    def _cut(self, last: bool) -> Iterator[Event]:
        """The pieces from one segment that opens something to the next."""
        buffer = self._buffer
        begin = 0
        while True:
            match = _START.search(buffer, max(begin + 1, self._searched))
            if match is None or (match.end() == len(buffer) and not last):
                break
            yield from self._piece(begin, match.start(1))
            begin = self._searched = match.start(1)
        if last:
            yield from self._piece(begin, len(buffer))
            begin = len(buffer)
        del buffer[:begin]
        self._offset += begin
        self._searched = max(0, len(buffer) - _OVERLAP)
        if len(buffer) > self._limit + 2 * _OVERLAP:
            # The piece is over the limit: of its begin the name is kept, and of its end what may open the next.
            gone = len(buffer) - 2 * _OVERLAP
            del buffer[_OVERLAP : _OVERLAP + gone]
            self._dropped += gone
            self._searched = _OVERLAP

    def _piece(self, begin: int, end: int) -> Iterator[Event]:
        raw, size = bytes(self._buffer[begin:end]).strip(_NOTHING), end - begin + self._dropped
        offset = self._offset + begin
        self._offset += self._dropped
        self._dropped = 0
        if not raw:
            return
        if size > self._limit:
            yield from self._envelope.too_large(raw[:3], offset, self._limit)
            return
        yield from self._envelope.piece(raw, offset)


class _Envelope:
    """Where in files and batches the stream is, and what is counted."""

    def __init__(self) -> None:
        self._file = self._batch = self._named = False
        self._messages = self._batches = 0  # of the batch; of the file
        self._number = self._batch_number = 0  # in the stream

    def piece(self, raw: bytes, offset: int) -> Iterator[Event]:
        """One segment that opens something, with what follows it."""
        name = raw[:3]
        if name == b"MSH":
            yield self._message(raw)
            return
        line, *more = re.split(rb"[\r\n]+", raw, maxsplit=1)
        if name in _KINDS:
            yield from getattr(self, _KINDS[name])(line, offset)
        if name not in _KINDS or more:
            yield Fault("STRAY_SEGMENT", offset, "segments that belong to no message; they are dropped")

    def too_large(self, name: bytes, offset: int, limit_bytes: int) -> Iterator[Event]:
        """A piece that was dropped; a message counts as one."""
        if name == b"MSH":
            self._message(b"")
        yield Fault("MESSAGE_TOO_LARGE", offset, f"a message is over {limit_bytes} bytes; it is dropped")

    def _message(self, raw: bytes) -> Found:
        if not self._batch and self._file:
            self._begin_batch(named=False)
        self._messages += 1
        self._number += 1
        return Found(_with_line_ends(raw), self._number, self._batch_number if self._batch else 0)

    def _begin_batch(self, named: bool) -> None:
        self._batch, self._named, self._messages = True, named, 0
        self._batches += 1
        self._batch_number += 1

    def fhs(self, line: bytes, offset: int) -> Iterator[Event]:
        """A file begins."""
        if self._file or (self._batch and self._named):
            yield Fault("BATCH_NESTING", offset, "FHS inside a file or a batch that has not ended")
        self._file, self._batch, self._batches, self._messages = True, False, 0, 0
        yield Opened("FHS", line)

    def bhs(self, line: bytes, offset: int) -> Iterator[Event]:
        """A batch begins."""
        if self._batch and self._named:
            yield Fault("BATCH_NESTING", offset, "BHS inside a batch that has not ended")
        self._begin_batch(named=True)
        yield Opened("BHS", line)

    def bts(self, line: bytes, offset: int) -> Iterator[Event]:
        """A batch ends. Without BHS it counts what came since the batch before, for BHS is optional."""
        if not self._batch and not self._messages:
            yield Fault("BATCH_NESTING", offset, "BTS without a batch before it")
        yield from _counted("BTS", line, self._messages, offset)
        self._batch, self._messages = False, 0

    def fts(self, line: bytes, offset: int) -> Iterator[Event]:
        """A file ends."""
        if self._batch and self._named:
            yield Fault("BATCH_NESTING", offset, "FTS before the BTS of a batch")
        if not self._file:
            yield Fault("BATCH_NESTING", offset, "FTS without FHS")
        yield from _counted("FTS", line, self._batches, offset)
        self._file = self._batch = False
        self._batches = self._messages = 0

    def end(self, offset: int) -> Iterator[Event]:
        """The stream ends."""
        if self._batch and self._named:
            yield Fault("BATCH_UNENDED", offset, "the last batch has no BTS; it may be cut off")
        if self._file:
            yield Fault("BATCH_UNENDED", offset, "the last file has no FTS; it may be cut off")


_KINDS = {b"FHS": "fhs", b"BHS": "bhs", b"BTS": "bts", b"FTS": "fts"}


def _counted(kind: Literal["BTS", "FTS"], line: bytes, found: int, offset: int) -> Iterator[Event]:
    fields = line.split(line[3:4]) if len(line) > 3 else [line]
    text = fields[1].strip() if len(fields) > 1 else b""
    declared = int(text) if text.isdigit() and len(text) < 12 else None
    what = "messages" if kind == "BTS" else "batches"
    if text and declared is None:
        yield Fault("BATCH_COUNT", offset, f"{kind}-1 is not a number; {found} {what} were found")
    elif declared is not None and declared != found:
        yield Fault("BATCH_COUNT", offset, f"{kind}-1 says {declared} {what}, and {found} were found")
    yield Closed(kind, declared, found)


def _with_line_ends(raw: bytes) -> bytes:
    """The message with its segments ended by CR. A line that does not begin as a segment does belongs to the one before."""
    if b"\n" in raw or b"\r\r" in raw:
        raw = _LINE_END.sub(b"\r", raw)
    return raw + b"\r"


def cut(raw: bytes, limit_bytes: int = LIMIT_BYTES) -> list[Event]:
    """The events of a batch that is in memory, such as one MLLP frame."""
    return list(Cutter(limit_bytes).whole(raw))


# -- acknowledging -------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Answered:
    """A batch and the acknowledgements of its messages that are to be told. line: its BHS, b"" when it had none."""

    line: bytes
    answers: Sequence[bytes]
    comment: str = ""


def acknowledged(file: bytes, batches: Iterable[Answered], own_id: str, now: str) -> bytes:
    """The batch of acknowledgements that answers a batch (or, with its FHS, a file): an empty one says that all is well.

    BHS-12 (FHS-12) names the batch (file) that is answered, by its BHS-11. own_id: of the answer. now: HL7 time.
    """
    parts, count = [], 0
    for count, one in enumerate(batches, start=1):
        head = _header(one.line or file)
        number = own_id if count == 1 else f"{own_id}-{count}"
        parts += [_head(b"BHS", head, number, now), *one.answers, _tail(b"BTS", head, len(one.answers), one.comment)]
    if file:
        head = _header(file)
        parts = [_head(b"FHS", head, own_id, now), *parts, _tail(b"FTS", head, count, "")]
    return b"".join(parts)


def _header(line: bytes) -> Header:
    """BHS and FHS have the parties where MSH has them, and their control id in field 11."""
    return Header.read(b"MSH" + line[3:]) or Header(b"|", [b"MSH", b"^~\\&"])


def control_id(line: bytes) -> bytes:
    """BHS-11 or FHS-11."""
    return _header(line).get(11)


def _head(name: bytes, header: Header, own_id: str, now: str) -> bytes:
    g = header.get
    parts = (name, g(2), g(5), g(6), g(3), g(4), now.encode(), b"", b"", b"", own_id.encode(), g(11))
    return header.separator.join(parts) + b"\r"


def _tail(name: bytes, header: Header, count: int, comment: str) -> bytes:
    parts = [name, str(count).encode()]
    if comment:
        plain = "".join(c if c.isalnum() or c in " ,;.-_" else " " for c in comment[:COMMENT_CHARACTERS])
        parts.append(plain.encode("ascii", "replace"))
    return header.separator.join(parts) + b"\r"
