"""Tables, JSON and times."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from zoneinfo import ZoneInfo

import pytest

from suture.cli import output, times

NOON_US = 1_772_640_000_000_000
"""2026-03-04T16:00:00Z, which is 10:00 in Chicago."""
CHICAGO = ZoneInfo("America/Chicago")


def table(capsys: pytest.CaptureFixture[str], *rows: list[object]) -> list[str]:
    output.print_table([str(i) for i in range(len(rows[0]))], rows)
    return capsys.readouterr().out.splitlines()


def test_numbers_stand_to_the_right_and_texts_to_the_left(capsys: pytest.CaptureFixture[str]) -> None:
    assert table(capsys, ["a", 1], ["long", 22]) == ["0      1", "a      1", "long  22"]


def test_wide_characters_keep_columns_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    assert table(capsys, ["東京", "x"], ["ab", "y"]) == ["0     1", "東京  x", "ab    y"]


def test_control_characters_cannot_reach_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert table(capsys, ["a\x1b[31m\nb"])[1] == "a·[31m·b"


def test_no_rows_say_so(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_table(["a"], [], empty="no message fits")
    assert capsys.readouterr().out == "no message fits\n"


@pytest.mark.parametrize(
    ("widths", "screen", "expected"),
    [([5, 40], None, [5, 40]), ([5, 40], 80, [5, 40]), ([5, 40], 30, [5, 23]), ([30, 40], 42, [20, 20]), ([9, 9], 4, [8, 8])],
)
def test_the_widest_columns_give_way(widths: list[int], screen: int | None, expected: list[int]) -> None:
    assert output.fitted(widths, screen) == expected


def test_json_has_iso_times_and_plain_names() -> None:
    @dataclass
    class Thing:
        made_at_us: int
        since_us: int | None
        body: bytes

    expected = {"made_at": "2026-03-04T16:00:00.000001Z", "since": None, "body": "YQ=="}
    assert output.plain({"things": [Thing(NOON_US + 1, None, b"a")]}) == {"things": [expected]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-04T16:00:00Z", "2026-03-04T16:00:00.000000Z"),
        ("2026-03-04T10:30", "2026-03-04T16:30:00.000000Z"),
        ("2026-03-04", "2026-03-04T06:00:00.000000Z"),
        ("today", "2026-03-04T06:00:00.000000Z"),
        ("yesterday", "2026-03-03T06:00:00.000000Z"),
        ("30m", "2026-03-04T15:30:00.000000Z"),
        ("2h ago", "2026-03-04T14:00:00.000000Z"),
        ("now", "2026-03-04T16:00:00.000000Z"),
    ],
)
def test_times_are_read_in_the_sites_zone(text: str, expected: str) -> None:
    assert times.iso(times.parse(text, CHICAGO, NOON_US)) == expected


@pytest.mark.parametrize("text", ["", "soon", "2026-13-01", "5 fortnights"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time"):
        times.parse(text, UTC, NOON_US)


def test_times_for_people_have_their_offset() -> None:
    assert times.shown(NOON_US + 5_999, CHICAGO, precise=True) == "2026-03-04 10:00:00.005-06:00"
    assert times.shown(NOON_US, UTC) == "2026-03-04 16:00:00+00:00"
    assert times.shown(None, UTC) == ""


@pytest.mark.parametrize(("seconds", "expected"), [(-3, "0 s"), (4, "4 s"), (185, "3 min"), (7_800, "2 h 10 min"), (442_800, "5 d 3 h")])
def test_spans_are_short(seconds: int, expected: str) -> None:
    assert times.span(seconds * 1_000_000) == expected
