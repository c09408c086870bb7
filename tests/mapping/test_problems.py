"""A wrong mapping says everything that is wrong with it, where, and how to put it right."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from suture.formats.hl7v2.reading import HL7v2Reading
from suture.mapping.compile import SpecError, compile_inbound
from suture.mapping.fields import CANONICAL_FIELDS
from suture.mapping.outbound import RenderContext, compile_outbound
from suture.mapping.rules import Rules
from suture.mapping.spec import VOCABULARY, InboundSpec, OutboundSpec
from suture.mapping.table_file import load_csv
from suture.model.errors import MessageError
from suture.model.events import EVENT_TYPES, Event
from suture.model.message import Message
from tests.mapping.examples import CHICAGO, MAPPING, TABLES, ft1, inbound, message, outbound_problems, problems, read


def changed(old: str, new: str) -> dict[str, str]:
    assert old in MAPPING
    return problems(MAPPING.replace(old, new))


def test_the_example_has_no_problems() -> None:
    assert problems(MAPPING) == {}


@pytest.mark.parametrize(
    ("old", "new", "place", "text"),
    [
        ("event: supply.used", "event: supply.usd", "emit.0.event", "unknown event 'supply.usd'; did you mean 'supply.used'?"),
        ('search: {patient: "', 'search: {patinet: "', "search.patinet", "unknown kind 'patinet'; did you mean 'patient'?"),
        ("supplier: item", "suplier: item", "emit.0.set.suplier", "unknown field of supply.used 'suplier'; did you mean 'supplier'?"),
        ("table: items", "table: itms", "emit.0.set.item.table", "unknown table 'itms'; did you mean 'items'?"),
        (
            "call: extended_amount",
            "call: extend_amount",
            "emit.1.set.amount.call",
            "unknown function 'extend_amount'; did you mean 'extended_amount'?",
        ),
        (
            "supplier: item.supplier",
            "supplier: item.suplier",
            "emit.0.set.supplier.from.0",
            "unknown column of table items 'suplier'; did you mean 'supplier'?",
        ),
        (
            "supplier: item.supplier",
            "supplier: itm.supplier",
            "emit.0.set.supplier.from.0",
            "'itm.supplier' is no column: no field 'itm' with a table is in `set`; did you mean 'item'?",
        ),
        (
            "default: item.issue_unit",
            "default: item.isue_unit",
            "emit.0.set.unit.default",
            "unknown column of table items 'isue_unit'; did you mean 'issue_unit'?",
        ),
        (
            "when: {item.chargeable",
            "when: {item.chargable",
            "emit.1.when.item.chargable",
            "unknown column of table items 'chargable'; did you mean 'chargeable'?",
        ),
        ("to: item.stock_unit", "to: EA", "emit.0.convert.to", "'EA' is not a column of a bound row, e.g. item.stock_unit"),
        (
            "table: units",
            "table: locations",
            "emit.0.convert.table",
            "table locations must have the columns item, from_unit, to_unit and factor",
        ),
        (
            "{quantity: quantity, unit",
            "{quantity: unit, unit",
            "emit.0.convert.quantity",
            "must be the field quantity, and `set` must have it",
        ),
        ('default: "1"', "default: one", "emit.0.set.quantity.default", "'one' is not of the form decimal"),
        ("as: decimal, def", "as: decimals, def", "emit.0.set.quantity.as", "unknown form of quantity 'decimals'; did you mean 'decimal'?"),
        ("as: time", "as: decimal", "emit.0.set.used_at.as", "unknown form of used_at 'decimal'; use one of: date, time"),
        ("each: FT1", "each: ft1", "each", "'ft1' is not a segment; write its three letters, e.g. FT1"),
        ("transaction: FT1-2", "transaction: FT1", "emit.0.set.transaction.from.0", "is not a path"),
        (
            "transaction: FT1-2",
            'transaction: "FT1(*)-2"',
            "emit.0.set.transaction.from.0",
            "'FT1(*)-2' names several values where one is wanted; say which one, e.g. FT1(1)-2",
        ),
        ('search: {patient: "PID-3[MR].1"', "search: {patient: PID", "search.patient.0", "is not a path"),
        ("skip: {FT1-6.1", "skip: {FT1_6.1", "skip.FT1_6.1", "is not a path"),
        ("credit: &credit {FT1-6.1: CD}", "credit: &credit {FT1-6.: CD}", "emit.0.credit.FT1-6.", "is not a path"),
        ("transaction: FT1-2", "transaction: {required: true}", "emit.0.set.transaction", "says nothing of where the value comes from"),
        ("transaction: FT1-2", "transaction: {from: FT1-2, const: X}", "emit.0.set.transaction", "const stands alone; drop it or from"),
        (
            "transaction: FT1-2",
            "transaction: {from: FT1-2, call: negate}",
            "emit.0.set.transaction.call",
            "negate takes a number, and this is text",
        ),
        (
            "transaction: FT1-2",
            "transaction: {from: FT1-2, call: charge_or_credit}",
            "emit.0.set.transaction.call",
            "is for outbound mappings",
        ),
        (
            "{call: extended_amount}",
            "{call: extended_amount, from: FT1-11}",
            "emit.1.set.amount.call",
            "takes the event's other fields; drop from",
        ),
        ("transaction: FT1-2", "factor: FT1-2", "emit.0.set.factor", "convert sets this field; drop it here"),
    ],
)
def test_a_mistake_is_reported_at_its_place_with_the_remedy(old: str, new: str, place: str, text: str) -> None:
    found = changed(old, new)
    assert place in found, found
    assert text in found[place]


def test_a_required_canonical_field_that_is_not_set_is_reported_with_its_meaning() -> None:
    found = changed("charge_code: {from: item.charge_code, required: true}", "lot: FT1-9")
    assert found["emit.1.set"] == "'charge_code' is not set, and every charge.raised needs it (Charge master code); add charge_code: <path>"


def test_everything_is_reported_at_once() -> None:
    text = (
        MAPPING.replace("supplier: item.supplier", "supplyer: item.colour")
        .replace("table: items", "table: itms")
        .replace("each: FT1", "each: F")
    )
    assert set(problems(text)) >= {"each", "emit.0.set.supplyer", "emit.0.set.item.table", "emit.1.set.item.table"}


def test_a_business_key_that_is_no_path_is_of_the_channels_file() -> None:
    assert list(problems(MAPPING, ("MSH-3", "FT1.2"))) == ["business_key.1"]


def test_columns_that_need_each_other_are_a_circle() -> None:
    text = MAPPING.replace("item: {from: [FT1-34.1, FT1-7.1]", "item: {from: [location.to]").replace("[FT1-16.1, PV1-3.1]", "item.supplier")
    assert any("goes round in a circle: item needs location needs item" in said for said in problems(text).values())


def test_the_service_date_cannot_come_from_the_row_that_it_chooses() -> None:
    found = changed("used_at: {from: FT1-4.1, as: time}", "used_at: {from: item.effective_from, as: time}")
    assert any("used_at" in said and "circle" in said for said in found.values())


def test_a_table_cell_of_the_wrong_form_is_found_before_any_message_is() -> None:
    bad, _ = load_csv("item,to,unit_cost\nA,A,12.50\nB,B,12-50\n", "items", "items.csv")
    text = """
