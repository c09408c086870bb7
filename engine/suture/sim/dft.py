"""DFT^P03 as point-of-use cabinets write it: one message a scan session, one FT1 an item."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from suture.sim.catalogue import Item
from suture.wire.hl7v2.text import er7


@dataclass(frozen=True, slots=True)
class Case:
    """One patient in one room. All of it is invented."""

    room: str
    account: str
    visit: str
    mrn: str
    family: str
    given: str
    born: str
    sex: str


@dataclass(frozen=True, slots=True)
class Line:
    """One FT1. quantity, unit "": the cabinet leaves them out. kind: FT1-6."""

    transaction: str
    item: str
    description: str
    gtin: str
    quantity: str
    unit: str = ""
    kind: str = "CG"
    staff: str = ""


@dataclass(frozen=True, slots=True)
class Scan:
    """One message before it is written. modern: a cabinet of HL7 2.7, which fills FT1-34 and FT1-43."""

    case: Case
    control_id: str
    at: datetime
    lines: Sequence[Line]
    modern: bool = True

    def again(self, control_id: str) -> Scan:
        """The same scans under another control id, as a cabinet sends after it lost its memory of having sent them."""
        return replace(self, control_id=control_id)


def line_of(transaction: str, item: Item, quantity: str, unit: str = "", kind: str = "CG", staff: str = "") -> Line:
    """A line for an item of the catalogue."""
    return Line(transaction, item.number, item.description, item.gtin, quantity, unit, kind, staff)


def write(scan: Scan) -> bytes:
    """The message, segments ended by CR, UTF-8."""
    segments = [_msh(scan), _segment("EVN", {1: "P03", 2: _time(scan.at)}), _pid(scan.case), _pv1(scan.case)]
    segments += [_ft1(scan, number, line) for number, line in enumerate(scan.lines, 1)]
    return "".join(f"{segment}\r" for segment in segments).encode()


def _msh(scan: Scan) -> str:
    version = "2.7" if scan.modern else "2.5.1"
    head = f"MSH|^~\\&|POUCAB|GENERAL|SUTURE|GENERAL|{_time(scan.at)}||DFT^P03^DFT_P03|{scan.control_id}|P|{version}"
    return head if scan.case.family.isascii() else f"{head}||||||UNICODE UTF-8"


def _pid(case: Case) -> str:
    mrn = f"{case.mrn}^^^GENERAL^MR"
    return _segment("PID", {1: "1", 3: mrn, 5: f"{_text(case.family)}^{_text(case.given)}", 7: case.born, 8: case.sex, 18: case.account})


def _pv1(case: Case) -> str:
    return _segment("PV1", {1: "1", 2: "I", 3: f"{case.room}^^^GENERAL", 19: case.visit})


def _ft1(scan: Scan, number: int, line: Line) -> str:
    code = f"{_text(line.item)}^{_text(line.description)}^L"
    fields = {1: str(number), 2: line.transaction, 4: _time(scan.at), 6: line.kind, 7: code, 10: line.quantity, 13: "SURG"}
    fields |= {16: f"{scan.case.room}^^^GENERAL", 20: line.staff}
    if scan.modern:
        fields |= {34: f"{code}^{line.gtin}^^GTIN" if line.gtin else code}
    if line.unit:
        fields |= {43: f"{line.quantity}^{line.unit}"}
    return _segment("FT1", fields)


def _segment(name: str, fields: dict[int, str]) -> str:
    return "|".join([name, *(fields.get(number, "") for number in range(1, max(fields) + 1))])


def _text(value: str) -> str:
    return er7.escape(value)


def _time(at: datetime) -> str:
    return at.strftime("%Y%m%d%H%M%S")
