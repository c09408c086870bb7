"""Character sets: which one a message is in, and its bytes as text and back (HL7 2.5.1 section 2.15.9.18, table 0211).

Three kinds of codec are told apart. TRANSPARENT ones give back the same bytes for whatever was read with them, decodable
or not. WIDE ones (UTF-16, UTF-32) do so for whole characters. With all others two byte strings may read as the same
text, so that only the bytes that came in are the truth for what was not changed.
"""

from __future__ import annotations

import codecs
import re
from functools import lru_cache

from suture.model.errors import MessageError
from suture.wire.hl7v2.text.lines import lead_of
from suture.wire.hl7v2.text.windows import C1, PARTS, READERS, part_of

HEAD_MAX = 4096
"""Bytes in which MSH-18 is looked for."""

UTF_8 = "utf-8"
JAPANESE = "iso2022_jp_ext"
SWITCHING = "iso2022 from "
"""What codec_for puts before the codec of the default set where MSH-18 names others to switch to."""

_NAMES = {
    "": ("",),
    UTF_8: ("ASCII", "US-ASCII", "ISO IR6", "UNICODE UTF-8", "UNICODE", "UTF-8", "UTF8"),
    **{f"iso8859-{n}": (f"8859/{n}", f"ISO-8859-{n}", f"ISO8859-{n}") for n in PARTS if n != 1},
    "iso8859-1": ("8859/1", "ISO-8859-1", "ISO8859-1", "ISO IR100", "LATIN1"),
    **{f"cp125{n}": (f"WINDOWS-125{n}", f"CP125{n}") for n in range(9)},
    "utf-16": ("UNICODE UTF-16", "UTF-16"),
    "utf-32": ("UNICODE UTF-32", "UTF-32"),
    "gb18030": ("GB 18030-2000", "GB18030", "GBK", "GB2312"),
    "cp950": ("BIG-5", "BIG5"),
    "cp949": ("KS X 1001", "KS C 5601", "EUC-KR"),
    JAPANESE: ("ISO IR13", "ISO IR14", "ISO IR87", "ISO IR159", "JIS X 0201", "JIS X 0202", "JIS X 0208", "ISO-2022-JP"),
    "cp932": ("SHIFT-JIS", "SJIS", "WINDOWS-31J"),
}
CHARSETS = {name: codec for codec, names in _NAMES.items() for name in names}
"""MSH-18 (HL7 table 0211, and names that senders use instead) to codec. Declared ASCII is read as UTF-8, which holds it;
the Chinese and Korean sets are read with the larger set that holds them. Not here: 8859/12 (never published), CNS
11643-1992 and JAS2020 (no codec); they are read as if nothing was declared."""

_BY_BYTES = {name.encode(): codec for name, codec in CHARSETS.items()}
_SPREAD = frozenset({"gb18030", "cp950", "cp932", JAPANESE})
"""Codecs whose characters can hold a byte that is also a delimiter."""

_SPREAD_NAMES = sorted((name.encode() for name, codec in CHARSETS.items() if codec in _SPREAD), key=len, reverse=True)
_SURELY_TRANSPARENT = frozenset({UTF_8, "ascii", "cp1252", *(f"iso8859-{n}" for n in PARTS)})
_WIDE = {"utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff", "utf-32-le": b"\xff\xfe\x00\x00", "utf-32-be": b"\x00\x00\xfe\xff"}
"""Wide codecs, and the mark that may stand before a text in each."""

_SWITCHABLE = frozenset({UTF_8, JAPANESE, *(f"iso8859-{n}" for n in PARTS)})
"""Codecs of sets that ISO 2022 sequences can switch from. (UTF-8 stands for ASCII here.)"""

_BEGINS_WIDE = re.compile(
    rb"(?P<utf_32_le>\xff\xfe\0\0|(?:[ \t\r\n\x0b]\0\0\0)*[BFM]\0\0\0[HST]\0\0\0)"
    rb"|(?P<utf_32_be>\0\0\xfe\xff|(?:\0\0\0[ \t\r\n\x0b])*\0\0\0[BFM]\0\0\0[HST])"
    rb"|(?P<utf_16_le>\xff\xfe|(?:[ \t\r\n\x0b]\0)*[BFM]\0[HST]\0)"
    rb"|(?P<utf_16_be>\xfe\xff|(?:\0[ \t\r\n\x0b])*\0[BFM]\0[HST])"
)
"""A byte order mark, or MSH, FHS, BHS, BTS or FTS (behind blanks) in units of two or four bytes."""


