"""Some texts of a message, and of each of its segments of one name, read in one go.

Most messages have the standard's separators, and most of their fields none of the characters that mean more than they are:
of these a field is cut, and that is all, in functions made of source text for the paths that are asked for. A field with such
a character is read with all care, and so is a message with separators of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from suture.model.code import Code
from suture.model.reading import Doubt, Place, told
from suture.model.value import Value, changed
from suture.wire.hl7v2.text.delimiters import HEADERS, NULL_TEXT, STANDARD, USUAL
from suture.wire.hl7v2.text.er7 import Message
from suture.wire.hl7v2.text.path import Choice, Path
from suture.wire.hl7v2.text.reading import is_first
from suture.wire.hl7v2.text.segment import Segment

DOUBTFUL, DIVIDED = ("~", "\\", NULL_TEXT), ("&",)
"""What makes more of a component than a cut, and what divides it."""
SPECIAL = (*DOUBTFUL, *DIVIDED)
"""What makes a text in standard separators more than plain components: these are read with all care."""
ONE = ("",)
"""The only line of a message that is one."""

Texts = tuple[Any, ...]
Line = Callable[[Message, str, int], Texts]
Read = Callable[[Message], tuple[Texts, Sequence[str], Line]]


class Lines(Value, frozen=True):
    """Whose the texts of a message are: of each segment `each` that a mapping goes through (None: of none), if there is one only
    of the segments `alone`, and if shared(message) says so, where it is asked. check(message): as of model.reading.Reader."""

    each: str | None
    alone: Sequence[str]
    shared: Callable[[Message], bool] | None
    check: Callable[[Message], None]


class Reader:
    """Reads these places (of er7.Path), as model.reading.Reader says."""

    def __init__(self, places: Sequence[Place], lines: Lines) -> None:
        self.check, self._lines, self._each = lines.check, lines, lines.each or ""
        self.nothing = f"the message has no {self._each} segment, and comes to nothing"
        self._whole, self._own = [one for one in places if not one.own], [one for one in places if one.own]
        self.read: Read = _Whole().function(self._whole, lines, self._carefully, _Line(self._each, self._own).function())

    def parts(self, message: Message) -> Sequence[str]:
        """The segments `each`, as text."""
        return message.texts(self._each) if self._each else ONE

    def part(self, message: Message, line: int) -> Segment | None:
        """One of these segments, counted from 1."""
        return message.named(self._each)[line - 1] if self._each else None

    def _carefully(self, message: Message) -> tuple[Texts, Sequence[str], Line]:
        """`read` for any message."""
        lines = self._lines
        *texts, sure = told(self._whole, message, None)
        alone = not any(len(message.named(name)) > 1 for name in lines.alone) and (lines.shared is None or lines.shared(message))
        return (*texts, sure and alone), self.parts(message), self._line_carefully

    def _line_carefully(self, message: Message, part: str, line: int) -> Texts:
        return told(self._own, message, self.part(message, line))


class _Whole:
    """Writes the function that reads the texts of the message: those of a segment are read from its fields, cut once."""

    def __init__(self) -> None:
        self.code = Code("message")
        self._texts: dict[Path, str] = {}
        self._named: dict[str, str] = {}
        self._segments: dict[tuple[str, int], str] = {}
        self._components: dict[tuple[str, int, int], str] = {}

    def function(self, places: Sequence[Place], lines: Lines, carefully: Read, line: Line) -> Read:
        """read(message), with what gives the lines; in any doubt, as `carefully` gives it all."""
        code = self.code
        code.stop = f"return {code.const(carefully)}(message)"
        code.stop_if(f"message.delimiters is not {code.const(STANDARD)} and message.delimiters not in {code.const(USUAL)}")
        for name in lines.alone:
            code.stop_if(f"len({self._found(name)}) > 1")
        if lines.shared is not None:
            code.stop_if(f"not {code.const(lines.shared)}(message)")
        texts = "".join(f"{self._text(place)}, " for place in places)
        parts = f"message.texts({code.const(lines.each)})" if lines.each else code.const(ONE)
        code.line(f"return ({texts}True,), {parts}, {code.const(line)}")
        return code.function()

    def _text(self, place: Place) -> str:
        """The variable that the text has been read into: of one segment, the path that says which and the one that does not mean
        the same."""
        path = changed(_path_of(place), own=False)
        if path not in self._texts:
            self._texts[path] = f"p{len(self._texts)}"
            self._read(self._texts[path], place)
        return self._texts[path]

    def _read(self, name: str, place: Place) -> None:
        code, path = self.code, _path_of(place)
        if is_chosen(path) and path.segment not in HEADERS:
            self._choose(name, place)
        elif not is_plain(path) or path.all_repetitions or (path.segment in HEADERS and path.field <= 2):
            self._tell(name, place)
        else:
            fields, index = self._fields(path), path.index
            code.line(f'{name} = {fields}[{index}] if len({fields}) > {index} else ""')
            with code.block(f"if {name} and not {name}.isalnum()"):
                self._cut(name, place)

    def _cut(self, name: str, place: Place) -> None:
        """What a plain path means of a field."""
        code, path = self.code, _path_of(place)
        if path.one_repetition:
            code.line(f'{name} = {name}.partition("~")[0]')
        if path.component:
            several = "" if path.one_repetition else f' and "~" not in {name}'
            code.line(f'if (head := {name}.partition("^")[0]).isalnum(){several}: {name} = head')  # no letter or digit is a delimiter
        with code.block(f"{'el' if path.component else ''}if {special(code, name)}"):
            self._tell(name, place)
        code.line(f"else: {name} = {'head' if path.component else name}.strip()")

    def _choose(self, name: str, place: Place) -> None:
        """Read the component of a repetition that the path chooses."""
        code, path = self.code, _path_of(place)
        parts = self._parts(path)
        code.line(f"if {parts}.__class__ is str: {name} = {code.const(place.tell)}(message, None)")
        code.line(f"elif {parts}[0].__class__ is list: {name} = {code.const(among(path))}({parts})")
        code.line(f"else: {name} = {_chosen(code, path, parts, parts)}")
        self._doubt(name)

    def _tell(self, name: str, place: Place) -> None:
        self.code.line(f"{name} = {self.code.const(place.tell)}(message, None)")
        if not _path_of(place).all_repetitions:
            self._doubt(name)

    def _doubt(self, name: str) -> None:
        self.code.stop_if(f"{name}.__class__ is not str")

    def _parts(self, path: Path) -> str:
        """The components of a field of the message as a variable; a list of them for each of several repetitions; the
        field as it is where it has other special characters. Made once."""
        where = (path.segment, path.occurrence, path.field)
        if where not in self._components:
            code, fields, name = self.code, self._fields(path), f"h{len(self._components)}"
            self._components[where] = name
            code.line(f'{name} = {fields}[{path.index}] if len({fields}) > {path.index} else ""')
            code.line(f'if "~" not in {name}: {name} = {name} if {special(code, name)} else {name}.split("^")')
            others = special(code, name, SPECIAL[1:])
            code.line(f'elif not ({others}): {name} = [one.split("^") for one in {name}.split("~")]')
        return self._components[where]

    def _fields(self, path: Path) -> str:
        where = (path.segment, path.occurrence)
        if where not in self._segments:
            name, found = f"g{len(self._segments)}", self._found(path.segment)
            self._segments[where] = name
            there = found if path.occurrence == 1 else f"len({found}) >= {path.occurrence}"
            self.code.line(f"{name} = {found}[{path.occurrence - 1}].fields if {there} else ()")
        return self._segments[where]

    def _found(self, name: str) -> str:
        """The segments of that name, found once."""
        if name not in self._named:
            self._named[name] = f"n{len(self._named)}"
            self.code.line(f"{self._named[name]} = message.named({self.code.const(name)})")
        return self._named[name]


class _Line:
    """Writes the function that reads these places of one of the segments `each`, whose text it is given, in the standard's separators.

    A special character costs no more than the reading of the field that it stands in.
    """

    def __init__(self, each: str, places: Sequence[Place]) -> None:
        self.code, self.places = Code("message, text, line"), places
        self.each = self.code.const(each)

    def function(self) -> Line:
        code = self.code
        width = max([path.field + 1 for path in map(_path_of, self.places) if _is_cut(path)], default=0)
        if width:
            code.line(f"f = text.split({code.const(STANDARD.field)}, {width})")
            code.line(f"if len(f) < {width}: f += {code.const([''] * width)}")
        with code.block(f"if {special(code, 'text', DOUBTFUL)}"):
            self._give([self._looked_at(place, DOUBTFUL) for place in self.places])
        with code.block(f"if {special(code, 'text', DIVIDED)}"):
            self._give([self._looked_at(place, ()) for place in self.places])
        self._give([self._plain(place) for place in self.places])
        return code.function()

    def _give(self, texts: Sequence[tuple[str, bool]]) -> None:
        """The texts, each with whether it may be in doubt, and whether none is."""
        code, sure = self.code, []
        for number, (text, doubtful) in enumerate(texts):
            if doubtful:
                code.line(f"t{number} = {text}")
                sure.append(f"t{number}.__class__ is str")
        names = "".join(f"t{number}, " if doubtful else f"{text}, " for number, (text, doubtful) in enumerate(texts))
        code.line(f"return ({names}{' and '.join(sure) or True},)")

    def _told(self, place: Place) -> tuple[str, bool]:
        """The text, read with all care."""
        return f"{self.code.const(place.tell)}(message, message.named({self.each})[line - 1])", not _path_of(place).all_repetitions

    def _looked_at(self, place: Place, doubtful: Sequence[str]) -> tuple[str, bool]:
        """The text of a field that may hold the special characters that are doubtful, and that divide components."""
        code, path = self.code, _path_of(place)
        looked_for = doubtful if is_plain(path) else (*doubtful, *DIVIDED)
        if not _is_cut(path) or not looked_for:
            return self._plain(place, divided=True)
        told, may_be = self._told(place)
        return f"{told} if {special(code, f'f[{path.field}]', looked_for)} else {self._plain(place, divided=True)[0]}", may_be

    def _plain(self, place: Place, divided: bool = False) -> tuple[str, bool]:
        """The text of a field without special characters. divided: components may be, where the path is plain."""
        code, path = self.code, _path_of(place)
        field = f"f[{path.field}]"
        if not _is_cut(path):
            return self._told(place)
        if path.choices:
            return _chosen(code, path, "h", f'(h := {field}.split("^"))'), False
        if path.all_repetitions:
            return f"[one] if (one := {field}{_first_of(path, divided)}.strip()) else []", False
        if (path.component or 1) > 1:
            return _component(path, "h", f'(h := {field}.split("^", {path.component}))'), False
        return f"{field}{_first_of(path, divided)}.strip()", False


def special(code: Code, text: str, characters: Sequence[str] = SPECIAL) -> str:
    """Is anything in this text that asks for care?"""
    return " or ".join(f"{code.const(one)} in {text}" for one in characters)


def is_plain(path: Path) -> bool:
    """Is it a whole field or its first component, in a segment that is found by its number?"""
    return is_first(path) and path.condition is None


def is_chosen(path: Path) -> bool:
    """Is it a component of the repetition with given texts in other components, in a segment that is found by its number?"""
    simple = path.component is not None and (path.sub or 1) == 1 and not any(choice.sub for choice in path.choices)
    return bool(path.choices) and simple and path.condition is None


def among(path: Path) -> Callable[[list[list[str]]], str | Doubt]:
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


def _path_of(place: Place) -> Path:
    assert isinstance(place.path, Path)
    return place.path


def _is_cut(path: Path) -> bool:
    """Is the text of a line cut from its field, where that has no special characters?"""
    return path.segment not in HEADERS and (is_plain(path) or is_chosen(path) or _is_component(path))


def _is_component(path: Path) -> bool:
    """Is it another component, undivided, of the one repetition that there is?"""
    return not path.choices and path.repetition == 1 and (path.sub or 1) == 1 and not path.all_repetitions


def _first_of(path: Path, divided: bool = False) -> str:
    """The cut of the first component. divided: it may have subcomponents."""
    cut = '.partition("^")[0]' if path.component else ""
    return f'{cut}.partition("&")[0]' if cut and divided else cut


def _component(path: Path, parts: str, made: str) -> str:
    at = (path.component or 1) - 1
    return f'{parts}[{at}].strip() if len({made}) > {at} else ""'


def _chosen(code: Code, path: Path, parts: str, made: str) -> str:
    """The text of a component, where the others are as the path asks. made: an expression for the parts."""
    asks = [_asks(code, parts, choice) for choice in path.choices]
    asks[0] = asks[0].replace(parts, made, 1)
    at = (path.component or 1) - 1
    text = f"{parts}[{at}].strip()" if at == 0 else f'({parts}[{at}].strip() if len({parts}) > {at} else "")'
    return f'{text} if {" and ".join(asks)} else ""'


def _asks(code: Code, parts: str, choice: Choice) -> str:
    at = choice.component - 1
    if choice.value:
        return f"len({parts}) > {at} and {parts}[{at}] == {code.const(choice.value)}"
    return f"(len({parts}) <= {at} or not {parts}[{at}])"
