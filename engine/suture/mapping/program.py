"""The program that an inbound mapping is compiled to: steps in order, each with its slot, the same step never twice."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from suture.mapping.conditions import Condition
from suture.mapping.hints import Loc, Problems
from suture.mapping.rules import Rules
from suture.mapping.sources import FIRST_FREE, Source, is_own, is_sole, path_source
from suture.mapping.steps import Maker, Step, Text
from suture.wire.hl7v2.text import er7


class Program:
    """Collects steps. size: how many slots they need. texts: slots of plain texts (conditions, key, search).

    soles: names of segments of which a message may have one only, for all that is made of its lines (`is_sole`).
    """

    def __init__(self, each: str | None, rules: Rules, problems: Problems) -> None:
        self.each, self.rules, self.problems = each, rules, problems
        self.steps: list[Step] = []
        self.size = FIRST_FREE
        self.texts: set[int] = set()
        self.soles: set[str] = set()
        self._known: dict[Hashable, int] = {}
        self._by_slot: dict[int, Step] = {}

    def path(self, loc: Loc, text: str) -> er7.Path | None:
        """Read a path; a text that is none is noted as a problem."""
        try:
            return er7.path(text)
        except ValueError as error:
            self.problems.add(loc, str(error))
            return None

    def path_to_list(self, loc: Loc, text: str) -> er7.Path | None:
        """Read a path to all repetitions of a field; another text is noted as a problem."""
        try:
            path = er7.path_to_many(text)
        except ValueError as error:
            self.problems.add(loc, str(error))
            return None
        if path.all_repetitions and not path.all_segments and not path.all_components:
            return path
        self.problems.add(loc, f"'{text}' does not name all repetitions of a field; write e.g. FT1-26[*].1")
        return None

    def is_of_line(self, path: er7.Path) -> bool:
        """Is the path read from the repeated segment?"""
        return is_own(path, self.each)

    def is_own(self, text: str) -> bool:
        """Is the path (a sound one) read from the repeated segment?"""
        return is_own(er7.path(text), self.each)

    def add(self, key: Hashable, needs: Iterable[int], own: bool, made: Maker, width: int = 1) -> int:
        """The slot of the step that this key stands for; it is made, with `width` slots, when there is none yet."""
        if key in self._known:
            return self._known[key]
        slot = self._known[key] = self.size
        self.size += width
        needed = frozenset(needs)
        step = Step(made.step(slot), slot, needed, own or any(self.own(need) for need in needed), made)
        self.steps.append(step)
        self._by_slot.update({slot + i: step for i in range(width)})
        return slot

    def own(self, slot: int) -> bool:
        """Does the value in the slot differ from line to line?"""
        return self._by_slot[slot].own

    def closure(self, slots: Iterable[int]) -> frozenset[int]:
        """The slots of the steps that fill these slots, and of all steps that those need."""
        found: set[int] = set()
        waiting = list(slots)
        while waiting:
            step = self._by_slot[waiting.pop()]
            if step.slot not in found:
                found.add(step.slot)
                waiting.extend(step.needs)
        return frozenset(found)

    def text(self, loc: Loc, text: str, first: bool = False) -> int | None:
        """The slot of the plain text at a path, which always is a text; None when it is no path. first: as of Text."""
        path = self.path(loc, text)
        if path is None:
            return None
        if first := first and is_sole(path, self.each):
            slot = self.add(("first", text), (), False, Text(path, self.each, first))
        else:
            slot = self.add(("text", text), (), is_own(path, self.each), Text(path, self.each))
            self.note_sole(path)
        self.texts.add(slot)
        return slot

    def condition(self, loc: Loc, text: str, values: Iterable[str]) -> Condition | None:
        """A condition on the plain text at a path; None when it is no path."""
        if self.text(loc, text) is None:
            return None
        return Condition(text, self.source(er7.path(text)), frozenset(values))

    def source(self, path: er7.Path) -> Source:
        """The value at a path, taken from the plain text's slot where there is one."""
        self.note_sole(path)
        return path_source(path, self.each, self._known.get(("text", path.text)))

    def note_sole(self, path: er7.Path) -> None:
        """Values of lines are read at this path."""
        if is_sole(path, self.each):
            self.soles.add(path.segment)
