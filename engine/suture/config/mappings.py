"""mappings/*.yaml and mappings/tables/*.csv: read once, compiled for the channels that use them."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

from suture.config.profile import ProfileEntry, ProfileFile, compile_profile, profile_problems
from suture.config.validate import is_empty, locate, misnamed, validate
from suture.config.yaml_file import Document, decode, open_text, read_file, read_yaml
from suture.formats.registry import FORMATS
from suture.mapping.compile import Inbound, SpecError, compile_inbound
from suture.mapping.outbound import BUILT_IN, Renderer, compile_outbound
from suture.mapping.rules import Rules
from suture.mapping.spec import InboundSpec, OutboundSpec
from suture.mapping.table_file import LIMIT_BYTES, load_csv
from suture.mapping.tables import Table
from suture.master.stock import StockLevels
from suture.model.errors import Problem
from suture.model.meant import did_you_mean
from suture.wire.hl7v2.standard.profile import Profile

STOCK = "stock"
STOCK_COLUMNS = ("location", "item", "on_hand", "reorder_point", "par_level", "unit")


@dataclass(slots=True)
class MappingFile:
    """One mapping file. spec is None when the file has problems; kind is inbound, outbound or "" when that cannot be told."""

    name: str
    kind: str
    document: Document
    spec: InboundSpec | OutboundSpec | None
    used: bool = False


@dataclass(slots=True)
class Library:
    """Every mapping, table and profile of a site. problems: what is wrong in them, found so far."""

    tables: dict[str, Table] = field(default_factory=dict)
    stock: StockLevels | None = None
    files: dict[str, MappingFile] = field(default_factory=dict)
    profiles: dict[str, ProfileEntry] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def names(self, kind: str) -> list[str]:
        """The mappings of that kind (inbound or outbound)."""
        return [name for name, file in self.files.items() if file.kind == kind]

    def inbound(self, name: str, rules: Rules, business_key: Sequence[str], channel: str, format: str = "") -> Inbound | None:
        """Compile an inbound mapping for a channel; None when there is none, or it has problems. format: the channel's, "" for the
        mapping's own."""
        file = self.files.get(name)
        if file is None:
            return None
        file.used = True
        if not isinstance(file.spec, InboundSpec):
            return None
        try:
            reading = FORMATS[format or file.spec.from_]
            return compile_inbound(file.spec, self.tables, rules, business_key, channel, reading)
        except SpecError as error:
            self._note(file, error, channel)
            return None

    def renderer(self, name: str, zone: ZoneInfo, per: Literal["message", "event"] = "message") -> Renderer | None:
        """A built-in form, or an outbound mapping compiled; None when there is none, or it has problems.

        per: one delivery a message or an event.
        """
        if name in BUILT_IN and name not in self.files:
            return BUILT_IN[name]
        file = self.files.get(name)
        if file is None:
            return None
        file.used = True
        if not isinstance(file.spec, OutboundSpec):
            return None
        try:
            return compile_outbound(file.spec, self.tables, zone, per)
        except SpecError as error:
            self._note(file, error)
            return None

    def profile(self, name: str) -> Profile | None:
        """A site profile, compiled; None when there is none, or it has problems."""
        entry = self.profiles.get(name)
        if entry is None:
            return None
        entry.used = True
        return entry.compiled

    def check_unused(self, rules: Rules) -> list[Problem]:
        """Compile what no channel uses, for its problems; returns a warning for each."""
        unused = [file for file in self.files.values() if not file.used]
        for file in unused:
            self.inbound(file.name, rules, (), "") if file.kind == "inbound" else self.renderer(file.name, rules.zone)
        idle = [Problem(entry.document.file, 1, "", "no channel uses this profile") for entry in self.profiles.values() if not entry.used]
        return [Problem(file.document.file, 1, "", "no channel uses this mapping") for file in unused if file.kind] + idle

    def _note(self, file: MappingFile, error: SpecError, channel: str = "") -> None:
        for loc, text in error.problems:
            if loc[:1] == ("business_key",):  # what the channel's file says, and this mapping cannot read
                loc, text = ("each",), f"for the business_key of {channel}: {text}"
            problem = file.document.problem(locate(file.document, loc), text)
            if problem not in self.problems:
                self.problems.append(problem)


def read_library(directory: Path) -> Library:
    """Read the site's tables, mappings and profiles."""
    library = Library()
    _read_tables(directory / "mappings" / "tables", library)
    for path in sorted((directory / "mappings").glob("*.yaml")):
        _read_mapping(path, library)
    for path in sorted((directory / "mappings" / "profiles").glob("*.yaml")):
        _read_profile(path, library)
    return library


