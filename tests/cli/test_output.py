"""Tables, JSON and times."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.cli import acting, exits, layout, output, times
from suture.cli.session import Session
from suture.model import verbs
from suture.model.verbs import ChannelIs, ChannelStopped, Going, LeftDelivery, LeftMessage, Reprocessed, Result, Sent
from suture.model.views import Answer

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


WIDE = [["14", "2026-11-25 16:18:19-06:00", "parked", "the row of CAT-99917 is not in force on the service date"]]
HEADERS = ["id", "received", "state", "reason"]


def laid_out(screen: int | None, cells: list[list[str]] = WIDE) -> list[str]:
    return list(layout.Table(HEADERS, cells, screen).lines())


def test_a_table_that_fits_is_a_line_a_row() -> None:
    assert laid_out(None) == laid_out(97)
    assert len(laid_out(97)) == 2


def test_a_long_last_column_is_broken_inside_its_column_while_there_is_room() -> None:
    assert laid_out(70)[1:] == [
        "14  2026-11-25 16:18:19-06:00  parked  the row of CAT-99917 is not in",
        "                                       force on the service date",
    ]


def test_columns_that_do_not_fit_stand_below_their_row_with_their_names() -> None:
    assert laid_out(40) == [
        "id  received                   state",
        "14  2026-11-25 16:18:19-06:00  parked",
        "    reason: the row of CAT-99917 is not",
        "    in force on the service date",
    ]
    assert laid_out(24) == [
        "id  state",
        "14  parked",
        "    received: 2026-11-25",
        "    16:18:19-06:00;",
        "    reason: the row of",
        "    CAT-99917 is not in",
        "    force on the service",
        "    date",
    ]


def test_an_empty_value_takes_no_line_below() -> None:
    assert laid_out(40, [["1", "2026-11-25 16:18:19-06:00", "parked", ""], *WIDE])[1:3] == [
        "1  2026-11-25 16:18:19-06:00  parked".rjust(37),
        "14  2026-11-25 16:18:19-06:00  parked",
    ]


@given(st.lists(st.lists(st.text("ab 東\u0301", max_size=60), min_size=4, max_size=4), min_size=1, max_size=3), st.integers(2, 120))
def test_no_line_is_wider_than_the_screen_and_nothing_is_lost(cells: list[list[str]], screen: int) -> None:
    lines = laid_out(screen, cells)
    assert all(layout.width(line) <= screen for line in lines if screen > 5)
    shown = "".join(lines).replace(" ", "")
    for row in cells:
        for value in row:
            assert all(character in shown for character in value.replace(" ", ""))


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


def test_json_has_iso_times_for_what_the_engine_says_of_itself_in_texts() -> None:
    assert output.plain({"pid": "7", "started_at_us": str(NOON_US)}) == {"pid": "7", "started_at": "2026-03-04T16:00:00.000000Z"}


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_json_loses_no_character_whatever_the_output_can_show(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding, errors="replace", write_through=True)
    monkeypatch.setattr(sys, "stdout", out)
    output.print_json({"item": "ZZ-ü東"})
    assert json.loads(out.buffer.getvalue()) == {"item": "ZZ-ü東"}  # type: ignore[attr-defined]


@pytest.mark.parametrize("text", ["99999999999d", "9" * 400 + "h"])
def test_a_time_long_before_any_message_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is before 1970"):
        times.parse(text, UTC, NOON_US)


@pytest.mark.parametrize(
    ("result", "code"),
    [
        (Sent([], [LeftDelivery(4, "it is posted")]), exits.FAILED),
        (Reprocessed([], [LeftMessage(4, "it is not there")]), exits.FAILED),
        (Reprocessed([3], [LeftMessage(4, "it is not there")]), exits.OK),
        (ChannelIs("or-supply", "running"), exits.OK),
    ],
)
def test_an_engine_that_skipped_all_that_was_asked_is_no_success(result: Result, code: int) -> None:
    assert acting.report(Session(Path()), [Answer(1, True, True, result, True)], "done") == code


@pytest.mark.parametrize(
    "result",
    [
        Sent([Going(5, 3, "erp")], [LeftDelivery(4, "it is posted")]),
        Reprocessed([3], [LeftMessage(4, "it is not there")]),
        ChannelIs("or-supply", "running"),
        ChannelStopped("or-supply", "stopped", {"erp": 2}),
        "lab is resynchronised with its next message",
    ],
)
def test_an_answer_in_json_is_what_the_engine_wrote(capsys: pytest.CaptureFixture[str], result: Result) -> None:
    session = Session(Path())
    session.as_json = True
    acting.report(session, [Answer(1, True, True, result, True, "running")], "done")
    (answer,) = json.loads(capsys.readouterr().out)
    assert answer == {"command_id": 1, "done": True, "ok": True, "result": verbs.plain(result), "running": True, "state": "running"}


def test_times_for_people_have_their_offset() -> None:
    assert times.shown(NOON_US + 5_999, CHICAGO, precise=True) == "2026-03-04 10:00:00.005-06:00"
    assert times.shown(NOON_US, UTC) == "2026-03-04 16:00:00+00:00"
    assert times.shown(None, UTC) == ""


@pytest.mark.parametrize(("seconds", "expected"), [(-3, "0 s"), (4, "4 s"), (185, "3 min"), (7_800, "2 h 10 min"), (442_800, "5 d 3 h")])
def test_spans_are_short(seconds: int, expected: str) -> None:
    assert times.span(seconds * 1_000_000) == expected
