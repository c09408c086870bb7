"""mappings/profiles/<name>.yaml: a site's own rules about messages, read, checked and compiled."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from suture.config.channel import MessageType, Name, Place
from suture.config.hl7v2 import SEVERITY_LETTERS
from suture.config.validate import misnamed
from suture.config.yaml_file import Document
from suture.mapping.tables import Table
from suture.model.errors import Problem
from suture.model.meant import did_you_mean
from suture.model.section import Listed, Section
from suture.wire.hl7v2.standard.profile import Profile, Rule
from suture.wire.hl7v2.text import er7
from suture.wire.pattern import Pattern

PATTERN_LENGTH_MAX = 500
DEMANDS = ("required", "forbidden", "values", "table", "pattern", "as", "length", "times")
"""Keys of which a rule needs one: without any it asks for nothing."""
_OF_VALUES = ("values", "table", "pattern", "as", "length")


def _at(text: str) -> str:
    if "-" not in text:
        if not re.fullmatch(r"[A-Z][A-Z0-9]{2}", text):
            raise ValueError(f"{text!r} is neither a segment nor a path; write a segment, e.g. PV1, or a path, e.g. PID-3.1")
        return text
    place = er7.path(text)
    if place.segment == "MSH" and place.field in (1, 2):
        raise ValueError(f"{text} holds the separators of the message, and without them it could not be read")
    return text


def _pattern(text: str) -> str:
    if len(text) > PATTERN_LENGTH_MAX:
        raise ValueError(f"a pattern of more than {PATTERN_LENGTH_MAX} characters; write a shorter one, or a table")
    try:
        Pattern(text)
    except ValueError as error:
        raise ValueError(f"the pattern {text[:60]!r} cannot be used: {error}") from None
    return text


class Bounds(Section):
    """A least and a most."""

    min: int = Field(default=0, ge=0, description="At least")
    max: int | None = Field(default=None, ge=0, description="At most; absent: any number")


class RuleSpec(Section):
    """One rule, as it is written."""

    at: Annotated[str, AfterValidator(_at)] = Field(
        description="Segment or path: every segment of that name and every repetition, unless the path names one: PV1, FT1-7.1, PID-3[MR].1"
    )
    for_: Annotated[list[MessageType], Listed] | None = Field(
        default=None, alias="for", min_length=1, description="Message types it is for. Absent: those of the profile"
    )
    required: bool = Field(default=False, description="The segment, or a value, must be there")
    forbidden: bool = Field(default=False, description="The segment, or a value, must not be there")
    values: Annotated[list[str], Listed] | None = Field(default=None, min_length=1, description="The values that are allowed")
    table: str | None = Field(default=None, description="Table of mappings/tables that must know the value")
    pattern: Annotated[str, AfterValidator(_pattern)] | None = Field(
        default=None, description="Regular expression that the whole value must match (a subset whose time is linear)"
    )
    as_: Literal["decimal", "integer", "date", "time"] | None = Field(default=None, alias="as", description="What the value must be")
    length: Bounds | None = Field(default=None, description="Characters of the value")
    times: Bounds | None = Field(default=None, description="How often the segment, or the repetition of the field, may stand")
    when: dict[Place, Annotated[list[str], Listed]] | None = Field(
        default=None, min_length=1, description="Only where these paths have one of these values"
    )
    severity: Literal["error", "warning"] = Field(default="error", description="An error parks the message where profiles are enforced")
    text: str = Field(default="", max_length=200, description="What to say, instead of the rule's own words; never the value")


class ProfileFile(Section):
    """A site profile."""

    profile: Name = Field(description="Name of the profile; the name of its file")
    about: str = Field(default="", description="What the profile is for")
    for_: Annotated[list[MessageType], Listed] | None = Field(
        default=None, alias="for", min_length=1, description="Message types that the rules are for. Absent: all"
    )
    rules: list[RuleSpec] = Field(min_length=1, description="The rules")


def profile_problems(document: Document, name: str, tables: Mapping[str, Table]) -> Iterator[Problem]:
    """What the model cannot see: the file's name, tables that are not there, rules that contradict themselves."""
    yield from misnamed(document, "profile", name)
    rules = document.section().get("rules")
    for i, rule in enumerate(rules if isinstance(rules, list) else []):
        if isinstance(rule, dict):
            yield from _rule_problems(document, i, rule, tables)


def _rule_problems(document: Document, i: int, rule: dict[str, Any], tables: Mapping[str, Table]) -> Iterator[Problem]:
    loc = ("rules", i)
    asked = [key for key in DEMANDS if key in rule]
    if not asked:
        yield document.problem(loc, f"asks for nothing; add one of: {', '.join(DEMANDS)}")
    table = rule.get("table")
    if isinstance(table, str) and table not in tables:
        yield document.problem((*loc, "table"), f"there is no mappings/tables/{table}.csv{did_you_mean(table, tables)}")
    if "forbidden" in rule and len(asked) > 1:
        others = ", ".join(key for key in asked if key != "forbidden")
        yield document.problem((*loc, "forbidden"), f"has no meaning beside {others}; make two rules, or keep one of them")
    if isinstance(rule.get("at"), str) and "-" not in rule["at"]:
        for key in (key for key in _OF_VALUES if key in rule):
            yield document.problem(
                (*loc, key), f"{key!r} is about a value, and {rule['at']} is a whole segment; write a path, e.g. {rule['at']}-1"
            )
    for key in ("length", "times"):
        yield from _bounds_problems(document, (*loc, key), rule.get(key))


def _bounds_problems(document: Document, loc: tuple[str | int, ...], bounds: Any) -> Iterator[Problem]:
    if not isinstance(bounds, dict):
        return
    least, most = bounds.get("min", "0"), bounds.get("max")
    if not bounds:
        yield document.problem(loc, "says nothing; write {min: 1}, {max: 20} or both")
    elif str(least).isdecimal() and str(most).isdecimal() and int(least) > int(str(most)):
        yield document.problem(loc, f"min {least} is more than max {most}")


def compile_profile(spec: ProfileFile, tables: Mapping[str, Table]) -> Profile:
    """The profile as functions. tables: of the site; those that rules name are there."""
    return Profile(spec.profile, [_rule(rule, spec, tables) for rule in spec.rules])


def _rule(rule: RuleSpec, spec: ProfileFile, tables: Mapping[str, Table]) -> Rule:
    return Rule(
        at=rule.at,
        kinds=frozenset(rule.for_ or spec.for_ or ()),
        required=rule.required,
        forbidden=rule.forbidden,
        values=frozenset(rule.values) if rule.values else None,
        table=rule.table or "",
        known=partial(_knows, tables[rule.table]) if rule.table else None,
        pattern=Pattern(rule.pattern) if rule.pattern is not None else None,
        type=rule.as_ or "",
        length=(rule.length.min, rule.length.max) if rule.length else None,
        times=(rule.times.min, rule.times.max) if rule.times else None,
        when=[(place, frozenset(values)) for place, values in (rule.when or {}).items()],
        severity=SEVERITY_LETTERS[rule.severity],
        text=rule.text,
    )


def _knows(table: Table, value: str) -> bool:
    return table.lookup(value) is not None
