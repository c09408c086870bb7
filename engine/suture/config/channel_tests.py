"""Runs a channel's own tests: sample messages through the real mapping, stock and rendering, without a store or network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from datetime import time as clock
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from suture.config.plan import plan_of
from suture.config.site import ChannelFiles
from suture.config.tests_file import ChannelTest, read_tests, typed
from suture.config.yaml_file import Loc
from suture.mapping.times import time_parser
from suture.model import states
from suture.model.errors import MessageError, Problem
from suture.model.events import Event
from suture.model.fault import Fault
from suture.model.finding import Finding
from suture.model.message import Gap, Message
from suture.model.value import Value
from suture.pipeline.plan import Plan
from suture.pipeline.process import SKIPPED, process
from suture.ports import Claim, Settled, StockKey

NOW_US = 1_767_225_600_000_000
"""The time of every test: 2026-01-01T00:00Z. Received is a message when it was sent (MSH-7), where it says so."""

T = TypeVar("T")
Difference = tuple[Loc, str]
"""Where in a test something else is expected, and what came."""
_PARKED = "the message is parked: "


class CaseResult(Value, frozen=True):
    """What came of one test. differences: in plain words, at the line that expects something else; empty when all is as expected."""

    channel: str
    name: str
    file: str
    line: int
    differences: list[Problem]

    @property
    def ok(self) -> bool:
        """Is everything as expected?"""
        return not self.differences


def run_channel_tests(channel: ChannelFiles) -> tuple[list[CaseResult], list[Problem]]:
    """Run tests.yaml of the channel. Problems are those of the file; with any, nothing is run."""
    file = f"channels/{channel.name}/tests.yaml"
    document, tests, problems = read_tests(channel.directory / "tests.yaml", file, channel.destinations)
    own = frozenset(channel.config.hl7v2.answer.processing_ids or ())
    plan = plan_of(replace(channel, processing_ids=own))  # a test says the same in every environment
    results = []
    for i, test in enumerate(tests):
        settled, faults = _play(plan, test, channel.directory)
        told = [Problem(file, document.mark((i, *place)).line, "", text) for place, text in _differences(test, settled, faults)]
        results.append(CaseResult(channel.name, test.name, file, document.mark((i,)).line, told))
    return results, problems


def _play(plan: Plan, test: ChannelTest, directory: Path) -> tuple[list[Settled], list[Difference]]:
    """What the test's messages came to, one after the other, with the keys and the stock that earlier ones left; and their faults."""
    came: list[Settled] = []
    faults: list[Difference] = []
    claims: dict[str, Claim] = {}
    stock: dict[StockKey, Decimal] = {}
    seen: set[bytes] = set()
    for number, file in enumerate(test.files, 1):
        raw = (directory / file).read_bytes()
        if raw in seen:
            continue
        seen.add(raw)
        place: Loc = ("message",) if test.message else ("messages", number - 1)
        try:
            came.append(_settle(plan, _message(plan, raw, number), claims, stock))
        except MessageError as error:
            faults.append((place, f"{_PARKED}{error.code}: {error}"))
        else:
            faults += [(place, text) for text in _faults(came[-1])]
    return came, faults


def _faults(settled: Settled) -> Iterator[str]:
    if settled.state == states.PARKED and not settled.gaps:
        yield f"{_PARKED}{settled.reason}"
    for one in settled.unrendered:
        yield f"a delivery is held: {one.code}: {one.delivery.destination}: {one.place}: {one.reason}"


def _message(plan: Plan, raw: bytes, number: int) -> Message:
    told = plan.format.envelope(raw)
    if isinstance(told, Fault):
        return Message(plan.channel, raw, NOW_US, id=number, fault=told)
    return Message(plan.channel, raw, _us(told.sent), told.control_id, told.type, told.sender, id=number)


def _us(text: str) -> int:
    """An HL7 time, as if it was in UTC, in microseconds since 1970; NOW_US where it is none."""
    time = time_parser(UTC)(text)
    if time is None:
        return NOW_US
    moment = time if isinstance(time, datetime) else datetime.combine(time, clock(), UTC)
    return int(moment.timestamp()) * 1_000_000


def _settle(plan: Plan, message: Message, claims: dict[str, Claim], stock: dict[StockKey, Decimal]) -> Settled:
    standard = plan.validation.standard if plan.validation else None
    work = process(plan, message, NOW_US, findings=plan.format.judge(message.raw, standard) if standard else ())
    taken = {key: claims[key] for key in work.keys if key in claims}
    settled = work.ready
    if settled is None or taken or work.touches:
        settled = work.settle(taken, {key: stock[key] for key in work.touches if key in stock})
    claims.update({key: Claim(message.id, generation, False, digest) for key, generation, digest in settled.claims})
    stock.update(settled.stock)
    return settled


