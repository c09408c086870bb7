"""Paths: one grammar, and errors that say what was meant."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.wire.hl7v2.text.path import Choice, Condition, path, path_to_many, place_of, segment_path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("PID-3", {"segment": "PID", "field": 3, "component": None, "own": True}),
        ("PID-3.1", {"component": 1, "sub": None}),
        ("PID-3[2].4.2", {"repetition": 2, "component": 4, "sub": 2}),
        ("PID-3[MR].1", {"choices": (Choice(5, None, "MR"),), "component": 1}),
        ("PID-3[4='GENERAL' & 5='MR'].1", {"choices": (Choice(4, None, "GENERAL"), Choice(5, None, "MR")), "component": 1}),
        ("PID-3[4.2 = '1.2'&5=\"O'Hare\"]", {"choices": (Choice(4, 2, "1.2"), Choice(5, None, "O'Hare"))}),
        ("FT1(2)-7[3=']~''x'].1", {"choices": (Choice(3, None, "]~'x"),), "occurrence": 2}),
        ("FT1(2)-7.1", {"segment": "FT1", "occurrence": 2, "own": False}),
        ("OBX[3='ITEM']-5", {"condition": Condition(3, None, None, "ITEM"), "own": False}),
        ('OBX[3.2="IT\'EM"]-5', {"condition": Condition(3, 2, None, "IT'EM")}),
        ("OBX[3.1.2='a''b'](2)-5", {"condition": Condition(3, 1, 2, "a'b"), "occurrence": 2}),
        ("OBX[3='']-5", {"condition": Condition(3, None, None, "")}),
    ],
)
def test_a_path_is_read(text, expected):
    found = path(text)
    assert {name: getattr(found, name) for name in expected} == expected
    assert found.text == text


def test_stars_are_read_where_several_values_may_stand():
    assert path_to_many("FT1(*)-7.1").all_segments
    assert path_to_many("PID-3[*].1").all_repetitions
    assert path_to_many("PID-5.*").all_components
    assert not path_to_many("PID-5.1").many


@pytest.mark.parametrize(("text", "one"), [("FT1(*)-7.1", "FT1(1)-7.1"), ("PID-3[*].1", "PID-3[1].1"), ("PID-5.*", "PID-5.1")])
def test_a_star_where_one_value_is_wanted_says_how_to_name_one(text, one):
    with pytest.raises(ValueError, match="names several values") as caught:
        path(text)
    assert str(caught.value).endswith(f"e.g. {one}")


@pytest.mark.parametrize(
    "text", ["", "PID", "pid-3", "PID-0", "PID-3.", "PID-3[0]", "PID-3.1.2.3", "PID 3", "PID-99999", "PID-3\n", "PID-٣"]
)
def test_a_wrong_path_says_how_to_write_one(text):
    with pytest.raises(ValueError, match="is not a path"):
        path(text)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("pid-3.1", "PID-3.1"),
        ("PID.3.1", "PID-3.1"),
        ("PID-3-1", "PID-3.1"),
        ("OBX[2]-5", "OBX(2)-5"),
        ("PID-3(2).1", "PID-3[2].1"),
        ("OBX[3=ITEM]-5", "OBX[3='ITEM']-5"),
        ("PID3.1", "PID-3.1"),
        ("PID 3", "PID-3"),
    ],
)
def test_usual_mistakes_are_understood(text, meant):
    with pytest.raises(ValueError, match="did you mean") as caught:
        path(text)
    assert str(caught.value).endswith(f"did you mean {meant}?")


def test_a_number_that_begins_with_zero_is_explained():
    with pytest.raises(ValueError, match="counted from 1"):
        path("PID-03")


def test_segments_are_named_with_an_occurrence_or_a_condition():
    assert segment_path("FT1(2)").occurrence == 2
    assert segment_path("OBX[3='ITEM'](*)").all_segments
    assert place_of("PID").field == 0
    assert place_of("PID-3").field == 3
    with pytest.raises(ValueError, match="is not a segment"):
        segment_path("PID-3")


@given(st.text(alphabet="PIDOBX135-.()[]='\"* a", max_size=20))
def test_any_text_is_a_path_or_a_value_error(text):
    try:
        assert path_to_many(text).text == text
    except ValueError as error:
        assert "is not a path" in str(error)
