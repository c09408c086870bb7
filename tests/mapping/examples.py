"""A small hospital for the tests of mappings: tables, messages, and mappings written as in their files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

import yaml

from suture.formats.hl7v2.reading import HL7v2Reading
from suture.mapping.compile import Inbound, Mapped, SpecError, compile_inbound
from suture.mapping.outbound import Renderer, compile_outbound
from suture.mapping.rules import Rules
from suture.mapping.spec import InboundSpec, OutboundSpec
from suture.mapping.table_file import load_csv
from suture.mapping.tables import Table
from suture.wire.hl7v2.text import er7

CHICAGO = ZoneInfo("America/Chicago")
RULES = Rules(CHICAGO)

ITEMS = """\
item,description,supplier,charge_code,chargeable,stock_unit,issue_unit,unit_cost,unit_price,status,effective_from,effective_to
IMP-1,Hip stem,SUP-1,27000123,Y,EA,EA,1875.00,4200.00,active,,
IMP-2,Bone plate,SUP-1,,Y,EA,EA,12.00,80.00,active,,
GLV-1,Glove,SUP-2,,N,EA,BX,0.05,,active,,
NEW-1,Screw,SUP-1,27000777,Y,EA,EA,3.00,9.00,active,2026-01-01,2026-07-01
NEW-1,Screw (new contract),SUP-3,27000777,Y,EA,EA,4.00,11.00,active,2026-07-01,
OLD-1,Withdrawn,SUP-1,27000001,Y,EA,EA,1.00,2.00,inactive,,
"""
LOCATIONS = "location,to\nOR1,OR-ORTHO\nOR2,OR-GEN\n"
UNITS = "item,from_unit,to_unit,factor\nGLV-1,BX,EA,100\n*,DZ,EA,12\n"
MOVEMENTS = "event,to\nsupply.used,Issue\ncharge.raised,Charge\n"

MAPPING = """
mapping: supply
from: hl7v2
each: FT1
skip: {FT1-6.1: [PY, AJ]}
emit:
  - event: supply.used
    when: {FT1-6.1: [CG, CD]}
    set: &fields
      transaction: FT1-2
      patient: {from: "PID-3[MR].1", required: true}
      account: PID-18.1
      item: {from: [FT1-34.1, FT1-7.1], table: items, required: true}
      description: item.description
      supplier: item.supplier
      quantity: {from: FT1-10, as: decimal, default: "1"}
      unit: {from: FT1-43.2, default: item.issue_unit}
      used_at: {from: FT1-4.1, as: time}
      location: {from: [FT1-16.1, PV1-3.1], table: locations, required: false}
    convert: &convert {quantity: quantity, unit: unit, to: item.stock_unit, table: units}
    credit: &credit {FT1-6.1: CD}
  - event: charge.raised
    when: {item.chargeable: Y, FT1-6.1: [CG, CD]}
    set:
      <<: *fields
      charge_code: {from: item.charge_code, required: true}
      unit_amount: {from: item.unit_price, as: decimal}
      amount: {call: extended_amount}
    convert: *convert
    credit: *credit
search: {patient: "PID-3[MR].1", account: PID-18.1}
"""


def table(name: str, text: str) -> Table:
    """A table that is right."""
    found, problems = load_csv(text, name, f"{name}.csv")
    assert problems == []
    return found


TEXTS = {"items": ITEMS, "locations": LOCATIONS, "units": UNITS, "movements": MOVEMENTS}
TABLES = {name: table(name, text) for name, text in TEXTS.items()}


class _Loader(yaml.BaseLoader):
    """Scalars are text, as the site's files are read; merge keys are allowed here for brevity."""


_Loader.add_constructor("tag:yaml.org,2002:merge", _Loader.construct_scalar)


def read(text: str) -> Any:
    """YAML with all scalars as text, and `<<` resolved."""
    return _merged(yaml.load(text, _Loader))


def _merged(node: Any) -> Any:
    if isinstance(node, list):
        return [_merged(part) for part in node]
    if not isinstance(node, dict):
        return node
    parts = {key: _merged(value) for key, value in node.items()}
    return {**parts.pop("<<", {}), **parts}


def inbound(
    text: str = MAPPING,
    key: Sequence[str] = ("MSH-3.1", "FT1-2", "FT1-6.1"),
    tables: dict[str, Table] = TABLES,
    rules: Rules = RULES,
) -> Inbound:
    """A mapping, compiled."""
    return compile_inbound(InboundSpec.model_validate(read(text)), tables, rules, key, "or", HL7v2Reading())


def problems(text: str, key: Sequence[str] = ()) -> dict[str, str]:
    """What is wrong in an inbound mapping: place -> text."""
    try:
        inbound(text, key)
    except SpecError as error:
        return {".".join(map(str, loc)): said for loc, said in error.problems}
    return {}


def outbound(text: str, per: Any = "event") -> Renderer:
    """An outbound mapping, compiled."""
    return compile_outbound(OutboundSpec.model_validate(read(text)), TABLES, CHICAGO, per)


def outbound_problems(text: str) -> dict[str, str]:
    """What is wrong in an outbound mapping: place -> text."""
    try:
        outbound(text)
    except SpecError as error:
        return {".".join(map(str, loc)): said for loc, said in error.problems}
    return {}


def message(
    *lines: str, pid: str = "PID|1||M7^^^HOSP^MR~9^^^SSA^SS|||||||||||||||A42^^^HOSP^AN", pv1: str = "PV1|1|I|OR2^3"
) -> er7.Message:
    """A DFT^P03 with these FT1 segments (written without FT1|)."""
    head = "MSH|^~\\&|POU|MAIN|SUTURE|HOSP|20260401101530||DFT^P03^DFT_P03|C0001|P|2.7"
    return er7.Message.parse("\r".join([head, pid, pv1, *[f"FT1|{line}" for line in lines], ""]).encode())


def ft1(item: str = "IMP-1", **given: str) -> str:
    """The fields of one FT1. Names: id, time, type, quantity, room, unit, and n34 for FT1-34."""
    values = {"id": "T1", "time": "20260401100100", "type": "CG", "quantity": "1", "room": "OR1", "unit": "", "n34": "", **given}
    fields = {
        1: "1",
        2: values["id"],
        4: values["time"],
        6: values["type"],
        7: f"{item}^A TEXT^CDM",
        10: values["quantity"],
        16: values["room"],
        34: values["n34"],
        43: f"^{values['unit']}" if values["unit"] else "",
    }
    return "|".join(fields.get(i, "") for i in range(1, 44))


def mapped(*lines: str, text: str = MAPPING, **given: Any) -> Mapped:
    """What the example mapping makes of these FT1."""
    return inbound(text).run(message(*lines, **given))


def types(found: Mapped) -> list[tuple[int, str]]:
    """(line, type) of the events."""
    return [(event.line, event.type) for event in found.events]
