"""Sample messages that fit the standard: required segments and fields, and the usual ones, with invented values.

What is in a message hangs on the seed and its number alone: the same seed gives the same messages, byte for byte.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from suture.model.value import changed
from suture.wire.hl7v2.standard import dictionary
from suture.wire.hl7v2.standard.dictionary import FieldSpec, Group, SegmentRef
from suture.wire.hl7v2.standard.structure import example
from suture.wire.hl7v2.text.er7 import STANDARD, escape
from suture.wire.hl7v2.tools.pseudonym import CITIES, FAMILY, GIVEN, STREETS

EPOCH = datetime(2026, 1, 5, 7, 0, 0)
"""Every sample is of the year after it."""

USUAL = frozenset({"EVN", "PID", "PV1", "ORC", "OBR", "DG1", "NK1"})
"""Segments that a sample has where the structure allows them in a group that is there."""
USUAL_GROUPS: Mapping[str, str] = {"PATIENT": "PID", "VISIT": "PV1", "OBSERVATION": "OBX"}
"""Optional groups that a sample has where the structure allows them, with the segment that they are there for.

A group whose name ends with VISIT is one of visits.
"""
SEVERAL = frozenset({"FT1", "OBX"})
"""Segments of which a sample has two or three where the structure allows it."""

USUAL_FIELDS: Mapping[str, tuple[int, ...]] = {
    "MSH": (3, 4, 5, 6, 7, 9, 10, 11, 12),
    "EVN": (1, 2),
    "PID": (1, 3, 5, 7, 8, 11, 13, 18),
    "PV1": (1, 2, 3, 7, 19),
    "NK1": (1, 2, 3),
    "FT1": (1, 2, 4, 6, 7, 10, 13, 16, 20),
    "ORC": (1, 2, 3, 9, 12),
    "OBR": (1, 2, 3, 4, 7, 16),
    "OBX": (1, 2, 3, 5, 11, 14),
    "DG1": (1, 3, 6),
    "MSA": (1, 2),
}
"""Fields that a sample has beside the required ones."""

ITEMS = (
    *("IMP-1001^HIP STEM SIZE 5", "IMP-1002^FEMORAL HEAD 36 MM", "IMP-1003^ACETABULAR CUP 54 MM", "SUP-2001^SUTURE 3-0 BRAIDED"),
    *("SUP-2002^GAUZE 10 X 10 CM", "SUP-2003^STAPLER 45 MM", "MED-3001^BONE CEMENT 40 G", "MED-3002^SALINE 1000 ML"),
)
TESTS = ("718-7^Hemoglobin^LN", "2345-7^Glucose^LN", "2951-2^Sodium^LN", "6690-2^Leukocytes^LN")
DIAGNOSES = ("M16.11^Unilateral primary osteoarthritis, right hip^I10", "K80.20^Calculus of gallbladder^I10")
_CODE = re.compile(r"[A-Za-z0-9]{1,6}")


class UnknownType(ValueError):
    """The version has no such message type."""


def message(message_type: str, version: str, seed: int, number: int) -> bytes:
    """A sample, segments ended by CR. message_type: DFT^P03 or DFT_P03. number: which of the seed's. Raises UnknownType."""
    version = dictionary.nearest(version)
    structure = dictionary.structure(version, message_type)
    if structure is None:
        raise UnknownType(f"HL7 {version} has no message {message_type!r}")
    code, event = (*re.split(r"[\^_]", message_type)[:2], "")[:2]
    sample = _Sample(version, (code, event, structure.name), f"{seed}:{number}", number)
    return b"".join(f"{line}\r".encode() for line in sample.group(structure, "") if line)


