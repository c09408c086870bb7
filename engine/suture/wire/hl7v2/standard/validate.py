"""Standard conformance: a message against the dictionary of its version, with the exact place of every finding.

hl7apy's tables are used and its parser and validator are not: its parser drops segments that it does not expect, moves
fields and refuses versions, so that its findings have no place in the bytes that were received. Here the message stays
as it is, and the checks walk over it once: time is linear in its size, findings are limited, nothing raises.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from suture.model import finding
from suture.model.errors import MessageError
from suture.model.finding import Finding, Location
from suture.model.value import Value, fresh
from suture.wire.hl7v2.standard import dictionary
from suture.wire.hl7v2.standard.dictionary import FieldSpec
from suture.wire.hl7v2.standard.primitives import CHECKS, Check
from suture.wire.hl7v2.standard.structure import MISSING, REPEATS, UNEXPECTED, Misplaced, misplaced
from suture.wire.hl7v2.text import er7
from suture.wire.hl7v2.text.delimiters import NULL_TEXT
from suture.wire.hl7v2.text.lines import BROKEN, Odd, OddLine, is_name
from suture.wire.hl7v2.text.remarks import remarks

LIMIT = 100
"""Findings of one message, unless told otherwise."""
KINDS: Mapping[str, tuple[str, int]] = {
    "charset": ("E", finding.OTHER),
    "c1_bytes": ("W", finding.OTHER),
    "msh2_twice": ("W", finding.OTHER),
    "message_type": ("E", finding.UNSUPPORTED_MESSAGE_TYPE),
    "structure_name": ("W", finding.OTHER),
    "version": ("W", finding.UNSUPPORTED_VERSION),
    "segment_broken": ("E", finding.SEGMENT_SEQUENCE),
    "segment_indented": ("W", finding.OTHER),
    "segment_missing": ("E", finding.SEGMENT_SEQUENCE),
    "segment_unexpected": ("E", finding.SEGMENT_SEQUENCE),
    "segment_repeats": ("E", finding.CARDINALITY),
    "segment_unknown": ("W", finding.SEGMENT_SEQUENCE),
    "field_missing": ("E", finding.REQUIRED_FIELD_MISSING),
    "field_repeats": ("E", finding.CARDINALITY),
    "field_unknown": ("W", finding.OTHER),
    "field_withdrawn": ("I", finding.OTHER),
    "component_missing": ("W", finding.REQUIRED_FIELD_MISSING),
    "component_unknown": ("W", finding.OTHER),
    "data_type": ("E", finding.DATA_TYPE),
    "table": ("E", finding.TABLE_VALUE),
    "length": ("W", finding.TOO_LONG),
}
"""Kind of finding to its severity and its code (HL7 tables 0516 and 0357). Lengths are warnings, because since HL7 2.7
receivers should take more than the standard's lengths; extra fields and components, because receivers ignore them."""

_IGNORED_TYPES = ("", "varies", "Varies", "CM")
_HEADER_FIELDS = {1, 2, 9, 12}
"""Fields of MSH that have their own checks."""
_LONG_TEXTS = ("FT", "TX")
"""Types in whose text an unescaped component separator is common and harmless."""


class Rules(Value, frozen=True):
    """How a message is judged. version: "" for the declared one. severities: of kinds that differ from KINDS, "" leaves one out.

    join: of lines that are no segments, as of Message.parse.
    """

    version: str = ""
    severities: Mapping[str, str] = fresh(dict)
    limit: int = LIMIT
    join: bool = False


STANDARD = Rules()


def validate(raw: bytes, rules: Rules = STANDARD, encoding: str = "utf-8", override: str = "") -> list[Finding]:
    """What is wrong with a message by the standard: its header, its order, then segment by segment.

    At most rules.limit findings; of more, the errors are kept. encoding: used when MSH-18 is empty; override: whatever it says.
    Never raises; bytes that are no HL7 message give one finding.
    """
    try:
        message = er7.Message.parse(raw, encoding, override, rules.join)
    except (MessageError, LookupError, ValueError) as error:
        reason = error.reason if isinstance(error, MessageError) else "the character set is unknown"
        return [Finding(finding.OTHER, "E", Location("MSH"), reason)]
    check = _Check(message, rules)
    try:
        check.run()
    except _Enough:
        pass
    return check.found()


