"""The quick way of a mapping gives what the careful way gives, whatever a message holds."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suture.mapping import codegen_lines
from suture.mapping.inbound import Inbound
from suture.mapping.rules import Bounds, Rules
from suture.model.code import Code
from suture.model.events import digest
from suture.wire.hl7v2.text import er7
from tests.mapping.examples import CHICAGO, MAPPING, ft1, inbound, message

EVERYTHING = """
mapping: everything
from: hl7v2
each: FT1
skip: {FT1-6.1: [PY], FT1-3: [X]}
emit:
  - event: charge.raised
    when: {item.chargeable: Y, FT1-6.1: [CG, CD, ""], PV1-2: [I, ""]}
    set:
      transaction: {from: [FT1-2, FT1-1], call: strip_zeros}
      patient: {from: "PID-3[MR].1"}
      account: {from: [PID-18.1, PID-3.1]}
      visit: "PID-3[2].1"
      item: {from: [FT1-34.1, FT1-7], table: items, call: upper}
      description: {from: [FT1-7.2, item.description]}
      supplier: {from: item.supplier, required: true}
      charge_code: {from: [item.charge_code, FT1-25.1], default: NONE}
      quantity: {from: FT1-10, as: integer, call: absolute}
      unit: {from: "FT1-43[1].2", default: item.issue_unit}
      unit_amount: {from: [FT1-12.1, item.unit_price], as: decimal}
      amount: {call: extended_amount, required: true}
      location: {from: [FT1-16.1, PV1-3.1], table: locations, required: false, default: ""}
      department: {const: OR}
      used_at: {from: "FT1(1)-4.1", as: date}
      staff: "FT1-20[1].1"
      lot: "FT1-7[3='CDM' & 4=''].2"
      serial: {from: ["PID-3[4='HOSP' & 5='MR'].1", "PID-3[4='' & 5='MR'].1", "FT1-7[9.1='x'].1"]}
      procedure: {from: ["FT1-25[2='B'].1", "FT1-25[2=''].1"], default: NONE}
      procedure_modifiers: "FT1-26[*].1"
    credit: {FT1-6.1: CD, item.chargeable: Y}
  - event: supply.used
    when: {FT1-6.1: [CG, CD]}
    set:
      item: {from: [FT1-34.1, FT1-7.1], table: items}
      unit_cost: {from: item.unit_cost, as: decimal, call: negate}
      quantity: {from: FT1-10, between: ["-1000", "1000"]}
      unit: {from: FT1-43.2, default: item.issue_unit}
      used_at: {from: EVN-2, as: time}
    convert: {quantity: quantity, unit: unit, to: item.stock_unit, table: units}
search: {patient: PID-3.1, transaction: [FT1-2, FT1-3], credit: "FT1[6='CD']-2", third: "FT1[6.1='CG'](2)-2"}
"""

ONCE = """
mapping: once
from: hl7v2
emit:
  - event: supply.used
    set:
      patient: {from: PID-3.1, required: true}
      item: {from: "FT1(2)-7.1", table: items}
      quantity: {from: FT1-10.1, default: "1"}
search: {patient: PID-3.1}
"""

LISTS = """
mapping: lists
from: hl7v2
each: FT1
emit:
  - event: charge.raised
    set:
      item: "FT1-7[3='CDM'].1"
      charge_code: {const: "1"}
      quantity: {from: "FT1-10[1]", default: "1"}
      procedure_modifiers: {from: "PID-3[*].1", required: true}
      used_at: {from: "FT1-4[1].1", required: true}
"""

THREE = """
mapping: three
from: hl7v2
each: FT1
emit:
  - event: charge.raised
    when: {item.chargeable: Y}
    set: {item: {from: FT1-7.1, table: items}, charge_code: {const: "1"}, quantity: {from: FT1-10.1, default: "1"}}
  - event: supply.used
    when: {FT1-6.1: CD}
    set: {item: {from: FT1-7.1, table: items}, quantity: {from: FT1-10.1, default: "1"}}
  - event: supply.used
    when: {FT1-6.1: CG}
    set: {item: {from: FT1-7.1, table: items}, quantity: {from: FT1-10.1, default: "1"}, lot: "FT1-7[9.1='x'].1"}
