"""From a received message to canonical events: what a line comes to, and why."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.mapping.inbound import NUMBER_MAX
from suture.model.errors import MessageError
from suture.model.events import EVENT_TYPES, event_id
from suture.model.message import Gap
from suture.wire.hl7v2.text import er7
from tests.mapping.examples import MAPPING, ft1, inbound, mapped, message, types

CHARGES_ONLY = """
mapping: m
from: hl7v2
each: FT1
skip: {item.chargeable: [N], FT1-6.1: [PY]}
emit:
  - event: charge.raised
    when: {FT1-6.1: [CG], item.chargeable: "Y"}
    set:
      item:        {from: FT1-7.1, table: items}
      charge_code: {from: item.charge_code, required: true}
      quantity:    {from: FT1-10, as: decimal, default: "1"}
"""
CDT = timezone(timedelta(hours=-5))


class TestALineThatIsRight:
    def test_raises_usage_and_charge_with_the_values_of_message_and_tables(self) -> None:
        used, charged = mapped(ft1(quantity="2")).events

        assert used.data == {
            "transaction": "T1",
            "patient": "M7",
            "account": "A42",
            "item": "IMP-1",
            "description": "Hip stem",
            "supplier": "SUP-1",
            "quantity": Decimal(2),
            "unit": "EA",
            "used_at": datetime(2026, 4, 1, 10, 1, tzinfo=CDT),
            "location": "OR-ORTHO",
        }
        assert charged.data == {**used.data, "charge_code": "27000123", "unit_amount": Decimal("4200.00"), "amount": Decimal("8400.00")}

    def test_its_events_are_valid_by_the_canonical_model(self) -> None:
        for event in mapped(ft1(), ft1("GLV-1", id="T2", unit="BX")).events:
            EVENT_TYPES[event.type].model_validate(event.data)

    def test_its_events_have_ids_of_type_and_business_key(self) -> None:
        used, charged = mapped(ft1()).events
        assert used.key == charged.key == "or|POU|T1|CG"
        assert used.id == event_id("supply.used", "or|POU|T1|CG")
        assert charged.id == event_id("charge.raised", "or|POU|T1|CG")

    def test_its_events_have_numbers_that_do_not_depend_on_other_lines(self) -> None:
        found = mapped(ft1(type="PY"), ft1("GLV-1", id="T2"), ft1(id="T3"))
        assert [(event.number, event.line, event.type) for event in found.events] == [
            (2, 2, "supply.used"),
            (4, 3, "supply.used"),
            (5, 3, "charge.raised"),
        ]

    def test_the_first_source_that_is_not_empty_counts(self) -> None:
        assert mapped(ft1("NOPE", n34="IMP-1")).events[0].data["item"] == "IMP-1"

    def test_a_value_of_a_segment_of_the_whole_message_is_the_same_for_all_lines(self) -> None:
        found = mapped(ft1(room=""), ft1(room="", id="T2"))
        assert {event.data["location"] for event in found.events} == {"OR-GEN"}

    def test_blanks_around_a_value_are_dropped(self) -> None:
        assert mapped(ft1(" IMP-1 ")).events[0].data["item"] == "IMP-1"

    def test_escapes_are_resolved(self) -> None:
        assert mapped(ft1(id="A\\T\\B")).events[0].data["transaction"] == "A&B"

    def test_a_code_that_an_optional_table_does_not_know_is_left_as_sent(self) -> None:
        assert mapped(ft1(room="OR9")).events[0].data["location"] == "OR9"

    def test_a_message_with_separators_of_its_own_means_the_same(self) -> None:
        theirs = er7.Message.parse(message(ft1()).raw.replace(b"^~\\&", b"!@\\#").replace(b"^", b"!").replace(b"~", b"@"))
        assert [event.data for event in inbound().run(theirs).events] == [event.data for event in mapped(ft1()).events]


class TestMasterDataOnTheServiceDate:
    def test_the_row_in_force_when_the_item_was_used_counts(self) -> None:
        june, july = (mapped(ft1("NEW-1", time=time)).events[1].data for time in ("20260630235959", "20260701"))
        assert (june["unit_amount"], july["unit_amount"]) == (Decimal("9.00"), Decimal("11.00"))

    def test_the_day_is_the_sites_whatever_offset_the_sender_wrote(self) -> None:
        data = mapped(ft1("NEW-1", time="20260701030000+0000")).events[1].data
        assert data["unit_amount"] == Decimal("9.00"), "22:00 on 30 June in Chicago"

    def test_without_a_service_date_the_message_time_counts(self) -> None:
        assert mapped(ft1("NEW-1", time="")).events[1].data["unit_amount"] == Decimal("9.00")

    def test_a_code_out_of_force_is_a_gap_that_says_so(self) -> None:
        (gap,) = mapped(ft1("NEW-1", time="20251231")).gaps
        assert (gap.table, gap.value) == ("items", "NEW-1")
        assert "in force on the service date" in gap.reason

    def test_a_row_that_is_not_active_is_a_gap_that_says_so(self) -> None:
        (gap,) = mapped(ft1("OLD-1")).gaps
        assert "not active" in gap.reason


class TestUnits:
    def test_a_quantity_is_converted_exactly_and_what_was_sent_is_kept(self) -> None:
        data = mapped(ft1("GLV-1", quantity="2.5", unit="BX")).events[0].data
        assert {name: data[name] for name in ("quantity", "unit", "entered_quantity", "entered_unit", "factor")} == {
            "quantity": Decimal("250.0"),
            "unit": "EA",
            "entered_quantity": Decimal("2.5"),
            "entered_unit": "BX",
            "factor": Decimal(100),
        }

    def test_a_factor_for_any_item_counts_where_the_item_has_none(self) -> None:
        assert mapped(ft1("IMP-1", quantity="2", unit="DZ")).events[0].data["quantity"] == 24

    def test_a_quantity_in_the_stock_unit_is_left_alone(self) -> None:
        assert "factor" not in mapped(ft1("IMP-1", unit="EA")).events[0].data

    def test_a_unit_without_a_factor_holds_the_line(self) -> None:
        found = mapped(ft1("IMP-1", unit="PALLET"))
        assert found.events == []
        assert found.gaps == [Gap(1, "unit", "FT1-43.2", "units has no factor from this unit to EA for item IMP-1", "units", "PALLET")]

    def test_the_amount_is_of_the_converted_quantity(self) -> None:
        assert mapped(ft1("IMP-1", quantity="1", unit="DZ")).events[1].data["amount"] == Decimal("50400.00")


class TestCredits:
    def test_quantity_and_amount_of_a_credit_are_negative(self) -> None:
        used, charged = mapped(ft1(type="CD", quantity="2")).events
        assert used.data["quantity"] == -2
        assert charged.data["amount"] == Decimal("-8400.00")

    def test_what_is_negative_already_stays_so(self) -> None:
        used, charged = mapped(ft1(type="CD", quantity="-2")).events
        assert (used.data["quantity"], charged.data["amount"]) == (-2, Decimal("-8400.00"))

    def test_a_credit_of_nothing_is_nothing(self) -> None:
        assert str(mapped(ft1(type="CD", quantity="0")).events[0].data["quantity"]) == "0"

    def test_an_amount_as_sent_turns_negative_too(self) -> None:
        text = MAPPING.replace("amount: {call: extended_amount}", "amount: {from: FT1-10, as: decimal}")
        assert mapped(ft1(type="CD", quantity="7"), text=text).events[1].data["amount"] == -7

    @given(st.integers(-50, 50), st.sampled_from(["CG", "CD"]), st.sampled_from(["BX", "DZ", "EA", ""]))
    def test_quantity_is_always_entered_quantity_times_factor(self, quantity: int, kind: str, unit: str) -> None:
        data = _EXAMPLE.run(message(ft1("GLV-1", quantity=str(quantity), type=kind, unit=unit))).events[0].data
        assert data["quantity"] == data.get("entered_quantity", data["quantity"]) * data.get("factor", 1)
        assert data["quantity"] <= 0 or kind == "CG"


_EXAMPLE = inbound()


class TestLinesThatComeToNothing:
    def test_a_skipped_line_says_which_value_skipped_it(self) -> None:
        found = mapped(ft1(type="PY"), ft1())
        assert found.filtered == [(1, "FT1-6.1", "FT1-6.1 is PY: skipped by the mapping")]
        assert types(found) == [(2, "supply.used"), (2, "charge.raised")]

    def test_a_line_that_no_emit_takes_is_a_gap_with_its_line_place_and_value(self) -> None:
        found = mapped(ft1(), ft1(type="cd", id="T2"))
        assert types(found) == [(1, "supply.used"), (1, "charge.raised")]
        (gap,) = found.gaps
        assert (gap.line, gap.path, gap.value, gap.code) == (2, "FT1-6.1", "cd", "NO_EVENT")
        assert gap.reason == "no event: FT1-6.1 is not CD or CG; let an `emit` take such lines, or name them in `skip`"
        assert found.filtered == [] and found.keys[2] == "or|POU|T2|cd"

    def test_its_reason_holds_no_content(self) -> None:
        (gap,) = mapped(ft1(type="DUCK^DONALD")).gaps
        assert "DUCK" not in gap.reason and gap.value == "DUCK"

    def test_what_stands_there_is_shown_as_far_as_a_code_is_long(self) -> None:
        (gap,) = mapped(ft1(type="X" * 100)).gaps
        assert gap.value == "X" * 40

    def test_a_message_without_the_segment_is_a_gap_of_the_message(self) -> None:
        found = mapped()
        assert (found.lines, found.filtered) == (0, [])
        (gap,) = found.gaps
        assert (gap.line, gap.path, gap.code) == (0, "FT1", "NO_LINES")

    def test_a_line_is_skipped_by_a_column_where_the_mapping_says_so(self) -> None:
        found = mapped(ft1("GLV-1", unit="BX"), ft1(id="T2"), ft1(type="cd", id="T3"), text=CHARGES_ONLY)
        assert found.filtered == [(1, "item.chargeable", "item.chargeable is N: skipped by the mapping")]
        assert types(found) == [(2, "charge.raised")]
        assert [(gap.line, gap.code) for gap in found.gaps] == [(3, "NO_EVENT")]

    def test_an_unknown_code_is_not_skipped_by_a_column(self) -> None:
        found = mapped(ft1("ZZ-999"), text=CHARGES_ONLY)
        assert (found.filtered, [(gap.field, gap.value) for gap in found.gaps]) == ([], [("item", "ZZ-999")])

    def test_a_charge_that_its_column_keeps_back_and_no_skip_names_is_a_gap(self) -> None:
        (gap,) = mapped(ft1("GLV-1", unit="BX"), text=CHARGES_ONLY.replace("item.chargeable: [N], ", "")).gaps
        assert (gap.path, gap.value, gap.code) == ("item.chargeable", "N", "NO_EVENT")

    def test_an_event_kept_back_by_an_item_column_does_not_filter_the_line(self) -> None:
        found = mapped(ft1("GLV-1", unit="BX"))
        assert types(found) == [(1, "supply.used")]
        assert (found.filtered, found.suppressed) == ([], [(1, "charge.raised", "item.chargeable is not Y")])


class TestGaps:
    def test_an_unknown_item_holds_its_line_and_no_other(self) -> None:
        found = mapped(ft1("ZZ-999"), ft1(id="T2"))
        assert found.gaps == [Gap(1, "item", "FT1-7.1", "items has no row for this code", "items", "ZZ-999")]
        assert types(found) == [(2, "supply.used"), (2, "charge.raised")]
        assert found.held == [(1, "supply.used"), (1, "charge.raised")]

    def test_the_path_is_the_one_that_had_the_code(self) -> None:
        assert mapped(ft1("IMP-1", n34="ZZ-1")).gaps[0].path == "FT1-34.1"

    def test_a_chargeable_item_without_a_charge_code_holds_the_charge_alone(self) -> None:
        found = mapped(ft1("IMP-2"))
        assert types(found) == [(1, "supply.used")]
        assert found.held == [(1, "charge.raised")]
        assert found.gaps == [Gap(1, "charge_code", "item.charge_code", "required, and empty in items", "items", "IMP-2")]

    def test_an_item_that_is_not_chargeable_needs_no_charge_code(self) -> None:
        assert mapped(ft1("GLV-1", unit="BX")).gaps == []

    def test_a_missing_value_of_the_whole_message_holds_every_line(self) -> None:
        found = mapped(ft1(), ft1(id="T2"), pid="PID|1||9^^^SSA^SS")
        assert found.events == []
        assert [(gap.line, gap.field, gap.path, gap.value) for gap in found.gaps] == [
            (1, "patient", "PID-3[MR].1", ""),
            (2, "patient", "PID-3[MR].1", ""),
        ]

    @pytest.mark.parametrize(
        ("given_", "field", "reason"),
        [
            ({"quantity": "two"}, "quantity", "not a number"),
            ({"quantity": "1,000"}, "quantity", "not a number"),
            ({"quantity": "NaN"}, "quantity", "not a number"),
            ({"time": "20260231"}, "used_at", "not a time"),
            ({"time": "SMITH^JOHN"}, "used_at", "not a time"),
        ],
    )
    def test_a_malformed_value_is_a_gap_that_does_not_quote_it(self, given_: dict[str, str], field: str, reason: str) -> None:
        found = mapped(ft1(**given_))
        assert found.events == []
        assert [(gap.field, gap.reason, gap.table, gap.value) for gap in found.gaps] == [(field, reason, "", "")]

    def test_everything_that_is_wrong_in_a_line_is_found_at_once(self) -> None:
        found = mapped(ft1("ZZ-999", quantity="many", time="never"), pid="PID|1")
        assert [gap.field for gap in found.gaps] == ["patient", "used_at", "quantity"]
        found = mapped(ft1("ZZ-999", quantity="many"))
        assert sorted(gap.field for gap in found.gaps) == ["item", "quantity"]

    def test_a_gap_that_two_events_share_is_reported_once(self) -> None:
        assert len(mapped(ft1(quantity="x")).gaps) == 1

    def test_a_line_with_a_gap_has_a_business_key_too(self) -> None:
        assert mapped(ft1("ZZ-999")).keys == {1: "or|POU|T1|CG"}

    @given(st.lists(st.sampled_from(["IMP-1", "IMP-2", "GLV-1", "ZZ", ""]), max_size=5), st.data())
    def test_every_line_ends_as_events_a_gap_or_a_reason(self, items: list[str], data: st.DataObject) -> None:
        lines = [
            ft1(
                item,
                id=str(i),
                type=data.draw(st.sampled_from(["CG", "CD", "PY", "XX", ""])),
                quantity=data.draw(st.sampled_from(["1", "", "x"])),
                unit=data.draw(st.sampled_from(["EA", "BX", "??", ""])),
            )
            for i, item in enumerate(items)
        ]
        found = _EXAMPLE.run(message(*lines))
        filtered = {line for line, _, _ in found.filtered}
        ended = {e.line for e in found.events} | {gap.line for gap in found.gaps} | filtered
        assert ended == set(range(1, len(items) + 1)) if items else ended == {0}
        assert not filtered & set(found.keys)

    @given(st.text(max_size=12), st.text(max_size=12), st.text(max_size=12))
    def test_no_content_makes_it_raise(self, item: str, quantity: str, time: str) -> None:
        text = [er7.escape(part.encode("utf-8", "replace").decode()) for part in (item, quantity, time)]
        _EXAMPLE.run(message(ft1(text[0], quantity=text[1], time=text[2], id=text[0])))


class TestValues:
    def line(self, field: str, event: str = "supply.used") -> str:
        return f"""
