"""Text to typed values: exact numbers, HL7 times, and what is neither."""

from __future__ import annotations

import json
import tracemalloc
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.mapping.functions import FUNCTIONS, absolute, charge_or_credit, digits_only, extended_amount, negate, strip_zeros, upper
from suture.mapping.times import day_in, day_parser, from_iso, hl7_time, iso_day, offset_of, time_parser
from suture.mapping.values import Parser, decimal, dumps, integer, plain
from tests.mapping.examples import CHICAGO

time = time_parser(CHICAGO)
AT = datetime(2026, 3, 10, 8, 15, 30, tzinfo=UTC)


class TestNumbers:
    @given(st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**12), max_value=10**12))
    def test_a_number_comes_back_exactly_as_written(self, number: Decimal) -> None:
        assert decimal(plain(number)) == number

    @pytest.mark.parametrize("text", ["", "x", "1,000", "1e5", "NaN", "Infinity", "--1", "1_000", "٣", "1 2", ".", "9" * 41, "100&USD"])
    def test_what_is_no_number(self, text: str) -> None:
        assert decimal(text) is None

    @pytest.mark.parametrize(("text", "number"), [(" 1.50 ", "1.50"), ("+3", "3"), ("-.5", "-0.5"), ("2.", "2"), ("-0", "0")])
    def test_what_hl7_allows(self, text: str, number: str) -> None:
        assert str(decimal(text)) == number

    def test_integers_have_no_fraction(self) -> None:
        assert (integer("12"), integer("12.0"), integer("x")) == (Decimal(12), None, None)

    def test_small_numbers_are_written_without_an_exponent(self) -> None:
        assert plain(Decimal("0.0000001")) == "0.0000001"


class TestTimes:
    @pytest.mark.parametrize(
        ("text", "iso"),
        [
            ("20260401", "2026-04-01"),
            ("2026040110", "2026-04-01T10-05:00"),
            ("202604011001", "2026-04-01T10:01-05:00"),
            ("20260401100159", "2026-04-01T10:01:59-05:00"),
            ("20260401100159.1", "2026-04-01T10:01:59.1-05:00"),
            ("20260401100159.1230", "2026-04-01T10:01:59.1230-05:00"),
            ("20260401100159.123456789", "2026-04-01T10:01:59.123456-05:00"),
            ("20260101100159", "2026-01-01T10:01:59-06:00"),
            ("20260401100159+0130", "2026-04-01T10:01:59+01:30"),
            ("20260401-0700", "2026-04-01"),
            ("20260401+1400", "2026-04-01"),
            (" 20260401 ", "2026-04-01"),
            ("202604011001+0530", "2026-04-01T10:01+05:30"),
        ],
    )
    def test_a_time_is_read_as_far_as_it_was_said_and_without_an_offset_as_the_sites(self, text: str, iso: str) -> None:
        found = time(text)
        assert found is not None
        assert found.isoformat() == iso

    def test_an_hour_that_the_clock_leaves_out_has_the_offset_before_the_change(self) -> None:
        assert time("20260308023000") == datetime(2026, 3, 8, 2, 30, tzinfo=timezone(timedelta(hours=-6)))

    @pytest.mark.parametrize(
        "text", ["20260310", "2026031008", "202603100815", "20260310081530", "20260310081530.5", "20260310081530.1230"]
    )
    def test_hl7_and_json_carry_the_precision_that_came(self, text: str) -> None:
        for sent in (text, text + "+0000", text + "-1000"):
            read = time(sent)
            assert read is not None
            written = hl7_time(read, CHICAGO)
            day = len(text) == len("20260310")
            assert (len(written), written[-5:]) == (len(text) + (0 if day else 5), text[-5:] if day else "-0500")
            stored = dumps(read)
            again = from_iso(json.loads(stored))
            assert (again, dumps(again), hl7_time(again or read, CHICAGO)) == (read, stored, written)

    def test_a_day_stays_a_day_whatever_offset_stands_behind_it(self) -> None:
        for offset in ("", "+0000", "-1200", "+1400"):
            read = time(f"20260310{offset}")
            assert read == date(2026, 3, 10)
            assert (hl7_time(read, CHICAGO), day_in(read, ZoneInfo("Asia/Tokyo"))) == ("20260310", date(2026, 3, 10))

    def test_an_hour_keeps_its_offset_where_the_site_has_another_by_half_an_hour(self) -> None:
        assert hl7_time(time("2026031008+0530") or AT, CHICAGO) == "2026031008+0530"
        assert hl7_time(time("2026031008+0500") or AT, CHICAGO) == "2026030922-0500"

    @pytest.mark.parametrize("text", ["", "noon", "2026-03", "2026-03-10T08:15:30", "2026-02-31", "20260310"])
    def test_what_is_no_time_in_json(self, text: str) -> None:
        assert from_iso(text) is None

    @pytest.mark.parametrize(
        ("text", "iso"), [("2026", "2026"), ("202612", "2026-12"), ("202613", None), ("0000", None), ("2026-12", None)]
    )
    def test_a_month_or_a_year_in_a_text_field_is_no_day(self, text: str, iso: str | None) -> None:
        assert iso_day(text) == iso

    @pytest.mark.parametrize(
        ("text", "offset"), [("20260310081530-0800", "-0800"), ("20260310+0530", "+0530"), ("20260310", ""), ("x-0800", "")]
    )
    def test_the_offset_of_a_sender(self, text: str, offset: str) -> None:
        assert offset_of(text) == offset

    def test_an_hour_that_the_clock_shows_twice_is_the_first(self) -> None:
        assert time("20261101013000") == datetime(2026, 11, 1, 1, 30, tzinfo=timezone(timedelta(hours=-5)))

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "2026",
            "202604",
            "20260231",
            "2026040125",
            "20260401106100",
            "20260401100160",
            "2026-04-01",
            "00000000",
            "20260401100100+9900",
            "99991231235959",
            "99991231235959-1200",
            "00010101000000",
            "00010101000000+1400",
            "18991231",
        ],
    )
    def test_what_is_no_time(self, text: str) -> None:
        assert time(text) is None

    @given(st.text(max_size=30))
    def test_no_text_makes_it_raise(self, text: str) -> None:
        time(text), decimal(text), iso_day(text), day_parser(CHICAGO)(text)

    @given(
        st.from_regex(r"[0-9]{4}(0101|1231)([01][0-9][0-5][0-9])?([+-]1[0-9]00)?", fullmatch=True),
        st.sampled_from(["Asia/Tokyo", "Pacific/Honolulu"]),
    )
    def test_whatever_is_a_time_has_a_day_and_can_be_written_in_every_zone(self, text: str, zone: str) -> None:
        moment = time(text)
        if moment is not None:
            said = moment.date() if isinstance(moment, datetime) else moment
            assert abs(day_in(moment, ZoneInfo(zone)) - said) <= timedelta(days=2)
            assert hl7_time(moment, ZoneInfo(zone))[:4].isdigit()

    @given(st.datetimes(datetime(1950, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC)))
    def test_what_is_written_is_read_as_the_same_second(self, moment: datetime) -> None:
        assert time(hl7_time(moment, CHICAGO)) == moment.replace(microsecond=0)

    def test_the_day_alone(self) -> None:
        assert day_parser(CHICAGO)("20260401235959") == time("20260401") == date(2026, 4, 1)
        assert iso_day("20260401235959") == "2026-04-01"
        assert iso_day("99991231") == "9999-12-31"
        assert day_parser(CHICAGO)("soon") is iso_day("soon") is iso_day("20260231") is None