"""

WRITTEN = """
mapping: written
from: hl7v2
each: ZFT
emit:
  - event: charge.raised
    when: {ZFT-1.1: [A, B, ""]}
    set:
      item: {const: IMP-1}
      charge_code: {from: [ZFT-2.1, ZFT-3], default: NONE}
      quantity: {const: "1"}
      transaction: ZFT-3
      patient: {from: ["ZFT-4[2='A'].1", "ZFT-4[3=''].2"]}
      account: {from: "ZFT-5[2].1", call: upper}
      visit: "ZFT-5[1].1"
      location: ZFT-6.2
      description: ZFT-6.1.2
      supplier: {from: ZFT-6.1.1}
      procedure_modifiers: "ZFT-7[*].1"
      lot: {from: ZFT-2.1, table: locations, required: false}
  - event: supply.used
    set: {item: {from: ZFT-8.1, default: IMP-1}, quantity: {const: "1"}, serial: "ZFT-4[2='A' & 3='B'].1"}
search: {patient: [ZFT-2, "ZFT-5[1].1"]}
"""
"""Each field of the line is read at another kind of path; ZFT-9 is not read at all."""

NARROW = Bounds(quantity=Decimal(500), amount=Decimal("5000.00"), past_d=30, future_d=1)
MAPPINGS = {
    "the example": inbound(),
    "lines keyed by the message": inbound(MAPPING, key=()),
    "everything": inbound(EVERYTHING, key=("MSH-4", "PID-18.1", "FT1-2", "FT1-3")),
    "once a message": inbound(ONCE, key=("MSH-3.1", "PID-3.1")),
    "lists": inbound(LISTS, key=("PID-18.1", "FT1-2"), rules=Rules(CHICAGO, bounds=NARROW)),
    "three events": inbound(THREE, key=("MSH-4", "FT1-2")),
    "by the sender": inbound(rules=Rules(CHICAGO, by_sender=True, bounds=Bounds(future_d=0), decimals=0)),
}

PLAIN = st.sampled_from(
    [
        "",
        "",
        "1",
        "2",
        "-3",
        "0.5",
        "CG",
        "CD",
        "PY",
        "T1",
        "OR1",
        "OR9",
        "EA",
        "BX",
        "20260401100100",
        "20260801",
        "2026040110",
        "20260401+0000",
    ]
)
ITEM = st.sampled_from(["IMP-1", "IMP-1", "IMP-2", "GLV-1", "NEW-1", "OLD-1", "imp-1", "NOPE"])
ODD = st.sampled_from(
    [
        '""',
        " ",
        " T1 ",
        "^",
        "A^B",
        "^DZ",
        "A~B",
        "A~A",
        "~A",
        "A^B~A^C",
        '""^A',
        'A~""',
        "A&B",
        "A\\T\\B",
        "\\F\\",
        "a|b",
        "Ü",
        "\x00",
        "9" * 41,
        "x" * 450,
    ]
)
MORE = st.sampled_from(
    [
        "&",
        "&X",
        "&^",
        " & ",
        "^A&B^CDM",
        "^A^CDM&X",
        "^A^B&CDM",
        "~",
        "~A",
        "~^B",
        "~~",
        "^A~B^A^CDM",
        '^""',
        '^""^CDM',
        '&""',
        "\\T\\",
        "^A\\S\\B^CDM",
    ]
)
"""What may stand behind a value: it stays the value, or one is in doubt, or there is another one."""


@st.composite
def dressed(draw: st.DrawFn) -> str:
    """A value that is written as none of the simple senders writes it."""
    value = draw(st.one_of(PLAIN, ITEM))
    spelled = f"\\X{value[:1].encode().hex()}\\{value[1:]}" if value else '""'
    return draw(st.sampled_from([value, value, f"{value}~{value}", spelled])) + draw(MORE)


FIELD = st.one_of(PLAIN, PLAIN, ITEM, ODD, dressed())
READ = st.sampled_from([1, 2, 3, 4, 6, 7, 7, 10, 12, 16, 20, 25, 26, 34, 43])
"""Fields that some of the mappings read."""


@st.composite
def lines(draw: st.DrawFn) -> str:
    """An FT1 of the example with some fields replaced, and cut off somewhere."""
    fields = ft1(draw(ITEM), type=draw(st.sampled_from(["CG", "CG", "CD", "PY", "AJ", ""])), id=draw(FIELD)).split("|")
    for index in draw(st.lists(st.one_of(READ, st.integers(0, len(fields))), max_size=4)):
        fields[index - 1] = draw(FIELD)
    return "|".join(fields[: draw(st.one_of(st.none(), st.integers(0, 43)))])


@st.composite
def messages(draw: st.DrawFn) -> er7.Message:
    pid = draw(st.one_of(st.none(), st.tuples(FIELD, FIELD)))
    segments: dict[str, Any] = {"pid": f"PID|1||{pid[0]}^^^HOSP^MR~9^^^SSA^SS|||||||||||||||{pid[1]}"} if pid else {}
    if draw(st.booleans()):
        segments["pv1"] = f"PV1|1|{draw(FIELD)}|{draw(FIELD)}"
    made = message(*draw(st.lists(lines(), max_size=4)), **segments)
    theirs = draw(st.sampled_from([b"", b"", b"", b"^~\\#", b"^~\\&#"]))
    return er7.Message.parse(made.raw.replace(b"^~\\&", theirs, 1) if theirs else made.raw)


def same(mapping: Inbound, made: er7.Message, received: int | None) -> None:
    quick, careful = mapping.run(made, received), mapping.run_carefully(made, received)
    assert quick == careful
    # Equality does not see the order of fields, nor 1.0 for 1, and payloads show both.
    assert [str(event.data) for event in quick.events] == [str(event.data) for event in careful.events]
    assert [event.content for event in quick.events] == [digest(event.data) for event in careful.events]


BY_ZFT = inbound(WRITTEN, key=("MSH-4", "ZFT-3"))
SUBCOMPONENT = st.sampled_from(["A", "A", "B", "", " A ", "1", "OR1", '""', "\\T\\", "\\X41\\", "a|"])
COMPONENT = st.one_of(SUBCOMPONENT, SUBCOMPONENT, st.tuples(SUBCOMPONENT, SUBCOMPONENT).map("&".join))
REPETITION = st.lists(COMPONENT, min_size=1, max_size=3).map("^".join)
SIMPLE = st.sampled_from(['""', "~", "A~", "A~A", '""~""', "B^A&B", "B^A&B^B", "&A", "A&B", "A^", "^A"])
WHOLE = st.one_of(SIMPLE, REPETITION, REPETITION.map(lambda text: f"{text}~{text}"), st.tuples(REPETITION, REPETITION).map("~".join))


@st.composite
def written(draw: st.DrawFn) -> str:
    """A line of plain fields, but for one or two of them, which may be written in any way."""
    fields = [draw(st.sampled_from(["A", "B", "A^B", "B^A^B", "1", ""])) for _ in range(9)]
    for index in draw(st.lists(st.integers(0, 8), min_size=1, max_size=2)):
        fields[index] = draw(WHOLE)
    return "|".join(["ZFT", *fields[: draw(st.one_of(st.none(), st.integers(1, 9)))]])


@settings(max_examples=300)
@given(st.lists(written(), min_size=1, max_size=4))
def test_it_does_so_however_a_field_is_written(made: list[str]) -> None:
    same(BY_ZFT, er7.Message.parse("\r".join(["MSH|^~\\&|POU|MAIN|||20260401101530||ZFT^Z01|C0001|P|2.7", *made]).encode()), None)


@pytest.mark.parametrize("name", MAPPINGS)
@given(made=messages(), received=st.sampled_from([None, 1_775_100_000_000_000, 1_777_000_000_000_000]))
def test_it_gives_what_the_careful_way_gives(name: str, made: er7.Message, received: int | None) -> None:
    same(MAPPINGS[name], made, received)


def test_a_message_in_which_nothing_is_wrong_goes_no_other_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Inbound, "_slow_line", None)
    found = inbound().run(message(ft1(quantity="2"), ft1("GLV-1", id="T2", unit="BX"), ft1(id="T3", type="CD"), ft1("NEW-1", id="T4")))
    assert len(found.events) == 7
    assert found.suppressed == [(2, "charge.raised", "item.chargeable is not Y")]


def with_field(number: int, text: str, **given: str) -> str:
    """An FT1 of the example with this text in a field."""
    fields = ft1(**given).split("|")
    fields[number - 1] = text
    return "|".join(fields)


@pytest.fixture
def careful_lines(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The lines that went the careful way since."""
    gone: list[int] = []
    slow_line = Inbound._slow_line

    def spy(self: Inbound, message: er7.Message, line: int, *rest: Any) -> Any:
        gone.append(line)
        return slow_line(self, message, line, *rest)

    monkeypatch.setattr(Inbound, "_slow_line", spy)
    return gone