mapping: one
from: hl7v2
each: FT1
emit:
  - event: {event}
    set:
      item: FT1-7.1
      quantity: FT1-10
      {field}
"""

    def run(self, field: str, *lines: str) -> object:
        name = field.partition(":")[0]
        found = mapped(*(lines or (ft1(),)), text=self.line(field))
        return found.gaps or found.events[0].data.get(name)

    def test_a_field_is_typed_as_the_canonical_model_says(self) -> None:
        assert self.run("used_at: FT1-4.1") == datetime(2026, 4, 1, 10, 1, tzinfo=CDT)
        assert self.run("unit_cost: FT1-10") == Decimal(1)

    def test_a_constant_is_typed_too(self) -> None:
        assert self.run('unit_cost: {const: "1.50"}') == Decimal("1.50")
        assert self.run("staff: {const: ROBOT}") == "ROBOT"

    def test_a_day_is_the_day_that_was_said(self) -> None:
        assert self.run("used_at: {from: FT1-4.1, as: date}") == date(2026, 4, 1)
        assert self.run("used_at: {from: FT1-4.1, as: date}", ft1(time="20260401233000-1000")) == date(2026, 4, 1)

    def test_a_day_in_a_text_field_is_written_iso(self) -> None:
        assert self.run("lot: {from: FT1-4.1, as: date}") == "2026-04-01"

    def test_an_integer_is_a_whole_number(self) -> None:
        assert self.run("unit_cost: {from: FT1-10, as: integer}") == 1
        assert self.run("unit_cost: {from: FT1-10, as: integer}", ft1(quantity="1.5")) == [
            Gap(1, "unit_cost", "FT1-10", "not a whole number")
        ]

    def test_a_text_function_works_before_the_look_up(self) -> None:
        assert self.run("location: {from: FT1-16.1, call: upper, table: locations}", ft1(room="or1")) == "OR-ORTHO"

    def test_a_number_function_works_on_the_number(self) -> None:
        assert self.run("unit_cost: {from: FT1-10, call: negate}", ft1(quantity="3")) == -3

    def test_an_empty_default_says_that_a_looked_up_value_may_be_absent(self) -> None:
        assert self.run('location: {from: FT1-16.1, table: locations, default: ""}', ft1(room="")) is None
        assert self.run('location: {from: FT1-16.1, table: locations, default: ""}', ft1(room="??"))[0].table == "locations"  # type: ignore[index]

    def test_without_it_a_looked_up_value_is_required(self) -> None:
        (gap,) = self.run("location: {from: FT1-16.1, table: locations}", ft1(room=""))  # type: ignore[misc]
        assert gap == Gap(1, "location", "FT1-16.1", "required, and empty in the message")

    def test_a_function_that_can_give_nothing_leaves_the_field_out_unless_it_is_required(self) -> None:
        text = self.line("amount: {call: extended_amount}", "charge.raised").replace("item: FT1", "charge_code: FT1-7.1\n      item: FT1")
        assert "amount" not in mapped(ft1(), text=text).events[0].data
        held = mapped(ft1(), text=text.replace("amount}", "amount, required: true}"))
        assert [(gap.field, gap.path) for gap in held.gaps] == [("amount", "call extended_amount")]

    def test_a_field_without_a_value_is_left_out(self) -> None:
        assert self.run("lot: FT1-99") is None


class TestSearch:
    def test_a_message_is_found_by_patient_account_and_items(self) -> None:
        found = mapped(ft1(), ft1("GLV-1", id="T2"))
        assert found.search == [("patient", "M7"), ("account", "A42"), ("item", "IMP-1"), ("item", "GLV-1")]

    def test_a_path_of_the_repeated_segment_is_taken_from_every_line(self) -> None:
        text = MAPPING.replace("account: PID-18.1}", "scan: FT1-2}")
        found = mapped(ft1(), ft1("GLV-1", id="T2"), text=text)
        assert [pair for pair in found.search if pair[0] == "scan"] == [("scan", "T1"), ("scan", "T2")]


class TestTheWholeMessage:
    WHOLE = """
