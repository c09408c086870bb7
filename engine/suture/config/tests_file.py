"""channels/<name>/tests.yaml: what an analyst expects of a channel, read and checked."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, RootModel

from suture.config.validate import validate
from suture.config.yaml_file import Document, Loc, read_yaml
from suture.mapping.fields import field_type
from suture.mapping.times import from_iso
from suture.model.errors import Problem
from suture.model.events import EVENT_TYPES
from suture.model.meant import did_you_mean
from suture.model.section import Listed, Section

EXPECTATIONS = ("expect", "expect_gaps", "expect_filtered", "expect_deliveries", "expect_none", "expect_error", "expect_findings")


class ExpectedGap(Section):
    """A gap; only what is written is compared."""

    line: int | None = Field(default=None, ge=0, description="Line of the message, from 1")
    code: str | None = Field(default=None, description="Code of the gap: UNKNOWN_CODE, BAD_VALUE, NO_EVENT and others (docs/errors.md)")
    field: str | None = Field(default=None, description="Canonical field that could not be filled")
    table: str | None = Field(default=None, description="Table that does not know the value")
    value: str | None = Field(default=None, description="The value")


class ExpectedFinding(Section):
    """A finding of validation; only what is written is compared."""

    place: str | None = Field(default=None, description="Where it is: PID-3, FT1(2)-7.1")
    code: int | None = Field(default=None, description="Code of HL7 table 0357, e.g. 101 for a required field that is missing")
    severity: Literal["E", "W", "I"] | None = Field(default=None, description="Error, warning or information")
    text: str | None = Field(default=None, description="The whole text")


class ChannelTest(Section):
    """One test: messages in, and what has to come of them."""

    name: str = Field(description="What is tested, in words")
    message: str | None = Field(default=None, description="File of the message, from the channel's directory")
    messages: Annotated[list[str], Listed] | None = Field(default=None, min_length=1, description="Several files, received in this order")
    expect: list[dict[str, dict[str, str | list[str]]]] | None = Field(
        default=None, description="Events in order, with the fields that matter: - charge.raised: {amount: 10}"
    )
    expect_gaps: list[ExpectedGap] | None = Field(default=None, description="All gaps: - {table: item_master, value: ZZ-999}")
    expect_filtered: int | None = Field(default=None, ge=0, description="Lines (or messages that are not accepted) that are filtered")
    expect_deliveries: dict[str, Annotated[int, Field(ge=0)]] | None = Field(default=None, description="Deliveries by destination")
    expect_none: bool = Field(default=False, description="No event at all")
    expect_findings: list[ExpectedFinding] | None = Field(
        default=None, description="All findings of validation, in any order: - {place: PID-3, code: 101}"
    )
    expect_error: str | None = Field(default=None, description="The message is parked with this code, e.g. NOT_HL7")

    @property
    def files(self) -> list[str]:
        """The messages, in order."""
        return [self.message] if self.message else list(self.messages or ())


class TestsFile(RootModel[list[ChannelTest]]):
    """The tests of a channel."""

    __test__ = False


def read_tests(path: Path, shown_as: str, destinations: Iterable[str]) -> tuple[Document, list[ChannelTest], list[Problem]]:
    """Read a channel's tests, none where anything is wrong in the file. destinations: of the channel, by name.

    A file that is not there holds no tests.
    """
    nothing = Document(shown_as, [])
    if not path.exists():
        return nothing, [], []
    document, problems = read_yaml(path, shown_as)
    if document is None:
        return nothing, [], problems
    if not isinstance(document.data, list):
        return nothing, [], [*problems, Problem(shown_as, 1, "", "a list of tests must stand here: - name: ...")]
    tests, more = validate(document, TestsFile)
    problems += more
    for i, case in enumerate(document.data):
        if isinstance(case, dict):
            problems += _case_problems(document, (i,), case, path.parent, list(destinations))
    return document, tests.root if tests and not problems else [], problems


def _case_problems(document: Document, loc: Loc, case: dict[str, Any], directory: Path, destinations: list[str]) -> Iterator[Problem]:
    yield from _file_problems(document, loc, case, directory)
    if not any(key in case for key in EXPECTATIONS):
        yield document.problem(loc, f"nothing is expected; add one of: {', '.join(EXPECTATIONS)}")
    for i, step in enumerate(_list(case.get("expect"))):
        for kind, fields in step.items() if isinstance(step, dict) else ():
            yield from _event_problems(document, (*loc, "expect", i, kind), kind, fields)
    for key, remedy in (("expect_gaps", "a table and a value, or a field"), ("expect_findings", "a place, a code or both")):
        for i, wanted in enumerate(_list(case.get(key))):
            if wanted == {}:
                yield document.problem((*loc, key, i), f"says nothing; write {remedy}")
    counts = case.get("expect_deliveries")
    for name in counts if isinstance(counts, dict) else ():
        if name not in destinations:
            yield document.problem((*loc, "expect_deliveries", name), f"no such destination{did_you_mean(name, destinations)}")


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _file_problems(document: Document, loc: Loc, case: dict[str, Any], directory: Path) -> Iterator[Problem]:
    if ("message" in case) == ("messages" in case):
        yield document.problem(loc, "one of 'message' (a file) and 'messages' (a list of files) is required")
    for key in ("message", "messages"):
        given = case.get(key)
        for i, name in enumerate(given if isinstance(given, list) else [given]):
            if isinstance(name, str) and os.path.isfile(directory / name):
                if not os.access(directory / name, os.R_OK):
                    yield document.problem((*loc, key, i), f"the file {name!r} cannot be read; look at its permissions", place=(*loc, key))
            elif isinstance(name, str):
                known = [str(path.relative_to(directory)) for path in sorted(directory.glob("samples/*")) if path.is_file()]
                yield document.problem((*loc, key, i), f"there is no file {name!r}{did_you_mean(name, known)}", place=(*loc, key))


def _event_problems(document: Document, loc: Loc, kind: str, fields: Any) -> Iterator[Problem]:
    model = EVENT_TYPES.get(kind)
    if model is None:
        yield document.problem(loc, f"no such event{did_you_mean(kind, EVENT_TYPES)}")
        return
    for name, text in fields.items() if isinstance(fields, dict) else ():
        place = (*loc, name)
        if name not in model.model_fields:
            yield document.problem(place, f"{kind} has no field {name!r}{did_you_mean(name, model.model_fields)}")
        elif isinstance(text, str | list) and text and typed(kind, name, text) is None:
            yield document.problem(place, f"{text!r} is not {_EXAMPLES[field_type(model, name)[0]]}")


_EXAMPLES: dict[Any, str] = {
    Decimal: "a number, e.g. 1 or 4200.00",
    datetime: "a time, e.g. 2026-03-02T10:15:00-06:00, or a day, e.g. 2026-03-02",
    str: "one text",
    list[str]: "a list, e.g. [LT, 59]",
}


def typed(kind: str, name: str, text: str | list[str]) -> str | Decimal | date | list[str] | None:
    """The text as a value of that field of that event; None when it is none."""
    of: Any = field_type(EVENT_TYPES[kind], name)[0]
    if isinstance(text, list) or of == list[str]:
        return text if isinstance(text, list) and of == list[str] else None
    try:
        if of is Decimal:
            number = Decimal(text)
            return number if number.is_finite() else None
        return _time(text) if of is datetime else text
    except (InvalidOperation, ValueError):
        return None


def _time(text: str) -> date:
    """A day, or a moment; without an offset, that of any zone."""
    return from_iso(text) or datetime.fromisoformat(text)
