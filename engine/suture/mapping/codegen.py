"""The quick way of a mapping through a message in which nothing is out of the ordinary, as source text: what each text is there.

The same steps as those of the careful way are written down one after another as one function. What is computed is a numbered
local (s<slot> for the value of a slot, t<number> for a text that the format's reader has read).
"""

from __future__ import annotations

from collections.abc import Sequence

from suture.mapping.rules import Limit
from suture.mapping.sources import Condition, Source
from suture.model.code import Code
from suture.model.reading import Path, Place


def within(code: Code, limit: Limit, name: str) -> str:
    """Is the number in a variable within a limit?"""
    return f"({code.const(limit.low)} <= {name} <= {code.const(limit.high)})"


def local(slot: int) -> str:
    """The variable of a slot."""
    return f"s{slot}"


class Texts:
    """Expressions for texts: of the record and of the line, columns, constants.

    sure: slots that are not None here, as far as is known.
    """

    def __init__(self, code: Code) -> None:
        self.code = code
        self.sure: set[int] = set()
        self._read: dict[Path, tuple[str, bool]] = {}

    def source(self, source: Source) -> str:
        """The text of a source."""
        if source.column:
            return self._cell(source.slot + 1, source.column)
        if source.at is None:
            return self.code.const(source.text)
        return local(source.slot) if source.slot else self.at(source.at)

    def at(self, place: Place, name: str = "") -> str:
        """The variable of what the reader has read there. name: of one that may be it."""
        return self._read.setdefault(place.path, (name or f"t{len(self._read)}", place.own))[0]

    @property
    def paths(self) -> Sequence[Path]:
        """All that the reader is to read."""
        return list(self._read)

    def read(self, own: bool) -> str:
        """The variables of what it reads of each line (own), or of the record: as the targets of an assignment."""
        return "".join(f"{name}, " for name, of_line in self._read.values() if of_line is own)

    def key_of(self, source: Source) -> str:
        """The key of the row that a column is of."""
        return self._cell(source.slot + 1, source.key_column)

    def _cell(self, row: int, column: str) -> str:
        cell = f"{local(row)}[{self.code.const(column)}]"
        return cell if row in self.sure else f'({cell} if {local(row)} is not None else "")'

    def holds(self, conditions: tuple[Condition, ...]) -> str:
        """Do all conditions match?"""
        return " and ".join(f"{self.source(c.source)} in {self.code.const(c.values)}" for c in conditions)