@pytest.mark.parametrize(
    ("number", "text", "field", "value"),
    [
        (8, "A&B", "item", "IMP-1"),
        (8, "A~B", "item", "IMP-1"),
        (8, '""', "item", "IMP-1"),
        (5, "A\\T\\B", "item", "IMP-1"),
        (7, "NEW-1&X^A TEXT^CDM", "item", "NEW-1"),
        (7, "NEW-1^A & TEXT~^ANOTHER", "item", "NEW-1"),
        (7, "NEW-1~NEW-1^THE SAME", "item", "NEW-1"),
        (7, "\\X4E\\EW-1^A TEXT", "item", "NEW-1"),
        (7, 'NEW-1^""', "item", "NEW-1"),
        (2, "A&B", "transaction", "A&B"),
        (2, "A\\T\\B", "transaction", "A&B"),
        (2, "A~A", "transaction", "A"),
        (10, "2~", "quantity", 2),
        (43, "^DZ&X", "entered_unit", "DZ"),
        (43, "^DZ~", "entered_unit", "DZ"),
    ],
)
def test_a_special_character_is_no_reason_to_go_the_careful_way(
    number: int, text: str, field: str, value: Any, careful_lines: list[int]
) -> None:
    found = MAPPINGS["the example"].run(message(ft1(id="T0"), with_field(number, text), ft1(id="T9")))
    assert careful_lines == []
    assert [event.line for event in found.events] == [1, 1, 2, 2, 3, 3]
    assert found.events[2].data[field] == value