def _differences(test: ChannelTest, came: list[Settled], faults: list[Difference]) -> Iterator[Difference]:
    yield from _error_differences(test.expect_error, faults)
    yield from _event_differences(test, [event for settled in came for event in settled.events])
    gaps = [gap for settled in came for gap in settled.gaps]
    yield from _compared("expect_gaps", "gap", test.expect_gaps or [], gaps, getattr, _odd_gap)
    if test.expect_findings is not None:
        findings = [finding for settled in came for finding in settled.findings]
        yield from _compared("expect_findings", "finding", test.expect_findings, findings, _of_finding, _odd_finding)
    filtered = sum(_filtered(settled) for settled in came)
    if test.expect_filtered is not None and filtered != test.expect_filtered:
        yield ("expect_filtered",), f"filtered: {filtered}, expected {test.expect_filtered}"
    deliveries = Counter(delivery.destination for settled in came for delivery in settled.deliveries)
    for name, count in (test.expect_deliveries or {}).items():
        if deliveries[name] != count:
            yield ("expect_deliveries", name), f"deliveries to {name}: {deliveries[name]}, expected {count}"


def _filtered(settled: Settled) -> int:
    return sum(note.code == SKIPPED for note in settled.notes) or settled.state == states.FILTERED


def _error_differences(expected: str | None, faults: list[Difference]) -> Iterator[Difference]:
    other = [fault for fault in faults if not expected or f": {expected}: " not in fault[1]]
    if expected and len(other) == len(faults):
        yield ("expect_error",), f"expected {expected}" if faults else f"the message is not parked, expected {expected}"
    yield from other


def _event_differences(test: ChannelTest, events: list[Event]) -> Iterator[Difference]:
    if test.expect_none and events:
        counts = Counter(event.type for event in events)
        yield ("expect_none",), "no event expected, but there are: " + ", ".join(f"{kind} ({count})" for kind, count in counts.items())
    expected: dict[str, list[tuple[Loc, Mapping[str, str | list[str]]]]] = {}
    for i, step in enumerate(test.expect or ()):
        for kind, fields in step.items():
            expected.setdefault(kind, []).append((("expect", i, kind), fields))
    for kind, wanted in expected.items():
        got = [event for event in events if event.type == kind]
        if len(got) != len(wanted):
            place = wanted[min(len(got), len(wanted) - 1)][0]  # the first that was not raised, or the last that was expected
            yield place, f"{kind}: {len(got)} raised, expected {len(wanted)}"
        for number, (event, (place, values)) in enumerate(zip(got, wanted, strict=False), 1):
            yield from _field_differences(place, f"{kind} {number}", event, values)


def _field_differences(place: Loc, name: str, event: Event, expected: Mapping[str, str | list[str]]) -> Iterator[Difference]:
    for key, text in expected.items():
        value = event.data.get(key)
        if not _same(event.type, key, text, value):
            yield (*place, key), f"{name}: {key} is {_shown(value)}, expected {text or 'absent'}"


def _same(kind: str, name: str, text: str | list[str], value: Any) -> bool:
    if value is None or not text:
        return not text and value in (None, "", [])
    wanted = typed(kind, name, text)
    if isinstance(wanted, datetime) and isinstance(value, datetime) and wanted.tzinfo is None:
        return wanted == value.replace(tzinfo=None)
    return bool(wanted == value)


def _shown(value: Any) -> str:
    if value is None or value == "":
        return "absent"
    return value.isoformat() if isinstance(value, date) else f"{value:f}" if isinstance(value, Decimal) else str(value)


def _compared(
    key: str, what: str, expected: Sequence[BaseModel], came: list[T], of: Callable[[T, str], object], odd: Callable[[T], str]
) -> Iterator[Difference]:
    """What is expected and did not come, then what came unexpected. key: of the test. what: one of them, in a word; odd: in more."""
    left = list(came)
    for i, wanted in enumerate(expected):
        fields = wanted.model_dump(exclude_none=True)
        found = next((one for one in left if all(of(one, name) == value for name, value in fields.items())), None)
        if found is None:
            yield (key, i), f"no {what} with " + ", ".join(f"{name} {value}" for name, value in fields.items())
        else:
            left.remove(found)
    for one in left:
        yield (key,), f"unexpected {what}{odd(one)}"


def _odd_gap(gap: Gap) -> str:
    about = f" (table {gap.table}, value {gap.value})" if gap.table else ""
    return f" in line {gap.line}: {gap.field or gap.code}: {gap.reason}{about}"


def _odd_finding(one: Finding) -> str:
    return f": {one} (code {one.code}, {one.severity})"


def _of_finding(one: Finding, name: str) -> str | int:
    return str(one.location or "") if name == "place" else getattr(one, name)
