"""HL7 v2 ER7 messages: lazy, positional, and exact for what is not touched.

A message is decoded once and split into segments; a segment is split into fields when one is asked for. Numbers are
HL7's: fields, components and repetitions count from 1, and MSH-1 is the field separator itself (HL7 2.5.1 section 2.5).

The parts: charsets.py (which codec), lines.py (where segments end), delimiters.py, segment.py, escapes.py, path.py,
reading.py (a path as a function), edit.py (changes). This module puts them together, and is what others import.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from suture.wire.hl7v2.text import charsets, edit, lines, reading
from suture.wire.hl7v2.text.delimiters import STANDARD, STANDARD_27, Delimiters, delimiters_of
from suture.wire.hl7v2.text.escapes import escape, unescape
from suture.wire.hl7v2.text.lines import Odd
from suture.wire.hl7v2.text.path import Path, path, path_to_many
from suture.wire.hl7v2.text.reading import ABSENT, EMPTY, NULL, VALUE, Getter, getter
from suture.wire.hl7v2.text.segment import LARGE, CodedSegment, Segment

__all__ = [
    "ABSENT",
    "EMPTY",
    "NULL",
    "STANDARD",
    "STANDARD_27",
    "VALUE",
    "Delimiters",
    "Message",
    "Path",
    "Segment",
    "changed",
    "delimiters_of",
    "escape",
    "getter",
    "path",
    "path_to_many",
    "unescape",
]


@lru_cache(1024)
def _getter(place: str) -> Getter:
    return getter(path(place))


class Message:
    """A parsed message. raw: what came in. encoding: how it was read; undecodable: some bytes were not of it. odd: about its lines."""

    __slots__ = ("_by_head", "_lines", "_segments", "delimiters", "encoding", "odd", "raw", "seen", "undecodable")

    def __init__(self, raw: bytes, segments: list[Segment], encoding: str, undecodable: bool = False, odd: Odd = lines.NOTHING) -> None:
        self.raw, self.odd = raw, odd
        self.undecodable = undecodable
        self.encoding = encoding
        self.delimiters = segments[0].delimiters
        self._lines: list[str] = []
        self._by_head: dict[str, list[str]] | None = None
        self._segments: list[Segment] | None = segments
        self.seen: dict[str, list[Segment]] = {}
        """What `named` has given so far."""

    def __repr__(self) -> str:
        return f"<Message of {len(self.raw)} bytes>"

    @classmethod
    def parse(cls, raw: bytes, encoding: str = "utf-8", override: str = "", join: bool = False) -> Message:
        """Read ER7 bytes. encoding: the codec when MSH-18 is empty; override: the codec whatever MSH-18 says.

        Bytes that do not decode are kept (surrogateescape), and `undecodable` is set. Lines are normalised as lines.py
        says. join: a line that is no segment is joined to the field before it, where that can be done for every such line.
        Raises MessageError (stage parse) when the bytes are not an HL7 v2 message, and LookupError for no codec.
        """
        codec = charsets.codec_for(raw, encoding, override)
        if codec == "utf-8" and len(raw) < LARGE and raw[:3] == b"MSH":
            bad = False
            try:
                text = raw.decode()
            except UnicodeError:
                text, bad = raw.decode("utf-8", "surrogateescape"), True
            message = cls._of_text(raw, text, bad)
        elif charsets.is_wide(codec):
            message = cls(raw, *_wide(raw, codec))
        elif codec.startswith(charsets.SWITCHING):
            message = cls(raw, *_switching(raw, codec))
        else:
            message = cls(raw, *_by_line(raw, codec))
        return _joined(message, codec) if join and message.odd.broken else message

    @classmethod
    def _of_text(cls, raw: bytes, text: str, undecodable: bool) -> Message:
        """A message in UTF-8, whose segments are made when they are asked for."""
        message = cls.__new__(cls)
        message.raw, message.encoding, message.undecodable = raw, charsets.UTF_8, undecodable
        message.delimiters = delimiters_of(text)
        message._lines, message._by_head, message.odd = lines.by_head(text)
        message._segments, message.seen = None, {}
        return message

    @property
    def only_names_undecodable(self) -> bool:
        """Are the bytes that are not of the character set all in names of segments (`odd.stray`), so that each value is as it came?"""
        if not self.odd.stray or not charsets.is_transparent(self.encoding):
            return False
        return not any(_UNDECODABLE.search(segment.text, 3) for segment in self.segments)

    @property
    def segments(self) -> list[Segment]:
        """All segments, in order; the list is not to be changed, but another one set."""
        if self._segments is None:
            made = {name: iter(found) for name, found in self.seen.items()}
            d = self.delimiters
            self._segments = [next(made[line[:3]]) if line[:3] in made else Segment(line, d) for line in self._lines]
            self._by_head = None
        return self._segments

    @segments.setter
    def segments(self, segments: list[Segment]) -> None:
        self._segments, self.seen = segments, {}

    @property
    def names(self) -> list[str]:
        """The names of all segments, in order."""
        if self._segments is None:
            return [line[:3] for line in self._lines]
        return [segment.name for segment in self._segments]

    def copy(self) -> Message:
        """A message of its own, to be changed."""
        return Message(self.raw, [segment.copy() for segment in self.segments], self.encoding, self.undecodable, self.odd)

    def named(self, name: str) -> list[Segment]:
        """The segments of that name, in order."""
        found = self.seen.get(name)
        if found is None:
            d, by_head = self.delimiters, self._by_head
            if by_head is None or name in by_head:
                found = self._found(name)
            else:
                found = [Segment(line, d) for line in by_head.get(name + d.field, ())]
            self.seen[name] = found
        return found

    def _found(self, name: str) -> list[Segment]:
        if self._segments is not None:
            return [segment for segment in self._segments if segment.name == name]
        return [Segment(line, self.delimiters) for line in self._lines if line[:3] == name]

    def texts(self, name: str) -> Sequence[str]:
        """The segments of that name as ER7 text, in order."""
        by_head = self._by_head
        if by_head is None or name in by_head or name in self.seen:
            return [segment.text for segment in self.named(name)]
        return by_head.get(name + self.delimiters.field, ())

    def get(self, place: str | Path) -> str:
        """The value at a path such as PID-3.1; "" when absent. Raises ValueError for a path that is none, or has a `*`."""
        return (_getter(place) if isinstance(place, str) else getter(place))(self, None)

    get_all, state = reading.all_values, reading.state
    set, set_raw, insert, delete, add_segment = edit.set_value, edit.set_raw, edit.insert, edit.delete, edit.add_segment

    def new_segment(self, text: str) -> Segment:
        """A segment in this message's separators and character set, which does not stand in it yet."""
        if self.encoding == Segment.encoding:
            return Segment(text, self.delimiters)
        return CodedSegment(text, self.delimiters, self.encoding)

    def append(self, segment: Segment) -> None:
        """Add a segment at the end."""
        self.segments.append(segment)
        if segment.name in self.seen:
            self.seen[segment.name].append(segment)

    def to_bytes(self) -> bytes:
        """Write the message, segments ended by CR.

        What has not been changed is as it came. Raises MessageError (stage render) when a value was set that the
        message's character set cannot hold.
        """
        if self.encoding == "utf-8":
            try:
                return "".join([f"{s.text}\r" for s in self.segments]).encode("utf-8", "surrogateescape")
            except UnicodeError:
                pass  # half a surrogate pair that someone has set: below, the segment that holds it says so
        end = charsets.encode("\r", self.encoding, "")
        parts: list[bytes | memoryview] = [charsets.mark_of(self.raw, self.encoding)]
        for segment in self.segments:
            parts += (segment.to_bytes(), end)
        return b"".join(parts)


