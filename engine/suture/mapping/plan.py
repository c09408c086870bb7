"""A compiled mapping: what it makes of a message, and the parts that its functions are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from suture.mapping.conditions import Condition, matching
from suture.mapping.functions import negate
from suture.mapping.keys import BusinessKey, Search
from suture.mapping.rules import OUT_OF_BOUNDS, Limit, rounded
from suture.mapping.sources import Held, Slots, Source
from suture.mapping.steps import Steps
from suture.model.events import Event, event_id
from suture.model.message import Gap
from suture.model.reading import Path, Reader, Words
from suture.model.value import Draft, fresh


class Mapped(Draft):
    """What a mapping makes of one message. Every line has events, a gap, or a condition of `skip` that filters it.

    lines: how many there are, numbered from 1. filtered: (line, place, reason) of lines that `skip` names.
    suppressed: (line, event type, reason) of events that `when` keeps back. held: (line, event type) of events that a
    gap keeps back; other events of the line go on. keys: line -> business key, of lines with an event or a gap.
    search: (kind, value) pairs. Reasons hold places and texts of the mapping, never content.
    """

    events: list[Event] = fresh(list)
    lines: int = 0
    filtered: list[tuple[int, str, str]] = fresh(list)
    gaps: list[Gap] = fresh(list)
    keys: dict[int, str] = fresh(dict)
    search: list[tuple[str, str]] = fresh(list)
    suppressed: list[tuple[int, str, str]] = fresh(list)
    held: list[tuple[int, str]] = fresh(list)

    def __repr__(self) -> str:
        return f"Mapped({self.lines} lines, {len(self.events)} events, {len(self.gaps)} gaps)"


@dataclass(frozen=True, slots=True)
class Call:
    """A field that a function makes of the fields set before it.

    credit: of an amount, the conditions of a credit. cent: what an amount is rounded to. limit: of a number.
    """

    field: str
    function: Callable[..., Any]
    required: bool
    credit: tuple[Condition, ...] = ()
    cent: Decimal | None = None
    limit: Limit | None = None

    def value(self, data: Mapping[str, Any], rows: Mapping[str, Any]) -> Any:
        """The value, None when it is absent. Raises Held when it is required and absent, or is out of bounds."""
        value, place = self.function(data, rows), f"call {self.function.__name__}"
        if value is None:
            if self.required:
                raise Held(self.field, place, "required, and the function gives nothing")
            return None
        if self.cent is not None:
            value = rounded(value, self.cent)
        if self.limit is not None and not self.limit.holds(value):
            raise Held(self.field, place, self.limit.broken, kind=OUT_OF_BOUNDS)
        return value


class Assembly:
    """Makes an event's data of the slots.

    fields: name -> slot. bound: binding -> slot of its row, for the functions.
    """

    __slots__ = ("_credits", "bound", "calls", "fields")

    def __init__(self, fields: dict[str, int], calls: Sequence[Call], bound: dict[str, int]) -> None:
        self.fields, self.calls, self.bound = tuple(fields.items()), tuple(calls), tuple(bound.items())
        self._credits = [matching(call.credit) if call.credit else None for call in calls]

    def data(self, slots: Slots) -> dict[str, Any]:
        """The event's fields, without the absent ones. Raises Held where a function cannot give what it must."""
        data = {name: slots[slot] for name, slot in self.fields if slots[slot] is not None}
        if self.calls:
            rows = {name: slots[slot] for name, slot in self.bound}
            for call, is_credit in zip(self.calls, self._credits, strict=True):
                value = call.value(data, rows)
                if value is not None:
                    data[call.field] = value if is_credit is None else signed(value, is_credit(slots))
        return data


def signed(value: Any, credit: bool) -> Any:
    """An amount, negative when it is a credit's; what is negative already stays so."""
    return negate(value) if credit and value > 0 else value


@dataclass(frozen=True, slots=True)
class EmitPlan:
    """How one kind of event is made of a line.

    when: conditions on paths, and refuse: their function; bound: on columns, asked after the `before` steps. before and
    after are the steps that no other event shares. decides: slots that `bound` needs; uses: all slots the event needs.
    """

    type: str
    index: int
    when: Sequence[Condition]
    refuse: Callable[[Slots], str] | None
    bound: Sequence[Condition]
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
    line, for more than one event or for skip_bound: the conditions of `skip` on columns, which need those slots (skips).
    deciding: the paths that say what becomes of a line: of its conditions, and of its key. reader: compiles paths to what reads
    them; words: of the format.
    """

    each: str | None
    slots: int
    whole: Steps
    texts: Steps
    shared: Steps
    skip: Sequence[Condition]
    skip_bound: Sequence[Condition]
    skips: frozenset[int]
    emits: Sequence[EmitPlan]
    key: BusinessKey
    search: Search
    deciding: Sequence[Source]
    reader: Callable[[Sequence[Path]], Reader]
    words: Words
