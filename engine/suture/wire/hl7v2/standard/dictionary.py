"""The HL7 v2 dictionary: fields, data types, tables and message structures of versions 2.1 to 2.8.2.

The data are hl7apy's tables, with lengths.tsv for the lengths, which those lack, and corrections.tsv for what they have
wrong; a version is read when it is first asked for, and importing this module reads nothing.
Where those tables leave a field out or without a type (FT1-8 and FT1-9 from 2.6 on, withdrawn fields), the field of the
nearest earlier version stands in, so that positions never shift. Nothing here raises for unknown names.
"""

from __future__ import annotations

import dataclasses
import importlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, ClassVar

from suture.model.value import Value, changed
from suture.wire.hl7v2.standard import corrections
from suture.wire.hl7v2.standard.events import STRUCTURE_OF
from suture.wire.hl7v2.text.lines import ENVELOPE
from suture.wire.hl7v2.text.names import SEGMENTS, field_name

VERSIONS: tuple[str, ...] = ("2.1", "2.2", "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.8", "2.8.1", "2.8.2")
DEFAULT_VERSION = "2.5.1"
ANY_SEGMENT = "*"
"""Name of a SegmentRef that any segment satisfies (hl7apy's ANYHL7SEGMENT)."""


class FieldSpec(Value, frozen=True):
    """A field of a segment, or a component of a data type.

    datatype: "" when unknown, "varies" where another field tells it. table: "0004", or "". max: repetitions, 0 for
    any number. length: the characters of one repetition with its separators, 0 for any number or when unknown.
    withdrawn: the version has the position and wants it empty.
    """

    number: int
    name: str
    datatype: str
    table: str
    min: int
    max: int
    length: int
    withdrawn: bool = False


@dataclass(slots=True)
class SegmentRef:
    """A segment's place in a structure. max: 0 for any number. The rest: what a `Group` has."""

    name: str
    min: int
    max: int
    choice: ClassVar[bool] = False
    children: ClassVar[tuple[()]] = ()
    second: ClassVar[Mapping[str, frozenset[str]]] = {}
    names: frozenset[str] = dataclasses.field(init=False)
    first: frozenset[str] = dataclasses.field(init=False)
    optional: bool = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        self.names = self.first = frozenset((self.name,))
        self.optional = self.min == 0


@dataclass(slots=True, eq=False)
class Group:
    """Segments and groups that stand together. choice: one of the children, else all of them in order. max: 0 for any number.

    names: the segments that may stand anywhere in it. optional: it may be absent or empty. first: the segments that it can begin
    with. second: to each of them what has to follow it inside, where something has to.
    """

    name: str
    children: tuple[Group | SegmentRef, ...]
    min: int = 1
    max: int = 1
    choice: bool = False
    names: frozenset[str] = dataclasses.field(init=False)
    first: frozenset[str] = dataclasses.field(init=False)
    optional: bool = dataclasses.field(init=False)
    second: Mapping[str, frozenset[str]] = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        self.names = frozenset().union(*(child.names for child in self.children))
        of_children = any if self.choice else all
        self.optional = self.min == 0 or of_children(child.optional for child in self.children)
        self.first = self._first()
        self.second = {} if self.choice else self._second()

    def _first(self) -> frozenset[str]:
        if self.name.split("_")[-2:] == ["PRIOR", "RESULT"] and self.children[0].children:
            # The standard lets prior results begin with an order, which cannot be told from the next order: they begin with a patient.
            return self.children[0].first
        found: set[str] = set()
        for child in self.children:
            found |= child.first
            if not child.optional and not self.choice:
                break
        return frozenset(found)

    def _second(self) -> Mapping[str, frozenset[str]]:
        """Of the places that a segment can take, any will do."""
        found: dict[str, frozenset[str]] = {}
        for name in self.first:
            after: set[str] = set()
            for place, child in enumerate(self.children):
                if name in child.first:
                    after |= child.second.get(name) or self._after(place)
                if not child.optional:
                    break
            if "" not in after and ANY_SEGMENT not in after:
                found[name] = frozenset(after)
        return found

    def _after(self, place: int) -> set[str]:
        """What can follow that child, of which nothing more must come: "" for the end of the group."""
        child = self.children[place]
        if child.children or child.max != 1:
            return {""}  # not worked out: it may go on inside, or again
        found: set[str] = set()
        for later in self.children[place + 1 :]:
            found |= later.first
            if not later.optional:
                return found
        return {""}


