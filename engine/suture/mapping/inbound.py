"""The hot path: a compiled mapping run over one message."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from suture.mapping.functions import negate
from suture.mapping.sources import MESSAGE, SEGMENT, Held, Read, Slots, keepable
from suture.mapping.steps import Steps
from suture.model.errors import MessageError
from suture.model.events import Event, event_id
from suture.model.message import Gap
from suture.wire import er7

NUMBER_MAX = 32_767
"""Largest number of an event in its message (the store's small integer)."""

KEY_CHARACTERS_MAX = 400
SEARCH_CHARACTERS_MAX = 200
"""Longer keys end in a digest, longer search values are cut: databases limit what an index entry may hold."""


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
    """One condition of skip or when: a reader and the values that match."""

    place: str
    read: Read
    values: frozenset[str]

    def refusal(self) -> str:
        """Why an event is kept back when it does not match."""
        return f"{self.place} is not {' or '.join(sorted(self.values))}"


@dataclass(frozen=True, slots=True)
class Call:
    """A field that a function makes of the fields set before it."""

    field: str
    function: Callable[..., Any]
    required: bool


@dataclass(frozen=True, slots=True)
class EmitPlan:
    """How one kind of event is made of a line.

    when: conditions on paths; when_bound: on columns, asked after the `before` steps. before and after are the steps
    that no other event shares. decides: slots that when_bound needs; uses: all slots the event needs. fields: name ->
    slot. bound: binding -> slot of its row.
    """

    type: str
    index: int
    when: Sequence[Condition]
    when_bound: Sequence[Condition]
    before: Steps
    after: Steps
    decides: frozenset[int]
    uses: frozenset[int]
    fields: Sequence[tuple[str, int]]
    calls: Sequence[Call]
    bound: Sequence[tuple[str, int]]
    is_credit: Callable[[Slots], bool] | None

    def refused(self, conditions: Sequence[Condition], slots: Slots) -> str:
        """Why the event is kept back, or "" when all conditions match."""
        for condition in conditions:
            if condition.read(slots) not in condition.values:
                return condition.refusal()
        return ""

    def data(self, slots: Slots) -> dict[str, Any]:
        """The event's fields, without the absent ones. Raises Held when a function cannot give a required one."""
        data = {name: slots[slot] for name, slot in self.fields if slots[slot] is not None}
        if self.calls:
            self._call(data, slots)
        return data

    def _call(self, data: dict[str, Any], slots: Slots) -> None:
        rows = {name: slots[slot] for name, slot in self.bound}
        for call in self.calls:
            value = call.function(data, rows)
            if value is not None:
                data[call.field] = self._signed(call.field, value, slots)
            elif call.required:
                raise Held(call.field, f"call {call.function.__name__}", "required, and the function gives nothing")

    def _signed(self, name: str, value: Any, slots: Slots) -> Any:
        credit = name == "amount" and isinstance(value, Decimal) and value > 0 and self.is_credit and self.is_credit(slots)
        return negate(value) if credit else value


@dataclass(frozen=True, slots=True)
class Search:
    """What a message is found by: a kind and where its value stands, first non-empty. own: in the repeated segment."""

    kind: str
    reads: Sequence[Read]
    own: bool

    def value(self, slots: Slots) -> str:
        """The value, "" when absent."""
        return next((text for read in self.reads if (text := read(slots))), "")[:SEARCH_CHARACTERS_MAX]


@dataclass(frozen=True, slots=True)
class BusinessKey:
    """How the business key of a line is made.

    parts: slots of its texts; own: whether each is of the repeated segment. control_id: slot of MSH-10. Where nothing
    tells the lines apart, or the parts that should are empty, control id and line take their place: a key that is the
    same for all would make every later charge a duplicate.
    """

    prefix: str
    parts: tuple[int, ...]
    own: tuple[bool, ...]
    control_id: int
    repeated: bool

    def text(self, slots: Slots, line: int) -> str:
        """The key of a line."""
        values = [slots[slot] for slot in self.parts]
        if not self._telling(values):
            values += [slots[self.control_id], str(line)]
        elif self.repeated and not any(self.own):
            values.append(str(line))
        return _joined(self.prefix, values)

    def _telling(self, values: list[str]) -> bool:
        if any(self.own):
            return any(value for value, own in zip(values, self.own, strict=True) if own)
        return any(values)


def _joined(prefix: str, values: list[str]) -> str:
    key = "|".join(values)
    if key.count("|") >= len(values) or "\\" in key:
        key = "|".join([value.replace("\\", "\\\\").replace("|", "\\|") for value in values])
    if len(key) > KEY_CHARACTERS_MAX:
        key = f"{key[:80]}#{hashlib.sha256(key.encode()).hexdigest()}"
    return f"{prefix}|{key}"


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
    search: Sequence[Search]


class Inbound:
    """A mapping from received messages to canonical events; made by compile_inbound, used for any number of messages."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._blank = [None] * plan.slots
        self._lines_max = NUMBER_MAX // len(plan.emits)

    def run(self, message: er7.Message) -> Mapped:
        """Map one message.

        Raises MessageError (stage map) when the message as a whole cannot be mapped; what is wrong in a line is a gap
        of that line, and no reason to stop.
        """
        plan, mapped = self._plan, Mapped()
        segments: Sequence[er7.Segment | None] = message.named(plan.each) if plan.each else (None,)
        mapped.lines = len(segments)
        if not segments:
            mapped.filtered.append((0, f"the message has no {plan.each} segment"))
        elif len(segments) > self._lines_max:
            raise MessageError("map", "TOO_MANY_LINES", plan.each or "", f"more than {self._lines_max} lines in one message")
        whole, failed = self._blank.copy(), dict[int, Held | None]()
        whole[MESSAGE] = message
        plan.whole.run(whole, failed)
        found = {(s.kind, value): None for s in plan.search if not s.own and (value := s.value(whole))}
        for line, segment in enumerate(segments, 1):
            slots = whole.copy()
            slots[SEGMENT] = segment
            _Line(plan, line, slots, failed, mapped).run()
            found.update({(s.kind, value): None for s in plan.search if s.own and (value := s.value(slots))})
        found.update({("item", event.data["item"][:SEARCH_CHARACTERS_MAX]): None for event in mapped.events})
        mapped.search = list(found)
        return mapped


class _Line:
    """One line on its way through the plan."""

    __slots__ = ("failed", "gaps", "key", "line", "mapped", "plan", "reasons", "slots")

    def __init__(self, plan: Plan, line: int, slots: Slots, failed: Mapping[int, Held | None], mapped: Mapped) -> None:
        self.plan, self.line, self.slots, self.mapped = plan, line, slots, mapped
        self.failed = dict(failed) if failed else {}
        self.gaps: dict[Gap, None] = {}
        self.reasons: dict[str, None] = {}
        self.key = ""

    def run(self) -> None:
        plan, slots, mapped = self.plan, self.slots, self.mapped
        plan.texts.run(slots, self.failed)
        for condition in plan.skip:
            value = condition.read(slots)
            if value in condition.values:
                mapped.filtered.append((self.line, f"{condition.place} is {value or 'empty'}: skipped by the mapping"))
                return
        live = [emit for emit in plan.emits if self._wanted(emit, emit.when)]
        if live:
            self.key = plan.key.text(slots, self.line)
            plan.shared.run(slots, self.failed)
            for emit in live:
                self._emit(emit)
        self._close()

    def _wanted(self, emit: EmitPlan, conditions: Sequence[Condition]) -> bool:
        reason = emit.refused(conditions, self.slots)
        if reason:
            self.reasons[reason] = None
            self.mapped.suppressed.append((self.line, emit.type, reason))
        return not reason

    def _emit(self, emit: EmitPlan) -> None:
        emit.before.run(self.slots, self.failed)
        if self.failed and not emit.decides.isdisjoint(self.failed):
            self._hold(emit, self._held(emit))
        elif self._wanted(emit, emit.when_bound):
            emit.after.run(self.slots, self.failed)
            self._finish(emit)

    def _finish(self, emit: EmitPlan) -> None:
        if self.failed and not emit.uses.isdisjoint(self.failed):
            self._hold(emit, self._held(emit))
            return
        try:
            data = emit.data(self.slots)
        except Held as held:
            self._hold(emit, [held])
            return
        number = (self.line - 1) * len(self.plan.emits) + emit.index
        self.mapped.events.append(Event(emit.type, number, self.line, self.key, data, 0, event_id(emit.type, self.key)))
        self.mapped.keys[self.line] = self.key

    def _held(self, emit: EmitPlan) -> list[Held]:
        return [held for slot, held in self.failed.items() if held is not None and slot in emit.uses]

    def _hold(self, emit: EmitPlan, causes: Iterable[Held]) -> None:
        self.mapped.held.append((self.line, emit.type))
        self.mapped.keys[self.line] = self.key
        for held in causes:
            value = keepable(held.value)[:SEARCH_CHARACTERS_MAX]
            self.gaps[Gap(self.line, held.field, held.path, held.reason, held.table, value)] = None

    def _close(self) -> None:
        self.mapped.gaps.extend(self.gaps)
        if self.line not in self.mapped.keys:
            self.mapped.filtered.append((self.line, "; ".join(self.reasons)))
