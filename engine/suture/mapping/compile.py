"""Compile an inbound mapping: check every name in it, then make the functions that the hot path runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial

from suture.mapping.compile_emit import EmitCompiler
from suture.mapping.compile_fields import split_column
from suture.mapping.hints import Loc, Problems, SpecError
from suture.mapping.inbound import Inbound
from suture.mapping.keys import BusinessKey, Clue, Search
from suture.mapping.plan import EmitPlan, Mapped, Plan
from suture.mapping.program import Program
from suture.mapping.rules import Rules
from suture.mapping.sources import Condition, Source
from suture.mapping.spec import Emit, InboundSpec
from suture.mapping.tables import Tables
from suture.model.reading import Place, Reading
from suture.model.search import wrong_kind

__all__ = ["Inbound", "Mapped", "SpecError", "compile_inbound"]


def compile_inbound(
    spec: InboundSpec, tables: Tables, rules: Rules, business_key: Sequence[str], channel: str, format_: Reading
) -> Inbound:
    """Make a mapping ready to run.

    rules: what the site and the channel say of values. business_key: paths of the channel's file; where there are none, those
    of the format, and the line is added. channel: part of every key, so that the keys of two channels are never the same.
    format_: what its messages are written in.
    Raises SpecError with everything that is wrong; a loc that begins with "business_key" is of the channel's file.
    """
    program = Program(format_, spec.each, rules, Problems())
    return _Compiler(spec, tables, business_key or format_.key, channel, program).compile()


class _Compiler:
    def __init__(self, spec: InboundSpec, tables: Tables, business_key: Sequence[str], channel: str, program: Program) -> None:
        self.spec, self.tables, self.business_key, self.channel = spec, tables, business_key, channel
        self.program, self.format, self.problems = program, program.format, program.problems
        self.asked = [*spec.skip, *(place for emit in spec.emit for place in (*emit.when, *emit.credit))]

    def compile(self) -> Inbound:
        spec = self.spec
        if spec.from_ != self.format.name:
            remedy = f"map by another, or say format: {spec.from_} in channel.yaml"
            self.problems.add(("from",), f"this mapping reads {spec.from_}, and the channel's messages are {self.format.name}; {remedy}")
        if spec.each is not None:
            try:
                self.format.check_each(spec.each)
            except ValueError as error:
                self.problems.add(("each",), str(error))
        on_paths = {place: values for place, values in spec.skip.items() if split_column(place) is None}
        skip = [found for place, values in on_paths.items() if (found := self.program.condition(("skip", place), place, values))]
        key = self._key()
        search = self._search()
        self._texts()
        self._alone()
        compilers = [EmitCompiler(self.program, self.tables, emit, i) for i, emit in enumerate(spec.emit)]
        emits = [compiler.compile() for compiler in compilers]
        skip_bound = self._skip_bound(compilers)
        self.problems.raise_if_any()
        return Inbound(self._plan(skip, skip_bound, key, search, emits))

    def _skip_bound(self, compilers: Sequence[EmitCompiler]) -> list[Condition]:
        """Conditions of `skip` on columns, which have to be the same for every event."""
        conditions = []
        for place, values in self.spec.skip.items():
            if split_column(place) is None:
                continue
            given = [compiler.fields.condition(("skip", place), place, values) for compiler in compilers]
            found = [condition for condition in given if condition is not None]
            if len({condition.source.id for condition in found}) > 1:
                self.problems.add(("skip", place), "the entries of `emit` set this field in different ways; skip by a path instead")
            conditions += found[:1]
        return conditions

    def _key(self) -> BusinessKey:
        first = self.spec.each is None  # the message's own number, whatever else is in it
        places = self._places(("business_key",), self.business_key, first)
        own, slots = [one.own for one in places], tuple(self.program.text(one) for one in places)
        shown = [one.path.text for one in places]
        name = self._name(places)
        place = ", ".join(shown) if name is None else shown[name]
        return BusinessKey(self.channel, slots, name, self.spec.each is not None and True not in own, self.format.identity, place)

    def _name(self, places: Sequence[Place]) -> int | None:
        """Which part of a key is the sender's own name for the thing: the first one, of the line where any is; None for none."""
        names = [i for i, one in enumerate(places) if self.format.is_name(one.path, self.asked)]
        own = any(one.own for one in places)
        return next((i for i in names if places[i].own), None if own else next(iter(names), None))

    def _places(self, loc: Loc, paths: Sequence[str], first: bool) -> list[Place]:
        found = [self.program.place((*loc, i), path, first) for i, path in enumerate(paths)]
        return [place for place in found if place is not None]

    def _search(self) -> Search:
        search = Search([], [])
        for kind, paths in self.spec.search.items():
            if wrong := wrong_kind(kind):
                self.problems.add(("search", kind), wrong)
            places = self._places(("search", kind), paths, first=True)
            if not paths:
                example = self.format.words.of_message
                self.problems.add(("search", kind), f"no path; write one, e.g. {example}, or leave the key out")
            clue = Clue(kind, tuple(self.program.text(place) for place in places))
            (search.own if any(place.own for place in places) else search.whole).append(clue)
        return search

    def _texts(self) -> None:
        """Conditions first, so that fields with the same path take the text that is there anyway."""
        for i, emit in enumerate(self.spec.emit):
            for key, conditions in (("when", emit.when), ("credit", emit.credit)):
                for place in conditions:
                    if split_column(place) is None and (found := self.program.place(("emit", i, key, place), place)):
                        self.program.text(found)

    def _alone(self) -> None:
        """Two events of one type in one line would have one id, and the second would be lost as a duplicate."""
        for i, emit in enumerate(self.spec.emit):
            twins = [j for j, other in enumerate(self.spec.emit[:i]) if other.event == emit.event and not _exclusive(emit, other)]
            for twin in twins:
                remedy = "give both a `when` on the same path with different values, so that a line raises one of them"
                self.problems.add(("emit", i, "event"), f"'{emit.event}' is raised by entry {twin + 1} of emit too; {remedy}")

    def _plan(self, skip: list[Condition], skip_bound: list[Condition], key: BusinessKey, search: Search, emits: list[EmitPlan]) -> Plan:
        program = self.program
        skips = program.closure(slot for condition in skip_bound for slot in condition.source.needs)
        shared = self._share(emits, skip, skips)
        return Plan(
            each=self.spec.each,
            slots=program.size,
            whole=tuple(step for step in program.steps if not step.own),
            texts=program.own_steps(program.texts),
            shared=program.own_steps(shared - program.texts),
            skip=skip,
            skip_bound=skip_bound,
            skips=skips,
            emits=emits,
            key=key,
            search=search,
            deciding=self._deciding(),
            reader=partial(self.format.reader, each=self.spec.each),
            words=self.format.words,
        )

    def _deciding(self) -> list[Source]:
        """The paths of all conditions and of the key."""
        places = dict.fromkeys([*self.asked, *self.business_key])
        found = self._places((), [place for place in places if split_column(place) is None], first=False)
        return [self.program.source(place) for place in found]

    def _share(self, emits: Sequence[EmitPlan], skip: Sequence[Condition], skips: set[int]) -> set[int]:
        """Give each event the steps that are its own; the slots that several need, or that `skip` does."""
        for emit in emits:
            emit.decides, emit.uses = self.program.closure(emit.decides), self.program.closure(emit.uses)
        users = Counter(slot for emit in emits for slot in emit.uses)
        shared = {slot for slot, times in users.items() if times > 1} | skips
        for emit in emits:
            emit.asks = {slot for condition in (*skip, *emit.when) for slot in condition.source.needs}
            private = emit.uses - shared - self.program.texts
            emit.before = self.program.own_steps(private & emit.decides)
            emit.after = self.program.own_steps(private - emit.decides)
        return shared


def _exclusive(one: Emit, other: Emit) -> bool:
    """Can no line match both?"""
    return any(set(values).isdisjoint(other.when[place]) for place, values in one.when.items() if place in other.when)
