"""The steps of a mapping as source text. Each does what the step of the same name does in steps.py, where nothing is wrong."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from suture.mapping.codegen import Code, Texts, local
from suture.mapping.functions import EXACT, negate
from suture.mapping.rules import Limit
from suture.mapping.sources import is_own
from suture.mapping.steps import Conversion, Credit, Recipe, Several, Step, Text
from suture.mapping.tables import Table
from suture.mapping.time_steps import Day, Times
from suture.mapping.values import Parser

ZERO = Decimal(0)


def within(code: Code, limit: Limit, name: str) -> str:
    """Is the number in a variable within a limit?"""
    return f"({code.const(limit.low)} <= {name} <= {code.const(limit.high)})"


class StepWriter:
    """Writes steps, and keeps up which slots are never None once their step has gone well."""

    def __init__(self, code: Code, texts: Texts) -> None:
        self.code, self.texts, self.sure = code, texts, texts.sure

    def write(self, steps: Iterable[Step]) -> None:
        """The steps in order."""
        for step in steps:
            self._step(step.made, step.slot)

    def _step(self, made: Any, slot: int) -> None:
        match made:
            case Text():
                self._text(made, slot)
            case Recipe(table=Table() as table):
                self._lookup(made, table, slot)
            case Recipe():
                self._value(made, slot)
            case Day():
                used_at = "None" if made.used_at is None else local(made.used_at)
                self.code.line(f"{local(slot)} = {self.code.const(made.of)}({used_at}, message)")
                self.code.stop_if(f"{local(slot)} is None")
                self.sure.add(slot)
            case Times():
                self.code.line(f"{local(slot)} = {self.code.const(made.of)}(message, received)")
            case Several():
                self._several(made, slot)
            case Credit():
                self._credit(made, slot)
            case Conversion():
                self._convert(made, slot)
            case _:
                raise TypeError(f"no source text for a step of {type(made).__name__}")

    def _several(self, made: Several, slot: int) -> None:
        """A list."""
        code, name, own = self.code, local(slot), is_own(made.path, made.each)
        code.line(f"{name} = {self.texts.list_of_line(made.path) if own else self.texts.list_of_message(made.path)}")
        if made.needs_value:
            code.stop_if(f"{name} is None")
            self.sure.add(slot)

    def _text(self, made: Text, slot: int) -> None:
        own = is_own(made.path, made.each)
        self.code.line(f"{local(slot)} = {self.texts.of_line(made.path) if own else self.texts.of_message(made.path)}")

    def _read(self, made: Recipe, name: str) -> None:
        """The first text that is there, changed by the text function."""
        self.code.line(f"{name} = {' or '.join(self.texts.source(source) for source in made.sources)}")
        if made.change is not None:
            self.code.line(f"if {name}: {name} = {self.code.const(made.change)}({name})")

    def _value(self, made: Recipe, slot: int) -> None:
        name = local(slot)
        self._read(made, name)
        self._absent(made, name, slot)
        if made.parse is not None:
            with self.code.block(f"if {name} is not None", wanted=slot not in self.sure):
                self._parse(made, made.parse, name)

    def _absent(self, made: Recipe, name: str, slot: int) -> None:
        """What becomes of an empty text."""
        if made.needs_value:
            self.code.stop_if(f"not {name}")
            self.sure.add(slot)
        elif made.change is None and any(source.text for source in made.sources):
            self.sure.add(slot)
        else:
            self.code.line(f"if not {name}: {name} = None")

    def _parse(self, made: Recipe, parse: Parser, name: str) -> None:
        read = self.code.const(parse) if made.times_slot is None else local(made.times_slot)
        self.code.line(f"{name} = {read}({name})")
        self.code.stop_if(f"{name} is None")
        if made.finish is not None:
            self.code.line(f"{name} = {self.code.const(made.finish)}({name})")

    def _lookup(self, made: Recipe, table: Table, slot: int) -> None:
        code, name, row = self.code, local(slot), local(slot + 1)
        self._read(made, name)
        if made.needs_value:
            code.stop_if(f"not {name}")
        else:
            code.line(f"{name} = {name} or None")
            code.line(f"{row} = None")
        with code.block(f"if {name} is not None", wanted=not made.needs_value):
            self._find(made, table, slot)
        if made.needs_value:
            self.sure |= {slot, slot + 1} if made.needs_row else {slot}

    def _find(self, made: Recipe, table: Table, slot: int) -> None:
        """The row, and the value in it, of a code that is not empty."""
        code, name, row = self.code, local(slot), local(slot + 1)
        day = "None" if made.day_slot is None else local(made.day_slot)
        code.line(f"{row} = {code.const(table.finder())}({name}{f', {day}' if table.dated else ''})")
        if made.needs_row:
            code.stop_if(f"{row} is None")
        if table.result is not None:
            code.line(f"if {row} is not None: {name} = {row}[{code.const(table.result)}] or None")
            if made.needs_value:
                code.stop_if(f"{name} is None")
        if made.parse is not None:
            with code.block(f"if {name} is not None"):
                self._parse(made, made.parse, name)

    def _credit(self, made: Credit, slot: int) -> None:
        code, number = self.code, local(made.number)
        code.line(f"{local(slot)} = {number}")
        with code.block(f"if {self.texts.holds(made.conditions)}"):
            is_number = "" if made.number in self.sure else f"{number} is not None and "
            code.line(f"if {is_number}{number} > {code.const(ZERO)}: {local(slot)} = {code.const(negate)}({number})")
        self.sure |= {slot} if made.number in self.sure else set()

    def _convert(self, made: Conversion, slot: int) -> None:
        code, quantity, unit, to = self.code, local(made.quantity), local(made.unit), f"t{slot}"
        names = [local(slot + i) for i in range(5)]
        day = "None" if made.day_slot is None else local(made.day_slot)
        code.line(f"{to} = {self.texts.source(made.to)}")
        code.stop_if(f"{quantity} is None or {unit} is None or not {to}")
        code.line(f"{names[0]} = {quantity}; {names[1]} = {unit}; {names[2]} = {names[3]} = {names[4]} = None")
        with code.block(f"if {unit} != {to}"):
            code.line(f"{names[4]} = {code.const(made.table.factor)}({self.texts.key_of(made.to)}, {unit}, {to}, {day})")
            code.stop_if(f"{names[4]} is None")
            code.line(f"{names[0]} = {code.const(EXACT.multiply)}({quantity}, {names[4]}); {names[1]} = {to}")
            code.stop_if(f"not {within(code, made.limit, names[0])}")
            code.line(f"{names[2]} = {quantity}; {names[3]} = {unit}")
        self.sure |= {slot, slot + 1}
