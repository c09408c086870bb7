"""When a value is taken for what it says: null, repetitions, bounds, zones, days, and money to the cent."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.mapping.plan import Mapped
from suture.mapping.rules import Bounds, Rules
from suture.wire.hl7v2.text import er7
from tests.mapping.examples import CHICAGO, MAPPING, ft1, inbound, mapped, message, problems, types

RECEIVED = datetime(2026, 4, 2, 3, 0, tzinfo=UTC)  # the evening before in Chicago
DEFAULTED = MAPPING.replace("account: PID-18.1", "account: {from: PID-18.1, default: NONE}", 1)
REQUIRED = MAPPING.replace("used_at: {from: FT1-4.1, as: time}", "used_at: {from: FT1-4.1, as: time, required: true}")
CODED = """
mapping: coded
from: hl7v2
each: FT1
emit:
  - event: charge.raised
    set:
      item: {from: ["FT1-7[3='L'].1", FT1-7.1], required: true}
      charge_code: {const: "1"}
      quantity: {from: FT1-10, between: ["0.5", "40"]}
      amount: FT1-11.1
      procedure_modifiers: "FT1-26[*].1"
      staff: "FT1-20[1].1"
"""


def us(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000


def run(*lines: str, text: str = MAPPING, rules: Rules | None = None, received: datetime | None = RECEIVED, **given: Any) -> Mapped:
    """The careful way and the quick one, which must agree."""
    compiled = inbound(text, rules=rules or Rules(CHICAGO))
    made = message(*lines, **given)
    at_us = None if received is None else us(received)
    quick, careful = compiled.run(made, at_us), compiled.run_carefully(made, at_us)
    assert quick == careful
    assert [str(event.data) for event in quick.events] == [str(event.data) for event in careful.events]
    return quick


def gaps(found: Mapped) -> list[tuple[str, str, str]]:
    return [(gap.field, gap.path, gap.code) for gap in found.gaps]


def coded(**fields: str) -> str:
    """An FT1 with these fields by number: f7=..."""
    given_ = {1: "1", 6: "CG", 7: "IMP-1", 10: "1", **{int(name[1:]): text for name, text in fields.items()}}
    return "|".join(given_.get(i, "") for i in range(1, 44))


class TestNull:
    def test_it_is_never_a_default(self) -> None:
        found = run(ft1(quantity='""'))
        assert found.events == []
        assert [(gap.field, gap.reason, gap.code) for gap in found.gaps] == [
            ("quantity", 'required, and null ("") in the message', "BAD_VALUE")
        ]
        assert run(ft1(quantity="")).events[0].data["quantity"] == 1

    def test_it_is_an_absent_value_where_one_may_be_absent(self) -> None:
        assert "transaction" not in run(ft1(id='""')).events[0].data

    @pytest.mark.parametrize("pid18", ['""', '""^^^HOSP^AN', '""^""'])
    def test_nor_is_it_in_a_segment_of_the_whole_message(self, pid18: str) -> None:
        for account, pid in (("NONE", ""), (None, pid18)):
            found = run(ft1(), text=DEFAULTED, pid=f"PID|1||M7^^^HOSP^MR|||||||||||||||{pid}")
            assert found.events[0].data.get("account") == account

    def test_the_next_source_does_not_stand_in_for_it(self) -> None:
        assert gaps(run(ft1("IMP-1", n34='""'))) == [("item", "FT1-34.1", "BAD_VALUE")]
        assert "location" not in run(ft1(room='""')).events[0].data

    def test_a_field_that_is_null_is_null_in_all_its_components(self) -> None:
        line = ft1(unit="X").replace("^X", '""')
        assert gaps(run(line)) == [("unit", "FT1-43.2", "BAD_VALUE")]

    def test_a_date_that_is_null_is_a_gap_where_it_is_required(self) -> None:
        assert gaps(run(ft1(time='""'), text=REQUIRED)) == [("used_at", "FT1-4.1", "BAD_VALUE")]

    def test_a_condition_and_a_key_take_it_for_empty(self) -> None:
        assert run(ft1(type='""')).gaps[0].code == "NO_EVENT"
        assert run(ft1(id='""')).events[0].key == run(ft1(id="")).events[0].key


class TestRepetitions:
    def test_values_that_differ_are_held_where_the_path_does_not_choose(self) -> None:
        found = run(coded(f7="A~B"), text=CODED)
        assert (found.events, gaps(found)) == ([], [("item", "FT1-7.1", "AMBIGUOUS_VALUE")])
        assert "A" not in found.gaps[0].reason.split()
        for same in ("A~A", "A~", "~A", "A^X~A^Y"):
            assert run(coded(f7=same), text=CODED).events[0].data["item"] == "A"

    def test_a_coding_system_chooses(self) -> None:
        assert run(coded(f7="0952^STEM^GTIN~IMP-9^STEM^L"), text=CODED).events[0].data["item"] == "IMP-9"
        assert run(coded(f7="IMP-9^STEM^L"), text=CODED).events[0].data["item"] == "IMP-9"
        assert gaps(run(coded(f7="IMP-8^STEM^L~IMP-9^STEM^L"), text=CODED)) == [("item", "FT1-7[3='L'].1", "AMBIGUOUS_VALUE")]

    def test_a_number_chooses(self) -> None:
        assert run(coded(f20="N1^A~N2^B"), text=CODED).events[0].data["staff"] == "N1"

    def test_an_account_or_a_quantity_given_twice_is_held(self) -> None:
        twice = "PID|1||M7^^^HOSP^MR|||||||||||||||A1~A2"
        assert gaps(run(ft1(), pid=twice)) == [("account", "PID-18.1", "AMBIGUOUS_VALUE")]
        assert gaps(run(ft1(quantity="1~2"))) == [("quantity", "FT1-10", "AMBIGUOUS_VALUE")]

    def test_two_numbers_of_one_type_are_no_patient(self) -> None:
        found = run(ft1(), pid="PID|1||M7^^^HOSP^MR~M8^^^OTHER^MR|||||||||||||||A42")
        assert gaps(found) == [("patient", "PID-3[MR].1", "AMBIGUOUS_VALUE")]
        chosen = MAPPING.replace("PID-3[MR].1", "PID-3[4='OTHER' & 5='MR'].1")
        assert run(ft1(), text=chosen, pid="PID|1||M7^^^HOSP^MR~M8^^^OTHER^MR").events[0].data["patient"] == "M8"

    @pytest.mark.parametrize("line", [ft1(type="PY~CG"), ft1(type="CG~CD"), ft1(id="T1~T2")])
    def test_what_becomes_of_a_line_is_not_decided_by_the_first_of_two(self, line: str) -> None:
        found = run(line, ft1(id="T9"))
        assert types(found) == [(2, "supply.used"), (2, "charge.raised")]
        assert [(gap.line, gap.code) for gap in found.gaps] == [(1, "AMBIGUOUS_VALUE")]
        assert (found.filtered, sorted(found.keys)) == ([], [1, 2])

    def test_a_list_takes_all_of_them(self) -> None:
        for sent, listed in (("LT", ["LT"]), ("LT^LEFT^HCPCS~59~", ["LT", "59"]), ("", None), ('""', None)):
            assert run(coded(f26=sent), text=CODED).events[0].data.get("procedure_modifiers") == listed

    def test_a_list_that_is_required(self) -> None:
        text = CODED.replace('"FT1-26[*].1"', '{from: "FT1-26[*].1", required: true}')
        assert gaps(run(coded(), text=text)) == [("procedure_modifiers", "FT1-26[*].1", "BAD_VALUE")]
        assert run(coded(f26="LT"), text=text).gaps == []

    @pytest.mark.parametrize(
        ("value", "said"),
        [
            ("FT1-26.1", "does not name all repetitions"),
            ('"FT1(*)-26[*].1"', "does not name all repetitions"),
            ("no path", "is not a path"),
            ('{from: "FT1-26[*].1", default: X}', "is a list"),
            ('{from: ["FT1-26[*].1", "FT1-25[*].1"]}', "is a list"),
            ("{const: X}", "is a list"),
        ],
    )
    def test_a_list_takes_nothing_else(self, value: str, said: str) -> None:
        found = problems(CODED.replace('"FT1-26[*].1"', value))
        assert any(said in text for text in found.values()), found

    def test_a_star_is_for_lists(self) -> None:
        assert any("names several values" in text for text in problems(CODED.replace("FT1-20[1].1", "FT1-20[*].1")).values())


class TestBounds:
    @pytest.mark.parametrize("quantity", ["09521101001174", "042526", "10000", "-10000", "9999.01"])
    def test_a_scanned_number_is_no_quantity(self, quantity: str) -> None:
        found = run(ft1(quantity=quantity), ft1(id="T2", quantity="9999", item="GLV-1", unit="EA"))
        assert gaps(found) == [("quantity", "FT1-10", "OUT_OF_BOUNDS")]
        assert found.gaps[0].line == 1
        assert found.gaps[0].reason == "not between -9999 and 9999, the channel's bounds.quantity"

    def test_nor_is_what_a_unit_makes_of_one(self) -> None:
        found = run(ft1("GLV-1", unit="BX", quantity="100"))
        assert (found.events, gaps(found)) == ([], [("quantity", "FT1-43.2", "OUT_OF_BOUNDS")])
        assert run(ft1("GLV-1", unit="BX", quantity="99")).events[0].data["quantity"] == 9_900

    def test_amounts_and_prices_have_theirs(self) -> None:
        tight = Rules(CHICAGO, bounds=Bounds(amount=Decimal("8399.99")))
        found = run(ft1(quantity="2"), rules=tight)
        assert types(found) == [(1, "supply.used")]
        assert gaps(found) == [("amount", "call extended_amount", "OUT_OF_BOUNDS")]
        assert gaps(run(ft1(), rules=Rules(CHICAGO, bounds=Bounds(amount=Decimal(2000)))))[0][0] == "unit_amount"
        assert gaps(run(coded(f11="10000000"), text=CODED)) == [("amount", "FT1-11.1", "OUT_OF_BOUNDS")]

    def test_a_mapping_may_say_more_narrowly(self) -> None:
        for quantity in ("0", "0.4", "41", "09521101001174"):
            assert gaps(run(coded(f10=quantity), text=CODED)) == [("quantity", "FT1-10", "OUT_OF_BOUNDS")]
        assert run(coded(f10="0.5"), text=CODED).gaps == []

    def test_or_more_widely(self) -> None:
        wide = CODED.replace('["0.5", "40"]', '["0", "1000000"]')
        assert run(coded(f10="500000"), text=wide).events[0].data["quantity"] == 500_000

    @pytest.mark.parametrize(
        ("value", "said"),
        [
            ('["40", "0.5"]', "the least comes first"),
            ('["1", "5"], default: "9"', "'9' is not between 1 and 5"),
        ],
    )
    def test_bounds_are_checked(self, value: str, said: str) -> None:
        found = problems(CODED.replace('["0.5", "40"]', value))
        assert any(said in text for text in found.values()), found

    def test_bounds_of_a_text_have_no_meaning(self) -> None:
        found = problems(CODED.replace('"FT1-20[1].1"', '{from: "FT1-20[1].1", between: ["1", "2"]}'))
        assert any("is for numbers" in text for text in found.values())

    @pytest.mark.parametrize(
        ("time", "reason"),
        [
            ("20260503", "more than 31 days after the message was received, the channel's bounds.future_d"),
            ("20260502230000", None),
            ("20260502230000-1000", "more than 31 days after the message was received, the channel's bounds.future_d"),
            ("20160331", None),
            ("20160330", "more than 3653 days before the message was received, the channel's bounds.past_d"),
            ("19260401", "more than 3653 days before the message was received, the channel's bounds.past_d"),
            ("22060401101500", "more than 31 days after the message was received, the channel's bounds.future_d"),
        ],
    )
    def test_a_service_date_is_near_the_day_of_receipt_where_the_site_is(self, time: str, reason: str | None) -> None:
        found = run(ft1(time=time))
        assert [gap.reason for gap in found.gaps] == ([reason] if reason else [])
        assert bool(found.events) is (reason is None)
        assert run(ft1(time=time), received=None).gaps == []

    def test_each_day_of_receipt_has_its_own(self) -> None:
        compiled = inbound(rules=Rules(CHICAGO, bounds=Bounds(past_d=1, future_d=0)))
        made = message(ft1(time="20260401230000"))
        for hours, good in ((-24, False), (0, True), (24, True), (48, False), (0, True)):
            found = compiled.run(made, us(RECEIVED + timedelta(hours=hours)))
            assert bool(found.events) is good, hours


class TestZones:
    DENVER = Rules(CHICAGO, times=ZoneInfo("America/Denver"))
    SENDER = Rules(CHICAGO, by_sender=True)

    def used_at(self, time: str, rules: Rules, sent: str = "20260401101530") -> Any:
        made = message(ft1(time=time))
        raw = made.raw.replace(b"|20260401101530|", f"|{sent}|".encode())
        compiled = inbound(rules=rules)
        (first, *_), (careful, *_) = (compiled.run(er7.Message.parse(raw)).events, compiled.run_carefully(er7.Message.parse(raw)).events)
        assert first.data == careful.data
        return first.data["used_at"]

    @pytest.mark.parametrize(
        ("time", "rules", "sent", "hours"),
        [
            ("20260401100100", Rules(CHICAGO), "20260401101530-0800", -5),
            ("20260401100100", DENVER, "20260401101530-0800", -6),
            ("20260401100100", SENDER, "20260401101530-0800", -8),
            ("20260401100100", SENDER, "20260401+0900", 9),
            ("20260401100100", SENDER, "20260401101530", -5),
            ("20260401100100", SENDER, "", -5),
            ("20260401100100", SENDER, "20260401101530-9900", -5),
            ("20260401100100-0300", SENDER, "20260401101530-0800", -3),
            ("20260401100100-0300", DENVER, "20260401101530-0800", -3),
        ],
    )
    def test_a_time_without_an_offset_is_in_the_zone_that_the_channel_names(self, time: str, rules: Rules, sent: str, hours: int) -> None:
        found = self.used_at(time, rules, sent)
        assert (found, found.utcoffset()) == (datetime(2026, 4, 1, 10, 1, tzinfo=timezone(timedelta(hours=hours))), timedelta(hours=hours))

    @pytest.mark.parametrize("rules", [Rules(CHICAGO), DENVER, SENDER])
    def test_a_day_is_in_none(self, rules: Rules) -> None:
        for time in ("20260401", "20260401+0000", "20260401-1100"):
            assert self.used_at(time, rules, "20260401101530-0800") == date(2026, 4, 1)

    def test_a_malformed_time_stays_one(self) -> None:
        assert gaps(run(ft1(time="noon"), rules=self.SENDER)) == [("used_at", "FT1-4.1", "BAD_VALUE")]

    def test_senders_of_two_zones_do_not_share_what_is_remembered(self) -> None:
        compiled = inbound(rules=self.SENDER)
        for offset in ("-0800", "+0100", "-0800", ""):
            raw = message(ft1()).raw.replace(b"|20260401101530|", f"|20260401101530{offset}|".encode())
            found = compiled.run(er7.Message.parse(raw), us(RECEIVED)).events[0].data["used_at"].strftime("%z")
            assert found == (offset or "-0500")


class TestDays:
    def test_the_price_of_a_day_is_that_days_whatever_offset_stands_behind_it(self) -> None:
        for time, price in (("20260630+1400", "9.00"), ("20260701-1200", "11.00"), ("20260701+0000", "11.00"), ("20260701", "11.00")):
            found = run(ft1("NEW-1", time=time), received=None)
            assert str(found.events[1].data["unit_amount"]) == price

    def test_a_required_service_date_that_is_missing_is_a_gap(self) -> None:
        for time in ("", '""', "202604", "2026", "00000000"):
            assert gaps(run(ft1(time=time), text=REQUIRED)) == [("used_at", "FT1-4.1", "BAD_VALUE")]

    def test_without_any_date_no_row_is_chosen(self) -> None:
        made = message(ft1("NEW-1", time=""), ft1("IMP-1", id="T2"))
        undated = er7.Message.parse(made.raw.replace(b"|20260401101530|", b"||"))
        found = inbound().run(undated)
        assert [(gap.line, gap.field, gap.path) for gap in found.gaps] == [(1, "used_at", "MSH-7.1")]
        assert found == inbound().run_carefully(undated)


class TestMoney:
    @pytest.mark.parametrize(
        ("quantity", "amount"), [("0.5", "2100.00"), ("1.000", "4200.00"), ("0.0000011", "0.00"), ("0.33333", "1399.99"), ("3", "12600.00")]
    )
    def test_an_amount_is_rounded_to_the_cent(self, quantity: str, amount: str) -> None:
        for kind, sign in (("CG", ""), ("CD", "-")):
            found = run(ft1(quantity=quantity, type=kind)).events[1].data["amount"]
            assert str(found) == (amount if amount == "0.00" else sign + amount)

    def test_a_half_goes_away_from_zero(self) -> None:
        price = MAPPING.replace("{from: item.unit_price, as: decimal}", '{const: "0.05"}')
        for quantity, amount in (("0.1", "0.01"), ("0.3", "0.02"), ("-0.1", "-0.01"), ("0.5", "0.03")):
            assert str(run(ft1(quantity=quantity), text=price).events[1].data["amount"]) == amount

    def test_an_amount_that_came_is_too_and_a_price_is_not(self) -> None:
        assert str(run(coded(f11="12.345"), text=CODED).events[0].data["amount"]) == "12.35"
        assert str(run(coded(f11="7"), text=CODED).events[0].data["amount"]) == "7.00"
        price = MAPPING.replace("{from: item.unit_price, as: decimal}", '{const: "0.0125"}')
        assert str(run(ft1(), text=price).events[1].data["unit_amount"]) == "0.0125"

    @pytest.mark.parametrize(("decimals", "amount"), [(0, "2100"), (3, "2100.000")])
    def test_another_currency_has_other_decimals(self, decimals: int, amount: str) -> None:
        found = run(ft1(quantity="0.5"), rules=Rules(CHICAGO, decimals=decimals))
        assert str(found.events[1].data["amount"]) == amount

    @given(st.decimals(min_value=-(10**4), max_value=10**4, places=6), st.integers(0, 4))
    def test_rounding_never_moves_an_amount_by_more_than_half_a_cent(self, quantity: Decimal, decimals: int) -> None:
        wide = Bounds(quantity=Decimal(10**4), amount=Decimal(10**9))
        found = run(ft1(quantity=f"{quantity:f}"), rules=Rules(CHICAGO, bounds=wide, decimals=decimals))
        cent, amount = Decimal(1).scaleb(-decimals), found.events[1].data["amount"]
        assert abs(amount - quantity * 4200) <= cent / 2
        assert amount.as_tuple().exponent == -decimals


def test_a_code_of_the_example_goes_by_either_way() -> None:
    assert types(mapped(ft1())) == [(1, "supply.used"), (1, "charge.raised")]
