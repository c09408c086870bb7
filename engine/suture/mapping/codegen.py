"""Functions made of source text: the quick way of a mapping through a message in which nothing is out of the ordinary.

A mapping that is run as a list of small functions spends most of its time in calling them. Here the same steps are
written down one after another as one function. Nothing of a mapping or a table ever stands in the source text: what is
fixed is a named constant (c0, c1, ...), what is computed is a numbered local (s<slot> for the value of a slot).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from suture.mapping.sources import NULL, Source, text_getter
from suture.mapping.steps import Condition
from suture.wire import er7

SPECIAL = ("~", "&", "\\", NULL)
"""What makes a text in standard separators more than plain components: these are read with all care."""


class Code:
    """A function in the making: its lines, and the constants that they name.

    stop: the statement that leaves the quick way at this point of the function.
    """

    def __init__(self, signature: str, stop: str) -> None:
        self.stop = stop
        self.constants: dict[str, Any] = {"__builtins__": {}, "len": len}
        self._names: dict[str, str] = {}
        self._head = [f"def quick({signature}):"]
        self._lines: list[str] = []
        self._depth = 1

    def const(self, value: Any) -> str:
        """The name of a constant."""
        if isinstance(value, str) and value in self._names:
            return self._names[value]
        name = f"c{len(self.constants)}"
        self.constants[name] = value
        if isinstance(value, str):
            self._names[value] = name
        return name

    def head(self, text: str) -> None:
        """Add a line before all others."""
        self._head.append("    " + text)

    def line(self, text: str) -> None:
        """Add a line."""
        self._lines.append("    " * self._depth + text)

    def stop_if(self, condition: str) -> None:
        """Leave the quick way where this holds."""
        self.line(f"if {condition}: {self.stop}")

    @contextmanager
    def block(self, head: str, wanted: bool = True) -> Iterator[None]:
        """Lines under a head such as `if x`; not wanted: as if there was no head."""
        if wanted:
            self.line(f"{head}:")
        self._depth += wanted
        yield
        self._depth -= wanted

    @contextmanager
    def deferred(self) -> Iterator[Callable[[str], None]]:
        """A place for lines that are only known when those after it are written: add them with what this gives."""
        place, indent = len(self._lines), "    " * self._depth
        late: list[str] = []

        def put(text: str) -> None:
            self._lines.insert(place + len(late), indent + text)
            late.append(text)

        yield put

    def function(self) -> Callable[..., Any]:
        """The function, ready to run. (Among its own constants it would keep itself, and the tables with it.)"""
        exec(compile("\n".join([*self._head, *self._lines]), "<quick way of a mapping>", "exec"), self.constants)
        function: Callable[..., Any] = self.constants.pop("quick")
        return function


def special(code: Code, text: str) -> str:
    """Is anything in this text that asks for care?"""
    return " or ".join(f"{code.const(one)} in {text}" for one in SPECIAL)


def local(slot: int) -> str:
    """The variable of a slot."""
    return f"s{slot}"


class Texts:
    """Expressions for texts: paths of the line (the raw fields in `f`), paths of the message (read once), columns, constants.

    width: how many fields of the line are asked for; sure: slots that are not None here; both as far as is known.
    """

    def __init__(self, code: Code) -> None:
        self.code = code
        self.width = 0
        self.sure: set[int] = set()
        self._named: dict[str, str] = {}
        self._segments: dict[tuple[str, int], str] = {}
        self._of_message: dict[str, str] = {}

    def source(self, source: Source) -> str:
        """The text of a source."""
        if source.column:
            return self._cell(source.slot or 0, source.column)
        if source.path is None:
            return self.code.const(source.text)
        if source.slot is not None:
            return local(source.slot)
        return self.of_line(source.path) if source.own else self.of_message(source.path)

    def key_of(self, source: Source) -> str:
        """The key of the row that a column is of."""
        return self._cell(source.slot or 0, source.key_column)

    def _cell(self, row: int, column: str) -> str:
        cell = f"{local(row)}[{self.code.const(column)}]"
        return cell if row in self.sure else f'({cell} if {local(row)} is not None else "")'

    def any_of(self, sources: tuple[Source, ...]) -> str:
        """The first text that is not empty."""
        return " or ".join(self.source(source) for source in sources)

    def holds(self, conditions: tuple[Condition, ...]) -> str:
        """Do all conditions match?"""
        return " and ".join(f"{self.source(c.source)} in {self.code.const(c.values)}" for c in conditions)

    def of_line(self, path: er7.Path) -> str:
        """The text at a path of a line without special characters."""
        if not _plain(path) or path.segment in er7.HEADERS:
            return f"{self.code.const(text_getter(path))}(message, segment)"
        self.width = max(self.width, path.field + 1)
        text = f"f[{path.field}]"
        return f'{text}.partition("^")[0].strip()' if path.component else f"{text}.strip()"

    def of_message(self, path: er7.Path) -> str:
        """The text at a path of a segment that stands once in the message: read once, before the lines are gone through."""
        if path.text not in self._of_message:
            name = self._of_message[path.text] = f"p{len(self._of_message)}"
            self._read(name, path)
        return self._of_message[path.text]

    def _read(self, name: str, path: er7.Path) -> None:
        code, careful = self.code, f"{self.code.const(text_getter(path))}(message, None)"
        if not _plain(path) or (path.segment in er7.HEADERS and path.field <= 2):
            code.head(f"{name} = {careful}")
            return
        fields, index = self._fields(path), path.index
        code.head(f'{name} = {fields}[{index}] if len({fields}) > {index} else ""')
        code.head(f"if {name} and not {name}.isalnum():")
        if path.component:
            code.head(f'    {name} = {name}.partition("^")[0]')
        code.head(f"    {name} = {careful} if {special(code, name)} else {name}.strip()")

    def _fields(self, path: er7.Path) -> str:
        where = (path.segment, path.occurrence)
        if where not in self._segments:
            name, found = f"g{len(self._segments)}", self.segments(path.segment)
            self._segments[where] = name
            self.code.head(f"{name} = {found}[{path.occurrence - 1}].fields if len({found}) >= {path.occurrence} else ()")
        return self._segments[where]

    def segments(self, name: str) -> str:
        """The segments of that name, found once."""
        if name not in self._named:
            self._named[name] = f"n{len(self._named)}"
            self.code.head(f"{self._named[name]} = message.named({self.code.const(name)})")
        return self._named[name]


def _plain(path: er7.Path) -> bool:
    """Is it a whole field or its first component, in a segment that is found by its number?"""
    return not path.kind and path.condition is None and path.repetition == 1 and (path.component or 1) == 1 and (path.sub or 1) == 1
