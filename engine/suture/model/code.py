"""Functions made of source text.

What is run for every message as a list of small functions spends most of its time in calling them; written down one after
another they are one function. Nothing of a file ever stands in the source text: what is fixed is a named constant (c0, c1, ...).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class Code:
    """A function in the making: its lines, and the constants that they name.

    stop: the statement that leaves the quick way at this point of the function.
    """

    def __init__(self, signature: str, stop: str = "") -> None:
        self.stop = stop
        self.constants: dict[str, Any] = {"__builtins__": {}, "len": len, "list": list, "str": str}
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
