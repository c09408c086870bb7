"""YAML files as plain text values with the line of each, and syntax errors in our own words.

Every scalar stays text (`NO` is not False, `010` is not 8); the models give values their types.
"""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import yaml

from suture.model.errors import Problem

LIMIT_BYTES = 1 << 20
LIMIT_DEPTH = 40
LIMIT_VALUES = 50_000
"""Values after aliases are written out: a few anchors can stand for millions."""

DIRECTORIES = ("", "conf", "channels", "mappings", "mappings/tables", "mappings/profiles")
"""Of a site, each of which may be missing; the first is its own."""

Loc = tuple[str | int, ...]
"""A place inside a document, as pydantic writes it: keys and list indexes from 0."""


class Mark(NamedTuple):
    """Where something was written: file as shown to the user, line from 1."""

    file: str
    line: int


@dataclass(slots=True)
class Document:
    """A file's content. data: dicts, lists and text. marks: where each key and list item stands.

    broken: places that already have their own problem, so that no later check complains about them again.
    hidden: by place, the texts that came from references and must never be shown, each with what to show instead; the
    whole value first.
    """

    file: str
    data: Any = field(repr=False)
    marks: dict[Loc, Mark] = field(default_factory=dict, repr=False)
    broken: set[Loc] = field(default_factory=set)
    hidden: dict[Loc, list[tuple[str, str]]] = field(default_factory=dict, repr=False)

    def mark(self, loc: Loc) -> Mark:
        """The line of the place, or of the nearest place above it that was written."""
        while loc and loc not in self.marks:
            loc = loc[:-1]
        return self.marks.get(loc, Mark(self.file, 1))

    def problem(self, loc: Loc, text: str, place: Loc | None = None) -> Problem:
        """A problem at the line of loc; place: what to show instead of loc."""
        mark = self.mark(loc)
        return Problem(mark.file, mark.line, shown(loc if place is None else place), text)

    def at(self, loc: Loc) -> Any:
        """What stands at the place; None where nothing does."""
        found = self.data
        for step in loc:
            found = found[step] if holds(found, step) else None
        return found

    def put(self, loc: Loc, text: str) -> None:
        """Let a text stand at the place, where one stands."""
        if loc:
            self.at(loc[:-1])[loc[-1]] = text
        else:
            self.data = text

    def section(self, *loc: str) -> dict[str, Any]:
        """What stands at the place; empty where that is no section."""
        found = self.at(loc)
        return found if isinstance(found, dict) else {}

    def is_broken(self, loc: Loc) -> bool:
        """Does the place, or one above it, already have a problem of its own?"""
        return any(loc[:n] in self.broken for n in range(len(loc) + 1))


def holds(data: Any, step: Any) -> bool:
    """Does anything stand at this key of a section, or at this index of a list?"""
    return (isinstance(data, dict) and step in data) or (isinstance(data, list) and isinstance(step, int) and step < len(data))


def shown(loc: Loc) -> str:
    """A place as text: destinations.erp.to"""
    return ".".join(map(str, loc))


def read_yaml(path: Path, file: str) -> tuple[Document | None, list[Problem]]:
    """Read one file. The document is None when nothing can be made of it; it may come together with problems.

    file: its name in problems and marks (a path relative to the site).
    """
    try:
        if path.stat().st_size > LIMIT_BYTES:
            return None, [Problem(file, 1, "", f"the file is larger than {LIMIT_BYTES} bytes")]
        text = decode(read_file(path), file)
    except FileNotFoundError:
        return None, [Problem(file, 1, "", "there is no such file")]
    except OSError as error:
        return None, [Problem(file, 1, "", f"cannot be read: {error.strerror}")]
    return (None, [text]) if isinstance(text, Problem) else parse_yaml(text, file)


def parse_yaml(text: str, file: str) -> tuple[Document | None, list[Problem]]:
    """Like `read_yaml`, for text that is already there."""
    builder = _Builder(Document(file, {}))
    try:
        node = yaml.compose(text, Loader=_Loader)
        if node is not None:
            builder.document.data = builder.build(node, ())
    except _Limit as error:
        return None, [Problem(file, error.line, "", error.text)]
    except yaml.reader.ReaderError as error:
        return None, [Problem(file, text.count("\n", 0, error.position) + 1, "", f"character U+{error.character:04X} is not allowed here")]
    except yaml.MarkedYAMLError as error:
        return None, _syntax(error, text, file)
    return builder.document, builder.problems


def read_file(path: Path) -> bytes:
    """The bytes of a file. Raises OSError; a pipe or a device, whose end may never come, is one."""
    _require_file(path)
    return path.read_bytes()


def open_text(path: Path) -> TextIO:
    """A text file to be read line by line, with line ends as they are, without a byte-order mark. Raises OSError as `read_file`."""
    _require_file(path)
    return path.open(encoding="utf-8-sig", newline="")


def _require_file(path: Path) -> None:
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise OSError(errno.EINVAL, "it is a pipe, a socket or a device; put a file in its place")


