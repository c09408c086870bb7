"""Messages without people in them, for tests: the structure, the codes, the prices and the items stay, byte for byte.

What is replaced is in `identifying`, one value by what is in `instead`. Segments that the standard does not have are replaced whole.
A message is gone through twice: first to learn its people's names and numbers, then to replace them wherever they stand.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from suture.model.errors import MessageError
from suture.wire.hl7v2.standard import dictionary
from suture.wire.hl7v2.text import charsets, cut
from suture.wire.hl7v2.text.delimiters import NULL_TEXT, STANDARD
from suture.wire.hl7v2.text.er7 import Delimiters, Message, Segment, delimiters_of
from suture.wire.hl7v2.text.lines import is_name
from suture.wire.hl7v2.tools import identifying as known
from suture.wire.hl7v2.tools import parts
from suture.wire.hl7v2.tools.instead import Instead
from suture.wire.hl7v2.tools.pseudonym import Pseudonyms

_ENDS = re.compile("(\r\n|\r|\n)")
_LEAD = re.compile("[\x0b\ufeff \t\r\n]*(?:\xef\xbb\xbf)?")
_NUMBER = re.compile(r"[<>=]{0,2}[+-]?\d{0,15}(?:\.\d{0,10})?%?")
DATA_MIN = 100
"""What is longer than this in a field for documents is taken for one."""


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
            text, codec = _decoded(raw, message.encoding)
            lead = _LEAD.match(text)
            begin = lead.end() if lead else 0
            delimiters = delimiters_of(text[begin:])
        except (MessageError, ValueError):
            return self._other(raw)
        instead = Instead(self._pseudonyms, delimiters, message.encoding)
        walk = _Walk(instead, self._keep, delimiters, parts.version_of(message, self._version))
        return (text[:begin] + walk.text(text[begin:])).encode(codec, "surrogateescape")

    def _other(self, raw: bytes) -> bytes:
        """A batch segment without what tells of people, or what is no message."""
        text, codec = _decoded(raw, charsets.wide_codec(raw) or "latin-1")
        body = text.lstrip("\x0b\ufeff \t\r\n")
        if body[:3] not in known.BATCH:
            return self._scrubbed(text).encode(codec)
        line, end, rest = (*_ENDS.split(body, maxsplit=1), "", "")[:3]
        start = text[: len(text) - len(body)]
        return (start + _batch(line, Instead(self._pseudonyms, STANDARD)) + end + self._scrubbed(rest)).encode(codec)

    def _scrubbed(self, text: str) -> str:
        return re.sub(r"\S+", lambda match: self._pseudonyms.identifier(match[0]), text)


def _decoded(raw: bytes, codec: str) -> tuple[str, str]:
    """The text, and the codec that gives the bytes back exactly."""
    try:
        text = raw.decode(codec, "surrogateescape")
        if text.encode(codec, "surrogateescape") == raw:
            return text, codec
    except UnicodeError:
        pass
    return raw.decode("latin-1"), "latin-1"


def _batch(line: str, instead: Instead) -> str:
    """A batch segment, whose separator is its fourth character; of a header that is field 1."""
    separator = line[3:4] or "|"
    fields = line.split(separator)
    first = 1 if line[:3] in ("FHS", "BHS") else 0
    for number, kind in known.BATCH[line[:3]].items():
        if number - first < len(fields) and fields[number - first]:
            fields[number - first] = instead.kinds[kind](fields[number - first])
    return separator.join(fields)


class _Walk:
    """One message on its way: whose dates are moved how far changes with each PID."""

    def __init__(self, instead: Instead, keep: frozenset[str], delimiters: Delimiters, version: str) -> None:
        self._instead, self._keep, self._d, self._version = instead, keep, delimiters, version
        marks = "".join(re.escape(mark) for mark in (delimiters.repetition, delimiters.component, delimiters.subcomponent) if mark)
        self._marks = re.compile(f"([{marks}])" if marks else "(?!)()")

    def text(self, text: str) -> str:
        """All segments; their ends stay as they are."""
        pieces = _ENDS.split(text)
        lines = [piece.rstrip("\x1c") for piece in pieces[::2]]
        persons = (_person_of(Segment(line, self._d)) for line in lines if line[:3] == "PID")
        self._instead.person = first = next(persons, "")
        self._instead.learning = True
        for line in lines:
            self._segment(line, self._standard(line[:3]))
        self._instead.learning, self._instead.person = False, first
        for at, line in enumerate(lines):
            if line:
                pieces[2 * at] = self._segment(line, True) + pieces[2 * at][len(line) :]
        return "".join(pieces)

    def _standard(self, name: str) -> bool:
        return bool(dictionary.fields(self._version, name) or dictionary.fields("2.8.2", name))

    def _segment(self, line: str, wanted: bool) -> str:
        """A line. wanted: else it is only passed over, because nothing can be learned from it."""
        name, field = line[:3], self._d.field
        if not is_name(name) or line[3:4] not in ("", field):
            # The rest of a text that holds a line end; separators and blanks alone say nothing.
            return self._instead.free(line) if line.strip("|^~& \t\x0b") else line
        if not wanted or name in self._keep:
            return line
        if name in known.BATCH:
            return _batch(line, self._instead)
        segment = Segment(line, self._d)
        if name == "PID":
            self._instead.person = _person_of(segment)
        self._instead.of_people = name in known.PEOPLE
        fields = list(segment.fields)
        shift = 1 if name == "MSH" else 0
        standard = self._standard(name)
        for index in range(2 if shift else 1, len(fields)):
            if fields[index]:
                fields[index] = self._field(segment, index + shift, fields[index], standard)
        return field.join(fields)

    def _field(self, segment: Segment, number: int, text: str, standard: bool) -> str:
        name, self._instead.unsure = segment.name, False
        if name == "MSH" and number not in (7, *known.FIELDS[name]):
            return self._parts(text, self._instead.code)
        if name in known.CATALOGUE:
            return self._parts(text, self._instead.text)
        spec = dictionary.field(self._version, name, number)
        self._instead.unsure = spec is None
        spec = spec or dictionary.field("2.8.2", name, number)
        if not standard or spec is None:
            return self._parts(text, self._instead.unknown)
        if number in known.WHOLE.get(name, ()) and spec.datatype in known.CODED:
            return self._parts(text, self._instead.any)
        if name == "OBX" and number == 5:
            return self._result(segment, text)
        if name == "NTE" and number == 3:
            return self._parts(text, self._instead.free)
        if number in known.WORDS.get(name, ()):
            return self._typed(spec.datatype, self._worded(text), False)
        if (kind := known.KINDS.get(name, {}).get(number)) and not dictionary.components(self._version, spec.datatype):
            return self._parts(text, self._instead.kinds[kind])
        strict = name in known.PEOPLE or number in known.FIELDS.get(name, ())
        return self._typed(spec.datatype, text, strict)

    def _result(self, segment: Segment, text: str) -> str:
        """OBX-5, whose data type is in OBX-2."""
        datatype = segment.get(2)
        if datatype in ("ST", "TX", "FT", ""):
            return self._parts(text, self._instead.free)
        replaced = self._typed(datatype, text, True)
        if datatype not in ("ED", "RP") or len(replaced) <= DATA_MIN:
            return replaced
        written = parts.split(replaced, self._d.component)  # a document that stands where none belongs
        return self._d.component.join(part if len(part) <= DATA_MIN else self._instead.kinds[known.DATA](part) for part in written)

    def _worded(self, text: str) -> str:
        """A field for codes without its texts; what has no parts may be either, and counts as text where it has a blank."""
        out = []
        for repetition in parts.split(text, self._d.repetition):
            written = parts.split(repetition, self._d.component)
            free = known.WORDED if " " not in written[0] else (1, *known.WORDED)
            out.append(
                self._d.component.join(self._instead.free(each) if n in free and each else each for n, each in enumerate(written, 1))
            )
        return self._d.repetition.join(out)

    def _typed(self, datatype: str, text: str, strict: bool) -> str:
        """A field of a data type, all repetitions."""
        separator = self._d.repetition
        return separator.join(self._composite(datatype, each, strict, 0) for each in parts.split(text, separator))

    def _composite(self, datatype: str, text: str, strict: bool, depth: int, code: bool = False) -> str:
        """A value of a data type: depth 0 has components, 1 subcomponents, 2 nothing further. code: it is a part of a code."""
        if not text or text == NULL_TEXT:
            return text
        specs = dictionary.components(self._version, datatype)
        strict = strict or datatype in known.ALWAYS
        separator = (self._d.component, self._d.subcomponent, "")[depth]
        written = parts.split(text, separator)
        if datatype in known.DATES:
            return separator.join(self._moved(part, number, len(specs)) for number, part in enumerate(written, 1))
        if not specs and len(written) == 1:
            return self._leaf(datatype, text, strict, depth, code)
        rules = known.COMPONENTS.get(datatype, {}) if strict or datatype in known.CODED else {}
        out = []
        for number, part in enumerate(written, 1):
            if not part or part == NULL_TEXT:
                out.append(part)
            elif number in rules:
                out.append(self._ruled(rules[number], part, depth))
            elif number > len(specs):
                out.append(self._parts(part, self._instead.unknown if strict else self._instead.text))
            elif strict and self._version < "2.3" and specs[number - 1].datatype in ("ID", "IS") and not specs[number - 1].table:
                out.append(self._parts(part, self._instead.kinds[known.ENTITY]))  # order numbers are of type ID there
            else:
                inner = specs[number - 1].datatype
                coded = number not in known.WORDED if datatype in known.TEXTED else code or datatype in known.CODED
                out.append(self._composite(inner, part, strict and datatype not in known.CODED, min(depth + 1, 2), coded))
        return separator.join(out)

    def _moved(self, part: str, number: int, known_parts: int) -> str:
        """A date's first part is the date, what the type has behind it a code, and anything else does not belong there."""
        if not part or part == NULL_TEXT or 1 < number <= known_parts:
            return part
        return self._instead.moved(part) if number == 1 else self._parts(part, self._instead.unknown)

    def _ruled(self, kind: str, text: str, depth: int) -> str:
        replace = self._instead.kinds[kind]
        separator = self._d.subcomponent if depth == 0 else ""
        if kind in (known.DATA, known.TEXT):
            return replace(text)
        rest = self._instead.kinds[known.REST[kind]] if kind in known.REST else self._instead.unknown
        written = parts.split(text, separator)
        return separator.join(
            part if not part or part == NULL_TEXT else replace(part) if number == 0 else rest(part) for number, part in enumerate(written)
        )

    def _leaf(self, datatype: str, text: str, strict: bool, depth: int, code: bool) -> str:
        if datatype in known.FREE_TEXT:
            return self._parts(text, self._instead.free)
        if not datatype:
            return self._parts(text, self._instead.unknown)
        worded = strict and datatype in ("ID", "IS") and " " in text.strip()
        if not strict or (datatype in known.CODED and not worded) or (datatype in known.NUMBERS and _NUMBER.fullmatch(text)):
            return self._parts(text, self._instead.code if code or datatype in known.CODED | known.NUMBERS else self._instead.text)
        kinds = known.COMPONENTS.get(datatype, {})
        return self._ruled(kinds[1], text, depth) if 1 in kinds else self._parts(text, self._instead.stated)

    def _parts(self, text: str, replace: Callable[[str], str]) -> str:
        """Each value between separators on its own."""
        pieces = self._marks.split(text)
        return "".join(replace(piece) if i % 2 == 0 and piece and piece != NULL_TEXT else piece for i, piece in enumerate(pieces))


def _person_of(segment: Segment) -> str:
    """What a person's dates hang on: the first identifier that a PID has, in PID-3, else 2, 4 or 18, else the name."""
    found = (segment.raw(number).split(segment.delimiters.repetition or "\0")[0] for number in (3, 2, 4, 18, 5))
    firsts = (each.split(segment.delimiters.component or "\0")[0] for each in found)
    return next((each for each in firsts if each and each != NULL_TEXT), "")