_Read = tuple[list[Segment], str, bool, Odd]
"""The segments, their codec, whether some bytes were not of it, and what is odd about the lines."""


def _wide(raw: bytes, codec: str) -> _Read:
    text, _, bad = charsets.decode(raw, codec)
    text = text.lstrip(lines.LEAD)
    d = delimiters_of(text)
    found, odd = lines.trimmed(lines.lines_of(text), d.field)
    return [CodedSegment(line, d, codec) for line in found], codec, bad, odd


def _by_line(raw: bytes, codec: str) -> _Read:
    """Segments decoded one by one: no copy of a large message as a whole, and no character that runs over a line end."""
    start, view = lines.lead_of(raw), memoryview(raw)
    spans = lines.spans_of(raw, start)
    begin, end = spans[0] if spans else (0, 0)
    d = delimiters_of(charsets.decode(raw[begin:end], codec)[0])
    if charsets.is_transparent(codec) and charsets.reader_of(raw, codec) == codec:
        return _made([charsets.decode(view[begin:end], codec) for begin, end in spans], None, codec, d)
    kept = [view[begin:end] for begin, end in spans]
    segments, codec, bad, odd = _made([charsets.decode(line, charsets.reader_of(line, codec)) for line in kept], kept, codec, d)
    return segments, codec, bad or charsets.misread(raw[start : start + charsets.HEAD_MAX], codec, segments[0].fields), odd