LENGTHS = {"DT": 8, "TM": 16, "DTM": 24, "TS": 26, "NM": 16, "SI": 4}
"""Longest value of a data type in every version (HL7 2.5.1 section 2.A); a longer length of a field does not stretch it."""
LENGTHS_BEFORE_2_7 = {"ST": 199, "IS": 20}
"""Further ones, that 2.7 gave up, for fields that have no length of their own."""

PRIMITIVES = frozenset(["DT", "DTM", "FT", "ID", "IS", "NM", "SI", "ST", "TM", "TX"])
VALUE_TYPES = "0125"
"""The table of OBX-2: any data type of the version, of which hl7apy lists some."""
NO_TABLE = "9999"
"""What hl7apy writes for a coded field that has no table."""
OPEN_TABLES = frozenset({"0396", "0399"})
"""Tables of ID fields that others keep: coding systems (HL7's registry, and local ones) and countries (ISO 3166)."""


@lru_cache(maxsize=256)
def nearest(version: str) -> str:
    """The version whose tables serve a declared one: itself, else the newest that is not newer, else the oldest.

    "2.9" gives "2.8.2"; the first component of MSH-12 counts ("2.5.1^USA"); "" and what is no version give "2.5.1".
    """
    wanted = _numbers(re.split(r"[^0-9.]", version.strip()[:20], maxsplit=1)[0])
    if not wanted:
        return DEFAULT_VERSION
    return max((known for known in VERSIONS if _numbers(known) <= wanted), key=_numbers, default=VERSIONS[0])


def _numbers(version: str) -> tuple[int, ...]:
    parts = version.split(".")
    return tuple(map(int, parts)) if parts[0] == "2" and all(p.isascii() and p.isdigit() for p in parts) else ()


def field(version: str, segment: str, number: int) -> FieldSpec | None:
    """One field of a segment; None when the version does not have it."""
    known = fields(version, segment)
    return known[number - 1] if 0 < number <= len(known) else None


@lru_cache(maxsize=4096)
def fields(version: str, segment: str) -> tuple[FieldSpec, ...]:
    """The fields of a segment in order, field n at index n - 1; () for a segment that the version does not have."""
    version = nearest(version)
    written = _own_fields(version, segment)
    if not written and segment in _module(version, "segments") and version != VERSIONS[0]:
        return fields(VERSIONS[VERSIONS.index(version) - 1], segment)
    last = max([*written, *(corrections.left_out(version, segment) if written else ())], default=0)
    return tuple(_field(version, segment, n, written.get(n)) for n in range(1, last + 1))


@lru_cache(maxsize=1024)
def components(version: str, datatype: str) -> tuple[FieldSpec, ...]:
    """The components of a data type in order; () for a primitive or unknown type."""
    version = nearest(version)
    children = list(_module(version, "datatypes").get(datatype, ()))
    for number, name in corrections.left_out(version, datatype).items():
        children.insert(number - 1, (name, (None, None, "WD", name, None, -1), (0, 0), ""))
    return tuple(
        _with_table(_spec(number, raw, times, version, within=datatype), version, datatype)
        for number, (_, raw, times, _) in enumerate(children, 1)
    )


def component(version: str, datatype: str, number: int) -> FieldSpec | None:
    """One component of a data type; None when the type does not have it."""
    known = components(version, datatype)
    return known[number - 1] if 0 < number <= len(known) else None


def segment_name(version: str, segment: str) -> str:
    """The segment's name in the standard, such as Patient Identification; "" when it has none here."""
    return SEGMENTS.get(segment, "") if segment in known_segments(version) else ""


@lru_cache(maxsize=256)
def known_segments(version: str) -> frozenset[str]:
    """The names of the version's segments, with those of batches (HL7 2.5.1 section 2.15)."""
    return frozenset(name for name in _module(nearest(version), "segments") if len(name) == 3) | ENVELOPE