def _place(line: OddLine) -> Location:
    name, _, sequence = line.place.rstrip(")").partition("(")
    return Location(name, int(sequence or 1))


class _Enough(Exception):
    """The limit of findings is reached."""


class _Check:
    """One message under examination. sequence: which of the segments of its name each segment is."""

    def __init__(self, message: er7.Message, rules: Rules) -> None:
        self.message, self.limit, self.severities = message, max(1, rules.limit), rules.severities
        header = message.segments[0]
        self.declared = header.get(12).strip()
        self.version = dictionary.nearest(rules.version or self.declared)
        self.known = dictionary.known_segments(self.version)
        self.overridden = bool(rules.version)
        self.errors: list[tuple[int, Finding]] = []
        self.others: list[tuple[int, Finding]] = []
        counts: Counter[str] = Counter()
        self.sequence: list[int] = []
        broken = {line.number - 1 for line in message.odd.broken}
        self.segments = [one for i, one in enumerate(message.segments) if i not in broken and is_name(one.name)]
        for segment in self.segments:
            counts[segment.name] += 1
            self.sequence.append(counts[segment.name])

    def note(self, kind: str, location: Location, text: str, code: int = 0) -> None:
        """Keep one finding; raises _Enough when there are as many errors as may be told."""
        usual, usual_code = KINDS[kind]
        severity = self.severities.get(kind, usual)
        if not severity:
            return
        kept = self.errors if severity == "E" else self.others
        if len(kept) < self.limit:
            kept.append((len(self.errors) + len(self.others), Finding(code or usual_code, severity, location, text)))
        if len(self.errors) >= self.limit:
            raise _Enough

    def found(self) -> list[Finding]:
        """Errors, and as many of the others as the limit leaves room for, in the order they were met."""
        kept = self.errors + self.others[: self.limit - len(self.errors)]
        return [one for _, one in sorted(kept, key=lambda pair: pair[0])]

    def run(self) -> None:
        if self.message.undecodable:
            self.note("charset", Location("MSH", 1, 18), f"bytes that are not of the character set {self.message.encoding}")
        self._lines(self.message.odd)
        for remark in remarks(self.message):
            self.note(remark.kind, remark.place, remark.text)
        self._header()
        self._order()
        for segment, sequence in zip(self.segments, self.sequence, strict=True):
            _check_segment(self, segment, sequence)

    def _lines(self, odd: Odd) -> None:
        for line in odd.broken:
            self.note("segment_broken", _place(line), f"{BROKEN}: line {line.number}, behind this segment")
        for line in odd.trimmed:
            self.note("segment_indented", _place(line), "blanks before the segment's name; they are left out")

    def _header(self) -> None:
        if self.declared and not self.overridden and self.declared not in dictionary.VERSIONS:
            text = f"a version without tables; it is read as {self.version}"
            self.note("version", Location("MSH", 1, 12), text)
        elif not self.declared:
            self.note("field_missing", Location("MSH", 1, 12), "Version ID is required")
        if not self.message.segments[0].get(9).strip():
            self.note("field_missing", Location("MSH", 1, 9), "Message Type is required")

    def _order(self) -> None:
        header = self.message.segments[0]
        code, event, named = (header.get(9, n) for n in (1, 2, 3))
        names = [segment.name for segment in self.segments]
        wanted = dictionary.structure(self.version, f"{code}^{event}^{named}")
        if wanted is None:
            self._no_structure(code, event)
            self._misplaced([Misplaced(UNEXPECTED, n, i) for i, n in enumerate(names) if n not in self.known and n[:1] != "Z"])
            return
        if named and named != wanted.name:
            self.note("structure_name", Location("MSH", 1, 9, 1, 3), f"the structure of this message type is {wanted.name}")
        self._misplaced(misplaced(wanted, names), wanted.name)

    def _no_structure(self, code: str, event: str) -> None:
        if not code or code[:1] == "Z" or event[:1] == "Z":
            return
        if any(name.partition("_")[0] == code for name in dictionary.structures(self.version)):
            text = f"version {self.version} has no such event for this message"
            self.note("message_type", Location("MSH", 1, 9, 1, 2), text, finding.UNSUPPORTED_EVENT)
        else:
            self.note("message_type", Location("MSH", 1, 9, 1, 1), f"version {self.version} has no such message")

    def _misplaced(self, found: Sequence[Misplaced], structure: str = "") -> None:
        for one in found:
            if one.kind == MISSING:
                before = sum(s.name == one.name for s in self.segments[: one.index])
                within = f" in each {one.group}" if one.group != structure else ""
                self.note(MISSING, Location(one.name, before + 1), f"the segment is required{within}")
                continue
            place = Location(one.name[:3], self.sequence[one.index])
            if one.kind == REPEATS:
                self.note(REPEATS, place, "the segment stands more often than the structure allows")
            elif one.name in self.known:
                self.note(UNEXPECTED, place, "the structure does not have the segment at this place")
            else:
                self.note("segment_unknown", place, f"version {self.version} has no such segment")


