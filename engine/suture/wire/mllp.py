"""MLLP framing, sans-I/O: 0x0B, payload, 0x1C 0x0D (HL7 Transport Specification: MLLP, releases 1 and 2).

What senders get wrong is understood where it can be understood without a guess, and named by a code of `QUIRKS`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from suture.wire.oversize import FrameTooLarge, Passing, TooLarge

__all__ = ["FrameTooLarge", "Framing", "TooLarge", "Unframer", "frame", "is_empty"]

START = b"\x0b"
END = b"\x1c\r"
COMMIT_ACK = b"\x06"
"""Payload of a frame that says: stored (release 2, the affirmative commit acknowledgement)."""
COMMIT_NAK = b"\x15"
"""Payload of a frame that says: not stored, send it again (release 2, the negative commit acknowledgement)."""

_HEADERS = rb"(?:MSH|FHS|BHS)[^\w\s]"
"""How a message or batch begins: a segment name and a separator; a name alone may be a word of some text."""
_BLANKS = re.compile(rb"[\x00\t\n\r ]*")
_HEADER = re.compile(_HEADERS)
_UNSURE = re.compile(rb"(?:M(?:SH?)?|[FB](?:HS?)?)\Z")
_UNSURE_LINE = re.compile(rb"[\r\n](?:M(?:SH?)?|[FB](?:HS?)?)?\Z")
_FRESH, _ENDED, _BLANK = range(3)
"""What stands before the next byte between frames: nothing of note, a proper end block, blanks."""
_LOOK_BACK = 4
"""Bytes at the end of what has come that may begin something: 0x1C M S H."""
_LINE_ENDS = 8
"""Line ends behind the end byte of a message over the limit that are looked past."""

QUIRKS: Mapping[str, str] = {
    "NO_START_BLOCK": "a message begins without its start byte; it is taken",
    "LF_AFTER_END": "a line feed stands where the carriage return of an end block should; the message is taken",
    "NO_CR_AFTER_END": "an end block is without its carriage return; the message is taken",
    "CRLF_AFTER_END": "a line feed follows the end block; it is dropped",
    "END_INSIDE_TEXT": "the first byte of an end block stands inside a message; it is kept as text",
    "START_INSIDE_TEXT": "a start byte stands inside a message; it is kept as text",
    "DOUBLE_START": "a message begins with two start bytes; it is taken without the second",
    "INCOMPLETE_FRAME": "a message was broken off before its end block; it is dropped, and was not acknowledged",
    "EMPTY_FRAME": "a frame without a message in it, as a sign of life; it is counted, and not answered",
    "FRAME_TOO_LARGE": "a message is over the limit; it is refused (AR), and only its header is kept",
    "BLANKS_BETWEEN_FRAMES": "blanks or line ends between frames; they are dropped",
    "STRAY_BYTES": "bytes outside MLLP frames; they are dropped",
}
"""What can be odd about the framing of a sender, by its code; a text that goes on from the sender's name and a colon."""


@dataclass(frozen=True, slots=True)
class Framing:
    """The bytes around a message. start: one byte. end: one or more; quirks are understood where it is X and 0x0D.

    Raises ValueError, in words for whoever wrote them, when they could not be told from each other or from text.
    """

    start: bytes = START
    end: bytes = END
    lenient: bool = field(init=False)
    events: re.Pattern[bytes] = field(init=False, repr=False, compare=False)
    begins: re.Pattern[bytes] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check(self.start, self.end)
        start, first, rest = re.escape(self.start), re.escape(self.end[:1]), re.escape(self.end[1:])
        lenient = len(self.end) == 2 and self.end[1:] == b"\r"
        ends = rb"(?<=%b)%b" % (first, rest)
        # An end byte at the beginning of a line is no text, for segments begin with letters.
        alone = rb"|(?<=[\r\n]%b)(?:\n|(?=%b|%b))" % (first, start, _HEADERS) if lenient else b""
        restart = rb"|(?<=%b)(?=%b)" % (start, _HEADERS)
        object.__setattr__(self, "lenient", lenient)
        object.__setattr__(self, "events", re.compile(rb"[%b%b](?:%b%b%b)" % (first, start, ends, alone, restart)))
        object.__setattr__(self, "begins", re.compile(rb"%b|(?<=[\r\n])%b" % (start, _HEADERS)))

    def frame(self, payload: bytes) -> bytes:
        """Wrap one message for the wire."""
        return self.start + payload + self.end


def _check(start: bytes, end: bytes) -> None:
    if len(start) != 1 or not 1 <= len(end) <= 4:
        raise ValueError("a start of one byte and an end of one to four bytes are needed")
    for byte in (start[0], end[0]):
        if byte in b"\t\n\r\x1b" or 0x20 <= byte != 0x7F:
            raise ValueError(f"0x{byte:02x} stands in messages too; a control byte other than tab, line ends and escape is needed")
    if start in end:
        raise ValueError(f"0x{start[0]:02x} begins a message and cannot stand in its end")


RELEASE_1 = Framing()
frame = RELEASE_1.frame
"""Wrap one message for the wire, with the standard's bytes."""


