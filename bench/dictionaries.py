"""`python -m bench.dictionaries`: Suture's HL7 dictionary beside two others, over every version, and what differs.

npm's hl7-dictionary is read from its package's directory (`npm pack hl7-dictionary@1.0.1`, unpacked), PyPI's hl7types from
the directory of its package (`pip download --no-deps hl7types==0.9.5`, unpacked, or installed). Their files are read as
text; nothing of theirs is run. What hl7-dictionary does not have (2.8 and later) is compared with hl7types alone.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from bench.report import table
from suture.wire.hl7v2.standard import dictionary
from suture.wire.hl7v2.standard.dictionary import VERSIONS, Group

HERE, NPM, PYPI = "Suture", "hl7-dictionary", "hl7types"


@dataclass(frozen=True, slots=True)
class Part:
    """A field or component as a source has it; None where the source does not say."""

    datatype: str | None
    required: bool | None
    repeats: bool | None
    table: str | None


Parts = Mapping[tuple[str, int], Part]
"""Segment or data type, and number."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What Suture and at least one other source have otherwise. others: the values of those that say something."""

    version: str
    place: str
    what: str
    here: object
    others: Mapping[str, object]

    @property
    def how(self) -> str:
        """Who is of which mind: alone against all others that say something, or with one of them."""
        return "all others agree" if len(set(self.others.values())) == 1 and len(self.others) > 1 else ", ".join(self._against())

    def _against(self) -> list[str]:
        return [name for name, value in self.others.items() if value != self.here]


def ours(version: str) -> dict[tuple[str, int], Part]:
    """Suture's dictionary; withdrawn positions are left out, because the others have them or not without a rule."""
    found = {}
    segments = [(name, dictionary.fields(version, name), True) for name in dictionary.known_segments(version)]
    types = [(name, dictionary.components(version, name), False) for name in dictionary.suggested(version, dictionary.VALUE_TYPES)]
    for name, specs, repeating in [*segments, *types]:
        for spec in specs:
            if not spec.withdrawn:
                found[name, spec.number] = Part(spec.datatype, spec.min > 0, spec.max != 1 if repeating else None, spec.table)
    return found


def of_npm(directory: Path, version: str) -> dict[tuple[str, int], Part]:
    """hl7-dictionary's; empty where it does not have the version. opt 2 is required, 4 withdrawn; rep 1 is once."""
    found = {}
    for kind, within in (("segments", "fields"), ("fields", "subfields")):
        file = directory / "lib" / version / f"{kind}.js"
        text = file.read_text(encoding="utf-8") if file.exists() else "{}"
        for name, known in json.loads(text[text.index("{") : text.rindex("}") + 1]).items():
            for number, part in enumerate(known.get(within) or (), 1):
                if part.get("opt") != 4:
                    repeats = part.get("rep") != 1 if kind == "segments" else None
                    code = f"{part['table']:04d}" if part.get("table") else ""
                    found[name, number] = Part(part.get("datatype"), part.get("opt") == 2, repeats, code)
    return found


_FIELD = re.compile(r"^ +([A-Z][A-Z0-9]{2})\.(\d+) - .* \(([\w*]+)\) (R|O|C|X|NA|W|B|RE|CE)\b( rep)?(.*)$", re.M)
_COMPONENT = re.compile(r"^ +(\w+)\.(\d+) \((opt|req)\) - .*?(?:\((\w+)\))?(?: \|.*)?$", re.M)


def of_pypi(directory: Path, version: str) -> dict[tuple[str, int], Part]:
    """hl7types', from the texts of its classes; its data types have no tables."""
    found = {}
    root = directory / "hl7" / f"v{version.replace('.', '_')}"
    for file in sorted((root / "segments").glob("[A-Z]*.py")):
        for name, number, datatype, usage, rep, rest in _FIELD.findall(file.read_text(encoding="utf-8")):
            code = re.search(r"\| (\d{4})", rest)
            found[name, int(number)] = Part(datatype, usage == "R", bool(rep), code[1] if code and code[1] != "9999" else "")
    said = version not in ("2.1", "2.2", "2.3", "2.3.1", "2.4", "2.5", "2.5.1")  # before 2.6 it has every component as optional
    for file in sorted((root / "datatypes").glob("[A-Z]*.py")):
        for name, number, usage, datatype in _COMPONENT.findall(file.read_text(encoding="utf-8")):
            found[name, int(number)] = Part(datatype or None, usage == "req" if said else None, None, None)
    return found


def _same(what: str, here: object, there: object) -> bool:
    """Are two values the same? Names that a source has of its own for composites without a name, and for any type, are."""
    if what != "datatype":
        return here == there
    names = [str(name).split("_", 1)[0].upper() for name in (here, there)]
    return names[0] == names[1] or {"CM"} & set(names) != set() or (set(names) <= {"*", "VAR", "VARIES", "ST"} and "VARIES" in names)


