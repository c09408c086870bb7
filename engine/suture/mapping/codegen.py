"""Functions made of source text: the quick way of a mapping through a message in which nothing is out of the ordinary.

A mapping that is run as a list of small functions spends most of its time in calling them. Here the same steps are
written down one after another as one function. Nothing of a mapping or a table ever stands in the source text: what is
fixed is a named constant (c0, c1, ...), what is computed is a numbered local (s<slot> for the value of a slot).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from suture.mapping.conditions import Condition
from suture.mapping.rules import Limit
from suture.mapping.sources import NULL, Get, Source, sure_getter, tell_getter, text_getter
from suture.wire.hl7v2.text import er7
from suture.wire.hl7v2.text.telling import Doubt, every

SPECIAL = ("~", "&", "\\", NULL)
"""What makes a text in standard separators more than plain components: these are read with all care."""
DOUBTFUL = ("~", "\\", NULL)
"""Of these, the ones that make more of the first component than a cut."""


class Code:
    """A function in the making: its lines, and the constants that they name.

    stop: the statement that leaves the quick way at this point of the function.
    """

    def __init__(self, signature: str, stop: str) -> None:
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


def special(code: Code, text: str, characters: Sequence[str] = SPECIAL) -> str:
    """Is anything in this text that asks for care?"""
    return " or ".join(f"{code.const(one)} in {text}" for one in characters)


def within(code: Code, limit: Limit, name: str) -> str:
    """Is the number in a variable within a limit?"""
    return f"({code.const(limit.low)} <= {name} <= {code.const(limit.high)})"


def local(slot: int) -> str:
    """The variable of a slot."""
    return f"s{slot}"


class Texts:
    """Expressions for texts: paths of the line (the raw fields in `f`), paths of the message (read once), columns, constants.

    each: the repeated segment. own: the line is looked at; segment: as the segment that it is, too; width: how many of its
    fields are asked for; sure: slots that are not None here; all as far as is known. odd: there are special characters somewhere
    in the line, so that each of its fields is looked at before it is read.
    """

    def __init__(self, code: Code, each: str | None) -> None:
        self.code, self.each, self.odd = code, each, False
        self.own, self.segment, self.width = False, False, 0
        self.sure: set[int] = set()
        self._named: dict[str, str] = {}
        self._segments: dict[tuple[str, int], str] = {}
        self._components: dict[tuple[str, int, int], str] = {}
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

    def holds(self, conditions: tuple[Condition, ...]) -> str:
        """Do all conditions match?"""
        return " and ".join(f"{self.source(c.source)} in {self.code.const(c.values)}" for c in conditions)

    def of_line(self, path: er7.Path) -> str:
        """The text at a path of a line. In an odd line it raises Doubted where the text is in doubt."""
        get = sure_getter if self.odd else text_getter
        if not (is_plain(path) or is_chosen(path)) or path.segment in er7.HEADERS:
            self.own = self.segment = True
            return f"{self.code.const(get(path))}(message, segment)"
        return self._where_plain(path, self._plain(path), get)

    def list_of_line(self, path: er7.Path) -> str:
        """The list of all texts that a path means; None where there is none."""
        if is_plain(path) and path.segment not in er7.HEADERS:
            return self._where_plain(path, f"[one] if (one := {self._plain(path)}) else None", every) + (" or None" if self.odd else "")
        self.own = self.segment = True
        return f"{self.code.const(every(path))}(message, segment) or None"

    def list_of_message(self, path: er7.Path) -> str:
        """The same of a segment that stands once in the message."""
        return f"{self.code.const(every(path))}(message, None) or None"

    def _plain(self, path: er7.Path) -> str:
        """The text at a path of a field without special characters; in an odd line, of one without DOUBTFUL ones."""
        self.own, self.width = True, max(self.width, path.field + 1)
        text = f"f[{path.field}]"
        if path.choices:
            return self._chosen(path, "h", f'(h := {text}.split("^"))')
        if path.component:
            text += '.partition("^")[0].partition("&")[0]' if self.odd else '.partition("^")[0]'
        return f"{text}.strip()"

    def _where_plain(self, path: er7.Path, plain: str, get: Callable[[er7.Path], Get]) -> str:
        """The short expression; in an odd line only where the field is none of those with a special character."""
        if not self.odd:
            return plain
        is_special = special(self.code, f"f[{path.field}]", SPECIAL if path.choices else DOUBTFUL)
        return f"({self.code.const(get(path))}(message, {self.of_each()}) if {is_special} else {plain})"

    def of_each(self) -> str:
        """The segment of the line, for who has no need of it in every line."""
        return "None" if self.each is None else f"message.named({self.code.const(self.each)})[line - 1]"

    def of_message(self, path: er7.Path) -> str:
        """The text at a path of a segment that stands once in the message: read once, before the lines are gone through."""
        if path.text not in self._of_message:
            name = self._of_message[path.text] = f"p{len(self._of_message)}"
            self._read(name, path)
        return self._of_message[path.text]

    def _read(self, name: str, path: er7.Path) -> None:
        """Read it into a variable; what is in doubt is left to the careful way, with the whole message."""
        code = self.code
        if is_chosen(path) and path.segment not in er7.HEADERS:
            self._choose(name, path)
            return
        if not is_plain(path) or (path.segment in er7.HEADERS and path.field <= 2):
            self._tell(name, path)
            return
        fields, index = self._fields(path), path.index
        code.head(f'{name} = {fields}[{index}] if len({fields}) > {index} else ""')
        code.head(f"if {name} and not {name}.isalnum():")
        if path.one_repetition:
            code.head(f'    {name} = {name}.partition("~")[0]')
        code.head(f"    if {special(code, name)}:")
        self._tell(name, path, "        ")
        if path.component:
            code.head(f'    else: {name} = {name}.partition("^")[0].strip()')
        else:
            code.head(f"    else: {name} = {name}.strip()")

    def _choose(self, name: str, path: er7.Path) -> None:
        """Read the component of a repetition that the path chooses."""
        code, parts = self.code, self._parts(path)
        code.head(f"if {parts}.__class__ is str: {name} = {code.const(tell_getter(path))}(message, None)")
        code.head(f"elif {parts}[0].__class__ is list: {name} = {code.const(among(path))}({parts})")
        code.head(f"else: {name} = {self._chosen(path, parts, parts)}")
        self._doubt(name)

    def _tell(self, name: str, path: er7.Path, indent: str = "") -> None:
        self.code.head(f"{indent}{name} = {self.code.const(tell_getter(path))}(message, None)")
        self._doubt(name, indent)

    def _doubt(self, name: str, indent: str = "") -> None:
        code = self.code
        code.head(f"{indent}if {name} is {code.const(Doubt.NULL)} or {name} is {code.const(Doubt.SEVERAL)}: return False")

    def _parts(self, path: er7.Path) -> str:
        """The components of a field of the message as a variable; a list of them for each of several repetitions; the
        field as it is where it has other special characters. Made once."""
        where = (path.segment, path.occurrence, path.field)
        if where not in self._components:
            fields, name = self._fields(path), f"h{len(self._components)}"
            self._components[where] = name
            self.code.head(f'{name} = {fields}[{path.index}] if len({fields}) > {path.index} else ""')
            self.code.head(f'if "~" not in {name}: {name} = {name} if {special(self.code, name)} else {name}.split("^")')
            others = special(self.code, name, SPECIAL[1:])
            self.code.head(f'elif not ({others}): {name} = [one.split("^") for one in {name}.split("~")]')
        return self._components[where]

    def _chosen(self, path: er7.Path, parts: str, made: str) -> str:
        """The text of a component, where the others are as the path asks. made: an expression for the parts."""
        asks = [self._asks(parts, choice) for choice in path.choices]
        asks[0] = asks[0].replace(parts, made, 1)
        at = (path.component or 1) - 1
        text = f"{parts}[{at}].strip()" if at == 0 else f'({parts}[{at}].strip() if len({parts}) > {at} else "")'
        return f'({text} if {" and ".join(asks)} else "")'

    def _asks(self, parts: str, choice: er7.Choice) -> str:
        at = choice.component - 1
        if choice.value:
            return f"len({parts}) > {at} and {parts}[{at}] == {self.code.const(choice.value)}"
        return f"(len({parts}) <= {at} or not {parts}[{at}])"

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


def is_plain(path: er7.Path) -> bool:
    """Is it a whole field or its first component, in a segment that is found by its number?"""
    return not path.choices and path.condition is None and path.repetition == 1 and (path.component or 1) == 1 and (path.sub or 1) == 1


def is_chosen(path: er7.Path) -> bool:
    """Is it a component of the repetition with given texts in other components, in a segment that is found by its number?"""
    simple = path.component is not None and (path.sub or 1) == 1 and not any(choice.sub for choice in path.choices)
    return bool(path.choices) and simple and path.condition is None


def among(path: er7.Path) -> Callable[[list[list[str]]], str | Doubt]:
    """What `told` says of such a path, for the components of repetitions without special characters."""
    asks, at = [(choice.component - 1, choice.value) for choice in path.choices], (path.component or 1) - 1

    def choose(repetitions: list[list[str]]) -> str | Doubt:
        found = ""
        for parts in repetitions:
            size = len(parts)
            for place, value in asks:
                if (parts[place] if place < size else "") != value:
                    break
            else:
                text = parts[at] if at < size else ""
                if text and found and text != found:
                    return Doubt.SEVERAL
                found = found or text
        return found.strip()

    return choose
