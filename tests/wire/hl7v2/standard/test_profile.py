"""Site profiles: each kind of rule, where it looks, what it says, and that no message makes it raise."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.model.errors import MessageError
from suture.model.value import changed
from suture.wire.hl7v2.standard.profile import Profile, Rule
from suture.wire.hl7v2.text import er7
from suture.wire.pattern import Pattern

MESSAGE = (
    "MSH|^~\\&|CAB|OR|||20260302101500||DFT^P03|C1|P|2.5.1\r"
    "PID|1||900001^^^SITE^MR~77^^^OTHER^PI||SAMPLE^ADA||19700102|F\r"
    "FT1|1|AB000001||20260302101500||CG|IMP-1^Hip \\T\\ stem|||2\r"
    "FT1|2|x||20260302||CD|||||two\r"
)


def found(rule: Rule, message: str = MESSAGE) -> list[str]:
    parsed = er7.Message.parse(message.encode())
    return [f"{one.code} {one.severity} {one}" for one in Profile("site", [rule]).check(parsed)]


def rule(at: str, **given: Any) -> Rule:
    return Rule(at, **given)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (rule("PV1", required=True), ["100 E PV1: the segment is required"]),
        (rule("PID", required=True), []),
        (rule("FT1", forbidden=True), ["198 E FT1: the segment is not allowed"]),
        (rule("FT1", times=(0, 1)), ["198 E FT1(2): the segment may stand at most 1 times"]),
        (rule("FT1", times=(3, None)), ["198 E FT1(3): the segment must stand at least 3 times"]),
        (rule("FT1-7.1", required=True), ["101 E FT1(2)-7.1: a value is required"]),
        (rule("PID-18", required=True), ["101 E PID-18: a value is required"]),
        (rule("PID-3[MR].1", required=True), []),
        (rule("PID-3[SS].1", required=True), ["101 E PID-3.1: a value is required"]),
        (rule("PID-3[3].1", required=True), ["101 E PID-3[3].1: a value is required"]),
        (rule("PID-5", forbidden=True), ["199 E PID-5: no value is allowed here"]),
        (rule("FT1-6", values=frozenset({"CG"})), ["103 E FT1(2)-6: is none of: CG"]),
        (rule("FT1(1)-6", values=frozenset({"CG"})), []),
        (rule("PID-3.4", values=frozenset({"SITE"})), ["103 E PID-3[2].4: is none of: SITE"]),
        (rule("PID-3[1].4", values=frozenset({"SITE"})), []),
        (rule("PID-3.1", times=(1, 1)), ["198 E PID-3[2].1: may stand at most 1 times"]),
        (rule("PID-3", times=(3, None)), ["198 E PID-3[3]: must stand at least 3 times"]),
        (rule("FT1-7.1", table="item_master", known={"IMP-2"}.__contains__), ["103 E FT1-7.1: is not in the table item_master"]),
        (rule("FT1-7.2", values=frozenset({"Hip & stem"})), []),
        (rule("FT1-2", pattern=Pattern("[A-Z]{2}\\d{6}")), ["102 E FT1(2)-2: does not match [A-Z]{2}\\d{6}"]),
        (rule("FT1-11", type="decimal"), ["102 E FT1(2)-11: is not a number"]),
        (rule("FT1-4", type="date"), ["102 E FT1-4: is not a date as YYYYMMDD"]),
        (rule("FT1-4", type="time"), []),
        (rule("FT1-1", type="integer"), []),
        (rule("FT1-2", length=(3, None)), ["102 E FT1(2)-2: is shorter than 3 characters"]),
        (rule("FT1-2", length=(0, 5)), ["104 E FT1-2: is longer than 5 characters"]),
        (rule("MSH-3", values=frozenset({"CAB"})), []),
        (rule("MSH-9.2", values=frozenset({"P11"})), ["103 E MSH-9.2: is none of: P11"]),
    ],
)
def test_each_kind_of_rule_says_where_it_is_broken(asked: Rule, said: list[str]):
    assert found(asked) == said


def test_a_condition_looks_at_the_same_segment():
    assert found(rule("FT1-7", required=True, when=[("FT1-6.1", frozenset({"CG"}))])) == []
    assert found(rule("FT1-7", required=True, when=[("FT1-6.1", frozenset({"CD"}))])) == ["101 E FT1(2)-7: a value is required"]


def test_a_condition_may_look_at_another_segment():
    assert found(rule("PV1", required=True, when=[("MSH-3", frozenset({"OTHER"}))])) == []
    assert len(found(rule("PV1", required=True, when=[("MSH-3", frozenset({"CAB"})), ("MSH-4", frozenset({"OR"}))]))) == 1


def test_a_rule_is_for_its_message_types():
    asked = rule("PV1", required=True)
    assert found(changed(asked, kinds=frozenset({"DFT^P03"})))
    assert found(changed(asked, kinds=frozenset({"DFT"})))
    assert not found(changed(asked, kinds=frozenset({"DFT^P11", "ADT"})))


def test_a_rule_has_its_own_severity_and_words():
    assert found(rule("PV1", required=True, severity="W", text="no visit")) == ["100 W PV1: no visit"]


def test_null_is_no_value_but_for_what_is_required():
    message = MESSAGE.replace("|CG|", '|""|')
    assert found(rule("FT1(1)-6", values=frozenset({"CG"})), message) == []
    assert found(rule("FT1(1)-6", required=True), message) == ["101 E FT1-6: a value is required"]


def test_findings_are_limited():
    message = er7.Message.parse(("MSH|^~\\&|||||||DFT^P03|C1\r" + "FT1|x\r" * 300).encode())
    assert len(Profile("site", [rule("FT1-7", required=True)]).check(message, 20)) == 20


def test_no_finding_holds_content():
    for asked in (rule("PID-5.1", type="decimal"), rule("PID-5.1", values=frozenset({"X"})), rule("PID-5.1", length=(0, 1))):
        (text,) = found(asked)
        assert "SAMPLE" not in text


rules = st.builds(
    Rule,
    at=st.sampled_from(["FT1-7.1", "FT1-6", "PID-3[MR].1", "PID-3[2].4.1", "FT1(2)-10", "PV1", "MSH-12", "OBX-5.2.2"]),
    required=st.booleans(),
    forbidden=st.booleans(),
    values=st.none() | st.just(frozenset({"1"})),
    pattern=st.none() | st.just(Pattern("[A-Z]*")),
    type=st.sampled_from(["", "decimal", "integer", "date", "time"]),
    length=st.none() | st.just((1, 3)),
    times=st.none() | st.just((1, 2)),
    when=st.sampled_from([[], [("FT1-1", frozenset({"1", ""}))]]),
)
texts = st.lists(st.sampled_from(["|", "^", "~", "&", "\\", "\r", '""', "MR", "FT1|", "PID|", "OBX|", "1", "é", "\x00"]), max_size=60).map(
    "".join
)


@given(st.lists(rules, min_size=1, max_size=5), texts, st.sampled_from(["^~\\&", "^", "@#", "^~\\&#"]))
def test_no_message_makes_a_profile_raise(asked: list[Rule], text: str, encoding: str):
    try:
        message = er7.Message.parse(f"MSH|{encoding}|{text}".encode())
    except MessageError:
        return
    assert len(Profile("site", asked).check(message, 10)) <= 10


def test_a_rule_judges_the_value_that_a_mapping_gets():
    head = MESSAGE.split("\r")[0] + "||||||8859/1\r"
    parsed = er7.Message.parse(f"{head}FT1|1|\\XE9\\|\\X92\\\r".encode())
    rules = [rule("FT1-2", values=frozenset({"é"})), rule("FT1-3", length=(0, 1))]
    assert Profile("site", rules).check(parsed) == []
