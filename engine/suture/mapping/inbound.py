"""The hot path: a compiled mapping run over one message."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from suture.mapping.functions import negate
from suture.mapping.keys import BusinessKey, Search
from suture.mapping.sources import FIELDS, MESSAGE, SEGMENT, Held, Read, Slots
from suture.mapping.steps import Steps
from suture.model.errors import MessageError
from suture.model.events import Event, event_id
from suture.model.message import Gap
from suture.wire import er7

NUMBER_MAX = 19_999
"""Largest number of an event in its message: the store's small integer, with room for events that others add."""


@dataclass(slots=True)
class Mapped:
    """What a mapping makes of one message. Every line has events, a gap, or a reason why it is filtered.

    lines: how many there are, numbered from 1. filtered: (line, reason); line 0 when there is no line at all.
    suppressed: (line, event type, reason) of events that `when` keeps back. held: (line, event type) of events that a
    gap keeps back; other events of the line go on. keys: line -> business key, of lines with an event or a gap.
    search: (kind, value) pairs. Reasons hold places and texts of the mapping, never content.
    """

    events: list[Event] = field(default_factory=list)
    lines: int = 0
    filtered: list[tuple[int, str]] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    keys: dict[int, str] = field(default_factory=dict, repr=False)
    search: list[tuple[str, str]] = field(default_factory=list, repr=False)
    suppressed: list[tuple[int, str, str]] = field(default_factory=list)
    held: list[tuple[int, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition: a reader and the values that match."""

    place: str
    read: Read
    values: frozenset[str]


def refusal(conditions: Sequence[Condition]) -> Callable[[Slots], str] | None:
    """A function that says which condition does not match, "" when all do; None without conditions."""
    if not conditions:
        return None
    known = [(c.read, c.values, f"{c.place} is not {' or '.join(sorted(c.values))}") for c in conditions]

    def refuse(slots: Slots) -> str:
        for read, values, reason in known:
            if read(slots) not in values:
                return reason
        return ""

    return refuse


@dataclass(frozen=True, slots=True)
class Call:
    """A field that a function makes of the fields set before it. is_credit: of an amount, where there are credits."""

    field: str
    function: Callable[..., Any]
    required: bool
    is_credit: Callable[[Slots], bool] | None


class Assembly:
    """Makes an event's data of the slots.

    fields: name -> slot. bound: binding -> slot of its row, for the functions.
    """

    __slots__ = ("_bound", "_calls", "_fields")

    def __init__(self, fields: dict[str, int], calls: Sequence[Call], bound: dict[str, int]) -> None:
        self._fields, self._calls, self._bound = tuple(fields.items()), tuple(calls), tuple(bound.items())

    def data(self, slots: Slots) -> dict[str, Any]:
        """The event's fields, without the absent ones. Raises Held when a function cannot give a required one."""
        data = {name: slots[slot] for name, slot in self._fields if slots[slot] is not None}
        if self._calls:
            rows = {name: slots[slot] for name, slot in self._bound}
            for call in self._calls:
                value = call.function(data, rows)
                if value is not None:
                    data[call.field] = value if call.is_credit is None else _signed(value, call.is_credit(slots))
                elif call.required:
                    raise Held(call.field, f"call {call.function.__name__}", "required, and the function gives nothing")
        return data


def _signed(value: Any, credit: bool) -> Any:
    return negate(value) if credit and value > 0 else value


@dataclass(frozen=True, slots=True)
class EmitPlan:
    """How one kind of event is made of a line.

    refuse: conditions on paths; refuse_bound: on columns, asked after the `before` steps. before and after are the
    steps that no other event shares. decides: slots that refuse_bound needs; uses: all slots the event needs.
    """

    type: str
    index: int
    refuse: Callable[[Slots], str] | None
    refuse_bound: Callable[[Slots], str] | None
    before: Steps
    after: Steps
    decides: frozenset[int]
    uses: frozenset[int]
    assembly: Assembly

    def event(self, slots: Slots, line: int, emits: int, key: str) -> Event:
        """The event of a line whose steps have run. emits: how many events a line may have."""
        return Event(self.type, (line - 1) * emits + self.index, line, key, self.assembly.data(slots), 0, event_id(self.type, key))


@dataclass(frozen=True, slots=True)
class Plan:
    """A compiled mapping. whole: steps of the whole message; texts: of the line's conditions and key; shared: of the
    line, for more than one event."""

    each: str | None
    slots: int
    whole: Steps
    texts: Steps
    shared: Steps
    skip: Sequence[Condition]
    emits: Sequence[EmitPlan]
    key: BusinessKey
    search: Search


class Inbound:
    """A mapping from received messages to canonical events; made by compile_inbound, used for any number of messages."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._blank: Slots = [None] * plan.slots
        self._lines_max = NUMBER_MAX // len(plan.emits)

    def run(self, message: er7.Message) -> Mapped:
        """Map one message.

        Its bytes must have been decodable (`message.undecodable`). Raises MessageError (stage map) when the message as
        a whole cannot be mapped; what is wrong in a line is a gap of that line, and no reason to stop.
        """
        plan, mapped = self._plan, Mapped()
        segments = self._segments(message, mapped)
        whole, failed = self._blank.copy(), dict[int, Held | None]()
        whole[MESSAGE] = message
        plan.whole.run_all(whole, failed)
        found = plan.search.of_message(whole)
        for line, segment in enumerate(segments, 1):
            slots = whole.copy()
            if segment is not None:
                slots[SEGMENT] = segment
                slots[FIELDS] = segment.fields if segment.delimiters is er7.STANDARD else None
            self._line(slots, line, failed, mapped)
            plan.search.of_line(slots, found)
        mapped.search = plan.search.pairs(found, mapped.events)
        return mapped

    def _segments(self, message: er7.Message, mapped: Mapped) -> Sequence[er7.Segment | None]:
        each = self._plan.each
        segments: Sequence[er7.Segment | None] = (None,) if each is None else message.named(each)
        if not segments:
            mapped.filtered.append((0, f"the message has no {each} segment"))
        elif len(segments) > self._lines_max:
            raise MessageError("map", "TOO_MANY_LINES", each or "", f"more than {self._lines_max} lines in one message")
        mapped.lines = len(segments)
        return segments

    def _line(self, slots: Slots, line: int, failed: dict[int, Held | None], mapped: Mapped) -> None:
        plan = self._plan
        for run in plan.texts.runs:
            run(slots)
        for skip in plan.skip:
            value = skip.read(slots)
            if value in skip.values:
                mapped.filtered.append((line, f"{skip.place} is {value or 'empty'}: skipped by the mapping"))
                return
        if failed:
            Careful(plan, slots, line, failed, mapped).run()
            return
        try:
            self._raise_events(slots, line, mapped)
        except Held:
            Careful(plan, slots, line, failed, mapped).run()

    def _raise_events(self, slots: Slots, line: int, mapped: Mapped) -> None:
        """All events of a line in which nothing is wrong. Raises Held, and leaves mapped as it is, at the first gap."""
        plan, key = self._plan, ""
        events: list[Event] = []
        refused: list[tuple[int, str, str]] = []
        for emit in plan.emits:
            reason = emit.refuse(slots) if emit.refuse else ""
            if not reason:
                if not key:
                    key = plan.key.text(slots, line)
                    for run in plan.shared.runs:
                        run(slots)
                for run in emit.before.runs:
                    run(slots)
                reason = emit.refuse_bound(slots) if emit.refuse_bound else ""
            if reason:
                refused.append((line, emit.type, reason))
                continue
            for run in emit.after.runs:
                run(slots)
            events.append(emit.event(slots, line, len(plan.emits), key))
        settle(mapped, line, key, events, refused)


def settle(mapped: Mapped, line: int, key: str, events: list[Event], refused: list[tuple[int, str, str]]) -> None:
    """Note what a line without held events came to."""
    if events:
        mapped.events += events
        mapped.keys[line] = key
    else:
        mapped.filtered.append((line, "; ".join(dict.fromkeys(reason for _, _, reason in refused))))
    if refused:
        mapped.suppressed += refused


class Careful:
    """A line in which something is wrong, gone through step by step: every gap is found, and only the events that need
    what is wrong are held."""

    def __init__(self, plan: Plan, slots: Slots, line: int, failed: dict[int, Held | None], mapped: Mapped) -> None:
        self.plan, self.slots, self.line, self.mapped = plan, slots, line, mapped
        self.failed = dict(failed)
        self.key = plan.key.text(slots, line)
        self.gaps: dict[Gap, None] = {}
        self.events: list[Event] = []
        self.refused: list[tuple[int, str, str]] = []

    def run(self) -> None:
        """Note what the line came to."""
        wanted = [emit for emit in self.plan.emits if not self._refused(emit, emit.refuse)]
        if wanted:
            self.plan.shared.run_all(self.slots, self.failed)
        for emit in wanted:
            self._emit(emit)
        if self.gaps:
            self.mapped.gaps.extend(self.gaps)
            self.mapped.keys[self.line] = self.key
            self.mapped.events += self.events
            self.mapped.suppressed += self.refused
        else:
            settle(self.mapped, self.line, self.key, self.events, self.refused)

    def _refused(self, emit: EmitPlan, refuse: Callable[[Slots], str] | None) -> bool:
        reason = refuse(self.slots) if refuse else ""
        if reason:
            self.refused.append((self.line, emit.type, reason))
        return bool(reason)

    def _emit(self, emit: EmitPlan) -> None:
        emit.before.run_all(self.slots, self.failed)
        if not emit.decides.isdisjoint(self.failed):
            self._hold(emit, emit.decides)
        elif not self._refused(emit, emit.refuse_bound):
            emit.after.run_all(self.slots, self.failed)
            self._finish(emit)

    def _finish(self, emit: EmitPlan) -> None:
        if not emit.uses.isdisjoint(self.failed):
            self._hold(emit, emit.uses)
            return
        try:
            self.events.append(emit.event(self.slots, self.line, len(self.plan.emits), self.key))
        except Held as held:
            self.failed[-1 - emit.index] = held
            self._hold(emit, frozenset({-1 - emit.index}))

    def _hold(self, emit: EmitPlan, needed: frozenset[int]) -> None:
        self.mapped.held.append((self.line, emit.type))
        for slot, held in self.failed.items():
            if held is not None and slot in needed:
                self.gaps[held.gap(self.line)] = None