def test_json_has_decimals_as_text_and_times_with_their_offset() -> None:
    values = {"a": Decimal("10.50"), "t": time("20260401100000"), "d": time("20260401"), "m": time("202604011000")}
    found = {"a": "10.50", "t": "2026-04-01T10:00:00-05:00", "d": "2026-04-01", "m": "2026-04-01T10:00-05:00"}
    assert json.loads(dumps(values)) == found


class TestFunctions:
    def test_texts(self) -> None:
        assert (upper("or1"), digits_only("0002-7597-01"), strip_zeros("00120"), strip_zeros("000"), strip_zeros("")) == (
            "OR1",
            "0002759701",
            "120",
            "0",
            "",
        )

    def test_numbers(self) -> None:
        assert (negate(Decimal("2.50")), absolute(Decimal("-2.50")), str(negate(Decimal(0)))) == (Decimal("-2.50"), Decimal("2.50"), "0")
        assert (charge_or_credit(Decimal(-1)), charge_or_credit(Decimal(0)), charge_or_credit(Decimal(1))) == ("CD", "CG", "CG")

    @given(st.decimals(allow_nan=False, allow_infinity=False, places=9), st.decimals(allow_nan=False, allow_infinity=False, places=9))
    def test_an_extended_amount_is_never_rounded(self, quantity: Decimal, price: Decimal) -> None:
        amount = extended_amount({"quantity": quantity, "unit_amount": price}, {})
        assert amount is not None
        n, d = quantity.as_integer_ratio()
        m, e = price.as_integer_ratio()
        a, b = amount.as_integer_ratio()
        assert n * m * b == a * d * e

    def test_an_extended_amount_needs_both(self) -> None:
        assert extended_amount({"quantity": Decimal(1)}, {}) is None

    def test_every_function_says_what_it_does(self) -> None:
        assert all(function.__doc__ for function in FUNCTIONS.values())


@pytest.mark.parametrize("parse", [decimal, integer, time, day_parser(CHICAGO)])
def test_long_texts_are_not_remembered(parse: Parser) -> None:
    tracemalloc.start()
    try:
        for i in range(50):
            assert parse(f"{i}{'7' * 100_000}") is None
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 1_000_000


def test_json_takes_no_more_memory_than_its_bytes():
    tracemalloc.start()
    try:
        kept = [dumps({"description": "x" * 400}) for _ in range(50)]
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken < sum(map(len, kept)) + 50 * 200
