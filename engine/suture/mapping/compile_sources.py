"""Where the values of an entry of `emit` come from: paths, columns of the rows that its fields are bound to, texts."""

from __future__ import annotations

from collections.abc import Callable
from weakref import WeakMethod

from suture.mapping.compile_checks import split_column
from suture.mapping.conditions import Condition
from suture.mapping.hints import Loc, Problems, suggestion
from suture.mapping.program import Program
from suture.mapping.sources import Source, column_source, text_source
from suture.mapping.spec import Conditions, Emit, Value
from suture.mapping.tables import Table, Tables


class Sourcing:
    """Finds the sources of one entry. slot_of: gives the slot of a field by its name, None when it cannot be compiled.

    What is wrong goes to the program's problems.
    """

    def __init__(self, program: Program, tables: Tables, emit: Emit, slot_of: Callable[[str], int | None]) -> None:
        self.program, self.tables, self.emit = program, tables, emit
        self._slot_of = WeakMethod(slot_of)  # in a circle with who has it, the tables of a mapping would outlive the mapping
        self.problems: Problems = program.problems

    def sources(self, loc: Loc, value: Value) -> list[Source] | None:
        """All sources of a value, the first before the others; None when one of them is none."""
        if value.const is not None:
            return [text_source(value.const)]
        found = [self._source((*loc, "from", i), text) for i, text in enumerate(value.from_)]
        if value.default:
            split = split_column(value.default)
            found.append(self.column((*loc, "default"), *split) if split else text_source(value.default))
        return [source for source in found if source] if all(found) else None

    def _source(self, loc: Loc, text: str) -> Source | None:
        split = split_column(text)
        if split:
            return self.column(loc, *split)
        place = self.program.place(loc, text)
        return self.program.source(place) if place else None

    def column(self, loc: Loc, binding: str, column: str) -> Source | None:
        """The source that a column of a bound row is."""
        table = self._bound_table(binding)
        if table is None:
            self._unbound(loc, binding, column)
            return None
        if column not in table.columns:
            self.problems.unknown(loc, f"column of table {table.name}", column, table.columns)
            return None
        slot_of = self._slot_of()
        slot = slot_of(binding) if slot_of else None
        if slot is None:
            return None
        return column_source(f"{binding}.{column}", column, table, slot, self.program.own(slot))

    def _unbound(self, loc: Loc, binding: str, column: str) -> None:
        value = self.emit.set.get(binding)
        if value is not None and value.table:
            return  # the unknown table is a problem already
        bound = [name for name in self.emit.set if self._bound_table(name)]
        hint = suggestion(binding, bound) or f"; give a field a table, or write a path, e.g. {self.program.format.words.of_line}"
        self.problems.add(loc, f"'{binding}.{column}' is no column: no field '{binding}' with a table is in `set`{hint}")

    def _bound_table(self, binding: str) -> Table | None:
        value = self.emit.set.get(binding)
        return self.tables.get(value.table) if value is not None and value.table else None

    def columns(self, value: Value, table: Table | None) -> list[tuple[Table, str]]:
        """The columns of tables that a value may be taken from."""
        if table is not None:
            return [(table, table.result)] if table.result else []
        split = [found for text in [*value.from_, value.default or ""] if (found := split_column(text))]
        return [(bound, column) for binding, column in split if (bound := self._bound_table(binding))]

    def condition(self, loc: Loc, place: str, values: list[str]) -> tuple[Condition | None, Source | None]:
        """The condition, and its source when it is a column."""
        split = split_column(place)
        if split:
            source = self.column(loc, *split)
            return (Condition(place, source, frozenset(values)) if source else None), source
        return self.program.condition(loc, place, values), None

    def matches(self, loc: Loc, conditions: Conditions) -> tuple[list[Condition], set[int]]:
        """Conditions with the slots that they need."""
        made = [self.condition((*loc, place), place, values)[0] for place, values in conditions.items()]
        found = [condition for condition in made if condition is not None]
        return found, set[int]().union(*(condition.source.needs for condition in found))
