"""Compile an inbound mapping: check every name in it, then make the functions that the hot path runs."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from suture.mapping.compile_checks import split_column
from suture.mapping.compile_emit import EmitCompiler, Emitted
from suture.mapping.conditions import Condition, refusal
from suture.mapping.hints import Loc, Problems, SpecError
from suture.mapping.inbound import Inbound
from suture.mapping.keys import BusinessKey, Clue, Search, telling
from suture.mapping.plan import Assembly, EmitPlan, Mapped, Plan
from suture.mapping.program import Program
from suture.mapping.rules import Rules
from suture.mapping.sources import Source
from suture.mapping.spec import Conditions, Emit, InboundSpec
from suture.mapping.steps import Step, Steps
from suture.mapping.tables import Tables
from suture.model.search import wrong_kind
from suture.wire.hl7v2.text import er7

__all__ = ["Inbound", "Mapped", "SpecError", "compile_inbound"]

DEFAULT_KEY = ("MSH-3", "MSH-4", "MSH-10")
"""The business key where a channel names none; the line is added."""

_SEGMENT = re.compile("[A-Z][A-Z0-9]{2}")


def compile_inbound(spec: InboundSpec, tables: Tables, rules: Rules, business_key: Sequence[str], channel: str) -> Inbound:
    """Make a mapping ready to run.

    rules: what the site and the channel say of values. business_key: paths of the channel's file, may be
    empty. channel: part of every key, so that the keys of two channels are never the same.
    Raises SpecError with everything that is wrong; a loc that begins with "business_key" is of the channel's file.
    """
    return _Compiler(spec, tables, rules, business_key, channel).compile()


@dataclass(frozen=True, slots=True)
class _Skips:
    """The conditions of `skip`. needs: the slots that those on columns need."""

    on_paths: list[Condition]
    on_columns: list[Condition]
    needs: frozenset[int]


class _Compiler:
    def __init__(self, spec: InboundSpec, tables: Tables, rules: Rules, business_key: Sequence[str], channel: str) -> None:
        self.spec, self.tables, self.business_key, self.channel = spec, tables, business_key, channel
        self.problems = Problems()
        self.program = Program(spec.each, rules, self.problems)

    def compile(self) -> Inbound:
        spec = self.spec
        if spec.each is not None and not _SEGMENT.fullmatch(spec.each):
            self.problems.add(("each",), f"'{spec.each}' is not a segment; write its three letters, e.g. FT1")
        skip = self._conditions(("skip",), {place: values for place, values in spec.skip.items() if split_column(place) is None})
        key = self._key()
        search = self._search()
        self._texts()
        self._alone()
        compilers = [EmitCompiler(self.program, self.tables, emit, ("emit", i)) for i, emit in enumerate(spec.emit)]
        emitted = [compiler.compile() for compiler in compilers]
        skip_bound, skips = self._skip_bound(compilers)
        self.problems.raise_if_any()
        return Inbound(self._plan(_Skips(skip, skip_bound, skips), key, search, emitted))

    def _skip_bound(self, compilers: Sequence[EmitCompiler]) -> tuple[list[Condition], frozenset[int]]:
        """Conditions of `skip` on columns, which have to be the same for every event, and the slots that they need."""
        conditions, needs = [], set[int]()
        for place, values in self.spec.skip.items():
            if split_column(place) is None:
                continue
            given = [compiler.condition(("skip", place), place, values) for compiler in compilers]
            found = [(condition, source) for condition, source in given if condition is not None and source is not None]
            if len({source.id for _, source in found}) > 1:
                self.problems.add(("skip", place), "the entries of `emit` set this field in different ways; skip by a path instead")
            if found:
                conditions.append(found[0][0])
                needs |= found[0][1].needs
        return conditions, self.program.closure(needs)

    def _conditions(self, loc: Loc, conditions: Conditions) -> list[Condition]:
        found = []
        for place, values in conditions.items():
            condition = self.program.condition((*loc, place), place, values)
            if condition is not None:
                found.append(condition)
        return found

    def _key(self) -> BusinessKey:
        first = self.spec.each is None  # the message's own number, whatever else is in it
        paths = self.business_key or DEFAULT_KEY
        parts = [(self.program.text(("business_key", i), path, first), path) for i, path in enumerate(paths)]
        sound = [(slot, er7.path(path), self.program.is_own(path)) for slot, path in parts if slot is not None]
        own = [one for _, _, one in sound]
        tested = set(self.spec.skip).union(*({*emit.when, *emit.credit} for emit in self.spec.emit))
        name = telling([path for _, path, _ in sound], own, tested)
        places = [path.text for _, path, _ in sound]
        place = ", ".join(places) if name is None else places[name]
        return BusinessKey(self.channel, tuple(slot for slot, _, _ in sound), name, self.spec.each is not None and True not in own, place)

    def _search(self) -> Search:
        search = Search([], [])
        for kind, paths in self.spec.search.items():
            if wrong := wrong_kind(kind):
                self.problems.add(("search", kind), wrong)
            slots = [self.program.text(("search", kind, i), path, first=True) for i, path in enumerate(paths)]
            if not slots:
                self.problems.add(("search", kind), "no path; write one, e.g. PID-3.1, or leave the key out")
            own = any(self.program.is_own(path) for path, slot in zip(paths, slots, strict=True) if slot is not None)
            clue = Clue(kind, tuple(slot for slot in slots if slot is not None))
            (search.own if own else search.whole).append(clue)
        return search

    def _texts(self) -> None:
        """Conditions first, so that fields with the same path take the text that is there anyway."""
        for i, emit in enumerate(self.spec.emit):
            for key, conditions in (("when", emit.when), ("credit", emit.credit)):
                for place in conditions:
                    if split_column(place) is None:
                        self.program.text(("emit", i, key, place), place)

    def _alone(self) -> None:
        """Two events of one type in one line would have one id, and the second would be lost as a duplicate."""
        for i, emit in enumerate(self.spec.emit):
            twins = [j for j, other in enumerate(self.spec.emit[:i]) if other.event == emit.event and not _exclusive(emit, other)]
            for twin in twins:
                remedy = "give both a `when` on the same path with different values, so that a line raises one of them"
                self.problems.add(("emit", i, "event"), f"'{emit.event}' is raised by entry {twin + 1} of emit too; {remedy}")

    def _plan(self, skip: _Skips, key: BusinessKey, search: Search, emitted: list[Emitted]) -> Plan:
        program = self.program
        uses = [program.closure(emit.uses) for emit in emitted]
        texts = {step.slot for step in program.steps if step.slot in program.texts}
        shared = {s for i, own in enumerate(uses) for s in own if any(s in other for other in uses[i + 1 :])} | skip.needs
        return Plan(
            each=self.spec.each,
            slots=program.size,
            whole=_steps(program, lambda step: not step.own),
            texts=_steps(program, lambda step: step.own and step.slot in texts),
            shared=_steps(program, lambda step: step.own and step.slot in shared - texts),
            skip=skip.on_paths,
            skip_bound=skip.on_columns,
            skips=skip.needs,
            emits=[self._emit(i, emit, uses[i], shared | texts) for i, emit in enumerate(emitted)],
            key=key,
            search=search,
            soles=frozenset(program.soles),
            deciding=self._deciding(),
        )

    def _deciding(self) -> list[Source]:
        """The paths of all conditions and of the key."""
        tested = [place for emit in self.spec.emit for place in (*emit.when, *emit.credit)]
        places = dict.fromkeys([*self.spec.skip, *tested, *(self.business_key or DEFAULT_KEY)])
        return [self.program.source(er7.path(place)) for place in places if split_column(place) is None]

    def _emit(self, index: int, emit: Emitted, uses: frozenset[int], elsewhere: set[int]) -> EmitPlan:
        decides = self.program.closure(emit.decides)
        private = uses - elsewhere
        return EmitPlan(
            type=emit.type,
            index=index,
            when=emit.when,
            refuse=refusal(emit.when),
            bound=emit.when_bound,
            refuse_bound=refusal(emit.when_bound),
            before=_steps(self.program, lambda step: step.own and step.slot in private & decides),
            after=_steps(self.program, lambda step: step.own and step.slot in private - decides),
            decides=decides,
            uses=uses,
            assembly=Assembly(emit.fields, emit.calls, emit.bound),
        )


def _steps(program: Program, wanted: Callable[[Step], Any]) -> Steps:
    return Steps(tuple([step for step in program.steps if wanted(step)]))


def _exclusive(one: Emit, other: Emit) -> bool:
    """Can no line match both?"""
    return any(set(values).isdisjoint(other.when[place]) for place, values in one.when.items() if place in other.when)
