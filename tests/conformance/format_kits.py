"""What the conformance suite has to know of each format: messages, paths and what stands there, as data."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from suture.formats.hl7v2.format import HL7v2
from suture.formats.json import Json
from suture.model.reading import Doubt


@dataclass(frozen=True)
class FormatKit:
    """A message of two lines in a format. whole: path -> the text there; own: path -> the text of each line; lists: the same of
    paths to lists. doubts: a message in which the path is in doubt, the path, and how. no_paths: texts that are none, with what
    the error must say. no_messages: bytes that are none. odd: what may stand anywhere in a message and mean something."""

    parse: Callable[[bytes], Any]
    message: bytes
    each: str
    whole: Mapping[str, str]
    own: Mapping[str, Sequence[str]]
    lists: Mapping[str, Sequence[Sequence[str]]]
    doubts: Sequence[tuple[bytes, str, Doubt]]
    no_paths: Mapping[str, str]
    no_parts: Sequence[str]
    no_messages: Sequence[bytes]
    odd: Sequence[bytes]
    mapping: str


HL7 = b"\r".join(
    [
        b"MSH|^~\\&|POU|MAIN|||20260401101530||DFT^P03^DFT_P03|C0001|P|2.7",
        b"PID|1||M7^^^HOSP^MR~9^^^SSA^SS||DOE^JANE|||||||||||||A42",
        b"PV1|1|I|OR2^3",
        b"FT1|1|T1||20260401||CG|IMP-1 ^HIP STEM^CDM|||2" + b"|" * 13 + b"B~D|",
        b"FT1|2|T2||20260401||CG|GLV-1^GLOVE & CUFF|||100" + b"|" * 13,
    ]
)
HL7_MAPPING = """
mapping: used
from: hl7v2
each: FT1
emit:
  - event: supply.used
    set: {patient: "PID-3[MR].1", item: FT1-7.1, quantity: {from: FT1-10, as: decimal}, transaction: FT1-2}
search: {patient: PID-3.1}
"""

ORDER = {
    "patient": {"id": "M7", "given names": "Jane", "ids": [{"value": "M7"}, {"value": "M7"}]},
    "ward": None,
    "lines": [
        {"code": " IMP-1", "quantity": 2, "price": "PRICE", "number": "T1", "more": ["B", "D"], "billed": True},
        {"code": "GLV-1", "quantity": 100, "number": "T2", "more": [], "billed": False},
    ],
}
ORDERED = json.dumps(ORDER).replace('"PRICE"', "1.10").encode()
JSON_MAPPING = """
mapping: used
from: json
each: $.lines[*]
emit:
  - event: supply.used
    set:
      patient: $.patient.id
      item: "$.lines[*].code"
      quantity: {from: "$.lines[*].quantity", as: decimal}
      transaction: "$.lines[*].number"
search: {patient: $.patient.id}
"""

KITS: Mapping[str, FormatKit] = {
    "hl7v2": FormatKit(
        parse=HL7v2().parse,
        message=HL7,
        each="FT1",
        whole={"PID-3[MR].1": "M7", "PID-5.2": "JANE", "PV1-3.1": "OR2", "MSH-10": "C0001", "PID-40": "", "FT1(2)-7.1": "GLV-1"},
        own={"FT1-7.1": ["IMP-1", "GLV-1"], "FT1-7.2": ["HIP STEM", "GLOVE"], "FT1-10": ["2", "100"], "FT1-2": ["T1", "T2"]},
        lists={"FT1-23[*].1": [["B", "D"], []], "PID-3[*].1": [["M7", "9"]]},
        doubts=[
            (HL7, "PID-3.1", Doubt.SEVERAL),
            (HL7, "FT1-23.1", Doubt.SEVERAL),
            (HL7.replace(b"^SS|", b"^MR|"), "PID-3[MR].1", Doubt.SEVERAL),
            (HL7.replace(b"OR2^3", b'""'), "PV1-3.1", Doubt.NULL),
            (HL7.replace(b"|T1|", b'|""|'), "FT1-2", Doubt.NULL),
        ],
        no_paths={
            "": "e.g. PID-3",
            "pid-3": "did you mean PID-3?",
            "PID.3": "did you mean PID-3?",
            "PID-0": "counted from 1",
            "PID-3[*].1": "e.g. PID-3[1].1",
            "$.patient": "write a segment",
        },
        no_parts=["FT", "ft1", "FT1-3", ""],
        no_messages=[b"", b"{}", b"PID|1", b"MSH", b"\xff"],
        odd=[b"~", b"^", b"&", b"\\", b'""', b"|", b"\r", b" ", b"\\T\\", b"#", b"FT1|", b"PID|", b"\xff", b"A~A"],
        mapping=HL7_MAPPING,
    ),
    "json": FormatKit(
        parse=Json().parse,
        message=ORDERED,
        each="$.lines[*]",
        whole={
            "$.patient.id": "M7",
            "$.patient['given names']": "Jane",
            "$.patient.ids.value": "M7",
            "$.patient.ids[1].value": "M7",
            "$.patient.none": "",
            "$.lines[1].code": "GLV-1",
            "$.lines[9].code": "",
            "$.lines[0].more[1]": "D",
        },
        own={
            "$.lines[*].code": ["IMP-1", "GLV-1"],
            "$.lines[*].quantity": ["2", "100"],
            "$.lines[*].price": ["1.10", ""],
            "$.lines[*].billed": ["true", "false"],
        },
        lists={"$.lines[*].more[*]": [["B", "D"], []], "$.patient.ids[*].value": [["M7", "M7"]]},
        doubts=[
            (ORDERED, "$.ward", Doubt.NULL),
            (ORDERED, "$.patient", Doubt.SEVERAL),
            (ORDERED, "$.lines.code", Doubt.SEVERAL),
            (ORDERED, "$.lines[*].more", Doubt.SEVERAL),
            (ORDERED.replace(b'"T1"', b"null"), "$.lines[*].number", Doubt.NULL),
        ],
        no_paths={
            "": "e.g. $.patient.id",
            "$": "e.g. $.patient.id",
            "patient.id": "did you mean $.patient.id?",
            "$.lines.0.code": "did you mean $.lines[0].code?",
            "/lines/0/code": "did you mean $.lines[0].code?",
            '$["a b"]': "did you mean $['a b']?",
            "$[code]": "did you mean $.code?",
            "$.lines[-1]": "e.g. $.patient.id",
            "$.a b": "e.g. $.patient.id",
        },
        no_parts=["lines", "$.lines", "$.lines[0]", "$.lines[*].code", "$.a[*].b[*]"],
        no_messages=[
            b"",
            b"MSH|^~\\&|",
            b'"text"',
            b"7",
            b"null",
            b"{",
            b"[1,]",
            b'{"a": NaN}',
            b'{"a": 1, "a": 2}',
            b'{"a": "\xff"}',
            b'{"a": "\\ud800"}',
            b"[" * 100_000,
            b'{"a": 1} {}',
        ],
        odd=[b"null", b"[]", b"{}", b'"A"', b"[1, 2]", b'[{"code": "A"}, {"code": "B"}]', b",", b"}", b"1e5", b'""', b'{"code": []}'],
        mapping=JSON_MAPPING,
    ),
}
