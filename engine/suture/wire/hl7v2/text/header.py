"""The MSH of a message, read from the bytes: what an answer needs, and cheap enough for every message."""

from __future__ import annotations

import re

from suture.model.value import Draft
from suture.wire.hl7v2.text import charsets, widths
from suture.wire.hl7v2.text.widths import NARROW, Width

_HEAD_BYTES = 16_384
"""As much of a message in a wide character set as is looked at for its MSH."""

_UNICODE = (b"UNICODE", b"UTF")
_STANDARD_SIGNS = b"^~\\&"
_USUAL_SIGNS = frozenset({_STANDARD_SIGNS, _STANDARD_SIGNS + b"#"})
_OTHER_SIGNS = b"$%*+@!;^~\\&"
"""What takes the place of a standard separator that has another meaning in the message."""
_VERSION = re.compile(rb"\s{0,9}(\d)\.(\d{1,3})(?:\.(\d{1,3}))?")
_LATEST = (2, 5, 1)


class Header(Draft, gc=False):
    """What an answer needs of the message that it answers. fields[0] is MSH, fields[n] is MSH-(n+1).

    width: of the message; the fields of a wide one are in UTF-8.
    """

    separator: bytes
    fields: list[bytes]
    width: Width = NARROW

    @classmethod
    def read(cls, raw: bytes) -> Header | None:
        """The MSH of a message, or None when it has none. Never raises."""
        return _read(raw) if raw[:3] == b"MSH" else _unusual(raw)

    @classmethod
    def of_beginning(cls, head: bytes) -> Header | None:
        """The MSH of a message of which there is only the beginning: a field that may have been cut off is left out."""
        found = cls.read(head)
        if found is not None and b"\r" not in head and b"\n" not in head:
            found.fields.pop()
        return found if found is not None and len(found.fields) > 1 else None

    def get(self, number: int) -> bytes:
        """MSH-number as written, b"" when absent."""
        return self.fields[number - 1] if number <= len(self.fields) else b""

    def text(self, number: int) -> str:
        """MSH-number as `text_of` has it."""
        return text_of(self.get(number))

    def to_answer(self) -> Header:
        """The header with an MSH-2 that an answer can be written in: what is missing, or no separator, is the standard's.

        The fields stay as they were written; the answer gives them back so.
        """
        given = self.fields[1] if len(self.fields) > 1 else b""
        if given in _USUAL_SIGNS or not given.isascii():
            return self
        return Header(self.separator, [self.fields[0], _signs(given, self.separator), *self.fields[2:]], self.width)

    @property
    def type(self) -> str:
        """MSH-9 as message code and trigger: DFT^P03."""
        fields = self.fields
        return type_of(fields[1], fields[8]) if len(fields) > 8 else ""

    @property
    def component(self) -> str:
        """The component separator."""
        return self.get(2)[:1].decode("latin-1") or "^"

    @property
    def version(self) -> tuple[int, ...]:
        """MSH-12.1 as numbers, to be compared: (2, 5, 1). One that cannot be read counts as 2.5.1."""
        match = _VERSION.match(self.get(12))
        return tuple(int(part) for part in match.groups() if part) if match else _LATEST

    @property
    def codec(self) -> str:
        """The codec of the answer's values: that of the message's MSH-18, ASCII where it says nothing that is known."""
        if self.width is not NARROW:
            return "utf-8"
        name = self.get(18).split(self.get(2)[1:2] or b"~")[0].strip().upper()
        if name.startswith(_UNICODE):
            return charsets.UTF_8
        codec = charsets.codec_of(name.decode("ascii", "replace"))
        return "ascii" if codec in ("", charsets.UTF_8) else codec


UNREAD = Header(b"|", [b"MSH", _STANDARD_SIGNS])
"""Of what has none that can be read."""


def _signs(given: bytes, field: bytes) -> bytes:
    """Encoding characters in place of these: each one once, none of them a letter, a digit or the field separator."""
    if given[2:4] == b"\\\\" and len(given) > 4:  # a program that doubled the backslash
        given = given[:3] + given[4:]
    found = b""
    for i, standard in enumerate(_STANDARD_SIGNS):
        wished = (given[i : i + 1], bytes((standard,)), *(bytes((one,)) for one in _OTHER_SIGNS))
        found += next(one for one in wished if one and not one.isalnum() and one not in found + field)
    fifth = given[4:5]
    return found + (b"" if fifth.isalnum() or fifth in found + field else fifth)


def type_of(signs: bytes, kind: bytes) -> str:
    """MSH-9 (kind), which is written with the separators of MSH-2 (signs), as message code and trigger: DFT^P03."""
    if signs[1:2] and signs[1:2] in kind:
        kind = kind.split(signs[1:2], 1)[0]
    return text_of(b"^".join(kind.split(signs[:1] or b"^", 2)[:2]))


def text_of(raw: bytes, limit: int = 199) -> str:
    """A field as text that any database takes: no NUL, at most `limit` bytes; the same bytes give the same text."""
    return raw[:limit].decode("utf-8", "replace").replace("\x00", "")


def _read(raw: bytes, width: Width = NARROW) -> Header | None:
    separator = raw[3:4]
    if not separator or separator.isalnum() or separator in b"\r\n":
        return None
    end = raw.find(b"\r")
    line = (raw if end < 0 else raw[:end]).split(b"\n", 1)[0]
    if (width is NARROW and not line.isascii()) or b"\x1b" in line:
        return Header(separator, _characters(line, separator), width)
    return Header(separator, line.split(separator), width)


def _characters(line: bytes, separator: bytes) -> list[bytes]:
    """The fields of a line in which a byte may be half a character: delimiters are characters (HL7 2.9.1 section 2.14.9.18)."""
    for name in charsets.spreading(line) if separator.isascii() else ():
        codec = charsets.codec_of(name.decode("ascii"))
        try:
            parts = line.decode(codec).split(separator.decode("ascii"))
            found = [part.encode(codec) for part in parts]
        except UnicodeError:
            continue
        if len(found) > 17 and found[17].split(b"~")[0].strip().upper() == name:
            return found
    return line.split(separator)


def _unusual(raw: bytes) -> Header | None:
    """The MSH behind a byte order mark, blanks or line ends, or in a wide character set."""
    if (width := widths.width_of(raw)) is not NARROW:
        head = width.narrow(raw[:_HEAD_BYTES]).lstrip(b" \t\r\n")
        return _read(head, width) if head.startswith(b"MSH") else None
    raw = raw.lstrip(b"\xef\xbb\xbf \t\r\n\x0b")
    return _read(raw) if raw[:3] == b"MSH" else None