@dataclass
class _Sample:
    """One message. type: message code, event, structure. chance: what every choice hangs on."""

    version: str
    type: tuple[str, str, str]
    chance: str
    number: int

    def pick(self, place: str, below: int) -> int:
        """A number from 0 that belongs to the place; a place of the message is the same person, item or time each time."""
        digest = hashlib.blake2b(f"{self.chance}:{place}".encode(), digest_size=8).digest()
        return int.from_bytes(digest) % below

    def group(self, group: Group, path: str, ordinal: int = 1) -> Iterator[str]:
        """The segments of a group that is there. ordinal: its number, where it repeats: the set id of a segment that stands in it once."""
        children = group.children[:1] if group.choice else group.children
        for place, child in enumerate(children):
            where = f"{path}.{place}"
            for number in range(1, self._times(child, where, group.name) + 1):
                if isinstance(child, Group):
                    yield from self.group(child, f"{where}[{number}]", number)
                else:
                    yield self.segment(child.name, f"{where}[{number}]", number if child.max != 1 else ordinal)

    def _times(self, child: Group | SegmentRef, where: str, parent: str) -> int:
        """How often a part of the group named parent is there."""
        if isinstance(child, Group):
            usual = USUAL_GROUPS.get("VISIT" if child.name.endswith("VISIT") else child.name, "")
            first = usual or example(child)
            least = child.min or int(usual in [each.name for each in child.children if isinstance(each, SegmentRef)])
        else:
            first = child.name
            least = child.min or int(first in USUAL or USUAL_GROUPS.get(parent) == first)
        if first in SEVERAL and least and child.max != 1:
            wanted = 2 + self.pick(f"times{where}", 2)
            return min(wanted, child.max) if child.max else wanted
        return least

    def segment(self, name: str, place: str, ordinal: int) -> str:
        """One segment; "" when the dictionary does not know it."""
        if name == dictionary.ANY_SEGMENT:
            return "NTE|1||sample"
        wanted = USUAL_FIELDS.get(name, ())
        known = dictionary.fields(self.version, name)
        values = [self.field(name, spec, f"{place}{name}-{spec.number}", ordinal) if _has(spec, wanted) else "" for spec in known]
        if name == "MSH":
            values = ["^~\\&", *values[2:]]
        while values and not values[-1]:
            values.pop()
        return "|".join([name, *values]) if known else ""

    def field(self, segment: str, spec: FieldSpec, place: str, ordinal: int) -> str:
        """The value of a field, all of it as it is written."""
        special = SPECIAL.get((segment, spec.number))
        if special is not None:
            return _fitted(special(self, ordinal), self.version, spec)
        if spec.datatype == "SI":
            return str(ordinal)
        return self.value(spec, place)

    def value(self, spec: FieldSpec, place: str, depth: int = 0) -> str:
        """A plausible value of a data type: depth 0 a field, 1 a component, 2 a subcomponent."""
        made = COMPOSITES.get(spec.datatype)
        known = dictionary.components(self.version, spec.datatype)
        if not known:
            text = self.leaf(spec, place)
            return text[: spec.length] if spec.length else text
        if depth == 0 and made is not None and not (spec.table and spec.datatype in ("CE", "CWE", "CNE")):
            return _fitted(made(self, place), self.version, spec)
        if depth == 2:
            return self.value(_of(known[0], spec), place, depth)
        needed = [each.min > 0 or each.number == 1 for each in known]
        parts = [self.value(_of(each, spec), f"{place}.{each.number}", depth + 1) if needed[i] else "" for i, each in enumerate(known)]
        return ("^", "&")[depth].join(parts).rstrip("^&")

    def leaf(self, spec: FieldSpec, place: str) -> str:
        """A value that has no parts."""
        number = self.pick(place, 1000)
        known = dictionary.suggested(self.version, spec.table) if spec.table else ()
        codes = sorted(each for each in known if _CODE.fullmatch(each) and len(each) <= (spec.length or len(each)))
        if codes:
            return codes[number % len(codes)]
        return _LEAVES.get(spec.datatype, lambda sample, n: f"S{n}")(self, number)

    def stamp(self, minutes: int = 0) -> str:
        """A time of the sample's day."""
        moment = EPOCH + timedelta(days=self.number % 360, minutes=self.pick("hour", 600) + minutes)
        return f"{moment:%Y%m%d%H%M%S}"

    def person(self, place: str) -> str:
        """An invented family and given name."""
        return f"{FAMILY[self.pick(f'family{place}', len(FAMILY))]}^{GIVEN[self.pick(f'given{place}', len(GIVEN))]}"

    def unit(self, ordinal: int) -> str:
        """The data type of the ordinal's result."""
        return ("NM", "ST")[ordinal % 2 == 0]


