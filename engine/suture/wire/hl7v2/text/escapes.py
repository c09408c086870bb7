r"""Escape sequences (HL7 2.5.1 section 2.7): what stands in a message for a delimiter, a line end or a byte.

A sequence is a code between two escape characters; sequences are not nested. What means text is resolved; what no table
knows (a vendor's \Z..\, a code that is none) stays as it is, for nobody here can say what it means.
"""

from __future__ import annotations

import re
from functools import lru_cache

from suture.model.errors import MessageError
from suture.wire.hl7v2.text.charsets import is_wide
from suture.wire.hl7v2.text.delimiters import DOUBLED, STANDARD, STANDARD_27, Delimiters
from suture.wire.hl7v2.text.windows import C1, READERS

ROLES = {"F": "field", "S": "component", "T": "subcomponent", "R": "repetition", "E": "escape", "P": "truncation"}

_FORMATTING = {".br": "\n", ".ce": "\n", ".fi": "", ".nf": "", "H": "", "N": ""}
"""Formatting (2.7.2, 2.7.6): line ends are kept as such; highlighting and wrapping are no part of the value."""

_BLANKS_MAX = 999
"""Blank lines or blanks that one \\.sp n\\ or \\.sk n\\ may stand for; a larger number is no formatting, and is kept."""

_C1_UNITS = re.compile("[\x80-\x9f]")

_CONTROLS = "\r\n\x0b\x1c"
"""Line ends, and the bytes that MLLP frames messages with: they never stand in a value that is written."""


def unescape(text: str, d: Delimiters = STANDARD, encoding: str = "utf-8") -> str:
    r"""The value that a text stands for.

    \F\ \S\ \T\ \R\ \E\ \P\ are the delimiters; \Xhh..\ is the text of these bytes in the message's character set
    (encoding), or of UTF-16 units as some programs write them (\X00E0\), and stays as it is where they are no text;
    \.br\ \.sp\ \.sk\ \.ce\ are line ends and blanks; \.fi\ \.nf\ \.in\ \.ti\ \H\ \N\ only say how to show the value, and
    fall away. Any other sequence is kept.
    """
    e = d.escape
    if not e or e not in text:
        return text
    if d.repeats == DOUBLED:
        text = undoubled(text, d)

    def value(match: re.Match[str]) -> str:
        found = _value(match[0], match[1], d, encoding)
        return match[0] if found is None else found

    return _sequences(e).sub(value, text)


def hexadecimal(text: str, d: Delimiters, encoding: str) -> str:
    r"""The text with the characters themselves for \X..\ whose bytes depend on the character set; everything else as it is."""

    def value(match: re.Match[str]) -> str:
        if match[1][0] != "X":
            return match[0]
        found = _bytes(match[0], d.escape, encoding)
        if found is None or found.isascii() or re.search("X(?:..)*?00", match[0]):
            return match[0]
        return escape(found, d)

    return _sequences(d.escape).sub(value, undoubled(text, d))


def undoubled(text: str, d: Delimiters) -> str:
    """A text of a program that doubles the escape character, in MSH-2 and so perhaps everywhere: single where all are doubled.

    What `escape` writes begins with a single one, and is never taken for doubled.
    """
    e = d.escape
    if d.repeats != DOUBLED or e in text.replace(e * 2, ""):
        return text
    return text.replace(e * 2, e)


@lru_cache(64)
def _sequences(escape: str) -> re.Pattern[str]:
    e = re.escape(escape)
    # Neighbours of \Xhh\ belong together, for each may hold one byte of the same character.
    codes = f"X(?:[0-9A-Fa-f]{{2}})+(?:{e}{e}X(?:[0-9A-Fa-f]{{2}})+)*|Z[^{e}]*|[A-Za-z.][^{e}\\s]*"
    return re.compile(f"{e}({codes}){e}")


def _value(whole: str, code: str, d: Delimiters, encoding: str) -> str | None:
    """The text of one sequence; None: not known."""
    if code in ROLES:
        return str(getattr(d, ROLES[code]) or getattr(STANDARD_27, ROLES[code]))  # the usual one where the message has none
    if code in _FORMATTING:
        return _FORMATTING[code]
    if code[0] == "X":
        return _bytes(whole, d.escape, encoding)
    return _blanks(code) if code[0] == "." else None


