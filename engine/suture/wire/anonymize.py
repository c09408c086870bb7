"""Messages without people in them, for tests: the structure, the codes, the prices and the items stay, byte for byte.

What is replaced is in `identifying`, by what is in `pseudonym`. Segments that the standard does not have are replaced whole.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Iterator, Mapping

from suture.model.errors import MessageError
from suture.wire import charsets, cut, dictionary, parts
from suture.wire import identifying as known
from suture.wire.er7 import Delimiters, Message, Segment, delimiters_of
from suture.wire.pseudonym import CITIES, FAMILY, GIVEN, Pseudonyms, filler

_ENDS = re.compile("(\r\n|\r|\n)")
_LEAD = re.compile("[\x0b\ufeff \t\r\n]*(?:\xef\xbb\xbf)?")
_TRANSPARENT = ("utf-8", "utf8", "iso8859", "iso-8859", "ascii")
"""Character sets in which a separator's byte is never a part of another character."""
_NUMBER = re.compile(r"[<>=]{0,2}[+-]?\d{0,15}(?:\.\d{0,10})?%?")
ID_MIN, NAME_MIN = 5, 3
"""Shorter ones are left where they stand in other fields: they may as well be a code."""
DATA_MIN = 100
"""What is longer than this in a field for documents is taken for one."""
_KEPT_ESCAPES = re.compile(r"[FSTREHNP]|\.(?:br|sp|fi|nf|in|ti|sk|ce)[ +-]?\d{0,4}")


class Anonymizer:
    """Replaces what tells who somebody is. keep: names of segments to leave as they are. version: instead of MSH-12."""

    def __init__(self, pseudonyms: Pseudonyms, keep: Iterable[str] = (), version: str = "") -> None:
        self._pseudonyms, self._keep, self._version = pseudonyms, frozenset(keep), version

    def unit(self, raw: bytes, encoding: str = "utf-8") -> bytes:
        """A unit of a file (`cut.units`), with or without a frame. What is no HL7 has every letter and digit replaced."""
        payload = cut.message_of(raw)
        if raw[:1] == b"\x0b" and charsets.wide_codec(payload):
            before, _, after = raw.partition(payload)
            return before + self.unit(payload, encoding) + self._other(after)
        try:
            message = Message.parse(payload or raw, encoding)
        except (MessageError, ValueError):
            return self._other(raw)
        text, codec = _decoded(raw, message.encoding)
        lead = _LEAD.match(text)
        begin = lead.end() if lead else 0
        try:
            delimiters = delimiters_of(text[begin:])
        except MessageError:
            return self._other(raw)
        walk = _Walk(self._pseudonyms, self._keep, delimiters, parts.version_of(message, self._version))
        return (text[:begin] + walk.text(text[begin:])).encode(codec, "surrogateescape")

    def _other(self, raw: bytes) -> bytes:
        """A batch segment without its comment, or what is no message."""
        text, codec = _decoded(raw, charsets.wide_codec(raw) or "latin-1")
        body = text.lstrip("\x0b\ufeff \t\r\n")
        name = body[:3]
        if name not in known.BATCH_COMMENTS:
            return self._scrubbed(text).encode(codec)
        line, end, rest = (*_ENDS.split(body, maxsplit=1), "", "")[:3]
        fields = line.split(body[3:4] or "|")
        at = known.BATCH_COMMENTS[name] - (name in ("FHS", "BHS"))
        if len(fields) > at:
            fields[at] = filler(len(fields[at]))
        start = text[: len(text) - len(body)]
        return (start + (body[3:4] or "|").join(fields) + end + self._scrubbed(rest)).encode(codec)

    def _scrubbed(self, text: str) -> str:
        return re.sub(r"\S+", lambda match: self._pseudonyms.identifier(match[0]), text)


def _decoded(raw: bytes, codec: str) -> tuple[str, str]:
    """The text, and the codec that gives the bytes back exactly."""
    if codec.lower().replace("_", "-").startswith(_TRANSPARENT):
        return raw.decode("latin-1"), "latin-1"
    try:
        text = raw.decode(codec)
        if text.encode(codec, "surrogateescape") == raw:
            return text, codec
    except UnicodeError:
        pass
    return raw.decode("latin-1"), "latin-1"