@lru_cache(64)
def canonical(codec: str) -> str:
    """One name for each codec. Raises LookupError for what is no codec of texts."""
    name = codecs.lookup(codec).name
    try:
        b"MSH".decode(name)
    except UnicodeError:
        pass  # a codec of texts, in which these bytes are not one
    return name


def codec_of(name: str) -> str:
    """The codec for a name of a character set as MSH-18 has it, large or small; "" when it is empty or not known."""
    return CHARSETS.get(name.strip().upper().replace("_", "-"), "")


def is_transparent(codec: str) -> bool:
    """Does writing give back the very bytes that were read, whatever they were?"""
    return codec in _SURELY_TRANSPARENT


def is_wide(codec: str) -> bool:
    """Are its characters units of two or four bytes?"""
    return codec in _WIDE


def is_written(codec: str) -> bool:
    """Can a whole message be written with it, one form a character, in bytes that ASCII has too?"""
    return bool(codec) and codec != JAPANESE and not codec.startswith(("utf-16", "utf-32"))


def is_spread(codec: str) -> bool:
    """Can its characters hold a byte that is also a delimiter?"""
    return codec in _SPREAD


def mark_of(raw: bytes, codec: str) -> bytes:
    """The byte order mark before a message in a wide codec, b"" when there is none."""
    mark = _WIDE.get(codec, b"")
    return mark if raw.startswith(mark) else b""


def wide_codec(raw: bytes) -> str:
    """The wide codec that the first bytes of a message show, "" when they show none."""
    wide = _BEGINS_WIDE.match(raw)
    return str(wide.lastgroup).replace("_", "-") if wide else ""


def spreading(line: bytes) -> list[bytes]:
    """The names, anywhere in an MSH, of sets whose characters can hold a byte that is also a delimiter; the longest first."""
    upper = line.upper()
    return [name for name in _SPREAD_NAMES if name in upper]


def codec_for(raw: bytes, default: str = UTF_8, override: str = "") -> str:
    """The codec of a message: a wide one where its first bytes show it, else override, UTF-8 with its mark, MSH-18, default.

    Who says UTF-16 or UTF-32 of a message that is written in single bytes (as the first three show) is not believed.
    Raises LookupError for an override or default that is no codec.
    """
    if raw[:3] == b"MSH":
        chosen = override or _declared(raw) or default
        if chosen == UTF_8 or chosen.startswith(SWITCHING):
            return chosen
        return _narrow(chosen, default) if chosen[:3] == "utf" else canonical(chosen)
    if wide := wide_codec(raw):
        return wide
    start = lead_of(raw)
    marked = UTF_8 if b"\xef\xbb\xbf" in raw[:start] else ""
    return _narrow(override or marked or _declared(raw[start : start + HEAD_MAX]) or default, default)


def _narrow(codec: str, default: str) -> str:
    if codec.startswith(SWITCHING):
        return codec
    for one in (canonical(codec), canonical(default)):
        if one not in ("utf-16", "utf-32", *_WIDE):
            return one
    return UTF_8


FIELD = 17
"""Separators before MSH-18."""


def _declared(raw: bytes) -> str:
    """The codec that MSH-18 asks for, "" when it says nothing that is known."""
    end, separator = raw.find(b"\r", 0, HEAD_MAX), raw[3:4] or b"|"
    if raw.count(separator, 0, end if end >= 0 else HEAD_MAX) < FIELD:
        return ""
    head = raw[: end if end >= 0 else HEAD_MAX].partition(b"\n")[0]
    plain = head.isascii()
    fields = head.split(separator, 18 if plain else 40)
    if len(fields) < 18:
        return ""
    if not fields[17]:
        return "" if plain else _spread(fields[18:])
    codec = _BY_BYTES.get(fields[17])
    return codec if codec is not None else _repeated(fields[17], head) or _spread(fields[18:])


def _repeated(field: bytes, head: bytes) -> str:
    """The default set is the first one (empty: ASCII); escape sequences switch to the others, except from Unicode."""
    separator = b"" if head[5:6] == head[3:4] else head[5:6]
    names = field.split(separator) if separator else [field]
    codecs = [codec_of(name.decode("ascii", "replace")) for name in names]
    first = codecs[0]
    if not any(codecs[1:]) or (first and first not in _SWITCHABLE) or names[0][:1] == b"U":
        return first
    return JAPANESE if JAPANESE in codecs else SWITCHING + ("ascii" if first in ("", UTF_8) else first)


def _spread(fields: list[bytes]) -> str:
    """A set further right than MSH-18: in it, a byte that looks like a separator was a part of a character."""
    for field in fields:
        codec = codec_of(field.decode("ascii", "replace"))
        if codec in _SPREAD:
            return codec
    return ""


