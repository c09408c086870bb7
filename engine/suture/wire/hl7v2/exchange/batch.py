"""Batches and files of messages: FHS, BHS, BTS and FTS (HL7 2.9.1 section 2.9.3), cut from a stream in constant memory.

Everything in the envelope is optional, types may be mixed, and a batch may be empty. What is wrong with the envelope is
told beside the messages and never costs one of them. Streams in UTF-16 and UTF-32 are cut too, and a message keeps its own
bytes there. (Tools that give back a file byte for byte cut it with wire/hl7v2/text/cut.py.)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from suture.wire.hl7v2.text import lines, widths
from suture.wire.hl7v2.text.header import Header
from suture.wire.hl7v2.text.widths import NARROW, Buffer, Width

LIMIT_BYTES = 16_777_216
COMMENT_CHARACTERS = 80
"""Length of BTS-2 (HL7 2.5.1 section 2.15.3)."""

_STARTS = rb"(?:\A|[\r\n\x0b\x1c])[ \t\x0b%b]{0,32}(?=%b)"
_START = re.compile(_STARTS % (b"", lines.BEGINS) + rb"|\x1c\r\x0b(?=%b)" % widths.BEGINS)
_START_WIDE = re.compile(_STARTS % (widths.MARK, lines.BEGINS))
"""In a view of a wide stream: a message may stand behind a mark, as in files that are put together from files."""
_NOTHING = b" \t\r\n\x0b\x1c"
_OVERLAP = 64
"""Bytes at the end of what has arrived that may be the begin of a segment; more blanks than this before one are not skipped."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A file or a batch begins. line: its FHS or BHS segment, of a wide stream in UTF-8."""

    kind: Literal["FHS", "BHS"]
    line: bytes


@dataclass(frozen=True, slots=True)
class Found:
    """A message, its segments ended by CR. number: in the stream, from 1. batch: the number of its batch, 0 outside of any.

    raw: in the character set of the stream; where a wide stream begins with a byte order mark, each of its messages does. A
    wide message in a frame is as it stands there.
    """

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
    """Something wrong with the envelope. code: as in docs/errors.md. offset: bytes from the begin of the stream.

    raw: segments that belong to no message, of a wide stream in UTF-8.
    """

    code: str
    offset: int
    text: str
    raw: bytes = b""


Event = Opened | Found | Closed | Fault


class Cutter:
    """Cuts a byte stream into messages and envelopes; any chunking gives the same events.

    Messages may be framed (MLLP) or not, with or without an envelope, with any line ends. limit_bytes: a message larger
    than this is a fault, and its bytes are dropped as they come.
    """

    def __init__(self, limit_bytes: int = LIMIT_BYTES) -> None:
        self._limit = limit_bytes
        self._head: bytearray | None = bytearray()  # until the width is known
        self._width, self._start, self._blank = NARROW, _START, _NOTHING
        self._buffer = Buffer()
        self._offset = 0  # of the buffer's first byte in the stream
        self._searched = 0
        self._dropped = 0  # units
        self._envelope = _Envelope()

    def feed(self, data: bytes) -> list[Event]:
        """Take what arrived; the events that are completed by it, in order."""
        if self._head is None:
            self._buffer.add(data)
        else:
            self._head += data
            if widths.tells(self._head):
                self._begin(bytes(self._head))
        return list(self._cut(last=False))

    def end(self) -> list[Event]:
        """The stream is over: the last events."""
        return list(self._rest())

    def whole(self, data: bytes) -> Iterator[Event]:
        """All events of a stream that is in memory, each when it is asked for: who has seen enough of them may stop."""
        self._begin(data)
        yield from self._rest()

    def _begin(self, head: bytes) -> None:
        """The first bytes have come, and tell the width."""
        self._head, self._width = None, widths.width_of(head)
        if self._width is NARROW:
            head = head.removeprefix(b"\xef\xbb\xbf")
        else:
            self._start, self._blank = _START_WIDE, _NOTHING + widths.MARK
        self._buffer = Buffer(self._width)
        self._buffer.add(head)

    def _rest(self) -> Iterator[Event]:
        if self._head is not None:
            self._begin(bytes(self._head))
        yield from self._cut(last=True)
        yield from self._envelope.end(self._offset)

    def _cut(self, last: bool) -> Iterator[Event]:
        """The pieces from one segment that opens something to the next."""
        view = self._buffer.view
        begin = 0
        while True:
            match = self._start.search(view, max(begin + 1, self._searched))
            if match is None:
                break
            opens = match.end()
            yield from self._piece(begin, opens)
            begin = self._searched = opens
        if last:
            yield from self._piece(begin, len(view))
            begin = len(view)
        self._buffer.remove(0, begin)
        self._offset += begin * self._width.size
        self._searched = max(0, len(view) - _OVERLAP)
        if len(view) > self._limit // self._width.size + 2 * _OVERLAP:
            # The piece is over the limit: of its begin the name is kept, and of its end what may open the next.
            gone = len(view) - 2 * _OVERLAP
            self._buffer.remove(_OVERLAP, _OVERLAP + gone)
            self._dropped += gone
            self._searched = _OVERLAP

    def _piece(self, begin: int, end: int) -> Iterator[Event]:
        view, size = bytes(self._buffer.view[begin:end]), (end - begin + self._dropped) * self._width.size
        offset = self._offset + begin * self._width.size
        self._offset += self._dropped * self._width.size
        self._dropped = 0
        text = view.lstrip(self._blank)
        begin += len(view) - len(text)
        text = text.rstrip(self._blank)
        if not text:
            return
        if size > self._limit:
            yield from self._envelope.too_large(text[:3], offset, self._limit)
            return
        raw = text if self._width is NARROW else self._buffer.piece(begin, begin + len(text))
        if text[:3] == b"MSH":
            if end == len(self._buffer.view):
                raw += self._buffer.odd()  # a part of a character, which whoever reads the message will refuse
            yield self._envelope.message(self._width.mark + widths.with_line_ends(raw, self._width, self._blank))
        elif self._width is NARROW and widths.width_of(text) is not NARROW:
            end = view.rfind(b"\x1c")
            yield self._envelope.message(view[len(view) - len(view.lstrip(_NOTHING)) : end if end > 0 else len(view)])
        else:
            yield from self._envelope.piece(self._width.narrow(raw), offset)


