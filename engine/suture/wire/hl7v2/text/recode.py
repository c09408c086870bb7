r"""A message in the one character set that its receiver knows, with MSH-18 saying so.

What needs no change is given back byte for byte. Characters that the set does not have are refused, replaced, or written
as \X..\ with the bytes of their UTF-8 form: the standard leaves the meaning of such bytes to an agreement (HL7 2.5.1 section
2.7.5), and Suture reads them so in a message that says ASCII.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Literal

from suture.model.errors import MessageError
from suture.model.value import Value
from suture.wire.hl7v2.text.charsets import CHARSETS, UTF_8, is_written
from suture.wire.hl7v2.text.delimiters import HEADERS
from suture.wire.hl7v2.text.er7 import Message, Segment
from suture.wire.hl7v2.text.escapes import escape, hexadecimal, undoubled
from suture.wire.hl7v2.text.header import Header
from suture.wire.hl7v2.text.windows import C1, READERS

Unfit = Literal["refuse", "replace", "escape"]
ASCII = "ascii"
_ASCII_NAMES = frozenset({"ASCII", "US-ASCII", "ISO IR6"})
_PLAIN = (*_ASCII_NAMES, "")
"""What MSH-18 may say of ASCII, whoever reads it."""
_STANDARD_NAMES = {UTF_8: "UNICODE UTF-8", "gb18030": "GB 18030-2000", "cp950": "BIG-5", "cp949": "KS X 1001"}
"""Codec to its name in HL7 table 0211; those of ISO 8859 are 8859/n there, and others are none of it."""
_NARROWER = {"GBK": "gbk", "GB2312": "gb2312"}
"""Sets that are read with a larger one that holds them, and their own codecs."""
_MIME = {ASCII: "us-ascii", "cp932": "Shift_JIS", "cp949": "EUC-KR", "cp950": "Big5"}
_CHARSET_INDEX = 17
"""Of MSH-18 among the fields of its segment."""
_MARK = b"\xef\xbb\xbf"


class Target(Value, frozen=True):
    """A character set to send in. name: as MSH-18 has it. names: others for it. unfit: what becomes of characters it has not."""

    name: str
    codec: str
    names: frozenset[str]
    unfit: Unfit = "refuse"

    @property
    def mime(self) -> str:
        """Its name for a Content-Type."""
        return _MIME.get(self.codec) or self.codec.replace("iso8859", "ISO-8859").replace("cp12", "windows-12")

    @property
    def hexed(self) -> str:
        r"""The codec that the bytes of \X..\ are read with."""
        return UTF_8 if self.codec == ASCII else self.codec


class Recoded(Value, frozen=True):
    """The bytes of the message, how many characters were replaced, and where the first of them stands."""

    body: bytes
    replaced: int = 0
    place: str = ""


@lru_cache(64)
def target(name: str, unfit: Unfit = "refuse") -> Target:
    """The character set of that name. Raises ValueError for one that is not known, or has characters of more than one form."""
    known = name.strip().upper().replace("_", "-")
    codec = CHARSETS.get(known, "")
    if known in _ASCII_NAMES:
        return Target("ASCII", ASCII, _ASCII_NAMES, unfit)
    if not is_written(codec):
        remedy = "write ASCII, 8859/1, UTF-8 or another one of MSH-18, but for UTF-16, UTF-32 and the Japanese sets that switch"
        raise ValueError(f"{name!r} is no character set to send in; {remedy}")
    if known in _NARROWER:
        return Target(known, _NARROWER[known], frozenset({known}), unfit)
    names = frozenset(one for one, other in CHARSETS.items() if other == codec) - _ASCII_NAMES
    part = codec.removeprefix("iso8859-")
    return Target(f"8859/{part}" if part != codec else _STANDARD_NAMES.get(codec, known), codec, names, unfit)


def recoded(message: Message, body: bytes, to: Target) -> Recoded:
    """The message in that character set. body: its bytes as they would go out otherwise.

    Raises MessageError (stage render, CHARSET) where its bytes are not of its own set, and as `to.unfit` says.
    """
    if _is_so(body, to):
        return Recoded(body)
    if message.undecodable:
        reason = f"bytes that are not {message.encoding} cannot be sent as {to.name}; set MSH-18 or the channel's `hl7v2.encoding`"
        raise MessageError("render", "CHARSET", "MSH-18", reason)
    work = _Work(message, to)
    lines = [work.line(segment, number) for number, segment in enumerate(message.segments)]
    if (header := _declaring(message.segments[0], lines, work.foreign or work.changed, to)) is not None:
        lines[0] = header
    elif not work.changed and (to.codec == UTF_8 or not body.lstrip().startswith(_MARK)):
        return Recoded(body)
    return Recoded(b"".join([b"%b\r" % line for line in lines]), work.replaced, work.place)


def _is_so(body: bytes, to: Target) -> bool:
    """Is it plain ASCII that says nothing else? As most messages are."""
    if not body.isascii() or b"\0" in body or b"\x1b" in body or b"\\X" in body:
        return False
    header = Header.read(body)
    return header is not None and _named(header.get(18).decode("ascii")) in (*to.names, *_PLAIN)


def _named(field: str) -> str:
    """MSH-18 as it stands in Target.names."""
    return field.strip().upper().replace("_", "-")


def _declaring(header: Segment, lines: list[bytes], foreign: bool, to: Target) -> bytes | None:
    """The line of MSH that names the set; None where nothing is to be said that it does not say."""
    declared = _named(header.raw(18))
    if declared in to.names or (declared in _ASCII_NAMES and all(line.isascii() for line in lines)) or not (declared or foreign):
        return None
    fields = lines[0].decode(to.codec).split(header.delimiters.field)
    fields += [""] * (_CHARSET_INDEX + 1 - len(fields))
    fields[_CHARSET_INDEX] = escape(to.name, header.delimiters)
    return header.delimiters.field.join(fields).encode(to.codec)


class _Work:
    """The lines of one message, written anew. changed: some line is not what it was. foreign: some were read with another set."""

    def __init__(self, message: Message, to: Target) -> None:
        self.message, self.to = message, to
        self.changed, self.foreign, self.replaced, self.place = False, False, 0, ""
        d = message.delimiters
        signs = (d.field, d.component, d.repetition, d.escape, d.subcomponent, d.truncation)
        self._blank = next(one for one in "?_.- " if one not in signs)
        if not _fits("".join(signs), to.codec):
            raise MessageError("render", "CHARSET", "MSH-2", f"the message's separators are not all in {to.name}")

    def line(self, segment: Segment, number: int) -> bytes:
        """One segment."""
        before = bytes(segment.to_bytes())
        if segment.encoding == self.to.codec and not _SWITCH.search(before):
            return before
        fields = segment.text.split(segment.delimiters.field)
        for index in range(2 if segment.name in HEADERS else 0, len(fields)):
            text = self._without_hex(segment, fields[index])
            fields[index] = text if _fits(text, self.to.codec) else self._made_fit(segment, text, number, index)
        found = segment.delimiters.field.join(fields).encode(self.to.codec)
        self.changed, self.foreign = self.changed or found != before, self.foreign or not found.isascii()
        return found

    def _without_hex(self, segment: Segment, text: str) -> str:
        d = segment.delimiters
        read = d.escape and f"{d.escape}X" in text and segment.encoding != self.to.hexed
        return hexadecimal(text, d, segment.encoding) if read else text

    def _made_fit(self, segment: Segment, text: str, number: int, index: int) -> str:
        """A field with characters that the set does not have."""
        d, place, unfit = segment.delimiters, self._path(segment, number, index), self.to.unfit
        if unfit == "refuse" or (unfit == "escape" and not d.escape):
            how = "see `send_as_unfit`" if unfit == "refuse" else "MSH-2 has no escape character to write them with"
            raise MessageError("render", "CHARSET", place, f"characters that {self.to.name} does not have; {how}")
        if unfit == "escape":
            text = undoubled(text, d)
        else:
            self.place = self.place or place
        return "".join([one if _fits(one, self.to.codec) else self._instead(one) for one in text])

    def _instead(self, character: str) -> str:
        r"""\X..\; or the letter without its marks, where it is one that the set has, and a question mark for any other."""
        if self.to.unfit == "escape":
            e = self.message.delimiters.escape
            return f"{e}X{character.encode().hex().upper()}{e}"
        self.replaced += 1
        letter = unicodedata.normalize("NFD", character)[0]
        return letter if letter.isalnum() and _fits(letter, self.to.codec) else self._blank

    def _path(self, segment: Segment, number: int, index: int) -> str:
        sequence = sum(one.name == segment.name for one in self.message.segments[: number + 1])
        name = segment.shown if sequence == 1 else f"{segment.shown}({sequence})"
        return f"{name}-{index + (segment.name in HEADERS)}"


_SWITCH = re.compile(rb"\x1b|\\[CM]")
"""Where other sets may have been switched to."""


def _fits(text: str, codec: str) -> bool:
    if text.isascii():
        return True
    try:
        found = text.encode(codec)
    except UnicodeError:
        return False
    return codec not in READERS or not C1.search(found)