mapping: whole
from: hl7v2
emit:
  - event: supply.used
    set: {item: "FT1(2)-7.1", quantity: {const: "1"}, account: {from: PID-18.1, required: true}}
"""

    def test_without_each_events_are_raised_once_for_line_1(self) -> None:
        found = mapped(ft1("A"), ft1("B"), text=self.WHOLE)
        assert [(e.line, e.number, e.data["item"]) for e in found.events] == [(1, 0, "B")]

    def test_its_gaps_are_of_line_1(self) -> None:
        assert [gap.line for gap in mapped(ft1("A"), ft1("B"), pid="PID|1", text=self.WHOLE).gaps] == [1]

    def test_more_lines_than_can_be_numbered_are_refused(self) -> None:
        with pytest.raises(MessageError) as refused:
            mapped(*["1"] * (NUMBER_MAX // 2 + 1))
        assert (refused.value.stage, refused.value.code) == ("map", "TOO_MANY_LINES")


@given(st.sampled_from(["IMP-1", "GLV-1", "NEW-1"]), st.sampled_from(["CG", "CD"]), st.sampled_from(["EA", "DZ"]), st.integers(0, 9))
def test_events_are_the_same_whether_or_not_something_else_in_the_message_is_wrong(item: str, kind: str, unit: str, quantity: int) -> None:
    line = ft1(item, type=kind, unit=unit, quantity=str(quantity))
    good, bad = (_DEMANDING.run(message(line, pv1=pv1)) for pv1 in ("PV1||||||||||||||||||V1", "PV1|"))
    used = [(event, event.data) for event in good.events if event.type == "supply.used"]
    assert [(event, event.data) for event in bad.events] == used


_DEMANDING = inbound(
    MAPPING.replace("charge_code: {", "visit: {from: PV1-18.1, required: true}\n      charge_code: {").replace(", PV1-3.1]", "]")
)
