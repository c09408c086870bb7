"""The hot path: a compiled mapping run over one message."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from suture.mapping.codegen_lines import quick_way
from suture.mapping.keys import Found, find, pairs
from suture.mapping.plan import EmitPlan, Mapped, Plan
from suture.mapping.rules import AMBIGUOUS
from suture.mapping.sources import PART, RECEIVED, RECORD, Condition, Held, Slots, refusing
from suture.mapping.steps import run_all
from suture.model.errors import MessageError
from suture.model.events import Event
from suture.model.message import Gap
from suture.model.reading import Doubt, Record
from suture.model.storable import keepable

NUMBER_MAX = 19_999
"""Largest number of an event in its message: the store's small integer, with room for events that others add."""
NO_LINES, NO_EVENT = "NO_LINES", "NO_EVENT"
"""Codes of what comes to nothing and was not said to (docs/errors.md): a message without a line, a line that no `emit` takes."""
VALUE_CHARACTERS_MAX = 40
"""What stands where a condition was asked is shown so far: as a rule it is a code."""


_Whole = tuple[Slots, dict[int, Held | None]]
"""What all lines share: slots with the values of the whole message, and what is held of them."""


class Inbound:
    """A mapping from received messages to canonical events; made by compile_inbound, used for any number of messages.

    A message goes the quick way, one function made for this mapping. Where it meets anything out of the ordinary, the
    line (or the message) goes the careful way from the start, which alone knows what to say about it.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._blank: Slots = [None] * plan.slots
        self._lines_max = NUMBER_MAX // len(plan.emits)
        self._quick, self._reader = quick_way(plan)

    @property
    def key_place(self) -> str:
        """Where the business key stands in a message."""
        return self._plan.key.place

    def run(self, record: Record, received_at_us: int | None = None) -> Mapped:
        """Map one message, as its format has parsed it.

        received_at_us: microseconds since 1970, by which times are out of bounds; None: none is. The bytes of the message
        must have been decodable. Raises MessageError (stage map) when the message as a whole cannot be mapped; what is wrong
        in a line is a gap of that line, and no reason to stop.
        """
        mapped, found = Mapped(), Found()
        if not self._quick(record, mapped, found, self._count, self._slow_line, received_at_us):
            return self.run_carefully(record, received_at_us)
        mapped.search = pairs(found, mapped.events)
        return mapped

    def run_carefully(self, record: Record, received_at_us: int | None = None) -> Mapped:
        """The same, step by step."""
        self._reader.check(record)
        mapped, found = Mapped(), Found()
        whole = self._whole(record, received_at_us)
        find(self._plan.search.whole, whole[0], found)
        self._count(self._reader.parts(record), mapped)
        for line in range(1, mapped.lines + 1):
            self._slow_line(record, line, mapped, found, whole, received_at_us)
        mapped.search = pairs(found, mapped.events)
        return mapped

    def _count(self, parts: Sequence[Any], mapped: Mapped) -> None:
        """Note the lines."""
        if not parts:
            mapped.gaps.append(Gap(0, "", self._plan.each or "", self._reader.nothing, kind=NO_LINES))
        elif len(parts) > self._lines_max:
            raise MessageError("map", "TOO_MANY_LINES", self._plan.each or "", f"more than {self._lines_max} lines in one message")
        mapped.lines = len(parts)

    def _whole(self, record: Record, received_at_us: int | None) -> _Whole:
        slots, failed = self._blank.copy(), dict[int, Held | None]()
        slots[RECORD], slots[RECEIVED] = record, received_at_us
        run_all(self._plan.whole, slots, failed)
        return slots, failed

    def _slow_line(
        self,
        record: Record,
        line: int,
        mapped: Mapped,
        found: Found,
        whole: _Whole | None,
        received_at_us: int | None,
    ) -> _Whole:
        """Map one line. whole: what the line before gave back; None for the first one."""
        whole = whole or self._whole(record, received_at_us)
        slots, failed = whole[0].copy(), whole[1]
        slots[PART] = self._reader.part(record, line)
        Careful(self._plan, slots, line, failed, mapped).run()
        find(self._plan.search.own, slots, found)
        return whole


class Careful:
    """A line gone through step by step: every gap is found, and only the events that need what is wrong are held."""

    def __init__(self, plan: Plan, slots: Slots, line: int, failed: dict[int, Held | None], mapped: Mapped) -> None:
        self.plan, self.slots, self.line, self.mapped = plan, slots, line, mapped
        self.failed = dict(failed)
        self.key = ""
        self.gaps: dict[Gap, None] = {}
        self.events: list[Event] = []
        self.refused: dict[int, str] = {}

    def run(self) -> None:
        """Note what the line came to."""
        plan, mapped = self.plan, self.mapped
        for step in plan.texts:
            step.made.fill(step.slot, self.slots)
        sure = [one for one in plan.skip if one.source.needs.isdisjoint(self.failed)] if self.failed else plan.skip
        if self._undecided() or self._skipped(sure):
            return
        self.key = plan.key.text(self.slots, self.line)
        wanted = [emit for emit in plan.emits if self._wanted(emit)]
        if wanted or plan.skip_bound:
            run_all(plan.shared, self.slots, self.failed)
        if plan.skips.isdisjoint(self.failed) and self._skipped(plan.skip_bound):
            return
        for emit in wanted:
            self._emit(emit)
        mapped.keys[self.line] = self.key
        mapped.events += self.events
        mapped.suppressed += [(self.line, emit.type, self.refused[emit.index]) for emit in plan.emits if emit.index in self.refused]
        mapped.gaps.extend(self.gaps)
        if not self.events and not self.gaps:
            mapped.gaps.append(self._nothing())

    def _undecided(self) -> bool:
        """Does a place that says what becomes of the line hold several values? Then the line is held."""
        for source in self.plan.deciding:
            try:
                told = source.tell(self.slots)
            except Held:
                continue  # the segment may be another line's, which its own step tells of
            if told is Doubt.SEVERAL:
                self.mapped.gaps.append(Gap(self.line, "", source.place, self.plan.words.several, kind=AMBIGUOUS))
                self.mapped.keys[self.line] = self.plan.key.text(self.slots, self.line)
                return True
        return False

    def _skipped(self, conditions: Sequence[Condition]) -> bool:
        """Is the line one that `skip` names? Then that is noted."""
        for condition in conditions:
            value = condition.source.read(self.slots)
            if value in condition.values:
                reason = f"{condition.place} is {value or 'empty'}: skipped by the mapping"
                self.mapped.filtered.append((self.line, condition.place, reason))
                return True
        return False

    def _nothing(self) -> Gap:
        """The gap of a line that no `emit` takes: with the first place that kept one back, and what stands there."""
        asked = [one for emit in self.plan.emits if (one := refusing([*emit.when, *emit.bound], self.slots))]
        reasons = "; ".join(dict.fromkeys(condition.reason for condition in asked))
        value = keepable(asked[0].source.read(self.slots))[:VALUE_CHARACTERS_MAX]
        why = f"no event: {reasons}; let an `emit` take such lines, or name them in `skip`"
        return Gap(self.line, "", asked[0].place, why, value=value, kind=NO_EVENT)

    def _wanted(self, emit: EmitPlan) -> bool:
        """Is the event to be made of this line, as far as `skip`, its `when` and the line's key say?"""
        return not (self._held(emit, emit.asks) or self._refused(emit, emit.when) or self._held(emit, self.plan.key.slots))

    def _refused(self, emit: EmitPlan, conditions: Sequence[Condition]) -> bool:
        refused_by = refusing(conditions, self.slots)
        if refused_by is not None:
            self.refused[emit.index] = refused_by.reason
        return refused_by is not None

    def _emit(self, emit: EmitPlan) -> None:
        run_all(emit.before, self.slots, self.failed)
        if self._held(emit, emit.decides) or self._refused(emit, emit.bound):
            return
        run_all(emit.after, self.slots, self.failed)
        if self._held(emit, emit.uses):
            return
        try:
            self.events.append(emit.event(self.slots, self.line, len(self.plan.emits), self.key))
        except Held as held:
            own = -1 - emit.index
            self.failed[own] = held
            self._held(emit, (own,))

    def _held(self, emit: EmitPlan, needed: Collection[int]) -> bool:
        """Is a slot held that the event needs? Then it is held too, and the gaps are noted."""
        if self.failed.keys().isdisjoint(needed):
            return False
        self.mapped.held.append((self.line, emit.type))
        for slot, held in self.failed.items():
            if held is not None and slot in needed:
                self.gaps[held.gap(self.line)] = None
        return True