mapping: m
from: hl7v2
emit:
  - event: supply.used
    set: {item: {from: FT1-7.1, table: items}, quantity: {const: "1"}, unit_cost: item.unit_cost}
"""
    with pytest.raises(SpecError) as error:
        inbound(text, tables={**TABLES, "items": bad})
    assert error.value.problems == [
        (("emit", 0, "set", "unit_cost"), "column unit_cost of table items has '12-50' for item 'B'; that is not of the form decimal")
    ]


class TestTwoEventsOfOneType:
    def text(self, first: str, second: str) -> str:
        emit = "  - {event: supply.used, when: %s, set: {item: FT1-7.1, quantity: FT1-10}}\n"
        return "mapping: m\nfrom: hl7v2\neach: FT1\nemit:\n" + emit % first + emit % second

    def test_are_refused_where_a_line_could_raise_both(self) -> None:
        found = problems(self.text("{FT1-6.1: CG}", "{FT1-6.1: [CD, CG]}"))
        assert "is raised by entry 1 of emit too" in found["emit.1.event"]

    def test_are_allowed_where_no_line_can(self) -> None:
        assert problems(self.text("{FT1-6.1: CG}", "{FT1-6.1: CD}")) == {}


def test_unknown_keys_are_refused() -> None:
    with pytest.raises(ValidationError):
        InboundSpec.model_validate(read(MAPPING.replace("search:", "serch:")))


class TestOutbound:
    JSON = "mapping: m\nto: json\neach: event\nbody: {Item: %s}\n"
    HL7 = """