@pytest.mark.parametrize(
    ("number", "text"),
    [(7, "IMP-1~IMP-2"), (7, '""'), (7, '""^A'), (2, "A~B"), (16, "OR1~OR2"), (43, '^""'), (43, "^EA~^BX"), (6, "CG~CD")],
)
def test_a_value_in_doubt_is(number: int, text: str, careful_lines: list[int]) -> None:
    MAPPINGS["the example"].run(message(ft1(id="T0"), with_field(number, text), ft1(id="T9")))
    assert careful_lines == [2]


def test_what_is_not_raised_is_told_in_the_order_of_the_mapping_either_way() -> None:
    for found in (MAPPINGS["three events"].run(message(ft1("GLV-1"))), MAPPINGS["three events"].run_carefully(message(ft1("GLV-1")))):
        assert found.suppressed == [(1, "charge.raised", "item.chargeable is not Y"), (1, "supply.used", "FT1-6.1 is not CD")]


def test_no_text_of_a_mapping_stands_in_the_source_text(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []

    class Spy(Code):
        def function(self) -> Any:
            written.extend([*self._head, *self._lines])
            return super().function()

    monkeypatch.setattr(codegen_lines, "Code", Spy)
    inbound(MAPPING.replace("[PY, AJ]", '["SKIPPED\'\\"", AJ]'))
    assert written
    for text in ("SKIPPED", "item", "chargeable", "charge.raised", "patient", "FT1", "PID"):
        assert not any(text in line for line in written), text