def differences(npm: Path, pypi: Path) -> Iterator[Difference]:
    """Every place that Suture and another have, where one says otherwise, and every place that another has alone."""
    for version in VERSIONS:
        here = ours(version)
        others = {NPM: of_npm(npm, version), PYPI: of_pypi(pypi, version)}
        known = {name for name, _ in here}
        for at in sorted(set().union(*others.values(), here)):
            there = {name: parts[at] for name, parts in others.items() if at in parts}
            place = f"{at[0]}-{at[1]}"
            if at not in here and at[0] in known and there and not _withdrawn(version, *at):
                yield Difference(version, place, "position", None, dict.fromkeys(there, "there"))
            elif at in here:
                yield from _parts(version, place, here[at], there)
        yield from _structures(version, pypi)


def _withdrawn(version: str, name: str, number: int) -> bool:
    specs = dictionary.fields(version, name) or dictionary.components(version, name)
    return number <= len(specs) and specs[number - 1].withdrawn


def _parts(version: str, place: str, here: Part, there: Mapping[str, Part]) -> Iterator[Difference]:
    for what in ("datatype", "required", "repeats", "table"):
        mine = getattr(here, what)
        said = {name: getattr(part, what) for name, part in there.items() if getattr(part, what) is not None}
        if mine is not None and any(not _same(what, mine, value) for value in said.values()):
            yield Difference(version, place, what, mine, said)


def _structures(version: str, pypi: Path) -> Iterator[Difference]:
    """Structures of messages, which hl7types alone has with groups. It cannot have a name twice in one group, nor a choice."""
    messages = pypi / "hl7" / f"v{version.replace('.', '_')}" / "messages"
    for file in sorted(messages.glob("[A-Z]*.py")):
        group = dictionary.structure(version, file.stem) if file.stem in dictionary.structures(version) else None
        if group:
            here, there = list(_flat(group))[1:], list(_written(file))[1:]
            if here != there:
                lost, more = sorted(set(here) - set(there)), sorted(set(there) - set(here))
                yield Difference(version, file.stem, "structure", " ".join(lost), {PYPI: " ".join(more)})


def _flat(group: Group) -> Iterator[str]:
    """A structure as a line: ? for optional, * for any number, groups in brackets. A name counts once in a group."""
    seen = set()
    for child in group.children:
        if child.name not in seen:
            seen.add(child.name)
            optional, many = "" if child.min and not group.choice else "?", "*" if child.max != 1 else ""
            if isinstance(child, Group):
                yield from (f"[{optional}{many}", *_flat(child), "]")
            else:
                yield f"{child.name.replace(dictionary.ANY_SEGMENT, 'Any')}{optional}{many}"


_MEMBER = re.compile(r"^ +\w+ \((Optional\[)?(List\[)?(\w+)\]*\):", re.M)


@cache
def _written(file: Path) -> tuple[str, ...]:
    """The same of a class of hl7types, from the text of the class."""
    found: list[str] = []
    for optional, many, name in _MEMBER.findall(file.read_text(encoding="utf-8").partition("Attributes:")[2].partition('"""')[0]):
        inner = file.parents[1] / "groups" / f"{name}.py"
        times = ("?" if optional else "") + ("*" if many else "")
        found += (f"[{times}", *_written(inner), "]") if inner.exists() else (f"{name}{times}",)
    return tuple(found)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print how many differences there are of each kind, and with --list each of them; exit 2 where a package is not there."""
    parser = argparse.ArgumentParser(prog="python -m bench.dictionaries", description=__doc__)
    parser.add_argument("npm", type=Path, help="directory of hl7-dictionary, where its package.json is")
    parser.add_argument("pypi", type=Path, help="directory of hl7types, where its registry.py is")
    parser.add_argument(
        "--list", metavar="WHAT", help="also each difference of a kind: datatype, required, repeats, table, position, structure"
    )
    given = parser.parse_args(arguments)
    for directory, file in ((given.npm, "package.json"), (given.pypi, "registry.py")):
        if not (directory / file).exists():
            print(f"{directory} has no {file}", file=sys.stderr)
            return 2
    found = list(differences(given.npm, given.pypi))
    counts = Counter((one.what, one.how, one.version) for one in found)
    rows = [(what, how, *(str(counts[what, how, v] or "") for v in VERSIONS)) for what, how in sorted({key[:2] for key in counts})]
    print(table(("what", "who says otherwise", *VERSIONS), rows, left=2))
    for one in found:
        if one.what == given.list:
            print(
                f"{one.version} {one.place}: {HERE} {one.here!r}, " + ", ".join(f"{name} {value!r}" for name, value in one.others.items())
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
