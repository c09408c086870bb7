"""Standard validation: every fault of a message told once, at its place; bounded, and no exception for any bytes."""

import os
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from suture.model.finding import Finding
from suture.wire.hl7v2.standard.validate import KINDS, Rules, validate

TOP = Path(__file__).parents[4]
GOLDEN = TOP / "tests" / "golden" / "findings"
CORPUS = Path(os.environ.get("SUTURE_SHARED", TOP.parent / "shared")) / "corpus" / "hl7v2"

GOOD = (
    "MSH|^~\\&|CAB|OR|ENGINE|SITE|20260302101500||DFT^P03^DFT_P03|C1|P|2.5.1\r"
    "EVN||20260302101500\r"
    "PID|1||900001^^^SITE^MR||SAMPLE^ADA||19700102|F\r"
    "FT1|1|T1||20260302101500|20260302|CG|IMP-1^Hip stem^L|||2|4200.00&USD|2100&USD\r"
)


def shown(findings: list[Finding]) -> list[str]:
    return [f"{one.code} {one.severity} {one}" for one in findings]


def changed(old: str, new: str) -> bytes:
    assert old in GOOD
    return GOOD.replace(old, new).encode()


def test_a_good_message_has_no_finding():
    assert validate(GOOD.encode()) == []


def test_a_message_with_a_dozen_faults_has_the_findings_on_record():
    recorded = (GOLDEN / "dozen_faults.txt").read_text(encoding="utf-8").splitlines()
    assert shown(validate((GOLDEN / "dozen_faults.hl7").read_bytes())) == recorded


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("PID|1||900001^^^SITE^MR|", "PID|1|||", "101 E PID-3: Patient Identifier List is required"),
        ("FT1|1|", "FT1|one|", "102 E FT1-1: Set ID - FT1 is not a whole number"),
        ("|||2|", "|||two|", "102 E FT1-10: Transaction Quantity is not a number"),
        ("|20260302|CG", "|20260230|CG", "102 E FT1-5.1: Transaction Posting Date, Time is not a time as YYYY[MM[DD[HH[MM[SS]]]]]"),
        ("4200.00&USD", "4,200.00&USD", "102 E FT1-11.1.1: Transaction Amount Extended, Price, Quantity is not a number"),
        ("|P|2.5.1", "|X|2.5.1", "202 E MSH-11.1: Processing ID, Processing ID is no value of HL7 table 0103"),
        ("|CG|", "|CG~CD|", "198 E FT1-6[2]: Transaction Type stands 2 times, at most 1 are allowed"),
        ("|2.5.1", "|2.5.9", "203 W MSH-12: a version without tables; it is read as 2.5.1"),
        ("^DFT_P03|", "^ADT_A01|", "199 W MSH-9.3: the structure of this message type is DFT_P03"),
        ("DFT^P03^DFT_P03", "DFT^P99", "201 E MSH-9.2: version 2.5.1 has no such event for this message"),
        ("DFT^P03^DFT_P03", "DFX^P03", "200 E MSH-9.1: version 2.5.1 has no such message"),
        ("EVN||20260302101500\r", "", "100 E EVN: the segment is required"),
        ("EVN||", "QQQ|1\rEVN||", "100 W QQQ: version 2.5.1 has no such segment"),
        ("|T1|", "|" + "T" * 13 + "|", "104 W FT1-2: Transaction ID is longer than 12 characters"),
        ("|F\r", "|F" + "|" * 40 + "x\r", "199 W PID-48: version 2.5.1 has 39 fields in PID"),
        ("SAMPLE^ADA", "SAMPLE^ADA" + "^" * 14 + "x", "199 W PID-5.15: version 2.5.1 has 14 components here"),
        ("|T1|", "|T1^2|", "199 W FT1-2.2: Transaction ID (ST) has no components"),
    ],
)
def test_each_fault_is_told_at_its_place(old: str, new: str, found: str):
    assert found in shown(validate(changed(old, new)))


def test_the_second_of_two_segments_is_named():
    second = "FT1|2|T2||20260302101500||CG\r"
    assert shown(validate((GOOD + second).encode())) == ["101 E FT1(2)-7: Transaction Code is required"]


def test_null_is_a_value_of_every_type():
    assert validate(changed("|||2|", '|||""|')) == []


def test_z_segments_may_stand_anywhere():
    assert validate(changed("PID|1", "ZPD|any^thing\rPID|1")) == []


def test_an_observation_is_judged_by_the_type_it_declares():
    observed = "OBX|1|NM|W^Weight^L||heavy||||||F\r"
    message = changed("FT1|1", f"OBR|1|||X^X^L\r{observed}FT1|1")
    assert shown(validate(message)) == ["102 E OBX-5: Observation Value is not a number"]


def test_a_withdrawn_field_is_information():
    assert "199 I FT1-8: Transaction Description is withdrawn in version 2.8" in shown(
        validate(changed("Hip stem^L||", "Hip stem^L|Stem|").replace(b"|2.5.1", b"|2.8"))
    )


