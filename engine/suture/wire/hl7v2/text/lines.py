r"""Where messages and segments begin and end: the one place that decides on what real senders write.

- CR ends a segment, and so does CR LF. Nothing else does where a message has any CR, but for one thing that senders do:
  an LF before the beginning of a segment (a name and the field separator) or at the very end. Any other LF is data.
- A message without a CR has its segments ended by LF.
- Empty lines hold nothing, and are left out. What is not empty is a line, and is kept whatever it holds.
- Blanks before the name of a segment are left out, and `Odd` says so.
- A line that is neither a name (three characters: a capital letter, then capitals and digits) before the field separator or the
  line's end, nor made of blanks and control characters alone, is no segment: `Odd` says which.
- A UTF-8 byte order mark, blanks, tabs, line ends and VT before MSH are left out.
- A header (MSH, and FHS or BHS of a batch) at the beginning of a line begins a message: see `BEGINS`.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache

from suture.model.value import Value
from suture.wire.hl7v2.text.names import SEGMENTS

LEAD = "\ufeff \t\r\n\x0b"
_LEAD_BYTES = re.compile(rb"(?:\xef\xbb\xbf|[ \t\r\n\x0b])*")
_BLANKS = " \t"
_HOLLOW_PART = r"[\x00-\x09\x0b\x0c\x0e-\x20\x7f]*"
_HOLLOW = re.compile(r"[\x00-\x20\x7f]*")
"""A line that holds nothing that anybody could want."""
_NAME = "[A-Z][A-Z0-9]{2}"
_STRAY = re.compile("[A-Z\udc80-\udcff][A-Z0-9\udc80-\udcff]{2}")
"""A name but for bytes that are not of the character set, as they are kept in a text."""

BROKEN = "a line that does not begin with a segment's name and the field separator"
"""What a line is that is no segment, in words."""
ENVELOPE = frozenset({"FHS", "BHS", "BTS", "FTS"})
"""The segments around messages in a batch (HL7 2.5.1 section 2.10.3)."""
is_name = re.compile(_NAME).fullmatch
"""Can this be the name of a segment?"""

_HEADER = rb"(?:\||(?P<sign>[^\w\s\x1b\x1c])[^\w\s]{1,5}(?P=sign))"
"""What follows MSH, FHS or BHS of a header: the usual separator, or any other one with the characters of MSH-2 and itself again."""
BEGINS = rb"(?:(?:MSH|FHS|BHS)%b|(?:BTS|FTS)[^\w ])" % _HEADER
"""How the first segment of a message and the segments around messages begin, as a pattern. (`MSH see above` is a text.)"""
_MESSAGE = re.compile(rb"[\r\n](?P<lead>(?:\xef\xbb\xbf)?[ \t\x0b]*)MSH%b" % _HEADER)


def lead_of(raw: bytes) -> int:
    """The number of bytes before MSH that do not belong to the message."""
    return _LEAD_BYTES.match(raw).end()  # type: ignore[union-attr]  # it always matches


LOOKS = 1000
"""So many lines are looked at before bytes are gone through from end to end."""
LOOKED_AT_BYTES = 65_536
"""Shorter bytes are searched for MSH; in longer ones, which have few lines, the lines are looked at."""


def has_second(raw: bytes) -> bool:
    """May there be a further message in bytes that begin with MSH? It costs little, and mostly says no."""
    if len(raw) <= LOOKED_AT_BYTES:
        return raw.rfind(b"MSH") > 0
    for end in (b"\r", b"\n"):
        at = raw.find(end)
        for _ in range(LOOKS):
            if at < 0:
                break
            if raw[at + 1 : at + 65].lstrip(b" \t\x0b\xef\xbb\xbf")[:3] in (b"MSH", b"") and at + 1 < len(raw):
                return True
            at = raw.find(end, at + 1)
        else:
            return True
    return False


def messages_in(view: bytes, limit: int) -> list[int]:
    """Where each message begins in bytes that begin with MSH (behind what `lead_of` counts): 0, and every further header.

    At most limit + 1 of them are looked for.
    """
    found, at = [0], lead_of(view) + 3
    while len(found) <= limit and (match := _MESSAGE.search(view, at)):
        found.append(match.start("lead"))
        at = match.end()
    return found


class OddLine(Value, frozen=True):
    """A line that is not as it should be. number: empty lines do not count, and MSH is line 1.

    place: of the segment that it is or belongs to, which is the one before it where it is none: FT1(2). It holds no content.
    """

    number: int
    place: str


class Odd(Value, frozen=True):
    """What is odd about the lines of a message.

    broken: no segments. stray: of these, what would be one but for bytes in its name that are not of the character set.
    trimmed: had blanks before their names. joined: no segments, which were joined to the field before them. around: segments
    around messages, which are in this one.
    """

    broken: tuple[OddLine, ...] = ()
    stray: tuple[OddLine, ...] = ()
    trimmed: tuple[OddLine, ...] = ()
    joined: tuple[OddLine, ...] = ()
    around: tuple[OddLine, ...] = ()


NOTHING = Odd()

HEADS_MAX = 4096
_HEADS: set[str] = set()
"""Heads of segments that have been seen, for the usual separator: so many are remembered."""


def lines_of(text: str) -> list[str]:
    """The lines of a text that begins with MSH, as they are."""
    if "\n" not in text:
        lines = text.split("\r")
    elif "\r" not in text:
        lines = text.split("\n")
    else:
        number = text.count("\r\n")
        if number == text.count("\r") and number == text.count("\n"):
            lines = text.split("\r\n")
        else:
            lines = _mixed(text[3:4]).split(text.rstrip("\n"))
    if not lines[-1]:
        lines.pop()
    return [line for line in lines if line] if "" in lines else lines


def by_head(text: str) -> tuple[list[str], dict[str, list[str]] | None, Odd]:
    """The segments of a text that begins with MSH; the same by their heads (name and separator, or a name alone), None where any line
    may be odd; and what is odd about them."""
    lines, separator = lines_of(text), text[3:4]
    found: dict[str, list[str]] = {}
    for line in lines:
        if (head := line[:4]) in found:
            found[head].append(line)
        else:
            found[head] = [line]
    usual = separator == "|"
    if usual and _HEADS.issuperset(found):
        return lines, found, NOTHING
    if not all(map(_segment(separator).match, found)) or not ENVELOPE.isdisjoint([head[:3] for head in found]):
        lines, odd = trimmed(lines, separator)
        return lines, None, odd
    if usual and len(_HEADS) < HEADS_MAX:
        _HEADS.update(found)
    return lines, found, NOTHING


def trimmed(lines: list[str], separator: str) -> tuple[list[str], Odd]:
    """The same lines without blanks before names, and what is odd about them."""
    is_segment = _segment(separator).match
    if all(map(is_segment, lines)) and ENVELOPE.isdisjoint([line[:3] for line in lines]):
        return lines, NOTHING
    found: list[str] = []
    counts, place = Counter[str](), ""
    broken, stray, blanks, around = list[OddLine](), list[OddLine](), list[OddLine](), list[OddLine]()
    for number, line in enumerate(lines, 1):
        bare = line.lstrip(_BLANKS)
        if is_segment(bare):
            place = _counted(counts, bare[:3])
            if bare != line:
                blanks.append(OddLine(number, place))
            if bare[:3] in ENVELOPE:
                around.append(OddLine(number, place))
            line = bare
        elif number > 1 and not _HOLLOW.fullmatch(bare):
            broken.append(OddLine(number, place))
            if line[3:4] == separator and _STRAY.fullmatch(line[:3]):
                stray.append(broken[-1])
        found.append(line)
    if not (broken or blanks or around):
        return found, NOTHING
    return found, Odd(tuple(broken), tuple(stray), tuple(blanks), (), tuple(around))


def _counted(counts: Counter[str], name: str) -> str:
    """The path of the next segment of that name."""
    counts[name] += 1
    return name if counts[name] == 1 else f"{name}({counts[name]})"


@lru_cache(32)
def _segment(separator: str) -> re.Pattern[str]:
    return re.compile(f"{_NAME}(?:{re.escape(separator)}|\\Z)")


@lru_cache(32)
def _mixed(separator: str) -> re.Pattern[str]:
    s = re.escape(separator)
    return re.compile(f"\r\n*|\n(?={_NAME}(?:[\r\n{s}]|\\Z)|[{_BLANKS}]+{_NAME}{s})")


@lru_cache(32)
def _mixed_bytes(separator: bytes) -> re.Pattern[bytes]:
    return re.compile(_mixed(separator.decode("latin-1")).pattern.encode("latin-1"))


def spans_of(raw: bytes, start: int) -> list[tuple[int, int]]:
    """Beginning and end of each line of bytes that have MSH at `start`: the cuts of `lines_of`, without a copy of the whole.

    For codecs in which a CR or LF byte never is a part of another character.
    """
    end = len(raw)
    if raw.find(b"\r", start) < 0:
        ends = re.compile(b"\n")
    else:
        ends = _mixed_bytes(raw[start + 3 : start + 4])
        while end > start and raw[end - 1] == 10:
            end -= 1
    spans, begin = [], start
    for match in ends.finditer(raw, start, end):
        if match.start() > begin:
            spans.append((begin, match.start()))
        begin = match.end()
    if begin < end:
        spans.append((begin, end))
    return spans


def joined(text: str, escape: str) -> str:
    """The text with each line that is no segment joined to the field before it, the line ends between them as an escape sequence.

    So the value is what the sender had, and is written as a sender who escapes would have written it. What may be meant for a
    segment stays a line of its own: see `_own_line`.
    """
    separator = text[3:4]
    end = _mixed(separator).pattern if "\r" in text else "\n"
    ends = re.compile(f"(?:{end})(?:{_HOLLOW_PART}(?:{end}))*")
    own = _own_line(separator, "\r" if "\r" in text else "\n")

    def joint(match: re.Match[str]) -> str:
        if own.match(text, match.end()):
            return match[0]
        return f"{escape}X{match[0].encode().hex().upper()}{escape}"

    return ends.sub(joint, text)


def is_own(line: str, separator: str) -> bool:
    """Is this line not joined to the one before it, whatever that is?"""
    return _own_line(separator, "\r").match(line) is not None


_ALNUM = "[0-9A-Za-z]"
_HIGH = r"[^\x00-\x7f]"
"""What ASCII does not have: a letter, a blank of its own or a byte of one, which nobody can tell where bytes stand for characters."""
_KNOWN = f"(?:(?i:{'|'.join(SEGMENTS)})|Z[A-Z0-9]{{2}})"


@lru_cache(32)
def _own_line(separator: str, end: str) -> re.Pattern[str]:
    """The beginning of a line that is not joined to the one before it: in doubt it is none that continues a text.

    That is, behind any signs: two to four letters and digits (or bytes that may be some) before the field separator; the name
    of a segment that the standard has, in capitals or not, or of a Z-segment, before anything but a letter or digit, or as the
    beginning of a word before the field separator. And such a name behind a number alone, before the field separator.
    """
    s, low = re.escape(separator), r"[\x00-\x09\x0b\x0c\x0e-\x20\x7f]*"
    lead, inner = f"[^0-9A-Za-z{end}]*+", f"[^0-9A-Za-z{end}{s}]*+"
    patterns = (
        f"[{_BLANKS}]*{_NAME}(?:[\r\n{s}]|\\Z)",
        f"{inner}(?:{_ALNUM}{{2,4}}|{_ALNUM}{{1,3}}{_HIGH}{{1,8}}{_ALNUM}{{0,3}}|(?<={_HIGH}){_ALNUM}){low}{s}",
        f"{_HIGH}{{2,4}}{s}",
        f"{lead}{_KNOWN}(?!{_ALNUM})",
        f"{lead}{_KNOWN}{_ALNUM}*{s}",
        f"[^A-Za-z{end}{s}]*+(?<![0-9]){_KNOWN}{low}{s}",
        f"{_HOLLOW.pattern}\\Z",
    )
    return re.compile("|".join(patterns))
