"""The program that an inbound mapping is compiled to: steps in order, each with its slot, the same step never twice."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable

from suture.mapping.hints import Loc, Problems
from suture.mapping.rules import Rules
from suture.mapping.sources import FIRST_FREE, Condition, Source
from suture.mapping.steps import Maker, Step, Steps, Text
from suture.model.reading import Place, Reading


class Program:
    """Collects steps. size: how many slots they need. texts: slots of plain texts (conditions, key, search)."""

    def __init__(self, format_: Reading, each: str | None, rules: Rules, problems: Problems) -> None:
        self.format, self.each, self.rules, self.problems = format_, each, rules, problems
        self.steps: list[Step] = []
        self.size = FIRST_FREE
        self.texts: set[int] = set()
        self._known: dict[Hashable, int] = {}
        self._by_slot: dict[int, Step] = {}

    def place(self, loc: Loc, text: str, first: bool = False, many: bool = False) -> Place | None:
        """Read a path; a text that is none is noted as a problem. first: of several places in a record the first will do. many: it
        is to be a path to a list."""
        read = self.format.path_to_list if many else self.format.path
        try:
            return self.format.place(read(text), self.each, first)
        except ValueError as error:
            self.problems.add(loc, str(error))
            return None

    def add(self, key: Hashable, needs: Iterable[int], own: bool, made: Maker, width: int = 1) -> int:
        """The slot of the step that this key stands for; it is made, with `width` slots, when there is none yet."""
        if key in self._known:
            return self._known[key]
        slot = self._known[key] = self.size
        self.size += width
        needed = frozenset(needs)
        step = Step(slot, needed, own or any(self.own(need) for need in needed), made)
        self.steps.append(step)
        self._by_slot.update({slot + i: step for i in range(width)})
        return slot

    def own_steps(self, slots: Collection[int]) -> Steps:
        """The steps that fill these slots for each line, in order."""
        return tuple(step for step in self.steps if step.own and step.slot in slots)

    def own(self, slot: int) -> bool:
        """Does the value in the slot differ from line to line?"""
        return self._by_slot[slot].own

    def closure(self, slots: Iterable[int]) -> set[int]:
        """The slots of the steps that fill these slots, and of all steps that those need."""
        found: set[int] = set()
        waiting = list(slots)
        while waiting:
            step = self._by_slot[waiting.pop()]
            if step.slot not in found:
                found.add(step.slot)
                waiting.extend(step.needs)
        return found

    def text(self, place: Place) -> int:
        """The slot of the plain text at a place, which always is a text."""
        slot = self.add(("text", place.path), (), place.own, Text(place))
        self.texts.add(slot)
        return slot

    def condition(self, loc: Loc, text: str, values: Iterable[str]) -> Condition | None:
        """A condition on the plain text at a path; None when it is no path."""
        place = self.place(loc, text)
        if place is None:
            return None
        self.text(place)
        return Condition(text, self.source(place), frozenset(values))

    def source(self, place: Place) -> Source:
        """The value at a place, taken from the plain text's slot where there is one."""
        return Source(place.path.text, place.own, place, slot=self._known.get(("text", place.path), 0))