class _Part(Value, frozen=True):
    """A field, component or subcomponent, prepared. parts: what it consists of, () for a simple value.

    called: its name, after that of what it is part of. required: of the parts. test: of a simple value, with what it
    should be in words. values: of its HL7 table.
    """

    spec: FieldSpec
    called: str
    datatype: str
    parts: tuple[_Part, ...] = ()
    required: tuple[_Part, ...] = ()
    test: Check | None = None
    should: str = ""
    values: frozenset[str] | None = None

    @property
    def any(self) -> bool:
        """Is nothing known about the type, so that any value will do?"""
        return self.datatype in _IGNORED_TYPES


def _part(version: str, spec: FieldSpec, datatype: str, within: str = "", depth: int = 0) -> _Part:
    """depth: 0 for a field, 1 for a component, 2 for a subcomponent; what is composite below that is not looked into."""
    called = f"{within}, {spec.name}" if within else spec.name
    below = dictionary.components(version, datatype)
    if below and depth < 2:
        parts = tuple(_part(version, one, one.datatype, called, depth + 1) for one in below)
        return _Part(spec, called, datatype, parts, tuple(one for one in parts if one.spec.min))
    test, should = CHECKS.get(datatype, (None, "")) if not below else (None, "")
    values = dictionary.table(version, spec.table) if datatype == "ID" and spec.table else None
    return _Part(spec, called, datatype, (), (), test, should, values)


@lru_cache(maxsize=1024)
def _plan(version: str, segment: str) -> tuple[tuple[_Part, ...], tuple[FieldSpec, ...]]:
    """A segment's fields, prepared, and those of them that must be valued."""
    specs = dictionary.fields(version, segment)
    skipped = _HEADER_FIELDS if segment == "MSH" else ()
    required = tuple(spec for spec in specs if spec.min and spec.number not in skipped)
    return tuple(_part(version, spec, spec.datatype) for spec in specs), required


@lru_cache(maxsize=512)
def _observation(version: str, datatype: str) -> _Part:
    """OBX-5 with the type that OBX-2 gives it."""
    return _part(version, dictionary.fields(version, "OBX")[4], datatype)


def _check_segment(check: _Check, segment: er7.Segment, sequence: int) -> None:
    name, values = segment.name, segment.fields
    fields, required = _plan(check.version, name) if name in check.known else ((), ())
    if not fields:
        return
    shift = 1 if name == "MSH" else 0
    for spec in required:
        index = spec.number - shift
        if index >= len(values) or not values[index]:
            check.note("field_missing", Location(name, sequence, spec.number), f"{spec.name} is required")
    for number, text in enumerate(values[1:], 1 + shift):
        if not text or text == NULL_TEXT or (shift and number in _HEADER_FIELDS):
            continue
        if number > len(fields):
            check.note("field_unknown", Location(name, sequence, number), f"version {check.version} has {len(fields)} fields in {name}")
            break
        part = fields[number - 1]
        if name == "OBX" and number == 5:
            part = _observation(check.version, segment.get(2))
        _check_field(check, part, text, Location(name, sequence, number), segment.delimiters)