def structures(version: str) -> tuple[str, ...]:
    """The names of the version's message structures, such as DFT_P03."""
    return tuple(sorted(_module(nearest(version), "messages")))


def structure(version: str, message_type: str) -> Group | None:
    """The structure of a message type: of DFT^P03, DFT_P03 or DFT^P03^DFT_P03; None when the version has none.

    The message code and event decide before the third component, which senders often set wrongly.
    """
    version = nearest(version)
    code, event, named = (*re.split(r"[\^_]", message_type.strip(), maxsplit=2), "", "")[:3]
    known = _module(version, "messages")
    own = f"{code}_{event}" if event else code
    wanted = [own, STRUCTURE_OF.get(own, ""), named] + (["ACK"] if code == "ACK" else [])
    return next((_structure(version, name) for name in wanted if name and name in known), None)


def table(version: str, id: str) -> frozenset[str] | None:
    """The values of an HL7-defined table; None for a table that sites define, or that is unknown.

    HL7 defines what fields of type ID draw on; a table of an IS field is the site's (HL7 2.5.1 section 2.5.3.6). The
    tables reach back to 2.3.1, and 2.1 to 2.3 give None.
    """
    at = nearest(version)
    return _suggested(at).get(id) if id in _defined_by_hl7(at) else None


def suggested(version: str, id: str) -> frozenset[str]:
    """The values that the standard lists for a table, also for one that sites define; empty when there are none."""
    return _suggested(nearest(version)).get(id, frozenset())


def _module(version: str, kind: str) -> Mapping[str, Any]:
    """hl7apy's raw table of one kind: segments, fields, datatypes, messages, groups or tables."""
    try:
        module = importlib.import_module(f"hl7apy.v{version.replace('.', '_')}.{kind}")
    except ModuleNotFoundError:
        return {}
    found: Mapping[str, Any] = getattr(module, kind.upper() + ("_STRUCTS" if kind == "datatypes" else ""))
    return found


def _children(raw: Any) -> Sequence[Any]:
    """The children of one of hl7apy's definitions, which mostly begins with "sequence" or "choice"; () for none."""
    if raw and isinstance(raw[0], str):
        raw = raw[1] if len(raw) > 1 else ()
    return raw or ()


def _field(version: str, segment: str, number: int, written: FieldSpec | None) -> FieldSpec:
    """The field as this version writes it, or as a stand-in has it."""
    if written and written.datatype:
        return written
    for earlier in reversed(VERSIONS[: VERSIONS.index(version)]):
        found = _own_fields(earlier, segment).get(number)
        if found is not None and found.datatype:
            withdrawn = written is None or written.withdrawn
            return changed(found, min=0, length=0 if withdrawn else found.length, withdrawn=withdrawn)
    return written or FieldSpec(number, "", "", "", 0, 0, 0, withdrawn=True)


def _own_fields(version: str, segment: str) -> dict[int, FieldSpec]:
    found: dict[int, FieldSpec] = {}
    for name, _, (least, most), _ in _children(_module(version, "segments").get(segment)):
        _, _, number = str(name).partition("_")
        raw = _module(version, "fields").get(name)
        if number.isdigit() and raw is not None:
            found[int(number)] = _spec(int(number), raw, (least, most), version, segment)
    return found


def _spec(number: int, raw: Any, times: tuple[int, int], version: str, segment: str = "", within: str = "") -> FieldSpec:
    """A field of a segment, or a component of the data type within."""
    datatype, name, table_id = raw[2] or "", raw[-3], (raw[-2] or "").removeprefix("HL7").replace(NO_TABLE, "")
    right = corrections.corrected(version, segment or within, number)
    least, most = times
    withdrawn = datatype.upper() == "WD" or (most == 0 and "max" not in right)
    datatype = "" if datatype.upper() == "WD" else right.get("datatype", datatype)
    length = 0 if withdrawn else _length(datatype, corrections.printed(version, segment or within, number), version)
    least, most = (0, 1) if withdrawn else (least, max(most, 0))
    spec = FieldSpec(number, field_name(name, segment), datatype, table_id, least, most, length, withdrawn)
    return changed(spec, **right) if right and not withdrawn else spec