mapping: m
to: hl7v2
segments:
  - MSH: {9: {const: DFT^P03}, 12: {const: "2.5.1"}}
  - %s
"""

    @pytest.mark.parametrize(
        ("value", "place", "text"),
        [
            ("itm", "body.Item.from.0", "unknown field 'itm'; did you mean 'item'?"),
            ("{from: item, table: movement}", "body.Item.table", "unknown table 'movement'; did you mean 'movements'?"),
            ("{from: item, as: hl7tim}", "body.Item.as", "did you mean 'hl7time'?"),
            ("{from: item, call: uper}", "body.Item.call", "did you mean 'upper'?"),
            ("{from: item, call: extended_amount}", "body.Item.call", "is for inbound mappings"),
            ("{from: item, colour: red}", "body.Item.colour", "unknown key 'colour'"),
            ("{from: item, as_: text}", "body.Item.as_", "unknown key 'as_'; did you mean 'as'?"),
            ("{from_: item, const: X}", "body.Item.from_", "unknown key 'from_'; did you mean 'from'?"),
            ("{from: item, const: X}", "body.Item", "const stands alone; drop it or from"),
            ("{default: X}", "body.Item", "says nothing of where the value comes from"),
            ("[item]", "body.Item", "must be the name of a field"),
            ("{each: events, A: item}", "body.Item.each", "did you mean 'event'?"),
        ],
    )
    def test_mistakes_in_a_json_body(self, value: str, place: str, text: str) -> None:
        found = outbound_problems(self.JSON % value)
        assert text in found[place], found

    @pytest.mark.parametrize(
        ("segment", "place", "text"),
        [
            ("PID: {3: patint}", "segments.1.PID.3.from.0", "did you mean 'patient'?"),
            ("PID: {three: patient}", "segments.1.PID.three", "'three' is not a field; write its number (3)"),
            ("pid: {3: patient}", "segments.1.pid", "'pid' is not a segment"),
            ("PID: {3: patient, 3.1: account}", "segments.1.PID.3", "is set as a whole and by components; keep one"),
            ("MSH: {9: {const: X}, 12: {const: X}}", "segments", "a message has one MSH, and it comes first"),
            ("PID: {3: {const: 'A|B'}}", "segments.1.PID.3.const", "holds a field separator"),
            ('PID: {3: {const: "A\\x1c"}}', "segments.1.PID.3.const", "another control character"),
            ("{PID: {3: patient}, PV1: {2: {const: I}}}", "segments.1", "has 2 keys; write one segment an entry"),
        ],
    )
    def test_mistakes_in_segments(self, segment: str, place: str, text: str) -> None:
        found = outbound_problems(self.HL7 % segment)
        assert text in found[place], found

    def test_fields_of_msh_that_are_the_engines_and_fields_that_it_needs(self) -> None:
        found = outbound_problems("mapping: m\nto: hl7v2\nsegments: [{MSH: {7: now, 10: event.id}}]\n")
        assert found["segments.0.MSH.7"] == "MSH-7 is the engine's (the time of sending); drop it"
        assert "MSH-10 is the engine's" in found["segments.0.MSH.10"]
        assert "segments.0.MSH" in found

    def test_a_body_belongs_to_json_and_segments_to_hl7v2(self) -> None:
        assert set(outbound_problems("mapping: m\nto: hl7v2\nbody: {A: item}\n")) == {"body", ""}
        assert set(outbound_problems("mapping: m\nto: json\nsegments: [{PID: {3: patient}}]\n")) == {"segments", ""}


_WORDS = st.sampled_from(
    ["", "item", "item.stock_unit", "item.nope", "FT1-7.1", "FT1-7", "MSH-10", "x.y", "items", "units", "locations", "quantity", "text"]
    + ["decimal", "date", "upper", "negate", "extended_amount", "charge_or_credit", "1", "Y", "true", "event", "now", "PID-3[MR].1"]
)
_VALUES = _WORDS | st.dictionaries(st.sampled_from(sorted(VOCABULARY)), _WORDS | st.lists(_WORDS, max_size=2), max_size=4)
_CONDITIONS = st.dictionaries(_WORDS, _WORDS | st.lists(_WORDS, max_size=2), max_size=2)
_FIELDS = st.sampled_from(sorted(CANONICAL_FIELDS) + ["nope"])
_EMITS = st.fixed_dictionaries(
    {"event": st.sampled_from([*EVENT_TYPES, "nope"]), "set": st.dictionaries(_FIELDS, _VALUES, max_size=6)},
    optional={
        "when": _CONDITIONS,
        "credit": _CONDITIONS,
        "convert": st.fixed_dictionaries({"quantity": _WORDS, "unit": _WORDS, "to": _WORDS, "table": _WORDS}),
    },
)


@given(_EMITS, st.none() | _WORDS, _CONDITIONS)
@example({"event": "supply.used", "set": {"item": {"from": "FT1-7.1", "default": ""}, "quantity": {"const": ""}}}, "FT1", {})
def test_whatever_the_words_a_mapping_runs_or_says_what_is_wrong(emit: dict[str, Any], each: str | None, skip: dict[str, Any]) -> None:
    given_ = {"mapping": "m", "from": "hl7v2", "skip": skip, "emit": [emit], **({} if each is None else {"each": each})}
    try:
        compiled = compile_inbound(InboundSpec.model_validate(given_), TABLES, Rules(CHICAGO), (), "or", HL7v2Reading())
    except (SpecError, ValidationError):
        return
    for line in (ft1(), ft1("ZZ", quantity="x", time="x", type="CD")):
        compiled.run(message(line))


@given(st.dictionaries(st.sampled_from(["A", "each", "from"]), _VALUES, max_size=3))
def test_whatever_the_words_a_body_renders_or_says_what_is_wrong(body: dict[str, Any]) -> None:
    try:
        renderer = compile_outbound(OutboundSpec.model_validate({"mapping": "m", "to": "json", "body": body}), TABLES, CHICAGO)
        renderer([Event("supply.used", 0, 1, "k", {"item": "A"}, 0, "i")], CONTEXT)
    except (SpecError, ValidationError, MessageError):
        return


@given(st.dictionaries(st.sampled_from(["3", "4.1", "each", "x"]), _VALUES, max_size=3))
def test_whatever_the_words_segments_render_or_say_what_is_wrong(fields: dict[str, Any]) -> None:
    header = {"9": {"const": "X"}, "12": {"const": "2.5"}}
    try:
        spec = OutboundSpec.model_validate({"mapping": "m", "to": "hl7v2", "segments": [{"MSH": header}, {"PID": fields}]})
        compile_outbound(spec, TABLES, CHICAGO)([Event("supply.used", 0, 1, "k", {"item": "A"}, 0, "i")], CONTEXT)
    except (SpecError, ValidationError, MessageError):
        return


CONTEXT = RenderContext(Message("or", b"", 0), "erp", "k", 0, "/suture/or")