def misread(head: bytes, codec: str, fields: list[str]) -> bool:
    """Has a separator of MSH been taken for a part of a character? head: the message's first bytes; fields: of its MSH, as read.

    A character that was cut off, or one of another set, does that: MSH-18 then is not where its bytes have it.
    """
    if codec not in _SPREAD or _declared(head) != codec:
        return False
    names = fields[FIELD] if len(fields) > FIELD else ""
    return all(codec_of(name) != codec for name in names.split(fields[1][1:2] or None))


def reader_of(line: bytes | memoryview, codec: str) -> str:
    """The codec to read a line with: where it has bytes 80 to 9F under ISO 8859, that of windows.py."""
    reader = READERS.get(codec, "")
    return reader if reader and C1.search(line) else codec


def decode(raw: bytes | memoryview, codec: str) -> tuple[str, str, bool]:
    """The bytes of one segment, or of a whole message in a wide codec, as text; the codec that reads them; and whether some were not of it.

    A switch to a set that nobody here knows is such bytes: what follows it means something else than it says.
    Raises MessageError when they are not whole characters of a wide codec.
    """
    actual = codec
    if codec == JAPANESE:
        raw, actual = _japanese(bytes(raw))
    try:
        text = str(raw, actual)
        return text, actual, codec == JAPANESE and "\x1b" in text
    except UnicodeError:
        pass
    try:
        return str(raw, actual, "surrogatepass" if codec in _WIDE else "surrogateescape"), actual, True
    except UnicodeError:
        if codec in _WIDE:
            raise MessageError("parse", "CHARSET", "", f"the bytes are not whole characters of {codec}") from None
    return str(raw, "ascii", "surrogateescape"), "ascii", True


_SWITCH = re.compile(rb"\\[CM]((?:[0-9A-Fa-f]{2}){2,3})\\")
_SETS = {
    **{f"-{final}".encode(): f"iso8859-{n}" for final, n in zip("ABCDLGFHMVTY_bf", PARTS, strict=True)},
    b"$)C": "euc_kr",
    b"$)A": "gb2312",
}
"""Sequences (behind ESC) that say what bytes from A0 on mean, by the registry of ISO 2022."""
_SEQUENCE = re.compile(b"\x1b(" + b"|".join(re.escape(one) for one in (*_SETS, b"(B")) + b")")
_JAPANESE_SWITCHES = {b"(B", b"(J", b"(I", b"$@", b"$B", b"$(D"}


def decode_switching(line: bytes, default: str) -> tuple[str, str, bool]:
    r"""One segment of a message that switches between sets, by ISO 2022 sequences or as \C..\ and \M..\, as `decode` has it."""
    pieces = _SEQUENCE.split(_SWITCH.sub(_sequence, line))
    text, bad = [], False
    for sequence, piece in zip([b"(B", *pieces[1::2]], pieces[::2], strict=True):
        codec = _SETS.get(sequence, default)
        part, _, wrong = decode(piece, reader_of(piece, codec))
        text.append(part)
        bad = bad or wrong or "\x1b" in part
    return "".join(text), default, bad


def _japanese(line: bytes) -> tuple[bytes, str]:
    r"""Switches written as \C..\ and \M..\ as the ISO 2022 sequences they stand for; eight-bit katakana by its own codec."""
    if b"\\C" in line or b"\\M" in line:
        line = _SWITCH.sub(_sequence, line)
    if b"\x1b" not in line and not line.isascii():
        return line, "cp932"
    return line, JAPANESE


def _sequence(match: re.Match[bytes]) -> bytes:
    r"""ESC and the rest of the sequence. (\M2442\ is ESC $ B; HL7 2.5.1 section 2.7.1.)"""
    rest = bytes.fromhex(match[1].decode("ascii"))
    return b"\x1b" + rest if rest in _JAPANESE_SWITCHES or rest in _SETS else match[0]


def encode(text: str, codec: str, place: str) -> bytes:
    """Text as bytes; undecodable bytes that were kept in it come out again.

    Raises MessageError (stage render) when the character set lacks a character. place: the segment, for the error.
    """
    try:
        found = text.encode(codec, "surrogatepass" if codec in _WIDE else "surrogateescape")
        if codec not in READERS or not C1.search(found):  # control characters would be read as signs of Windows
            return found
    except UnicodeError:
        pass
    reason = f"a value has characters that the message's character set ({part_of(codec)}) does not have"
    raise MessageError("render", "CHARSET", place, f"{reason}; leave them out, or send another character set in MSH-18")
