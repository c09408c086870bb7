"""Building the acknowledgements that we answer with (HL7 2.9.1 sections 2.8.2, 2.8.3 and 2.14)."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence

from suture.model import finding
from suture.model.finding import Finding, Location
from suture.model.value import Value, changed
from suture.wire.hl7v2.exchange.due import POSITIVE
from suture.wire.hl7v2.text.er7 import Delimiters, escape
from suture.wire.hl7v2.text.header import UNREAD, Header
from suture.wire.hl7v2.text.widths import NARROW

ERRORS_MAX = 50
"""ERR segments (before 2.5: repetitions of ERR-1) of one answer; a message can be wrong in any number of places."""
MSA_TEXT_CHARACTERS = 80
ERR_TEXT_CHARACTERS = 250
"""Lengths of MSA-3 and ERR-8 (HL7 2.5.1 sections 2.15.8 and 2.15.5)."""
DEFAULT_VERSION = b"2.5.1"

MEANING = {
    finding.SEGMENT_SEQUENCE: "Segment sequence error",
    finding.REQUIRED_FIELD_MISSING: "Required field missing",
    finding.DATA_TYPE: "Data type error",
    finding.TABLE_VALUE: "Table value not found",
    finding.TOO_LONG: "Value too long",
    finding.CARDINALITY: "Non-Conformant Cardinality",
    finding.OTHER: "Other HL7 Error",
    finding.UNSUPPORTED_MESSAGE_TYPE: "Unsupported message type",
    finding.UNSUPPORTED_EVENT: "Unsupported event code",
    finding.UNSUPPORTED_PROCESSING_ID: "Unsupported processing id",
    finding.UNSUPPORTED_VERSION: "Unsupported version id",
    finding.UNKNOWN_KEY: "Unknown key identifier",
    finding.DUPLICATE_KEY: "Duplicate key identifier",
    finding.RECORD_LOCKED: "Application record locked",
    finding.APPLICATION_ERROR: "Application internal error",
}
"""Message error condition codes as HL7 words them (table 0357)."""


Settings = Mapping[str, str | int]
"""Fields of the answer as a channel sets them, by name (MSA-3): each a text (^ between components), or the field of the received
MSH that has this number; those of MSA in positive answers only."""


class Reply(Value, frozen=True):
    """What an answer says. text: for people, never content.

    own_id: MSH-10 of the answer. now: HL7 time. expected: MSA-4, the sequence number that is expected next, where one is.
    application: MSH-15 of an application acknowledgement in enhanced mode (its MSH-16 is always NE); None for any other answer.
    apart: it goes over a connection of its own, later.
    """

    code: str
    own_id: str
    now: str
    text: str = ""
    findings: Sequence[Finding] = ()
    expected: int | None = None
    application: str | None = None
    apart: bool = False


def hl7_time(second: float) -> str:
    """A time as HL7 has it, in UTC. second: since 1970."""
    return time.strftime("%Y%m%d%H%M%S+0000", time.gmtime(second))


def build(header: Header | None, code: str, own_id: str, now: str, text: str = "") -> bytes:
    """The acknowledgement of the message with this header, without more than a code and a text. See `written`."""
    return written(header, Reply(code, own_id, now, text))


def written(header: Header | None, reply: Reply, settings: Settings | None = None, template: Sequence[str] = ()) -> bytes:
    """The acknowledgement as it goes out, in the sender's delimiters, version and character set.

    MSH-10 comes back in MSA-2 byte for byte. Delimiters that the sender does not name are the standard's. settings: what a
    channel sets. template: the segments of the whole answer, where a channel has its own; a field of the received MSH stands in
    them as it was written. (But for MSH-2, which is that of `Header.to_answer`.)
    """
    if header is None:
        reply = changed(reply, findings=reply.findings or (Finding(finding.SEGMENT_SEQUENCE, finding.ERROR, Location("MSH"), reply.text),))
        header = _NOBODY
    header = header.to_answer()
    lines = _filled(header, template, reply) if template else _standard(header, reply, settings)
    return header.width.widened(b"\r".join(lines) + b"\r")


def _standard(header: Header, reply: Reply, settings: Settings | None) -> list[bytes]:
    lines = [_msh(header, reply), _msa(header, reply), *_errors(header, reply)]
    if settings:
        count = 2 if reply.code in POSITIVE else 1
        lines[:count] = [_with(header, line, settings) for line in lines[:count]]
    return lines


_NOW, _OWN, _CONTROL = b"\x00N\x00", b"\x00O\x00", b"\x00C\x00"


def form(header: Header, code: str, application: str | None = None) -> bytes | None:
    """Such an answer to every message that differs in MSH-7, 8, 10, 13 and 14 only, to be filled with %: now, own_id, MSH-10.

    None where there is none.
    """
    if header.width is not NARROW or len(header.fields) < 10:
        return None
    fields = [*header.fields[:9], _CONTROL, *header.fields[10:]]
    raw = written(Header(header.separator, fields), Reply(code, _OWN.decode(), _NOW.decode(), application=application))
    raw = raw.replace(b"%", b"%%")
    for place in (_NOW, _OWN, _CONTROL):
        raw = raw.replace(place, b"%b", 1)
    return raw if b"\x00" not in raw else None


_NOBODY = Header(b"|", [*UNREAD.fields, b"", b"", b"SUTURE", b"", b"", b"", b"", b"", b"P", DEFAULT_VERSION])


# -- MSH -----------------------------------------------------------------------------------------------------------


def _msh(header: Header, reply: Reply) -> bytes:
    """The answer's own MSH: sender and receiver turned round, MSH-11, 12 and 18 as they came."""
    s, f = header.separator, header.fields
    if len(f) < 12:
        f = f + [b""] * (12 - len(f))
    kind, now, own_id = _kind(header, f[8], reply.apart), reply.now.encode(), reply.own_id.encode()
    line = s.join((b"MSH", f[1], f[4], f[5], f[2], f[3], now, b"", kind, own_id, f[10] or b"P", f[11] or DEFAULT_VERSION))
    charset = f[17] if len(f) > 17 else b""
    if charset or reply.application is not None:
        modes = (b"", b"") if reply.application is None else (reply.application.encode(), b"NE")
        line += s + s.join((b"", b"", *modes, b"", charset) if charset else (b"", b"", *modes))
    return line