def _length(datatype: str, printed: int, version: str) -> int:
    """The longest value of a field or component; 0 for any. printed: its own length, 0 for none.

    The tighter of both where the type says what a value looks like: a longer one is none of the type. For strings the own
    length counts alone, because the standard prints longer ones than those of ST and IS (PID-23 of 2.5: ST, 250).
    """
    if longest := LENGTHS.get(datatype):
        return min(printed or longest, longest)
    if printed:
        return printed if printed < corrections.NO_LIMIT else 0
    return LENGTHS_BEFORE_2_7.get(datatype, 0) if version < "2.7" else 0


def _with_table(part: FieldSpec, version: str, datatype: str) -> FieldSpec:
    """From 2.6 on hl7apy has no tables of components: one that 2.5.1 has at the same place under the same name stands in."""
    if part.table or version < "2.6":
        return part
    like = component(DEFAULT_VERSION, datatype, part.number)
    return changed(part, table=like.table) if like and like.name == part.name and not part.withdrawn else part


@lru_cache(maxsize=512)
def _structure(version: str, name: str) -> Group | None:
    differs = corrections.corrected(version, name, 0)
    at, _, like = differs.get("like", f"{version} {name}").partition(" ")
    raw = _module(at, "messages").get(like)
    found = None if raw is None else replace(_group(at, like, raw, like, (1, 1)), name=name)
    return _opened(found) if found and "entries" in differs else found


def _opened(master_file: Group) -> Group:
    """A master file whose entries go on behind their MFE with any segments."""
    entry = SegmentRef(ANY_SEGMENT, 0, 0)
    parts = [replace(part, children=(*part.children, entry)) if isinstance(part, Group) else part for part in master_file.children]
    return replace(master_file, children=tuple(parts))


def _group(version: str, name: str, raw: Any, root: str, times: tuple[int, int]) -> Group:
    children: list[Group | SegmentRef] = []
    for child, definition, (least, most), kind in _children(raw):
        if kind == "SEG":
            children.append(SegmentRef(ANY_SEGMENT if child == "ANYHL7SEGMENT" else child, least, max(most, 0)))
        else:
            inner = _module(version, "groups").get(child) or definition
            children.append(_group(version, child, inner, root, (least, most)))
    return Group(name.removeprefix(f"{root}_"), tuple(children), times[0], max(times[1], 0), raw[0] == "choice")


@lru_cache(maxsize=len(VERSIONS))
def _suggested(version: str) -> Mapping[str, frozenset[str]]:
    """The values by table; hl7apy writes some together ("L,M,N") and abbreviates lists ("...")."""
    raw = _module(version, "tables")
    values_of = {name.removeprefix("HL7"): values for name, (_, values) in raw.items()}
    found = {
        id: frozenset(v.strip() for text in (*values, *corrections.corrected(version, id, 0).values()) for v in text.split(",")) - {"..."}
        for id, values in values_of.items()
    }
    if raw:
        found[VALUE_TYPES] = found.get(VALUE_TYPES, frozenset()) | frozenset(_module(version, "datatypes")) | PRIMITIVES
    return {id: values for id, values in found.items() if values}


@lru_cache(maxsize=len(VERSIONS))
def _defined_by_hl7(version: str) -> frozenset[str]:
    """Tables of ID fields in this version or in 2.5.1, less the tables of IS fields there: from 2.7 on, IS is written CWE."""
    by_type: dict[str, set[str]] = {"ID": set(), "IS": set()}
    for at in (version, DEFAULT_VERSION):
        for raw in [
            *_module(at, "fields").values(),
            *(child[1] for children in _module(at, "datatypes").values() for child in children),
        ]:
            if raw[2] in by_type and raw[-2]:
                by_type[raw[2]].add(raw[-2].removeprefix("HL7"))
    return frozenset(by_type["ID"] - by_type["IS"] - OPEN_TABLES)
