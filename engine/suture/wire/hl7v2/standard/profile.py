"""Site profiles: the rules of one site about its messages, compiled to plain functions that are quick enough for every message.

A rule looks at one place, in every segment of that name and in every repetition, unless its path names one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from suture.model import finding
from suture.model.finding import Finding, Location
from suture.model.remembered import Remembered, is_there
from suture.model.value import Value
from suture.wire.hl7v2.standard.primitives import Check as Test
from suture.wire.hl7v2.standard.primitives import is_date, is_moment, is_number
from suture.wire.hl7v2.text import er7
from suture.wire.hl7v2.text.delimiters import NULL_TEXT
from suture.wire.hl7v2.text.reading import meets, value_of
from suture.wire.pattern import Pattern

LIMIT = 100
"""Findings of one message, unless told otherwise."""
KEPT_MAX = 1000
"""Findings that one check holds, whatever the limit: a field may have a million repetitions."""
TYPES_KEPT = 200
"""Message types whose rules are remembered; with more (they are content), those are forgotten and begun anew."""

Known = Callable[[str], bool]
"""Does a table know this value?"""

TYPES: Mapping[str, tuple[Test, str]] = {
    "decimal": (is_number, "a number"),
    "integer": (re.compile(r"[+-]?\d+", re.ASCII).fullmatch, "a whole number"),
    "date": (is_date, "a date as YYYYMMDD"),
    "time": (is_moment, "a time as YYYYMMDD[HHMM[SS]]"),
}
"""What `as` may ask for: its check, and what it is in words."""


class Rule(Value, frozen=True):
    """One rule. at: a path, or a segment. kinds: message types as DFT^P03 or DFT, empty for all.

    times: of a segment, or repetitions of a field, (least, most); most None: any number. length: characters, likewise.
    when: (path, values), all of which must hold; a path into the segment of `at` looks at the same segment.
    known: of table. severity: E or W. text: what to say, "" for the rule's own words.
    """

    at: str
    kinds: frozenset[str] = frozenset()
    required: bool = False
    forbidden: bool = False
    values: frozenset[str] | None = None
    table: str = ""
    known: Known | None = None
    pattern: Pattern | None = None
    type: str = ""
    length: tuple[int, int | None] | None = None
    times: tuple[int, int | None] | None = None
    when: Sequence[tuple[str, frozenset[str]]] = ()
    severity: str = finding.ERROR
    text: str = ""


Check = Callable[[er7.Message, list[Finding]], None]
_When = Callable[[er7.Message, er7.Segment | None], bool]
_Test = tuple[Test, int, str]
"""A test of one value, with the code and the words of the finding when it fails."""


class Profile:
    """The compiled rules of one profile."""

    def __init__(self, name: str, rules: Sequence[Rule]) -> None:
        self.name = name
        checks = [(rule.kinds, _field_check(rule) if "-" in rule.at else _segment_check(rule)) for rule in rules]
        self._by_type = Remembered(partial(_of_type, checks), TYPES_KEPT, is_there)

    def check(self, message: er7.Message, limit: int = LIMIT) -> list[Finding]:
        """What the message does against the rules, rule by rule; at most `limit` findings. Never raises."""
        header = message.segments[0]
        found: list[Finding] = []
        for check in self._by_type[f"{header.get(9)}^{header.get(9, 2)}"]:
            check(message, found)
            if len(found) >= limit:
                return found[:limit]
        return found


def _of_type(checks: Sequence[tuple[frozenset[str], Check]], kind: str) -> list[Check]:
    """Those that hold for a message type."""
    code = kind.partition("^")[0]
    return [check for kinds, check in checks if not kinds or kind in kinds or code in kinds]


def _when(rule: Rule) -> _When | None:
    """The rule's conditions as one function; None when it has none."""
    if not rule.when:
        return None
    conditions = [(er7.getter(er7.path(place)), values) for place, values in rule.when]

    def holds(message: er7.Message, segment: er7.Segment | None) -> bool:
        return all(get(message, segment) in values for get, values in conditions)

    return holds


def _segment_check(rule: Rule) -> Check:
    name, when, severity = rule.at, _when(rule), rule.severity
    least, most = rule.times or (1 if rule.required else 0, 0 if rule.forbidden else None)

    def check(message: er7.Message, found: list[Finding]) -> None:
        count = len(message.named(name))
        if (count >= least and (most is None or count <= most)) or (when and not when(message, None)):
            return
        if count < least:
            code = finding.CARDINALITY if count else finding.SEGMENT_SEQUENCE
            say = "the segment is required" if least == 1 else f"the segment must stand at least {least} times"
            found.append(Finding(code, severity, Location(name, count + 1), rule.text or say))
        else:
            say = f"the segment may stand at most {most} times" if most else "the segment is not allowed"
            found.append(Finding(finding.CARDINALITY, severity, Location(name, (most or 0) + 1), rule.text or say))

    return check