def _kind(header: Header, asked: bytes, apart: bool) -> bytes:
    """MSH-9: ACK alone before 2.4, with the trigger and the structure since.

    2.1 has the MCF message for an answer that comes later (HL7 2.2 section 2.13.2 keeps it for 2.1 only).
    """
    version = header.version
    if version < (2, 4):
        return b"MCF" if apart and version < (2, 2) else b"ACK"
    c = header.get(2)[:1]
    parts = asked.split(c) if c else [asked]
    return c.join((b"ACK", parts[1], b"ACK")) if len(parts) > 1 and parts[1] else b"ACK"


# -- MSA -----------------------------------------------------------------------------------------------------------


def _msa(header: Header, reply: Reply) -> bytes:
    """The MSA segment: MSA-3 was withdrawn with 2.7; MSA-5 is F for the later answer of 2.1 (HL7 table 0102)."""
    version = header.version
    text = _text(header, reply.text[:MSA_TEXT_CHARACTERS]) if reply.text and version < (2, 7) else b""
    expected = b"" if reply.expected is None else str(reply.expected).encode()
    delayed = b"F" if reply.apart and version < (2, 2) else b""
    parts = [b"MSA", reply.code.encode(), header.get(10), text, expected, delayed]
    while not parts[-1] and len(parts) > 3:
        parts.pop()
    return header.separator.join(parts)


# -- ERR -----------------------------------------------------------------------------------------------------------


def _errors(header: Header, reply: Reply) -> list[bytes]:
    """The ERR segments: one with a repeating ERR-1 before 2.5, one for each kind of finding since (HL7 2.5.1 section 2.15.5)."""
    findings = list(reply.findings)
    if not findings and reply.text:
        findings = [Finding(finding.APPLICATION_ERROR, finding.ERROR, None, reply.text)]
    if header.version < (2, 5):
        return _early_error(header, [f for f in findings if f.severity not in ("W", "I")][:ERRORS_MAX])
    grouped: dict[tuple[int, str, str], list[Location]] = {}
    for one in findings:
        places = grouped.setdefault((one.code, one.severity, one.text), [])
        if one.location:
            places.append(one.location)
    return [_error(header, *kind, places) for kind, places in list(grouped.items())[:ERRORS_MAX]]


def _early_error(header: Header, findings: Sequence[Finding]) -> list[bytes]:
    """ERR-1, of type ELD: segment, sequence, field, code (whose parts are subcomponents). It has no severity: only errors are told."""
    if not findings:
        return []
    c, repetition, sub = _delimiter(header, 0), _delimiter(header, 1), _delimiter(header, 3)
    told = []
    for one in findings if repetition else findings[:1]:
        at = one.location
        place = [at.segment, str(at.sequence), str(at.field or "")] if at else ["", "", ""]
        code = [str(one.code), MEANING.get(one.code, ""), "HL70357"] if sub and header.version >= (2, 3) else [str(one.code)]
        parts = [part.encode("ascii", "replace") for part in place] + [sub.join(_text(header, part) for part in code)]
        told.append(c.join(parts) if c else parts[-1])
    return [header.separator.join((b"ERR", repetition.join(told)))]