def test_the_version_can_be_overridden():
    old = changed("|2.5.1", "|9.9")
    assert shown(validate(old, Rules(version="2.5.1"))) == []


def test_severities_can_be_changed_and_kinds_left_out():
    wrong = changed("|P|2.5.1", "|X|2.5.1")
    assert [one.severity for one in validate(wrong, Rules(severities={"table": "W"}))] == ["W"]
    assert validate(wrong, Rules(severities={"table": ""})) == []


def test_bytes_of_another_character_set_are_told():
    assert [str(one.location) for one in validate(GOOD.encode().replace(b"ADA", b"AD\xff"))] == ["MSH-18"]


def test_what_is_no_message_has_one_finding():
    assert shown(validate(b"no message at all")) == ["199 E MSH: the message does not begin with an MSH segment"]


def test_findings_are_limited_and_errors_come_before_others():
    many = GOOD + "FT1|x|||bad||CG\r" * 500
    assert len(validate(many.encode(), Rules(limit=7))) == 7
    warnings_first = changed("|2.5.1", "|2.5.9").replace(b"|||2|", b"|||two|")
    assert [one.code for one in validate(warnings_first, Rules(limit=1))] == [102]


def test_no_finding_holds_content():
    secret = "SECRETNAME"
    for old, new in (("D|1|", f"D|{secret}|"), ("|||2|", f"|||{secret}|"), ("|CG|", f"|{secret}^{secret}|"), ("|P|", f"|{secret}|")):
        found = [str(one) for one in validate(changed(old, new))]
        assert found, "there is something to tell"
        assert secret not in "".join(found)


pieces = st.sampled_from(
    ["|", "^", "~", "&", "\\", "\r", "\n", '""', "MSH", "PID", "FT1", "OBX", "ZZZ", "1", "x", "2.5.1", "\x00", "é", "NM"]
)


@given(st.binary(max_size=300))
def test_no_bytes_make_it_raise(raw: bytes):
    assert len(validate(raw, Rules(limit=20))) <= 20


@given(st.lists(pieces, max_size=60).map("".join), st.sampled_from(["", "2.1", "2.3", "2.7", "2.8.2"]))
def test_no_message_makes_it_raise(text: str, version: str):
    assert len(validate(GOOD.encode() + text.encode(), Rules(version=version, limit=20))) <= 20
    validate(b"MSH|^~\\&|" + text.encode(), Rules(version=version))


def test_every_kind_of_finding_has_a_severity():
    assert {severity for severity, _ in KINDS.values()} <= {"E", "W", "I"}
    assert structs.replace(Rules(), limit=0).limit == 0
    assert len(validate(b"MSH|^~\\&|", Rules(limit=0))) == 1


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus is not here")
def test_every_file_of_the_corpus_can_be_judged():
    codes: Counter[int] = Counter()
    for path in sorted(CORPUS.glob("*/*")):
        found = validate(path.read_bytes(), Rules(limit=50))
        assert len(found) <= 50
        codes.update({one.code for one in found})
    assert codes[101] > 10


STRAY = "XQJ ADA 19700102"
"""A line that no segment owns, whose first letters are a patient's."""


@pytest.mark.parametrize("line", [STRAY, "Xqj^Ada", "XQJ^ADA", "1970", "é", "FT1.x"])
def test_a_place_shows_no_content_of_a_line_that_is_no_segment(line):
    raw = (GOOD + line + "\r").encode()
    found = validate(raw)
    assert not [one for one in found if any(part in str(one).upper() for part in ("XQJ", "ADA", "1970", "É"))]
    assert {one.location.segment for one in found if one.location} <= {"FT1"}


def test_what_obx_2_says_is_not_told_where_it_is_no_type():
    raw = GOOD.replace("FT1|1|", "OBX|1|XQJ|1^A||a^b||||||F\rFT1|1|").encode()
    assert not [one for one in validate(raw) if "XQJ" in str(one)]


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("^~\\&", "^~\\\\&", "199 W MSH-2: the escape character is doubled; it is read as one, and the character after it separates"),
        ("^~\\&", "^~\\&&", "199 W MSH-2: the fifth character has another meaning already"),
        ("^~\\&", "^^\\&", "199 W MSH-2: a character has two meanings"),
        ("|2.5.1\r", "|2.5.1||||||8859/1\r", ""),
    ],
)
def test_a_character_twice_in_msh_2_is_a_finding(old, new, found):
    told = [one for one in shown(validate(changed(old, new))) if "MSH-2:" in one]
    assert [one.startswith(found) for one in told] == ([True] if found else [])


def test_windows_bytes_under_8859_are_a_finding():
    raw = GOOD.replace("|2.5.1\r", "|2.5.1||||||8859/1\r").replace("ADA", "O\x92HARA").encode("latin-1")
    (found,) = shown(validate(raw))
    assert found.startswith("199 W PID-5: bytes 80 to 9F")
    assert validate(raw, Rules(severities={"c1_bytes": ""})) == []