def _has(spec: FieldSpec, usual: tuple[int, ...]) -> bool:
    return not spec.withdrawn and (spec.min > 0 or spec.number in usual)


def _of(component: FieldSpec, whole: FieldSpec) -> FieldSpec:
    """A component that has no table takes the one of its field for its first place."""
    if component.table or component.number != 1 or not whole.table:
        return component
    return changed(component, table=whole.table)


def _fitted(value: str, version: str, spec: FieldSpec) -> str:
    """As many components as the data type has and the length leaves room for: a primitive takes the first alone."""
    known = dictionary.components(version, spec.datatype)
    parts = value.split("^")[: len(known) or 1]
    if spec.datatype == "TS" and len(parts) == 1 < len(known) and known[1].min:
        parts.append("S")  # degree of precision, which the first version wants
    while spec.length and len(parts) > 1 and len("^".join(parts)) > spec.length:
        parts.pop()
    return "^".join(parts).rstrip("^")[: spec.length or None]


def _numbered_person(sample: _Sample, place: str) -> str:
    return f"{4000 + sample.pick(place, 1000)}^{sample.person(place)}"


def _address(sample: _Sample, place: str) -> str:
    street = STREETS[sample.pick(f"street{place}", len(STREETS))]
    city = CITIES[sample.pick(f"city{place}", len(CITIES))]
    return f"{1 + sample.pick(place, 900)} {street}^^{city}^TX^{75001 + sample.pick(place, 4000)}"


def _phone(sample: _Sample, place: str) -> str:
    """The number in one piece, which 2.6 withdrew, or in its parts."""
    number = sample.pick(place, 10_000)
    return f"^PRN^PH^^^555^555{number:04d}" if sample.version >= "2.6" else f"(555)555-{number:04d}^PRN^PH"


COMPOSITES: Mapping[str, Callable[[_Sample, str], str]] = {
    **dict.fromkeys(("XPN", "PN"), _Sample.person),
    **dict.fromkeys(("XCN", "CN", "PPN"), _numbered_person),
    **dict.fromkeys(("XAD", "AD"), _address),
    **dict.fromkeys(("CE", "CWE", "CNE"), lambda sample, place: ITEMS[sample.pick(place, len(ITEMS))] + "^L"),
    "CX": lambda sample, place: f"{1_000_000 + sample.pick(place, 9_000_000)}^^^SAMPLE^PI",
    "CK": lambda sample, place: f"{1_000_000 + sample.pick(place, 9_000_000)}",
    "EI": lambda sample, place: f"E{sample.pick(place, 10**8):08d}^SAMPLE",
    "HD": lambda sample, place: f"SYS{sample.pick(place, 90) + 10}",
    "PL": lambda sample, place: f"OR{1 + sample.pick(place, 8)}^^^SAMPLE",
    "XTN": _phone,
    "XON": lambda sample, place: "Sample Hospital",
    "TS": lambda sample, place: sample.stamp(),
    "CP": lambda sample, place: f"{1 + sample.pick(place, 900)}.00&USD",
    "MO": lambda sample, place: f"{1 + sample.pick(place, 900)}.00^USD",
    "CQ": lambda sample, place: f"{1 + sample.pick(place, 4)}^EA",
}
"""Data type to a plausible value with its components."""

_LEAVES: Mapping[str, Callable[[_Sample, int], str]] = {
    "NM": lambda sample, n: str(1 + n % 9),
    "SI": lambda sample, n: "1",
    "DT": lambda sample, n: sample.stamp()[:8],
    "TM": lambda sample, n: sample.stamp()[8:12],
    **dict.fromkeys(("TS", "DTM"), lambda sample, n: sample.stamp()),
    "TN": lambda sample, n: f"(555)555-{n:04d}",
    **dict.fromkeys(("TX", "FT"), lambda sample, n: f"sample text {n}"),
    **dict.fromkeys(("ST", "CM"), lambda sample, n: f"sample {n}"),
}


