"""HL7 v2 ER7 messages: lazy, positional, and exact for what is not touched.

A message is decoded once and split into segments; a segment is split into fields when one is asked for. Numbers are
HL7's: fields, components and repetitions count from 1, and MSH-1 is the field separator itself (HL7 2.5.1 section 2.5).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from suture.model.errors import MessageError

CHARSETS = {
    "": "",
    "ASCII": "utf-8",
    "UNICODE UTF-8": "utf-8",
    "UNICODE": "utf-8",
    "UTF-8": "utf-8",
    "8859/1": "iso8859-1",
    "8859/2": "iso8859-2",
    "8859/3": "iso8859-3",
    "8859/4": "iso8859-4",
    "8859/5": "iso8859-5",
    "8859/6": "iso8859-6",
    "8859/7": "iso8859-7",
    "8859/8": "iso8859-8",
    "8859/9": "iso8859-9",
    "8859/15": "iso8859-15",
    "GB 18030-2000": "gb18030",
    "BIG-5": "big5",
    "KS X 1001": "euc-kr",
}
"""MSH-18 (HL7 table 0211) to codec. Declared ASCII is read as UTF-8, which holds it."""


@dataclass(frozen=True, slots=True)
class Delimiters:
    """The separators of one message, from MSH-1 and MSH-2."""

    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape: str = "\\"
    subcomponent: str = "&"


STANDARD = Delimiters()


def delimiters_of(text: str) -> Delimiters:
    """Read MSH-1 and MSH-2. Raises MessageError when the text does not begin with MSH and a separator."""
    if len(text) < 4 or not text.startswith("MSH"):
        raise MessageError("parse", "NOT_HL7", "MSH", "the message does not begin with an MSH segment")
    if text.startswith("MSH|^~\\&") and text[8:9] in ("|", "\r", ""):
        return STANDARD
    field = text[3]
    if field.isalnum() or field in "\r\n":
        raise MessageError("parse", "BAD_DELIMITER", "MSH-1", "the field separator is a letter, a digit or a line end")
    end = min(i for i in (text.find(field, 4), text.find("\r", 4), text.find("\n", 4), len(text)) if i >= 0)
    given = text[4:end]
    if not given:
        raise MessageError("parse", "BAD_DELIMITER", "MSH-2", "the encoding characters are missing")
    pick = [given[i] if i < len(given) else "" for i in range(4)]
    return Delimiters(field, pick[0], pick[1], pick[2], pick[3])


class Segment:
    """One segment; `fields` is split when first asked for. fields[0] is the name (MSH-2 is fields[1])."""

    __slots__ = ("_fields", "delimiters", "name", "text")

    def __init__(self, text: str, delimiters: Delimiters) -> None:
        self.text = text
        self.delimiters = delimiters
        self.name = text[:3]
        self._fields: list[str] | None = None

    def __repr__(self) -> str:
        return f"<Segment {self.name}>"

    @property
    def fields(self) -> list[str]:
        """The raw texts between field separators."""
        if self._fields is None:
            self._fields = self.text.split(self.delimiters.field)
        return self._fields

    def raw(self, field: int) -> str:
        """The whole field as written, with repetitions; "" when absent."""
        if self.name == "MSH":
            if field == 1:
                return self.delimiters.field
            field -= 1
        fields = self.fields
        return fields[field] if field < len(fields) else ""

    def get(self, field: int, component: int = 1, repetition: int = 1, sub: int = 1) -> str:
        """One value, unescaped; "" when absent."""
        d = self.delimiters
        text = self.raw(field)
        if not text or (self.name == "MSH" and field <= 2):
            return text
        text = _pick(text, d.repetition, repetition)
        text = _pick(text, d.component, component)
        return unescape(_pick(text, d.subcomponent, sub), d)

    def set(self, field: int, text: str, component: int | None = None) -> None:
        """Put ER7 text in a field (first repetition's component when one is named); the rest stays as it is."""
        fields = self.fields
        index = field - 1 if self.name == "MSH" else field
        if len(fields) <= index:
            fields.extend([""] * (index + 1 - len(fields)))
        if component is not None:
            first, *others = fields[index].split(self.delimiters.repetition) if self.delimiters.repetition else [fields[index]]
            parts = first.split(self.delimiters.component)
            parts.extend([""] * (component - len(parts)))
            parts[component - 1] = escape(text, self.delimiters)
            text = self.delimiters.repetition.join([self.delimiters.component.join(parts), *others])
        fields[index] = text
        self.text = self.delimiters.field.join(fields)


def _pick(text: str, separator: str, number: int) -> str:
    if not separator or separator not in text:
        return text if number == 1 else ""
    parts = text.split(separator)
    return parts[number - 1] if number <= len(parts) else ""


class Message:
    """A parsed message. `raw` is what came in; `encoding` is how it was read; undecodable: some bytes were not of it."""

    __slots__ = ("_named", "delimiters", "encoding", "raw", "segments", "undecodable")

    def __init__(self, raw: bytes, text: str, encoding: str, undecodable: bool = False) -> None:
        self.raw = raw
        self.undecodable = undecodable
        self.encoding = encoding
        self.delimiters = d = delimiters_of(text)
        self.segments = [Segment(line, d) for line in _lines(text) if line]
        self._named: dict[str, list[Segment]] | None = None

    def __repr__(self) -> str:
        return f"<Message of {len(self.raw)} bytes>"

    @classmethod
    def parse(cls, raw: bytes, encoding: str = "utf-8") -> Message:
        """Read ER7 bytes. encoding: used when MSH-18 is empty. Bytes that do not decode are kept (surrogateescape).

        Raises MessageError (stage parse) when the bytes are not an HL7 v2 message.
        """
        codec = _declared(raw) or encoding
        bad = False
        try:
            text = raw.decode(codec)
        except UnicodeError:
            text, bad = raw.decode(codec, "surrogateescape"), True
        return cls(raw, text if text.startswith("MSH") else text.lstrip("\ufeff \t\r\n\x0b"), codec, bad)

    def copy(self) -> Message:
        """A message of its own, to be changed."""
        other = Message.__new__(Message)
        other.raw, other.undecodable, other.delimiters, other.encoding = self.raw, self.undecodable, self.delimiters, self.encoding
        other.segments = [Segment(s.text, s.delimiters) for s in self.segments]
        other._named = None
        return other

    def named(self, name: str) -> list[Segment]:
        """The segments of that name, in order."""
        if self._named is None:
            named: dict[str, list[Segment]] = {}
            for segment in self.segments:
                named.setdefault(segment.name, []).append(segment)
            self._named = named
        return self._named.get(name, [])

    def get(self, place: str) -> str:
        """The value at a path such as PID-3.1; "" when absent. Raises ValueError for a path that is none."""
        return getter(path(place))(self, None)

    def set(self, place: Path, text: str) -> None:
        """Put ER7 text at a path; a segment that is absent is appended."""
        found = self.named(place.segment)
        if len(found) < place.occurrence:
            segment = Segment(place.segment, self.delimiters)
            self.segments.append(segment)
            self._named = None
        else:
            segment = found[place.occurrence - 1]
        segment.set(place.field, text, place.component)

    def to_bytes(self) -> bytes:
        """Write the message, segments ended by CR."""
        text = "".join([f"{s.text}\r" for s in self.segments])
        try:
            return text.encode(self.encoding, "surrogateescape")
        except UnicodeError:
            return text.encode("utf-8", "surrogateescape")


def _lines(text: str) -> list[str]:
    if "\n" in text:
        text = text.replace("\r\n", "\r") if "\r" in text else text.replace("\n", "\r")
    return text.split("\r")


def _declared(raw: bytes) -> str:
    head = raw[: raw.find(b"\r")] if b"\r" in raw[:1024] else raw[:512].split(b"\n")[0]
    if len(head) < 9:
        return ""
    fields = head.split(head[3:4])
    if len(fields) < 18:
        return ""
    name = fields[17].split(b"~")[0].decode("ascii", "replace").strip().upper()
    return CHARSETS.get(name, "")


_NAMED_ESCAPES = {"F": "field", "S": "component", "T": "subcomponent", "R": "repetition", "E": "escape"}


def unescape(text: str, d: Delimiters = STANDARD) -> str:
    r"""Resolve \F\ \S\ \T\ \R\ \E\ and \Xhh..\ ; any other sequence is kept as it is (HL7 2.5.1 section 2.7)."""
    if not d.escape or d.escape not in text:
        return text
    parts = text.split(d.escape)
    out, i = [parts[0]], 1
    while i < len(parts):
        if i + 1 >= len(parts):
            out.append(d.escape + parts[i])
            break
        value = _escape_value(parts[i], d)
        if value is None:
            out.append(d.escape + parts[i] + d.escape)
        else:
            out.append(value)
        out.append(parts[i + 1])
        i += 2
    return "".join(out)


def _escape_value(code: str, d: Delimiters) -> str | None:
    if code in _NAMED_ESCAPES:
        return str(getattr(d, _NAMED_ESCAPES[code]))
    if code[:1] == "X" and len(code) > 1 and len(code) % 2 and re.fullmatch("[0-9A-Fa-f]+", code[1:]):
        return bytes.fromhex(code[1:]).decode("latin-1")
    if code == ".br":
        return "\n"
    return None


def escape(text: str, d: Delimiters = STANDARD) -> str:
    """Make any text safe as one HL7 value."""
    if not d.escape or text.isalnum():
        return text
    e = d.escape
    text = text.replace(e, f"{e}E{e}")
    for code, name in (("F", "field"), ("S", "component"), ("T", "subcomponent"), ("R", "repetition")):
        separator = getattr(d, name)
        if separator:
            text = text.replace(separator, f"{e}{code}{e}")
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", f"{e}.br{e}")


@dataclass(frozen=True, slots=True)
class Path:
    """A place in a message. component None: the whole field. kind: pick the repetition whose component 5 is that type."""

    segment: str
    field: int
    component: int | None = None
    sub: int | None = None
    occurrence: int = 1
    repetition: int = 1
    kind: str = ""
    text: str = ""


_PATH = re.compile(
    r"(?P<segment>[A-Z][A-Z0-9]{2})(?:\((?P<occurrence>[1-9]\d*)\))?-(?P<field>[1-9]\d*)"
    r"(?:\[(?:(?P<repetition>[1-9]\d*)|(?P<kind>[A-Za-z][A-Za-z0-9]*))\])?(?:\.(?P<component>[1-9]\d*)(?:\.(?P<sub>[1-9]\d*))?)?"
)


def path(text: str) -> Path:
    """Read a path: PID-3, PID-3.1, PID-3.4.2, PID-3[2].1, PID-3[MR].1, FT1(2)-7.1. Raises ValueError with the remedy."""
    match = _PATH.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is not a path; write a segment, a dash and a field, e.g. PID-3, PID-3.1 or PID-3[MR].1")
    g = match.groupdict()

    def number(name: str, default: int | None) -> int | None:
        return int(g[name]) if g[name] else default

    return Path(
        g["segment"],
        int(g["field"]),
        number("component", None),
        number("sub", None),
        number("occurrence", 1) or 1,
        number("repetition", 1) or 1,
        g["kind"] or "",
        text,
    )


Getter = Callable[[Message, Segment | None], str]


def getter(place: Path) -> Getter:
    """Compile a path to a function (message, segment) -> value, "" when absent.

    segment: the repeated segment that is being mapped; it is used when the path names its kind without an occurrence.
    A path without a component gives a composite field as written, and a simple one unescaped.
    """
    name, occurrence = place.segment, place.occurrence
    own = "(" not in place.text
    pick = _field_getter(place)

    def get(message: Message, segment: Segment | None) -> str:
        if segment is None or not own or segment.name != name:
            found = message.named(name)
            if len(found) < occurrence:
                return ""
            segment = found[occurrence - 1]
        return pick(segment)

    return get


def _field_getter(place: Path) -> Callable[[Segment], str]:
    if place.segment == "MSH" and place.field <= 2:
        return lambda segment: segment.raw(place.field)
    index = place.field - 1 if place.segment == "MSH" else place.field
    component, sub, repetition, kind = place.component, place.sub, place.repetition, place.kind

    def pick(segment: Segment) -> str:
        fields = segment.fields
        if index >= len(fields):
            return ""
        text = fields[index]
        if not text:
            return ""
        d = segment.delimiters
        if kind:
            text = _of_kind(text, kind, d)
        elif d.repetition and d.repetition in text:
            text = _pick(text, d.repetition, repetition)
        elif repetition > 1:
            return ""
        if component is None:
            return unescape(text, d) if d.escape and d.escape in text and d.component not in text else text
        if d.component in text:
            text = text.split(d.component, component)[component - 1] if text.count(d.component) >= component - 1 else ""
        elif component > 1:
            return ""
        if d.subcomponent and (sub or d.subcomponent in text):
            text = _pick(text, d.subcomponent, sub or 1)
        return unescape(text, d)

    return pick


def _of_kind(text: str, kind: str, d: Delimiters) -> str:
    for repetition in text.split(d.repetition) if d.repetition else [text]:
        if _pick(repetition, d.component, 5) == kind:
            return repetition
    return ""


def changed(raw: bytes, changes: Mapping[Path, str], encoding: str = "utf-8") -> bytes:
    """The same message with some values replaced. Raises MessageError when raw is not HL7."""
    message = Message.parse(raw, encoding)
    for place, value in changes.items():
        message.set(place, value)
    return message.to_bytes()