def _bytes(whole: str, escape: str, encoding: str) -> str | None:
    digits = whole.replace(escape, "").replace("X", "")
    if len(digits) % 2 or not re.fullmatch("[0-9A-Fa-f]+", digits):
        return None
    raw = bytes.fromhex(digits)
    if 0 in raw:
        return _units(raw, encoding)
    try:
        return raw.decode("ascii" if raw.isascii() else READERS.get(encoding, encoding))
    except UnicodeError:
        return None


def _units(raw: bytes, encoding: str) -> str | None:
    """The text of bytes with a NUL among them: UTF-16 where a unit begins with it, else units of the message's wide character set."""
    codec = "utf-16-be" if 0 in raw[::2] else encoding
    if not is_wide(codec):
        return None
    try:
        text = raw.decode(codec)
    except UnicodeError:
        return None
    return None if "\0" in text else _of_windows(text, encoding)


def _of_windows(text: str, encoding: str) -> str | None:
    """The same with units 0080 to 009F as the bytes 80 to 9F are read under ISO 8859; None where one is no character there."""
    if encoding not in READERS or not _C1_UNITS.search(text):
        return text
    try:
        return _C1_UNITS.sub(lambda unit: unit[0].encode("latin-1").decode(READERS[encoding]), text)
    except UnicodeError:
        return None


def before_c1(text: str, d: Delimiters, encoding: str) -> str | None:
    """What stands before the first sequence of whose bytes or units one of 80 to 9F was read as Windows has it; None: there is none."""
    if not d.escape or d.escape not in text or encoding not in READERS:
        return None
    text = undoubled(text, d)
    for match in _sequences(d.escape).finditer(text):
        if match[1][0] == "X" and _bytes(match[0], d.escape, encoding) is not None and _has_c1(match[1], d.escape):
            return text[: match.start()]
    return None


def _has_c1(code: str, escape: str) -> bool:
    raw = bytes.fromhex(code.replace(escape, "").replace("X", ""))
    if 0 not in raw:
        return C1.search(raw) is not None
    return any(high == 0 and 0x80 <= low < 0xA0 for high, low in zip(raw[::2], raw[1::2], strict=False))


def _blanks(code: str) -> str | None:
    match = re.fullmatch(r"\.(sp|sk|in|ti) ?([+-]?[0-9]{0,3})", code)
    if not match:
        return None
    number = min(int(match[2]) if match[2].strip("+-") else 1, _BLANKS_MAX)
    return {"sp": "\n", "sk": " "}.get(match[1], "") * number if number >= 0 or match[1] in ("in", "ti") else None


def escape(text: str, d: Delimiters = STANDARD) -> str:
    r"""Make any text safe as one HL7 value; `unescape` gives the same text back.

    A line end is written \.br\ (and CR, which only Windows has before it, in hexadecimal). Raises MessageError (stage
    render) when the text holds a delimiter and the message has no escape character: written as it is, it would be cut.
    """
    if text.isalnum():
        return text
    e = d.escape
    if not e:
        return _as_it_is(text, d)
    if e in text:
        text = text.replace(e, f"{e}E{e}")
    for character, code in _written(d):
        if character in text:
            text = text.replace(character, code)
    return text


@lru_cache(64)
def _written(d: Delimiters) -> tuple[tuple[str, str], ...]:
    """What is replaced by what, but for the escape character itself, which comes before all others."""
    e = d.escape
    named = [(getattr(d, role), f"{e}{code}{e}") for code, role in ROLES.items() if code != "E"]
    line_end = f"{e}X0A{e}" if "." in (d.field, d.component, d.repetition, d.subcomponent, e) else f"{e}.br{e}"
    controls = [("\r\n", f"{e}X0D0A{e}"), ("\n", line_end), *((c, f"{e}X{ord(c):02X}{e}") for c in _CONTROLS if c != "\n")]
    return tuple((character, code) for character, code in named + controls if character)


def _as_it_is(text: str, d: Delimiters) -> str:
    for character in (d.field, d.component, d.repetition, d.subcomponent, *_CONTROLS):
        if character and character in text:
            what = "a line end or a control character" if character in _CONTROLS else "a delimiter"
            reason = f"the value holds {what}, and the message has no escape character to write it with"
            raise MessageError("render", "NO_ESCAPE", "MSH-2", reason)
    return text