def _switching(raw: bytes, codec: str) -> _Read:
    codec, view = codec.removeprefix(charsets.SWITCHING), memoryview(raw)
    kept = [view[begin:end] for begin, end in lines.spans_of(raw, lines.lead_of(raw))]
    read = [charsets.decode_switching(bytes(line), codec) for line in kept]
    return _made(read, kept, codec, delimiters_of(read[0][0]))


def _made(read: list[tuple[str, str, bool]], kept: list[memoryview] | None, codec: str, d: Delimiters) -> _Read:
    """Segments of lines, which `charsets.decode` has read, and their bytes, where they are kept."""
    texts, odd = lines.trimmed([text for text, _, _ in read], d.field)
    bad = any(wrong for _, _, wrong in read)
    if kept is None:
        return [CodedSegment(text, d, codec) for text in texts], codec, bad, odd
    segments: list[Segment] = []
    for line, (whole, actual, _), text in zip(kept, read, texts, strict=True):
        segments.append(CodedSegment(text, d, actual, line[len(whole) - len(text) :]))
    return segments, codec, bad, odd


_UNDECODABLE = re.compile("[\udc80-\udcff]")


def _joined(message: Message, codec: str) -> Message:
    """The message with lines that are no segments joined to the fields before them; as it is where one of them cannot be.

    It cannot where one of them may be meant for a segment, as characters or as bytes; where no escape character is there to keep
    the line end with; and where the character set is switched: what was switched to ends with the line.
    """
    d, wide = message.delimiters, charsets.is_wide(codec)
    if not d.escape or not d.field.isascii() or codec == charsets.JAPANESE or codec.startswith(charsets.SWITCHING):
        return message
    if any(lines.is_own(message.segments[odd.number - 1].text, d.field) for odd in message.odd.broken):
        return message
    raw, own = message.raw, codec if wide else "latin-1"
    text = charsets.decode(raw, codec)[0].lstrip(lines.LEAD) if wide else raw[lines.lead_of(raw) :].decode(own)
    found = Message.parse(charsets.encode(lines.joined(text, d.escape), own, ""), codec, codec)
    if found.odd.broken:
        return message
    found.raw, found.odd = raw, Odd((), (), message.odd.trimmed, message.odd.broken, message.odd.around)
    return found


def changed(raw: bytes, changes: Mapping[Path, str], encoding: str = "utf-8") -> bytes:
    """The same message with some values replaced, as `edit.put` does. Raises MessageError when raw is not HL7, or cannot be changed."""
    message = Message.parse(raw, encoding)
    edit.check_places(message)
    for place, value in changes.items():
        edit.put(message, place, value)
    return message.to_bytes()