def _error(header: Header, code: int, severity: str, text: str, places: Sequence[Location]) -> bytes:
    """ERR-2 where (repeating), 3 the code of table 0357, 4 the severity, 7 the places as paths, 8 the text."""
    c, repetition = _delimiter(header, 0), _delimiter(header, 1)
    shown = places[:ERRORS_MAX] if repetition else places[:1]
    where = repetition.join(c.join(part.encode("ascii", "replace") for part in _erl(place)) for place in shown)
    meaning = [str(code), MEANING.get(code, ""), "HL70357"]
    coded = c.join(_text(header, part) for part in meaning) if c else str(code).encode()
    paths = _text(header, ", ".join(map(str, shown))[:ERR_TEXT_CHARACTERS])
    parts = [b"ERR", b"", where, coded, severity.encode(), b"", b"", paths, _text(header, text[:ERR_TEXT_CHARACTERS])]
    while not parts[-1]:
        parts.pop()
    return header.separator.join(parts)


def _erl(place: Location) -> list[str]:
    """The parts of an ERL, as many as are named; a field's repetition is the first unless another is named."""
    numbers = [place.sequence or 1, place.field, place.repetition or int(place.component > 0), place.component, place.subcomponent]
    while not numbers[-1]:
        numbers.pop()
    return [place.segment, *map(str, numbers)]


def _delimiter(header: Header, number: int) -> bytes:
    """One of the encoding characters of MSH-2, b"" when it has none there."""
    return header.get(2)[number : number + 1]


# -- an answer of the channel's own ---------------------------------------------------------------------------------

PLACES = re.compile(r"\{(MSH-[1-9]\d?|code|text|id|now)\}")
"""What a template can name: a field of the received MSH, MSA-1, why, MSH-10 and MSH-7 of the answer."""


def _filled(header: Header, template: Sequence[str], reply: Reply) -> list[bytes]:
    known = {"code": reply.code.encode(), "id": reply.own_id.encode(), "now": reply.now.encode(), "text": _text(header, reply.text)}
    lines = []
    for segment in template:
        parts = PLACES.split(segment)  # texts, with the names of places between them
        lines.append(b"".join(_part(header, known, part, bool(i % 2)) for i, part in enumerate(parts)))
    return lines


def _part(header: Header, known: Mapping[str, bytes], part: str, place: bool) -> bytes:
    if not place:
        return part.encode(header.codec, "replace")
    if part in known:
        return known[part]
    return header.separator if part == "MSH-1" else header.get(int(part[4:]))


# -- values --------------------------------------------------------------------------------------------------------


def _text(header: Header, text: str) -> bytes:
    """A text as a value of the answer: no delimiter of the sender's in it, no line end, in the answer's character set."""
    d, given = _delimiters(header), header.get(2).decode("latin-1")
    if not d.escape or d.escape.isalnum():  # nothing can be escaped: what is no letter and no digit becomes a blank
        blank = next((one for one in " _-.:/" if one not in given and one != d.field), "")
        text = "".join(character if character.isalnum() and character not in given else blank for character in text)
    return escape(text, d).encode(header.codec, "replace")


def value(header: Header, text: str) -> bytes:
    """A text that a channel sets, as a field of the answer; ^ stands between components."""
    header = header.to_answer()
    return _delimiter(header, 0).join(_text(header, part) for part in text.split("^"))


def _delimiters(header: Header) -> Delimiters:
    given = header.get(2)[:4].decode("latin-1")
    pick = [given[i] if i < len(given) else "" for i in range(4)]
    field = header.separator.decode("latin-1")
    return Delimiters(field=field, component=pick[0], repetition=pick[1], escape=pick[2], subcomponent=pick[3])


def _with(header: Header, line: bytes, settings: Settings) -> bytes:
    """The line with the fields that the channel sets."""
    name = line[:3].decode()
    fields = line.split(header.separator)
    for place, setting in settings.items():
        if place.startswith(name):
            index = int(place[4:]) - (name == "MSH")
            fields.extend([b""] * (index + 1 - len(fields)))
            fields[index] = header.get(setting) if isinstance(setting, int) else value(header, setting)
    return header.separator.join(fields)