def read_profile(path: Path, tables: Mapping[str, Table], shown: str) -> tuple[Document | None, Profile | None, list[Problem]]:
    """Read and compile one profile; None when there are problems. shown: the file's name in problems."""
    document, problems = read_yaml(path, shown)
    if document is None:
        return None, None, problems
    if is_empty(document):
        return document, None, [*problems, Problem(shown, 1, "", "the file is empty")]
    spec, more = validate(document, ProfileFile)
    problems += [*more, *profile_problems(document, path.stem, tables)]
    return document, compile_profile(spec, tables) if spec is not None and not problems else None, problems


def _read_profile(path: Path, library: Library) -> None:
    shown = f"mappings/profiles/{path.name}"
    document, compiled, problems = read_profile(path, library.tables, shown)
    library.problems += problems
    library.profiles[path.stem] = ProfileEntry(document or Document(shown, {}), compiled)


def _read_tables(directory: Path, library: Library) -> None:
    for path in sorted(directory.glob("*.csv")):
        file = f"mappings/tables/{path.name}"
        table, problems = _read_table(path, file)
        library.problems += problems
        if table is None:
            continue
        library.tables[path.stem] = table
        if path.stem == STOCK and not problems:
            library.stock, problems = _stock(table, path, file)
            library.problems += problems


def _read_table(path: Path, file: str) -> tuple[Table | None, list[Problem]]:
    """A table, read line by line: in one piece a large one would keep everything else from running for a while."""
    try:
        if path.stat().st_size > LIMIT_BYTES:
            return None, [Problem(file, 1, "", f"the file is larger than {LIMIT_BYTES} bytes; a table has at most so many")]
        with open_text(path) as lines:
            return load_csv(lines, path.stem, file)
    except UnicodeDecodeError:
        _, problem = decode(read_file(path), file)
        return None, [problem] if problem else []
    except OSError as error:
        return None, [Problem(file, 1, "", f"cannot be read: {error.strerror}")]


def _stock(table: Table, path: Path, file: str) -> tuple[StockLevels | None, list[Problem]]:
    """The opening stock, or None and the problems with the lines of their rows."""
    missing = [column for column in STOCK_COLUMNS if column not in table.columns]
    if missing:
        return None, [Problem(file, 1, "", f"columns are missing: {', '.join(missing)}")]
    try:
        return StockLevels(table.rows), []
    except ValueError as error:
        lines = _lines_of(table, path)
        found = [problem.partition(": ") for problem in str(error).splitlines()]
        return None, [Problem(file, lines.get(position, 1), position, said) for position, _, said in found]


def _lines_of(table: Table, path: Path) -> dict[str, int]:
    """The line of each position, by the name that StockLevels gives it."""
    with open_text(path) as lines:
        reader = csv.reader(lines)
        rows = [(reader.line_num, dict(zip(table.columns, map(str.strip, cells), strict=False))) for cells in reader]
    return {f"{row.get('location')} {row.get('item')}": line for line, row in rows}


def _read_mapping(path: Path, library: Library) -> None:
    name, shown = path.stem, f"mappings/{path.name}"
    document, problems = read_yaml(path, shown)
    library.problems += problems
    if document is None:
        library.files[name] = MappingFile(name, "", Document(shown, {}), None)
        return
    if is_empty(document):
        library.problems.append(Problem(shown, 1, "", "the file is empty"))
    kind = _kind(document.data)
    spec: Any = None
    if kind:
        spec, more = validate(document, InboundSpec if kind == "inbound" else OutboundSpec)
        library.problems += more
        library.problems += [*misnamed(document, "mapping", name), *_misread(document, kind)]
        spec = None if _misread(document, kind) else spec
    elif not is_empty(document):
        library.problems.append(Problem(shown, 1, "", _WITHOUT_KIND))
    library.files[name] = MappingFile(name, kind, document, None if problems else spec)


_WITHOUT_KIND = "a mapping has either `from: hl7v2` (what comes in) or `to: json` or `to: hl7v2` (what goes out)"


def _kind(data: Any) -> str:
    if not isinstance(data, dict) or ("from" in data) == ("to" in data):
        return ""
    return "inbound" if "from" in data else "outbound"


def _misread(document: Document, kind: str) -> list[Problem]:
    written = document.data.get("from")
    if kind != "inbound" or not isinstance(written, str) or written in FORMATS:
        return []
    return [document.problem(("from",), f"{written!r} is none of the choices: {', '.join(FORMATS)}{did_you_mean(written, FORMATS)}")]
