"""mappings/*.yaml and mappings/tables/*.csv: read once, compiled for the channels that use them."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar
from zoneinfo import ZoneInfo

from suture.config.profile import ProfileFile, compile_profile, profile_problems
from suture.config.validate import locate, misnamed, read_filled, validate
from suture.config.yaml_file import Document, decode, open_text, read_file
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

TABLES, STOCK = "mappings/tables/", "stock"
STOCK_COLUMNS = ("location", "item", "on_hand", "reorder_point", "par_level", "unit")
Spec = TypeVar("Spec", InboundSpec, OutboundSpec)
T = TypeVar("T")


@dataclass(slots=True)
class MappingFile:
    """One mapping file. spec is None when the file has problems; kind is inbound, outbound or "" when that cannot be told."""

    kind: str
    document: Document
    spec: InboundSpec | OutboundSpec | None


@dataclass(slots=True)
class Library:
    """Every mapping, table and profile of a site. A profile is None when its file has problems.

    used: the files that channels have asked for. problems: what is wrong in any, found so far.
    """

    tables: dict[str, Table] = field(default_factory=dict)
    stock: StockLevels | None = None
    files: dict[str, MappingFile] = field(default_factory=dict)
    profiles: dict[str, Profile | None] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)

    def names(self, kind: str) -> list[str]:
        """The mappings of that kind (inbound or outbound)."""
        return [name for name, file in self.files.items() if file.kind == kind]

    def inbound(self, name: str, rules: Rules, business_key: Sequence[str], channel: str, format: str = "") -> Inbound | None:
        """Compile an inbound mapping for a channel; None when there is none, or it has problems. format: the channel's, "" for the
        mapping's own."""

        def compiled(spec: InboundSpec) -> Inbound:
            return compile_inbound(spec, self.tables, rules, business_key, channel, FORMATS[format or spec.from_])

        return self._compiled(name, InboundSpec, compiled, channel)

    def renderer(self, name: str, zone: ZoneInfo, per: Literal["message", "event"] = "message") -> Renderer | None:
        """A built-in form, or an outbound mapping compiled; None when there is none, or it has problems.

        per: one delivery a message or an event.
        """
        if name in BUILT_IN and name not in self.files:
            return BUILT_IN[name]
        return self._compiled(name, OutboundSpec, lambda spec: compile_outbound(spec, self.tables, zone, per))

    def profile(self, name: str) -> Profile | None:
        """A site profile, compiled; None when there is none, or it has problems."""
        self.used.add(_profile_file(name))
        return self.profiles.get(name)

    def check_unused(self, rules: Rules) -> list[Problem]:
        """Compile what no channel uses, for its problems; returns a warning for each."""
        unused = {name: file for name, file in self.files.items() if file.document.file not in self.used}
        for name, file in unused.items():
            self.inbound(name, rules, (), "") if file.kind == "inbound" else self.renderer(name, rules.zone)
        idle = [file for file in map(_profile_file, self.profiles) if file not in self.used]
        warnings = [Problem(file.document.file, 1, "", "no channel uses this mapping") for file in unused.values() if file.kind]
        return warnings + [Problem(file, 1, "", "no channel uses this profile") for file in idle]

    def problems_in_use(self) -> list[Problem]:
        """The problems of tables, and of mappings and profiles that a channel has asked for so far."""
        return [one for one in self.problems if one.file in self.used or one.file.startswith(TABLES)]

    def _compiled(self, name: str, kind: type[Spec], compile: Callable[[Spec], T], channel: str = "") -> T | None:
        file = self.files.get(name)
        if file is None:
            return None
        self.used.add(file.document.file)
        try:
            return compile(file.spec) if isinstance(file.spec, kind) else None
        except SpecError as error:
            for loc, text in error.problems:
                if loc[:1] == ("business_key",):  # what the channel's file says, and this mapping cannot read
                    loc, text = ("each",), f"for the business_key of {channel}: {text}"
                problem = file.document.problem(locate(file.document, loc), text)
                if problem not in self.problems:
                    self.problems.append(problem)
            return None


def read_library(directory: Path) -> Library:
    """Read the site's tables, mappings and profiles."""
    library = Library()
    for path in sorted((directory / TABLES).glob("*.csv")):
        _read_table(path, library)
    for path in sorted((directory / "mappings").glob("*.yaml")):
        _read_mapping(path, library)
    for path in sorted((directory / "mappings" / "profiles").glob("*.yaml")):
        library.profiles[path.stem], problems = read_profile(path, library.tables, _profile_file(path.stem))
        library.problems += problems
    return library


def _profile_file(name: str) -> str:
    return f"mappings/profiles/{name}.yaml"


def read_profile(path: Path, tables: Mapping[str, Table], shown: str) -> tuple[Profile | None, list[Problem]]:
    """Read and compile one profile; None when there are problems. shown: the file's name in problems."""
    document, problems = read_filled(path, shown)
    if document is None:
        return None, problems
    spec, more = validate(document, ProfileFile)
    problems += [*more, *profile_problems(document, path.stem, tables)]
    return compile_profile(spec, tables) if spec is not None and not problems else None, problems


def _read_table(path: Path, library: Library) -> None:
    file = f"{TABLES}{path.name}"
    table, problems = _table(path, file)
    if table is not None:
        library.tables[path.stem] = table
        if path.stem == STOCK and not problems:
            library.stock, problems = _stock(table, path, file)
    library.problems += problems


def _table(path: Path, file: str) -> tuple[Table | None, list[Problem]]:
    """A table, read line by line: in one piece a large one would keep everything else from running for a while."""
    try:
        if path.stat().st_size > LIMIT_BYTES:
            return None, [Problem(file, 1, "", f"the file is larger than {LIMIT_BYTES} bytes; a table has at most so many")]
        with open_text(path) as lines:
            return load_csv(lines, path.stem, file)
    except UnicodeDecodeError:
        told = decode(read_file(path), file)
        return None, [told] if isinstance(told, Problem) else []
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
    document, problems = read_filled(path, shown)
    library.problems += problems
    kind, spec = "", None
    if document is not None and (kind := _kind(document.data)):
        model: type[InboundSpec | OutboundSpec] = InboundSpec if kind == "inbound" else OutboundSpec
        spec, more = validate(document, model)
        misread = _misread(document)
        library.problems += [*more, *misnamed(document, "mapping", name), *misread]
        spec = None if problems or misread else spec
    elif document is not None:
        library.problems.append(Problem(shown, 1, "", _WITHOUT_KIND))
    library.files[name] = MappingFile(kind, document or Document(shown, {}), spec)


_WITHOUT_KIND = "a mapping has either `from: hl7v2` (what comes in) or `to: json` or `to: hl7v2` (what goes out)"


def _kind(data: Any) -> str:
    if not isinstance(data, dict) or ("from" in data) == ("to" in data):
        return ""
    return "inbound" if "from" in data else "outbound"


def _misread(document: Document) -> list[Problem]:
    written = document.section().get("from")
    if not isinstance(written, str) or written in FORMATS:
        return []
    return [document.problem(("from",), f"{written!r} is none of the choices: {', '.join(FORMATS)}{did_you_mean(written, FORMATS)}")]