def is_empty(payload: bytes) -> bool:
    """Whether there is nothing in a frame, or nothing but blanks: a sign of life, and no message."""
    return _BLANKS.fullmatch(payload) is not None


class Between:
    """What stands between frames. gap: before the next byte. junk: what has come is of no frame. stray: such bytes, in all."""

    def __init__(self, framing: Framing, quirks: Counter[str]) -> None:
        self._framing, self._quirks = framing, quirks
        self.gap, self.junk, self.stray = _FRESH, False, 0

    def search(self, buffer: bytearray, at: int) -> int:
        """Where the payload of the next frame begins, else ~where to go on when more has come."""
        if not self.junk:
            at = self._pass_blanks(buffer, at)
        rest = len(buffer) - at
        if not rest:
            return ~at
        if buffer.startswith(self._framing.start, at):
            return at + 1
        if not self.junk:
            if _HEADER.match(buffer, at):
                self._quirks["NO_START_BLOCK"] += 1
                return at
            if rest < _LOOK_BACK and _UNSURE.match(buffer, at):
                return ~at
            self._quirks["STRAY_BYTES"] += 1
            self.junk = True
        return self._pass_junk(buffer, at)

    def _pass_blanks(self, buffer: bytearray, at: int) -> int:
        end = _BLANKS.match(buffer, at).end()  # type: ignore[union-attr]
        if end > at and self.gap == _ENDED:
            self.gap = _FRESH
            if buffer[at] == 0x0A:
                self._quirks["CRLF_AFTER_END"] += 1
                at += 1
        if end > at and self.gap != _BLANK:
            self.gap = _BLANK
            self._quirks["BLANKS_BETWEEN_FRAMES"] += 1
        return end

    def _pass_junk(self, buffer: bytearray, at: int) -> int:
        begin = self._framing.begins.search(buffer, at)
        if begin is None:
            tail = _UNSURE_LINE.search(buffer, max(at, len(buffer) - _LOOK_BACK))
            end = tail.start() if tail else len(buffer)
            self.stray += end - at
            return ~end
        self.stray += begin.start() - at
        if begin.group() == self._framing.start:
            return begin.end()
        self._quirks["NO_START_BLOCK"] += 1
        return begin.start()