class _Envelope:
    """Where in files and batches the stream is, and what is counted."""

    def __init__(self) -> None:
        self._file = self._batch = self._named = False
        self._messages = self._batches = 0  # of the batch; of the file
        self._number = self._batch_number = 0  # in the stream

    def piece(self, raw: bytes, offset: int) -> Iterator[Event]:
        """One segment of the envelope, with what follows it."""
        name = raw[:3]
        line, *more = re.split(rb"[\r\n]+", raw, maxsplit=1)
        if name in _KINDS:
            yield from getattr(self, _KINDS[name])(line, offset)
        if more and more[0][:3] == b"MSH":  # no header, and nobody's: whoever reads it will refuse it, and nothing is dropped
            yield self.message(more[0] + b"\r")
        elif name not in _KINDS or more:
            stray = more[0] if name in _KINDS else raw
            yield Fault("STRAY_SEGMENT", offset, "segments that belong to no message", stray.rstrip(_NOTHING) + b"\r")

    def too_large(self, name: bytes, offset: int, limit_bytes: int) -> Iterator[Event]:
        """A piece that was dropped; a message counts as one."""
        if name == b"MSH":
            self.message(b"")
        yield Fault("MESSAGE_TOO_LARGE", offset, f"a message is over {limit_bytes} bytes; it is dropped")

    def message(self, raw: bytes) -> Found:
        """One message, its segments ended by CR."""
        if not self._batch and self._file:
            self._begin_batch(named=False)
        self._messages += 1
        self._number += 1
        return Found(raw, self._number, self._batch_number if self._batch else 0)

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


def cut(raw: bytes, limit_bytes: int = LIMIT_BYTES) -> list[Event]:
    """The events of a batch that is in memory, such as one MLLP frame."""
    return list(Cutter(limit_bytes).whole(raw))


# -- acknowledging -------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Answered:
    """A batch and the acknowledgements of its messages that are to be told. line: its BHS, b"" when it had none.

    All in single bytes: what is wide is in UTF-8 here, as in `Opened`.
    """

    line: bytes
    answers: Sequence[bytes]
    comment: str = ""


def acknowledged(file: bytes, batches: Iterable[Answered], own_id: str, now: str, width: Width = NARROW) -> bytes:
    """The batch of acknowledgements that answers a batch (or, with its FHS, a file): an empty one says that all is well.

    BHS-12 (FHS-12) names the batch (file) that is answered, by its BHS-11. own_id: of the answer. now: HL7 time. width: of
    what is answered, and so of the answer.
    """
    parts, count = [], 0
    for count, one in enumerate(batches, start=1):
        head = _header(one.line or file)
        number = own_id if count == 1 else f"{own_id}-{count}"
        parts += [_head(b"BHS", head, number, now), *one.answers, _tail(b"BTS", head, len(one.answers), one.comment)]
    if file:
        head = _header(file)
        parts = [_head(b"FHS", head, own_id, now), *parts, _tail(b"FTS", head, count, "")]
    return width.widened(b"".join(parts))


def _header(line: bytes) -> Header:
    """BHS and FHS have the parties where MSH has them, and their control id in field 11."""
    return (Header.read(b"MSH" + line[3:]) or Header(b"|", [b"MSH", b"^~\\&"])).to_answer()


def control_id(line: bytes) -> bytes:
    """BHS-11 or FHS-11."""
    return _header(line).get(11)


def answers(line: bytes) -> bytes:
    """BHS-12 or FHS-12: the control id of the batch or file that this one answers."""
    return _header(line).get(12)


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
