"""Batches and files of messages: FHS, BHS, BTS and FTS (HL7 2.9.1 section 2.9.3), read from what wire/hl7v2/text/cut.py cuts.

Everything in the envelope is optional, types may be mixed, and a batch may be empty. What is wrong with the envelope is
told beside the messages and never costs one of them. Streams in UTF-16 and UTF-32 are cut too, and a message keeps its own
bytes there. (Tools that give back a file byte for byte cut it with wire/hl7v2/text/cut.py.)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from suture.model.value import Value
from suture.wire.hl7v2.text import widths
from suture.wire.hl7v2.text.cut import pieces
from suture.wire.hl7v2.text.header import UNREAD, Header
from suture.wire.hl7v2.text.widths import NARROW, Width

COMMENT_CHARACTERS = 80
"""Length of BTS-2 (HL7 2.5.1 section 2.15.3)."""

_NOTHING = b" \t\r\n\x0b\x1c"


class Opened(Value, frozen=True):
    """A file or a batch begins. line: its FHS or BHS segment, of a wide stream in UTF-8."""

    kind: Literal["FHS", "BHS"]
    line: bytes


class Found(Value, frozen=True):
    """A message, its segments ended by CR. number: in the stream, from 1. batch: the number of its batch, 0 outside of any.

    raw: in the character set of the stream; where a wide stream begins with a byte order mark, each of its messages does. A
    wide message in a frame is as it stands there.
    """

    raw: bytes
    number: int
    batch: int


class Closed(Value, frozen=True):
    """A batch or a file ends. declared: the count of BTS-1 or FTS-1, None when it is absent. found: messages, or batches."""

    kind: Literal["BTS", "FTS"]
    declared: int | None
    found: int


class Fault(Value, frozen=True):
    """Something wrong with the envelope. code: as in docs/errors.md. offset: bytes from the begin of the stream.

    raw: segments that belong to no message, of a wide stream in UTF-8.
    """

    code: str
    offset: int
    text: str
    raw: bytes = b""


Event = Opened | Found | Closed | Fault


class Envelope:
    """Makes messages and envelopes of the units of a stream (`cut.units`): where in files and batches it is, and what is counted.

    Messages may be framed (MLLP) or not, with or without an envelope, with any line ends.
    """

    def __init__(self) -> None:
        self._width: Width | None = None  # of the stream: the first unit that is not blank tells
        self._offset = 0
        self._file = self._batch = self._named = False
        self._messages = self._batches = 0  # of the batch; of the file
        self._number = self._batch_number = 0  # in the stream

    def take(self, unit: bytes) -> Iterator[Event]:
        """What the next unit comes to."""
        at, self._offset = self._offset, self._offset + len(unit)
        if self._width is None:
            if not unit.strip(_NOTHING + b"\0"):
                return
            self._width = widths.width_of(unit)
        width, size = self._width, self._width.size
        blank, view = _NOTHING if width is NARROW else _NOTHING + widths.MARK, width.view(unit)
        text = view.lstrip(blank).removeprefix(b"\xef\xbb\xbf").lstrip(blank)
        begin = (len(view) - len(text)) * size
        text = text.rstrip(blank)
        raw = unit[begin : begin + len(text) * size]
        if text[:3] == b"MSH":
            raw += unit[len(view) * size :]  # a part of a character, which whoever reads the message will refuse
            yield self._message(width.mark + widths.with_line_ends(raw, width, blank))
        elif width is NARROW and widths.width_of(text) is not NARROW:
            end = unit.rfind(b"\x1c")
            yield self._message(unit[begin : end if end > 0 else len(unit)])
        elif text:
            yield from self._piece(width.narrow(raw), at + begin)

    def _piece(self, raw: bytes, offset: int) -> Iterator[Event]:
        """One segment of the envelope, with what follows it."""
        name = raw[:3]
        line, *more = re.split(rb"[\r\n]+", raw, maxsplit=1)
        if name in _KINDS:
            yield from getattr(self, _KINDS[name])(line, offset)
        if more and more[0][:3] == b"MSH":  # no header, and nobody's: whoever reads it will refuse it, and nothing is dropped
            yield self._message(more[0] + b"\r")
        elif name not in _KINDS or more:
            stray = more[0] if name in _KINDS else raw
            yield Fault("STRAY_SEGMENT", offset, "segments that belong to no message", stray.rstrip(_NOTHING) + b"\r")

    def _message(self, raw: bytes) -> Found:
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

    def _fhs(self, line: bytes, offset: int) -> Iterator[Event]:
        """A file begins."""
        if self._file or (self._batch and self._named):
            yield Fault("BATCH_NESTING", offset, "FHS inside a file or a batch that has not ended")
        self._file, self._batch, self._batches, self._messages = True, False, 0, 0
        yield Opened("FHS", line)

    def _bhs(self, line: bytes, offset: int) -> Iterator[Event]:
        """A batch begins."""
        if self._batch and self._named:
            yield Fault("BATCH_NESTING", offset, "BHS inside a batch that has not ended")
        self._begin_batch(named=True)
        yield Opened("BHS", line)

    def _bts(self, line: bytes, offset: int) -> Iterator[Event]:
        """A batch ends. Without BHS it counts what came since the batch before, for BHS is optional."""
        if not self._batch and not self._messages:
            yield Fault("BATCH_NESTING", offset, "BTS without a batch before it")
        yield from _counted("BTS", line, self._messages, offset)
        self._batch, self._messages = False, 0

    def _fts(self, line: bytes, offset: int) -> Iterator[Event]:
        """A file ends."""
        if self._batch and self._named:
            yield Fault("BATCH_NESTING", offset, "FTS before the BTS of a batch")
        if not self._file:
            yield Fault("BATCH_NESTING", offset, "FTS without FHS")
        yield from _counted("FTS", line, self._batches, offset)
        self._file = self._batch = False
        self._batches = self._messages = 0

    def end(self) -> Iterator[Event]:
        """The stream is over."""
        offset = self._offset
        if self._batch and self._named:
            yield Fault("BATCH_UNENDED", offset, "the last batch has no BTS; it may be cut off")
        if self._file:
            yield Fault("BATCH_UNENDED", offset, "the last file has no FTS; it may be cut off")


_KINDS = {b"FHS": "_fhs", b"BHS": "_bhs", b"BTS": "_bts", b"FTS": "_fts"}


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


def cut(raw: bytes) -> Iterator[Event]:
    """The events of a batch that is in memory, such as one MLLP frame, each when it is asked for: who has enough of them may stop."""
    envelope = Envelope()
    for unit in pieces([raw], len(raw), widths.width_of(raw)):
        yield from envelope.take(unit)
    yield from envelope.end()


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
    return (Header.read(b"MSH" + line[3:]) or UNREAD).to_answer()


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