class Unframer:
    """Cuts a byte stream into messages; any chunking gives the same messages and the same quirks, in linear time.

    limit_bytes: a message larger than this raises FrameTooLarge; or, where skip_bytes more of it may be passed over, `feed`
    stops at it. Then take it (`large`), and go on with what has come behind it (`feed(b"")`). quirks: how often each code of
    `QUIRKS` was met.
    """

    def __init__(self, limit_bytes: int, framing: Framing = RELEASE_1, skip_bytes: int | None = None) -> None:
        self._framing, self._limit = framing, limit_bytes
        self._start, self._end = framing.start, framing.end
        self.quirks: Counter[str] = Counter()
        self._passing, self._skips = Passing(limit_bytes, skip_bytes, self.quirks), skip_bytes is not None
        self._between = Between(framing, self.quirks)
        self._buffer = bytearray()
        self._searched = 0
        self._inside = False

    @property
    def stray(self) -> int:
        """Bytes outside of frames, that were no blanks, in all."""
        return self._between.stray

    @property
    def partial(self) -> bool:
        """A frame has begun and not ended."""
        return self._inside or bool(self._buffer and not self._between.junk)

    @property
    def size_bytes(self) -> int:
        """What has come of a frame that has not ended."""
        return len(self._buffer)

    @property
    def may_have_ended(self) -> bool:
        """What has come of a message ends with a lone end byte after a whole segment; `settle` takes it for the end."""
        buffer = self._buffer
        return self._inside and self._framing.lenient and buffer[-1:] == self._end[:1] and buffer[-2:-1] in (b"\r", b"\n")

    def large(self) -> TooLarge | None:
        """Take the message over the limit at which `feed`, `settle` or `close` stopped; None when none did."""
        told, self._passing.told = self._passing.told, None
        return told

    def feed(self, data: bytes) -> list[bytes]:
        """Take what arrived; return the payloads completed by it, in order. Raises FrameTooLarge where nothing is passed over."""
        if (
            not self._inside
            and not self._buffer
            and data[:1] == self._start
            and data.endswith(self._end)
            and data.find(self._end[:1], 0, -len(self._end)) < 0
            and data.find(self._start, 1) < 0
            and 0 < len(data) - 1 - len(self._end) <= self._limit
            and data[1] > 0x20
        ):
            self._between.gap, self._between.junk = _ENDED, False
            return [data[1 : -len(self._end)]]
        self._buffer += data
        found: list[bytes] = []
        then = 0
        while then >= 0 and self._passing.told is None:
            then = self._cut(then, found) if self._inside else self._begin(then, found)
        del self._buffer[: ~then if then < 0 else then]
        self._searched = max(0, len(self._buffer) - _LOOK_BACK) if self._inside and then < 0 else 0
        if (
            self._inside
            and then < 0
            and (more := self._passing.dropped_bytes + len(self._buffer) - len(self._end) - _LOOK_BACK) > self._limit
        ):
            self._drop(more)
        return found

    def settle(self) -> list[bytes]:
        """The sender says no more: the message that `may_have_ended`, in a list, or none."""
        if not self.may_have_ended or (not self._skips and len(self._buffer) - 1 > self._limit):
            return []
        found: list[bytes] = []
        self._take(0, len(self._buffer) - 1, found)
        self._buffer.clear()
        self.quirks["NO_CR_AFTER_END"] += 1
        self._searched, self._inside, self._between.gap = 0, False, _FRESH
        return found

    def close(self) -> list[bytes]:
        """The stream is over: what `settle` gives; anything else that has begun is an INCOMPLETE_FRAME."""
        found = self.settle()
        if self.partial:
            self._broken(0, len(self._buffer))
        self._buffer.clear()
        self._searched, self._inside = 0, False
        return found

    def _begin(self, at: int, found: list[bytes]) -> int:
        """Look for the beginning of a frame: where its payload begins, else ~where to go on when more has come."""
        if at == len(self._buffer):
            return ~at
        if (end := self._whole(at, found)) > 0:
            return end
        if (begin := self._between.search(self._buffer, at)) >= 0:
            self._inside, self._between.junk, self._searched = True, False, begin
        return begin

    def _whole(self, at: int, found: list[bytes]) -> int:
        """Take a frame that is as it should be, which most are: where it ends, else 0."""
        buffer = self._buffer
        if not buffer.startswith(self._start, at):
            return 0
        end = buffer.find(self._end[:1], at + 1)
        if end <= at + 1 or end - at > self._limit or buffer[at + 1] <= 0x20:
            return 0
        if not buffer.startswith(self._end, end) or buffer.find(self._start, at + 1, end) > 0:
            return 0
        with memoryview(buffer) as view:
            found.append(bytes(view[at + 1 : end]))
        self._between.gap, self._between.junk = _ENDED, False
        return end + len(self._end)

    def _cut(self, at: int, found: list[bytes]) -> int:
        """Look for the end of the frame whose payload begins at `at`: where it ends, else ~at when more has to come."""
        buffer, begin = self._buffer, max(at, self._searched)
        if begin > at and buffer.find(self._end[:1], begin) < 0 and buffer.find(self._start, begin) < 0:
            return ~at  # the rest of a long message, which is not looked at byte by byte
        event = self._framing.events.search(buffer, begin)
        if event is None:
            return ~at
        if event.group() == self._start:
            self._restart(at, event.start(), found)
            self._searched = event.end()
            return event.end()
        if event.end() - event.start() == 1 < len(self._end):
            self._passing.held(event.start() - at + _LOOK_BACK - len(self._end))
        if event.group() != self._end:
            self.quirks["LF_AFTER_END" if event.end() - event.start() == 2 else "NO_CR_AFTER_END"] += 1
        self._take(at, event.start(), found)
        self._inside, self._between.gap = False, _ENDED if event.group() == self._end else _FRESH
        return event.end()

    def _restart(self, at: int, end: int, found: list[bytes]) -> None:
        """A start byte and a header inside a frame: it ends with a bare end byte, or was broken off."""
        self._passing.held(end - at + _LOOK_BACK - len(self._end))
        last, first = end, max(at, end - _LINE_ENDS) if self._passing.over else at
        while last > first and self._buffer[last - 1] in b"\r\n":
            last -= 1
        if self._framing.lenient and self._buffer.startswith(self._end[:1], max(at, last - 1)):
            self.quirks["LF_AFTER_END" if last < end else "NO_CR_AFTER_END"] += 1
            self._take(at, last - 1, found)
        elif end > at:
            self._broken(at, end)
        else:
            self.quirks["DOUBLE_START"] += 1

    def _take(self, at: int, end: int, found: list[bytes]) -> None:
        size_bytes = self._passing.dropped_bytes + end - at
        if size_bytes > self._limit:
            self._passing.grown(size_bytes)
        if self._passing.over:
            self._passing.end(self._buffer, at, end, ended=True)
            return
        with memoryview(self._buffer) as view:
            payload = bytes(view[at:end])
        if is_empty(payload):
            self.quirks["EMPTY_FRAME"] += 1
        if self._end[:1] in payload:
            self.quirks["END_INSIDE_TEXT"] += 1
        if self._start in payload:
            self.quirks["START_INSIDE_TEXT"] += 1
        found.append(payload)

    # -- a message over the limit --------------------------------------------------------------------------------------

    def _drop(self, size_bytes: int) -> None:
        """The message is over the limit, and its end has not come."""
        self._passing.grown(size_bytes)
        self._passing.drop(self._buffer)
        self._searched = max(0, len(self._buffer) - _LOOK_BACK)
        if self._passing.told is not None:
            self._inside = False

    def _broken(self, at: int, end: int) -> None:
        """A message that was not ended: it is dropped, and told where it is over the limit."""
        self.quirks["INCOMPLETE_FRAME"] += 1
        if self._passing.over:
            self._passing.end(self._buffer, at, end, ended=False)