def _check_field(check: _Check, part: _Part, text: str, at: Location, d: er7.Delimiters) -> None:
    spec = part.spec
    if spec.withdrawn:
        check.note("field_withdrawn", at, f"{spec.name} is withdrawn in version {check.version}")
    repetitions = text.split(d.repetition) if d.repetition and d.repetition in text else (text,)
    if spec.max and len(repetitions) > spec.max:
        place = Location(at.segment, at.sequence, at.field, spec.max + 1)
        check.note("field_repeats", place, f"{spec.name} stands {len(repetitions)} times, at most {spec.max} are allowed")
    if part.any and not spec.length:
        return
    for repetition, value in enumerate(repetitions, 1):
        if value and value != NULL_TEXT:
            _check_repetition(check, part, value, (at.segment, at.sequence, at.field, repetition), d)


_At = tuple[str | int, ...]
"""The beginnings of a Location, which is made when there is something to tell."""


def _check_repetition(check: _Check, part: _Part, value: str, at: _At, d: er7.Delimiters) -> None:
    if part.parts or part.any:
        _check_length(check, part, value, at, d)
        if not part.any:
            _check_composite(check, part, value, at, d)
        return
    if d.component and d.component in value and part.datatype not in _LONG_TEXTS:
        # What OBX-2 says is content where it is no type.
        known = part.datatype == part.spec.datatype or part.datatype in (dictionary.table(check.version, "0125") or ())
        check.note("component_unknown", _location(*at, 2), f"{part.called} ({part.datatype if known else 'of no type'}) has no components")
        value = value.split(d.component, 1)[0]
    _check_simple(check, part, value, at, d)


def _location(segment: Any, *numbers: Any) -> Location:
    return Location(segment, *numbers)


def _check_composite(check: _Check, part: _Part, value: str, at: _At, d: er7.Delimiters) -> None:
    """The components of one repetition, or the subcomponents of one component."""
    separator = d.component if len(at) == 4 else d.subcomponent
    values = value.split(separator) if separator and separator in value else (value,)
    for one in part.required:
        number = one.spec.number
        if number > len(values) or not values[number - 1]:
            check.note("component_missing", _location(*at, number), f"{one.called} is required")
    parts = part.parts
    if len(values) > len(parts):
        text = f"version {check.version} has {len(parts)} components here"
        check.note("component_unknown", _location(*at, len(parts) + 1), text)
    for number, (inner, text) in enumerate(zip(parts, values, strict=False), 1):
        if not text or text == NULL_TEXT:
            continue
        if inner.parts:
            _check_length(check, inner, text, (*at, number), d)
            _check_composite(check, inner, text, (*at, number), d)
        elif inner.test or inner.values or inner.spec.length:
            _check_simple(check, inner, text, (*at, number), d)


def _check_simple(check: _Check, part: _Part, text: str, at: _At, d: er7.Delimiters) -> None:
    spec = part.spec
    if part.test and not part.test(text):
        check.note("data_type", _location(*at), f"{part.called} is not {part.should}")
    elif part.values and text not in part.values:
        code = finding.UNSUPPORTED_PROCESSING_ID if at[0] == "MSH" and at[2] == 11 else 0
        check.note("table", _location(*at), f"{part.called} is no value of HL7 table {spec.table}", code)
    else:
        _check_length(check, part, text, at, d)


def _check_length(check: _Check, part: _Part, text: str, at: _At, d: er7.Delimiters) -> None:
    """Note what is too long: a repetition or a part of it, with the separators inside it (HL7 2.5.1 section 2.5.3.2).

    An escape counts as the characters that it stands for, so that a value is as long as what its reader gets.
    """
    length = part.spec.length
    if len(text) > length > 0 and len(er7.unescape(text, d, check.message.encoding)) > length:
        check.note("length", _location(*at), f"{part.called} is longer than {length} characters")
