"""A compiled mapping: what it makes of a message, and the parts that its functions are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from suture.mapping.keys import BusinessKey, Search
from suture.mapping.rules import OUT_OF_BOUNDS, Limit, rounded
from suture.mapping.sources import Condition, Held, Slots, Source, refusing
from suture.mapping.steps import Steps, signed
from suture.model.events import Event, event_id
from suture.model.message import Gap
from suture.model.reading import Path, Reader, Words
from suture.model.value import Draft, Value, fresh


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


class Call(Value, frozen=True):
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


@dataclass(slots=True)
class EmitPlan:
    """How one kind of event is made of a line: filled by the compilers, then changed by nobody.

    index: of its entry of `emit`. when: conditions on paths; bound: on columns, asked after the `before` steps. before and after
    are the steps that no other event shares. fields: name -> slot. rows: binding -> slot of its row, for the functions of calls.
    Slots: asks, that `skip` and `when` need; decides, that `bound` needs; uses, all that the event needs.
    """

    type: str
    index: int
    when: list[Condition] = field(default_factory=list)
    bound: list[Condition] = field(default_factory=list)
    fields: dict[str, int] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    asks: set[int] = field(default_factory=set)
    decides: set[int] = field(default_factory=set)
    uses: set[int] = field(default_factory=set)
    before: Steps = ()
    after: Steps = ()

    def event(self, slots: Slots, line: int, emits: int, key: str) -> Event:
        """The event of a line whose steps have run; emits: how many events a line may have. Raises Held where a function cannot give
        what it must."""
        return Event(self.type, (line - 1) * emits + self.index, line, key, self._data(slots), 0, event_id(self.type, key))

    def _data(self, slots: Slots) -> dict[str, Any]:
        """The event's fields, without the absent ones."""
        data = {name: slots[slot] for name, slot in self.fields.items() if slots[slot] is not None}
        rows = {name: slots[slot] for name, slot in self.rows.items()}
        for call in self.calls:
            value = call.value(data, rows)
            if value is not None:
                data[call.field] = signed(value, refusing(call.credit, slots) is None) if call.credit else value
        return data


class Plan(Value, frozen=True):
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
    skips: set[int]
    emits: Sequence[EmitPlan]
    key: BusinessKey
    search: Search
    deciding: Sequence[Source]
    reader: Callable[[Sequence[Path]], Reader]
    words: Words