def _type(sample: _Sample, ordinal: int) -> str:
    """MSH-9; the third component came with 2.3.1."""
    code, event, structure = sample.type
    third = structure if len(dictionary.components(sample.version, "MSG")) > 2 or sample.version >= "2.3.1" else ""
    return "^".join((code, event, third)).rstrip("^") if event else code


SPECIAL: Mapping[tuple[str, int], Callable[[_Sample, int], str]] = {
    ("MSH", 3): lambda sample, n: "SAMPLE",
    ("MSH", 4): lambda sample, n: "HOSPITAL",
    ("MSH", 5): lambda sample, n: "SUTURE",
    ("MSH", 6): lambda sample, n: "HOSPITAL",
    ("MSH", 7): lambda sample, n: sample.stamp(5),
    ("MSH", 9): _type,
    ("MSH", 10): lambda sample, n: f"G{sample.pick('id', 10**8):08d}{sample.number:06d}",
    ("MSH", 11): lambda sample, n: "T",
    ("MSH", 12): lambda sample, n: sample.version,
    ("EVN", 1): lambda sample, n: sample.type[1] or "A01",
    ("EVN", 2): lambda sample, n: sample.stamp(4),
    ("PID", 3): lambda sample, n: f"{1_000_000 + sample.pick('patient', 9_000_000)}^^^SAMPLE^MR",
    ("PID", 7): lambda sample, n: f"{1935 + sample.pick('born', 80)}{1 + sample.pick('month', 12):02d}{1 + sample.pick('day', 28):02d}",
    ("PID", 8): lambda sample, n: "FM"[sample.pick("sex", 2)],
    ("PID", 18): lambda sample, n: f"{5_000_000 + sample.pick('account', 1_000_000)}^^^SAMPLE^AN",
    ("PV1", 2): lambda sample, n: "IOE"[sample.pick("class", 3)],
    ("PV1", 19): lambda sample, n: f"{7_000_000 + sample.pick('visit', 1_000_000)}^^^SAMPLE^VN",
    ("FT1", 2): lambda sample, n: f"T{sample.pick('id', 10**6):06d}{n:02d}",
    ("FT1", 4): lambda sample, n: sample.stamp(n),
    ("FT1", 6): lambda sample, n: "CG",
    ("FT1", 7): lambda sample, n: ITEMS[sample.pick(f"item{n}", len(ITEMS))] + "^L",
    ("FT1", 10): lambda sample, n: str(1 + sample.pick(f"quantity{n}", 4)),
    ("FT1", 13): lambda sample, n: "SURG^Surgery^L",
    ("NK1", 3): lambda sample, n: "SPO^Spouse^HL70063",
    ("ORC", 1): lambda sample, n: "NW",
    ("DG1", 6): lambda sample, n: "F",
    ("OBR", 25): lambda sample, n: "F",
    ("OBR", 4): lambda sample, n: "24323-8^Comprehensive metabolic panel^LN",
    ("OBX", 2): lambda sample, n: sample.unit(n),
    ("OBX", 3): lambda sample, n: TESTS[(n - 1) % len(TESTS)],
    ("OBX", 5): lambda sample, n: str(40 + sample.pick(f"result{n}", 100)) if sample.unit(n) == "NM" else escape("within range", STANDARD),
    ("OBX", 11): lambda sample, n: "F",
    ("DG1", 3): lambda sample, n: DIAGNOSES[(n - 1) % len(DIAGNOSES)],
    ("MSA", 1): lambda sample, n: "AA",
    ("MSA", 2): lambda sample, n: f"G{sample.pick('answered', 10**8):08d}",
}
"""Fields whose value is not plausible by their data type alone."""