class _Walk:
    """One message on its way: whose dates are moved how far changes with each PID."""

    def __init__(self, pseudonyms: Pseudonyms, keep: frozenset[str], delimiters: Delimiters, version: str) -> None:
        self._p, self._keep, self._d, self._version = pseudonyms, keep, delimiters, version
        marks = "".join(re.escape(mark) for mark in (delimiters.repetition, delimiters.component, delimiters.subcomponent) if mark)
        self._marks = re.compile(f"([{marks}])" if marks else "(?!)()")
        self._person = ""
        self._ids: frozenset[str] = frozenset()
        self._names: frozenset[str] = frozenset()
        self._kinds: dict[str, Callable[[str], str]] = {
            known.KEEP: lambda text: text,
            known.ID: self._token,
            known.FAMILY: lambda text: self._p.choice("family", text, FAMILY),
            known.GIVEN: lambda text: self._p.choice("given", text, GIVEN),
            known.TITLE: lambda text: text if text.strip(". ").upper().replace(".", "") in known.TITLES else self._token(text),
            known.STREET: lambda text: self._p.street(text),
            known.CITY: lambda text: self._p.choice("city", text, CITIES),
            known.TEXT: self._free,
            known.DATA: lambda text: base64.b64encode(b"data removed").decode(),
        }

    def text(self, text: str) -> str:
        """All segments; their ends stay as they are."""
        pieces = _ENDS.split(text)
        segments = [Segment(line.rstrip("\x1c"), self._d) for line in pieces[::2] if line[:3] in known.IDENTITIES]
        self._person = next((_person_of(segment) for segment in segments if segment.name == "PID"), "")
        self._ids = frozenset(v for v in _values(segments, known.IDENTITIES) if len(v) >= ID_MIN and any(map(str.isdigit, v)))
        self._names = frozenset(v for v in _values(segments, known.PERSONAL) if len(v) >= NAME_MIN)
        for index in range(0, len(pieces), 2):
            line = pieces[index]
            body = line.rstrip("\x1c")
            if body:
                pieces[index] = self._segment(body) + line[len(body) :]
        return "".join(pieces)

    def _segment(self, line: str) -> str:
        name, field = line[:3], self._d.field
        if not re.fullmatch("[A-Z][A-Z0-9]{2}", name) or line[3:4] not in ("", field):
            # The rest of a text that holds a line end; separators alone say nothing.
            return self._free(line) if set(line) - set("|^~&") else line
        if name in self._keep or name in known.CATALOGUE or name in known.BATCH_COMMENTS:
            return line
        segment = Segment(line, self._d)
        if name == "PID":
            self._person = _person_of(segment)
        fields = list(segment.fields)
        shift = 1 if name == "MSH" else 0
        standard = bool(dictionary.fields(self._version, name) or dictionary.fields("2.8.2", name))
        for index in range(2 if shift else 1, len(fields)):
            written = fields[index]
            if written:
                fields[index] = self._field(segment, index + shift, written, standard)
                if fields[index] == written and self._ids | self._names:
                    fields[index] = self._parts(written, self._elsewhere if name in known.PEOPLE else self._identity)
        return field.join(fields)

    def _field(self, segment: Segment, number: int, text: str, standard: bool) -> str:
        name = segment.name
        if name == "MSH" and number not in (7, *known.FIELDS[name]):
            return text
        if not standard or number in known.WHOLE.get(name, ()):
            return self._parts(text, self._token)
        spec = dictionary.field(self._version, name, number) or dictionary.field("2.8.2", name, number)
        if spec is None:
            return self._parts(text, self._token)
        if name == "OBX" and number == 5:
            return self._result(segment, text)
        if name == "NTE" and number == 3:
            return self._parts(text, self._free)
        if number in known.WORDS.get(name, ()):
            return self._typed(spec.datatype, self._worded(text), False)
        strict = name in known.PEOPLE or number in known.FIELDS.get(name, ())
        return self._typed(spec.datatype, text, strict)

    def _result(self, segment: Segment, text: str) -> str:
        """OBX-5, whose data type is in OBX-2."""
        datatype = segment.get(2)
        if datatype in ("ST", "TX", "FT", ""):
            return self._parts(text, self._free)
        replaced = self._typed(datatype, text, True)
        if datatype not in ("ED", "RP") or len(replaced) <= DATA_MIN:
            return replaced
        written = parts.split(replaced, self._d.component)  # a document that stands where none belongs
        return self._d.component.join(part if len(part) <= DATA_MIN else self._kinds[known.DATA](part) for part in written)

    def _worded(self, text: str) -> str:
        """A field for codes without its texts; what has no parts may be either, and counts as text where it has a blank."""
        out = []
        for repetition in parts.split(text, self._d.repetition):
            written = parts.split(repetition, self._d.component)
            free = known.WORDED if " " not in written[0] else (1, *known.WORDED)
            out.append(self._d.component.join(self._free(each) if n in free and each else each for n, each in enumerate(written, 1)))
        return self._d.repetition.join(out)

    def _typed(self, datatype: str, text: str, strict: bool) -> str:
        """A field of a data type, all repetitions."""
        separator = self._d.repetition
        return separator.join(self._composite(datatype, each, strict, 0) for each in parts.split(text, separator))

    def _composite(self, datatype: str, text: str, strict: bool, depth: int) -> str:
        """A value of a data type: depth 0 has components, 1 subcomponents, 2 nothing further."""
        if not text or text == parts.NULL:
            return text
        specs = dictionary.components(self._version, datatype)
        strict = strict or datatype in known.ALWAYS
        separator = (self._d.component, self._d.subcomponent, "")[depth]
        written = parts.split(text, separator)
        if not specs and len(written) == 1:
            return self._leaf(datatype, text, strict, depth)
        rules = known.COMPONENTS.get(datatype, {}) if strict or datatype in known.CODED else {}
        out = []
        for number, part in enumerate(written, 1):
            if not part or part == parts.NULL:
                out.append(part)
            elif number in rules:
                out.append(self._ruled(rules[number], part, depth))
            elif number > len(specs):
                out.append(self._parts(part, self._token) if strict else part)
            elif strict and self._version < "2.3" and specs[number - 1].datatype in ("ID", "IS") and not specs[number - 1].table:
                out.append(self._parts(part, self._token))  # order numbers are of type ID there
            else:
                inner = specs[number - 1].datatype
                out.append(self._composite(inner, part, strict and datatype not in known.CODED, min(depth + 1, 2)))
        return separator.join(out)

    def _ruled(self, kind: str, text: str, depth: int) -> str:
        replace = self._kinds[kind]
        separator = self._d.subcomponent if depth == 0 else ""
        first, *rest = parts.split(text, separator)
        if kind in (known.DATA, known.TEXT):
            return replace(text)
        first = replace(first) if first and first != parts.NULL else first
        return separator.join([first, *(self._token(each) if each and each != parts.NULL else each for each in rest)])

    def _leaf(self, datatype: str, text: str, strict: bool, depth: int) -> str:
        if datatype in known.DATES:
            return self._p.moved(text, self._person)
        if datatype in known.FREE_TEXT:
            return self._parts(text, self._free)
        worded = strict and datatype in ("ID", "IS") and " " in text.strip()
        if not strict or (datatype in known.CODED and not worded) or (datatype in known.NUMBERS and _NUMBER.fullmatch(text)):
            return text
        kinds = known.COMPONENTS.get(datatype, {})
        return self._ruled(kinds[1], text, depth) if 1 in kinds else self._parts(text, self._token)

    def _parts(self, text: str, replace: Callable[[str], str]) -> str:
        """Each value between separators on its own."""
        pieces = self._marks.split(text)
        return "".join(replace(piece) if i % 2 == 0 and piece and piece != parts.NULL else piece for i, piece in enumerate(pieces))

    def _token(self, text: str) -> str:
        """An identifier, or any value of which nothing is known."""
        if "@" in text:
            return self._p.email(text)
        return self._pieces(text, self._p.identifier)

    def _free(self, text: str) -> str:
        return self._pieces(text, lambda piece: filler(len(piece)))

    def _identity(self, text: str) -> str:
        """A value that is left, unless it is an identifier of the person."""
        return self._token(text) if text in self._ids else text

    def _elsewhere(self, text: str) -> str:
        """Likewise, unless it is a name or a birth date too."""
        return self._token(text) if text in self._ids or text in self._names else text

    def _pieces(self, text: str, replace: Callable[[str], str]) -> str:
        """What is between escape sequences; those that hold data are taken out, formatting ones stay."""
        mark = self._d.escape
        if not mark or mark not in text:
            return replace(text)
        pieces = text.split(mark)
        out = [replace(pieces[0])]
        for index in range(1, len(pieces), 2):
            if index + 1 < len(pieces):
                code = pieces[index]
                out.append(f"{mark}{code}{mark}" if _KEPT_ESCAPES.fullmatch(code) else "")
                out.append(replace(pieces[index + 1]))
            else:
                out.append(mark + replace(pieces[index]))
        return "".join(out)


def _values(segments: list[Segment], fields: Mapping[str, frozenset[int]]) -> Iterator[str]:
    """Every undivided value of some fields, as it is written."""
    for segment in segments:
        numbers = fields.get(segment.name, frozenset())
        yield from (leaf.raw for leaf in parts.leaves(segment) if leaf.field in numbers)


def _person_of(segment: Segment) -> str:
    """What a person's dates hang on: the first identifier that a PID has, in PID-3, else 2, 4 or 18, else the name."""
    found = (segment.raw(number).split(segment.delimiters.repetition or "\0")[0] for number in (3, 2, 4, 18, 5))
    firsts = (each.split(segment.delimiters.component or "\0")[0] for each in found)
    return next((each for each in firsts if each and each != parts.NULL), "")