def _field_check(rule: Rule) -> Check:
    place, when = er7.path(rule.at), _when(rule)
    name, index = place.segment, place.field - 1 if place.segment == "MSH" else place.field
    one = place.occurrence if "(" in rule.at else 0
    judge = _Judge(rule, place)
    needed = rule.required or bool(rule.times and rule.times[0])

    def check(message: er7.Message, found: list[Finding]) -> None:
        for sequence, segment in enumerate(message.named(name), 1):
            if one and sequence != one:
                continue
            fields = segment.fields
            raw = fields[index] if index < len(fields) else ""
            if (raw or needed) and (when is None or when(message, segment)):
                judge(raw, segment, sequence, found)

    return check


class _Judge:
    """What a rule says about one field. plain: any value is taken as it is, so a field without separators is one value."""

    def __init__(self, rule: Rule, place: er7.Path) -> None:
        self.rule, self.place, self.tests = rule, place, tuple(_tests(rule))
        self.each = not place.one_repetition or bool(place.choices)
        self.plain = place.component in (None, 1) and place.sub in (None, 1) and not place.choices

    def __call__(self, raw: str, segment: er7.Segment, sequence: int, found: list[Finding]) -> None:
        d = segment.delimiters
        if self.rule.times:
            self._times(raw, d, sequence, found)
        composed = d.component in raw or d.repetition in raw or (d.subcomponent and d.subcomponent in raw) or (d.escape and d.escape in raw)
        if self.plain and not composed and (self.each or self.place.repetition == 1):
            self._one(raw, 1, sequence, found)
            return
        nothing = (1 if self.each else self.place.repetition, "")
        for repetition, value in list(_values(raw, self.place, self.each, segment)) or [nothing]:
            self._one(value, repetition, sequence, found)

    def _one(self, value: str, repetition: int, sequence: int, found: list[Finding]) -> None:
        rule = self.rule
        if not value or value == NULL_TEXT:
            if rule.required:
                self._note(found, finding.REQUIRED_FIELD_MISSING, "a value is required", sequence, repetition)
            return
        if rule.forbidden:
            self._note(found, finding.OTHER, "no value is allowed here", sequence, repetition)
        for test, code, text in self.tests:
            if not test(value):
                self._note(found, code, text, sequence, repetition)
                return

    def _times(self, raw: str, d: er7.Delimiters, sequence: int, found: list[Finding]) -> None:
        least, most = self.rule.times or (0, None)
        count = raw.count(d.repetition) + 1 if raw and d.repetition else int(bool(raw))
        if count < least:
            self._note(found, finding.CARDINALITY, f"must stand at least {least} times", sequence, count + 1)
        elif most is not None and count > most:
            self._note(found, finding.CARDINALITY, f"may stand at most {most} times", sequence, most + 1)

    def _note(self, found: list[Finding], code: int, text: str, sequence: int, repetition: int) -> None:
        if len(found) >= KEPT_MAX:
            return
        place = self.place
        at = Location(place.segment, sequence, place.field, repetition, place.component or 0, place.sub or 0)
        found.append(Finding(code, self.rule.severity, at, self.rule.text or text))


def _tests(rule: Rule) -> Iterator[_Test]:
    """The tests of one value, the cheapest first; the first that fails is told."""
    if rule.type:
        test, words = TYPES[rule.type]
        yield test, finding.DATA_TYPE, f"is not {words}"
    least, most = rule.length or (0, None)
    if least:
        yield lambda value: len(value) >= least, finding.DATA_TYPE, f"is shorter than {least} characters"
    if most is not None:
        yield lambda value: len(value) <= most, finding.TOO_LONG, f"is longer than {most} characters"
    if rule.values is not None:
        shown = ", ".join(sorted(rule.values)[:10]) + (", ..." if len(rule.values) > 10 else "")
        yield rule.values.__contains__, finding.TABLE_VALUE, f"is none of: {shown}"
    if rule.known is not None:
        yield rule.known, finding.TABLE_VALUE, f"is not in the table {rule.table}"
    if rule.pattern is not None:
        yield rule.pattern, finding.DATA_TYPE, f"does not match {rule.pattern.text}"


def _values(raw: str, place: er7.Path, each: bool, segment: er7.Segment) -> Iterator[tuple[int, str]]:
    """The values of a field that the path means, with the repetition of each; repetitions that are empty are none."""
    d = segment.delimiters
    for number, text in enumerate(raw.split(d.repetition) if d.repetition else (raw,), 1):
        if not text or (place.choices and not meets(segment, text, place.choices)):
            continue
        if each or number == place.repetition:
            yield number, value_of(segment, text, place.component, place.sub)