def unreadable(directory: Path) -> list[Problem]:
    """A problem for each directory of the site that is there and cannot be listed: what is in it would seem to be missing."""
    problems = []
    for name in DIRECTORIES:
        try:
            os.listdir(directory / name)
            (directory / name / "x").exists()  # a directory may be listed, and what is in it not be opened
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            remedy = "; look at the directory's permissions" if isinstance(error, PermissionError) else ""
            problems.append(Problem(name or str(directory), 1, "", f"cannot be read: {error.strerror}{remedy}"))
            if not name:
                break
    return problems


def decode(raw: bytes, file: str) -> str | Problem:
    """Bytes of a text file as text, a byte-order mark dropped; the problem, where they are none."""
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        return Problem(file, line, "", f"byte 0x{raw[error.start]:02X} is not UTF-8; save the file as UTF-8")


class _Limit(Exception):
    def __init__(self, line: int, text: str) -> None:
        super().__init__(text)
        self.line, self.text = line, text


class _Loader(yaml.BaseLoader):
    """BaseLoader that refuses deep nesting before Python's own stack does."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self.depth += 1
        if self.depth > LIMIT_DEPTH:
            raise _Limit(self.peek_event().start_mark.line + 1, f"nested deeper than {LIMIT_DEPTH} levels")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


class _Builder:
    """Turns YAML nodes into plain data, noting lines, and problems that are not errors of syntax."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.problems: list[Problem] = []
        self.count = 0

    def build(self, node: Any, loc: Loc) -> Any:
        self.count += 1
        line = node.start_mark.line + 1
        if self.count > LIMIT_VALUES:
            raise _Limit(line, f"more than {LIMIT_VALUES} values, with aliases written out")
        if len(loc) > LIMIT_DEPTH:
            raise _Limit(line, f"nested deeper than {LIMIT_DEPTH} levels (an alias inside its own anchor?)")
        self.document.marks.setdefault(loc, Mark(self.document.file, line))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, loc)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(child, (*loc, i)) for i, child in enumerate(node.value)]
        return self._scalar(node, loc)

    def _mapping(self, node: yaml.MappingNode, loc: Loc) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._problem(key, loc, 'a key must be plain text; put texts that contain { } or [ ] in quotes ("...")')
                self.document.broken.add(loc)
                continue
            place = (*loc, key.value)
            if key.value in data:
                first = self.document.marks[place].line
                self._problem(key, loc, f"{key.value!r} is written twice (first at line {first}); keep one")
                continue
            self.document.marks[place] = Mark(self.document.file, key.start_mark.line + 1)
            data[key.value] = self.build(value, place)
        return data

    def _scalar(self, node: yaml.ScalarNode, loc: Loc) -> str | None:
        if not node.tag.startswith("tag:yaml.org,2002:str"):
            self._problem(node, loc, f"a tag ({node.tag.replace('tag:yaml.org,2002:', '!!')}) has no meaning here; write the value alone")
            self.document.broken.add(loc)
        if node.value == "" and node.style is None and loc:
            # The key's own line: the node of a missing value stands wherever the parser noticed.
            self.problems.append(self.document.problem(loc, 'has no value; write one ("" for an empty text) or remove the line'))
            self.document.broken.add(loc)
            return None
        return str(node.value)

    def _problem(self, node: Any, loc: Loc, text: str) -> None:
        self.problems.append(Problem(self.document.file, node.start_mark.line + 1, shown(loc), text))


def _syntax(error: yaml.MarkedYAMLError, text: str, file: str) -> list[Problem]:
    mark = error.problem_mark or error.context_mark
    line = mark.line + 1 if mark else 1
    start = error.context_mark.line + 1 if error.context_mark else line
    if "\\t" in (error.problem or "") or "\t" in (error.problem or ""):
        tabs = [n for n, content in enumerate(text.splitlines(), 1) if content.lstrip(" ").startswith("\t")] or [line]
        return [Problem(file, n, "", "a tab; indent with spaces") for n in tabs]
    if "quoted scalar" in (error.context or "") and "end of" in (error.problem or ""):
        return [Problem(file, start, "", "a quote is opened here and never closed")]
    return [Problem(file, line, "", _syntax_text(error.problem or "not YAML", error.context or "", start))]


_SYNTAX = {
    "mapping values are not allowed": "a ': ' does not fit here; put a text that holds one in quotes, "
    "or check the indentation and whether the line above lacks its ':'",
    "sequence entries are not allowed": "a list ('- ...') begins on a line of its own below its key",
    "could not find expected ':'": "a key without ':'; write `key: value`, and texts over several lines in quotes",
    "expected <block end>": "the indentation does not fit the lines above",
    "expected a single document": "a second document begins ('---'); a file holds one",
    "unknown escape character": "a backslash in double quotes begins an escape; use single quotes ('...')",
    "cannot start any token": "a text may not begin with this character; put it in quotes",
    "did not find expected key": "the indentation does not fit the lines above",
}


def _syntax_text(problem: str, context: str, start: int) -> str:
    if "alias" in problem or "alias" in context:
        return 'a text that begins with * must stand in quotes ("*"); an alias must follow its anchor'
    if "flow" in context:
        return f"the bracket of line {start} is not closed, or a text inside it with any of [ ] {{ }} , : lacks quotes"
    for part, text in _SYNTAX.items():
        if part in f"{context} {problem}":
            return text
    return f"not YAML: {problem}"
