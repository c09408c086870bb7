"""The MSH of a message, read from the bytes: what an answer needs, and cheap enough for every message."""

from __future__ import annotations

import re
from dataclasses import dataclass

_MARKS = ((b"\xff\xfe\x00\x00", "utf-32-le"), (b"\x00\x00\xfe\xff", "utf-32-be"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
_WIDE = (
    (b"M\x00S\x00H\x00", "utf-16-le"),
    (b"\x00M\x00S\x00H", "utf-16-be"),
    (b"M\0\0\0S\0\0\0", "utf-32-le"),
    (b"\0\0\0M\0\0\0S", "utf-32-be"),
)
_HEAD_BYTES = 16_384
"""As much of a message in a wide character set as is looked at for its MSH."""

_SHIFTY = {
    b"BIG-5": "big5",
    b"GB 18030-2000": "gb18030",
    b"ISO IR87": "iso2022_jp",
    b"ISO IR159": "iso2022_jp_1",
    b"JIS X 0202": "iso2022_jp",
    b"JAS2020": "shift_jis",
}
"""Of HL7 table 0211, those in which the byte of a delimiter can be half of another character."""

_LATIN = {b"8859/%d" % part: f"iso8859-{part}" for part in range(1, 16) if part != 12}
_VERSION = re.compile(rb"\s{0,9}(\d)\.(\d{1,3})(?:\.(\d{1,3}))?")
_LATEST = (2, 5, 1)


@dataclass(slots=True)
class Header:
    """What an answer needs of the message that it answers. fields[0] is MSH, fields[n] is MSH-(n+1).

    (Not frozen: one is made for every message, and Python makes those three times as slowly.)
    wide: the codec when the message is in UTF-16 or UTF-32 (the fields are then UTF-8), else "". mark: its byte order mark.
    """

    separator: bytes
    fields: list[bytes]
    wide: str = ""
    mark: bytes = b""

    @classmethod
    def read(cls, raw: bytes) -> Header | None:
        """The MSH of a message, or None when it has none. Never raises."""
        if raw[:3] != b"MSH":
            return _unusual(raw)
        return _read(raw)

    def get(self, number: int) -> bytes:
        """MSH-number as written, b"" when absent."""
        return self.fields[number - 1] if number <= len(self.fields) else b""

    def text(self, number: int) -> str:
        """MSH-number as `text_of` has it."""
        return text_of(self.get(number))

    @property
    def type(self) -> str:
        """MSH-9 as message code and trigger: DFT^P03."""
        fields = self.fields
        if len(fields) < 9:
            return ""
        signs = fields[1]
        kind = fields[8]
        if signs[1:2] and signs[1:2] in kind:
            kind = kind.split(signs[1:2], 1)[0]
        return text_of(b"^".join(kind.split(signs[:1] or b"^", 2)[:2]))

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
        if self.wide:
            return "utf-8"
        name = self.get(18).split(self.get(2)[1:2] or b"~")[0].strip().upper()
        if name in _LATIN:
            return _LATIN[name]
        return (
            "utf-8" if name.startswith(b"UNICODE") or name == b"UTF-8" else _SHIFTY.get(name, "euc-kr" if name == b"KS X 1001" else "ascii")
        )


def text_of(raw: bytes, limit: int = 199) -> str:
    """A field as text that any database takes: no NUL, at most `limit` bytes; the same bytes give the same text."""
    return raw[:limit].decode("utf-8", "replace").replace("\x00", "")


def _read(raw: bytes, wide: str = "", mark: bytes = b"") -> Header | None:
    separator = raw[3:4]
    if not separator or separator.isalnum() or separator in b"\r\n":
        return None
    end = raw.find(b"\r")
    line = (raw if end < 0 else raw[:end]).split(b"\n", 1)[0]
    if (not wide and not line.isascii()) or b"\x1b" in line:
        return Header(separator, _characters(line, separator), wide, mark)
    return Header(separator, line.split(separator), wide, mark)


def _characters(line: bytes, separator: bytes) -> list[bytes]:
    """The fields of a line in which a byte may be half a character: delimiters are characters (HL7 2.9.1 section 2.14.9.18)."""
    for name, codec in _SHIFTY.items():
        if name in line.upper() and separator.isascii():
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
    for mark, codec in _MARKS:
        if raw.startswith(mark):
            return _wide(raw[len(mark) :], codec, mark)
    for begin, codec in _WIDE:
        if raw.startswith(begin):
            return _wide(raw, codec, b"")
    raw = raw.lstrip(b"\xef\xbb\xbf \t\r\n\x0b")
    return _read(raw) if raw[:3] == b"MSH" else None


def _wide(raw: bytes, codec: str, mark: bytes) -> Header | None:
    head = raw[:_HEAD_BYTES].decode(codec, "replace").lstrip(" \t\r\n")
    return _read(head.encode("utf-8", "replace"), codec, mark) if head.startswith("MSH") else None
