"""Which of several repetitions a path means, and what a place says where it holds no value that can be used."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.wire.hl7v2.text import er7
from suture.wire.hl7v2.text.path import path, path_to_many
from suture.wire.hl7v2.text.reading import getter
from suture.wire.hl7v2.text.telling import Doubt, every, told

HEAD = "MSH|^~\\&|A|B|C|D|20260301||DFT^P03|M1|P|2.5.1\r"


def message(pid3: str, ft1: str = "") -> er7.Message:
    return er7.Message.parse(f"{HEAD}PID|1||{pid3}\rFT1|1{ft1}\r".encode())


TWO = "55001^^^EASTSIDE^MR~66002^^^CENTRAL^MR~66003^^^CENTRAL^AN~77^^^&1.2.840&ISO^MR~88^^^O'Hare\\T\\Co&2.16&ISO^PI"


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("PID-3[MR].1", "55001"),
        ("PID-3[4='CENTRAL'].1", "66002"),
        ("PID-3[4='CENTRAL' & 5='AN'].1", "66003"),
        ("PID-3[5='AN'&4='CENTRAL'].1", "66003"),
        ('PID-3[4="CENTRAL"].5', "MR"),
        ("PID-3[1='66003'].4", "CENTRAL"),
        ("PID-3[4.2='1.2.840'].1", "77"),
        ("PID-3[4='&1.2.840&ISO'].1", "77"),
        ("PID-3[4='O''Hare&Co'].1", "88"),
        ("PID-3[4.2='2.16' & 5='PI'].1", "88"),
        ("PID-3[4='NOWHERE'].1", ""),
        ("PID-3[4='' & 5='MR'].1", ""),
        ("PID-3[9=''].1", "55001"),
    ],
)
def test_a_repetition_is_chosen_by_what_is_in_any_of_its_components(place: str, value: str) -> None:
    assert message(TWO).get(place) == value


def test_an_authority_that_is_not_there_is_one_that_holds_nothing() -> None:
    for pid3 in ("7^^^^MR", '7^^^""^MR'.replace('""', "")):
        assert message(pid3).get("PID-3[4='' & 5='MR'].1") == "7"
    assert message("7").get("PID-3[5=''].1") == "7"


def test_segments_and_repetitions_are_chosen_together() -> None:
    raw = f"{HEAD}OBX|1|CE|ITEM||a^^X~b^^Y\rOBX|2|CE|LOT||c^^Y\r".encode()
    assert er7.Message.parse(raw).get("OBX[3='ITEM']-5[3='Y'].1") == "b"


def test_what_is_chosen_can_be_set_deleted_and_asked_about() -> None:
    made = message(TWO)
    made.set("PID-3[4='CENTRAL' & 5='MR'].1", "9")
    assert made.get("PID-3") == "55001^^^EASTSIDE^MR"
    assert made.get("PID-3[2].1") == "9"
    made.delete("PID-3[4='EASTSIDE']")
    assert made.get("PID-3[1].1") == "9"
    assert (made.state("PID-3[4='CENTRAL'].1"), made.state("PID-3[4='X'].1")) == ("value", "absent")
    with pytest.raises(ValueError, match="no repetition is like that"):
        made.set("PID-3[4='X'].1", "1")


@pytest.mark.parametrize(
    ("pid3", "place", "found"),
    [
        ("A", "PID-3", "A"),
        ("A~B", "PID-3", Doubt.SEVERAL),
        ("A^X~A^Y", "PID-3.1", "A"),
        ("A~~", "PID-3.1", "A"),
        ("~A", "PID-3.1", "A"),
        ("A~B", "PID-3[1]", "A"),
        ("A~B", "PID-3[2].1", "B"),
        ("A^^^H^MR~B^^^H^SS", "PID-3[MR].1", "A"),
        ("A^^^H^MR~B^^^I^MR", "PID-3[MR].1", Doubt.SEVERAL),
        ("A^^^H^MR~B^^^I^MR", "PID-3[4='I' & 5='MR'].1", "B"),
        ('""', "PID-3", Doubt.NULL),
        ('""', "PID-3.1", Doubt.NULL),
        ('""', "PID-3.2", Doubt.NULL),
        ('""^X', "PID-3.1", Doubt.NULL),
        ('""^X', "PID-3.2", "X"),
        ('A^""', "PID-3.2.3", Doubt.NULL),
        ('""~A', "PID-3.1", Doubt.SEVERAL),
        ('""~""', "PID-3.1", Doubt.NULL),
        ('SAID ""', "PID-3.1", 'SAID ""'),
        ("", "PID-3.1", ""),
        ("A", "PID-9.1", ""),
        ("A", "PV1-3.1", ""),
    ],
)
def test_a_place_tells_its_one_value_or_why_there_is_none(pid3: str, place: str, found: str | Doubt) -> None:
    assert told(path(place))(message(pid3), None) == found


@given(st.text("AB~^&\\\"'|"[:7], max_size=12), st.sampled_from(["PID-3[1]", "PID-3[1].1", "PID-3[2].1", "PID-3[1].2"]))
def test_a_value_that_is_told_is_the_one_at_the_path(pid3: str, place: str) -> None:
    made = message(pid3)
    found = told(path(place))(made, None)
    assert found is Doubt.NULL or found == getter(path(place))(made, None)


def test_all_repetitions_are_listed_without_those_that_hold_nothing() -> None:
    listed = every(path_to_many("FT1-26[*].1"))
    made = message("1", "|" * 24 + '|LT^LEFT^HCPCS~~""~ 59 ~')
    assert listed(made, made.named("FT1")[0]) == ["LT", "59"]
    assert listed(message("1"), None) == []
