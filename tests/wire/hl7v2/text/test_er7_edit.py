"""Changing a message: the value set is read back, and nothing else moves."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from suture.model.errors import MessageError
from suture.wire.hl7v2.text import edit, er7

DFT = (
    "MSH|^~\\&|POU|OR|ENGINE|HOSP|20260401101530||DFT^P03^DFT_P03|M1|P|2.5.1\r"
    "PID|1||17^^^HOSP^MR~99^^^SSA^SS||DOE^JO\\T\\HN||\r"
    "FT1|1|T1\rFT1|2|T2||20260401|||X^COAT\\H\\^CDM|\r"
)


def changed(change) -> str:
    message = er7.Message.parse(DFT.encode())
    change(message)
    return message.to_bytes().decode()


@pytest.mark.parametrize(
    ("path", "value", "before", "after"),
    [
        ("MSH-5", "LAB", "ENGINE", "LAB"),
        ("PID-3.1", "A|B", "17^", "A\\F\\B^"),
        ("PID-3[2].1", "x", "99^", "x^"),
        ("PID-3[SS].4.2", "x", "SSA", "SSA&x"),
        ("PID-3[3].1", "x", "^SS|", "^SS~x|"),
        ("PID-3[4]", "x", "^SS|", "^SS~~x|"),
        ("PID-3", "x", "17^^^HOSP^MR~", "x~"),
        ("PID-8", "M", "HN||\r", "HN|||M\r"),
        ("FT1(2)-7.1", "Y", "X^COAT", "Y^COAT"),
        ("FT1[2='T2']-2", "T3", "T2|", "T3|"),
        ("FT1-4", "2", "T1\r", "T1||2\r"),
        ("FT1(3)-1", "3", "CDM|\r", "CDM|\rFT1|3\r"),
        ("ZPM-2.3", "new", "CDM|\r", "CDM|\rZPM||^^new\r"),
        ("PID-5.2", "", "JO\\T\\HN", ""),
    ],
)
def test_setting_a_value_leaves_the_rest_byte_for_byte(path, value, before, after):
    assert DFT.count(before) == 1
    assert changed(lambda m: m.set(path, value)) == DFT.replace(before, after)


def test_a_component_of_a_null_field_begins_anew():
    message = er7.Message.parse(b'MSH|^~\\&|A\rPID|""\r')
    message.set("PID-1.2", "x")
    assert message.to_bytes() == b"MSH|^~\\&|A\rPID|^x\r"


@pytest.mark.parametrize(
    ("path", "text", "before", "after"),
    [
        ("PID-3", "5^^^H^MR~6", "17^^^HOSP^MR~99^^^SSA^SS", "5^^^H^MR~6"),
        ("PID-3[2]", "6^7", "99^^^SSA^SS", "6^7"),
        ("PID-5.1", "DOE&van", "DOE", "DOE&van"),
        ("PID-5", '""', "DOE^JO\\T\\HN", '""'),
    ],
)
def test_raw_text_is_put_as_it_is(path, text, before, after):
    assert changed(lambda m: m.set_raw(path, text)) == DFT.replace(before, after)


@pytest.mark.parametrize(
    ("path", "text"), [("PID-3", "a|b"), ("PID-3", "a\rb"), ("PID-3[2]", "a~b"), ("PID-3.1", "a^b"), ("PID-3.1.1", "a&b")]
)
def test_raw_text_that_would_be_cut_is_refused(path, text):
    with pytest.raises(ValueError, match="holds"):
        changed(lambda m: m.set_raw(path, text))


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        ("PID-3[1]", "|17^", "|new~17^"),
        ("PID-3[2]", "MR~99", "MR~new~99"),
        ("PID-3[SS]", "MR~99", "MR~new~99"),
        ("PID-3[3]", "^SS|", "^SS~new|"),
        ("PID-7[1]", "HN||\r", "HN||new\r"),
    ],
)
def test_a_repetition_is_put_before_another_one(path, before, after):
    assert changed(lambda m: m.insert(path, "new")) == DFT.replace(before, after)


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        ("PID-3", "17^^^HOSP^MR~99^^^SSA^SS", ""),
        ("PID-3[*]", "17^^^HOSP^MR~99^^^SSA^SS", ""),
        ("PID-3[1]", "17^^^HOSP^MR~", ""),
        ("PID-3[SS]", "~99^^^SSA^SS", ""),
        ("PID-3.4", "17^^^HOSP", "17^^^"),
        ("PID-3[*].5", "", None),
        ("PID-5.*", "DOE^JO\\T\\HN", "^"),
        ("FT1", "FT1|1|T1\r", ""),
        ("FT1(2)", "FT1|2|T2||20260401|||X^COAT\\H\\^CDM|\r", ""),
        ("FT1[2='T1']", "FT1|1|T1\r", ""),
        ("FT1(*)", DFT[DFT.index("FT1") :], ""),
        ("FT1(7)", "", ""),
        ("PID-30", "", ""),
        ("ZZZ-1", "", ""),
    ],
)
def test_deleting_takes_away_one_thing(path, before, after):
    expected = DFT.replace("^MR", "^").replace("^SS|", "^|") if after is None else DFT.replace(before, after)
    assert changed(lambda m: m.delete(path)) == expected


def test_segments_are_added_where_one_says():
    def change(message: er7.Message) -> None:
        message.add_segment("NTE", ["1", "a|b"], after="FT1(1)")
        message.add_segment("PV1", {2: "I"}, before="FT1")
        last = message.add_segment("ZPM")
        message.add_segment("ZPN", after=last)

    expected = DFT.replace("FT1|1|T1\r", "PV1||I\rFT1|1|T1\rNTE|1|a\\F\\b\r") + "ZPM\rZPN\r"
    assert changed(change) == expected


def test_what_was_added_or_deleted_is_found_or_not_found():
    message = er7.Message.parse(DFT.encode())
    assert message.get("FT1(2)-2") == "T2"
    message.add_segment("FT1", ["0"], before="FT1")
    assert message.get("FT1(3)-2") == "T2"
    message.delete("FT1(1)")
    assert message.get("FT1(2)-2") == "T2"


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.set("MSH-2", "x"),
        lambda m: m.set("MSH(2)-3", "x"),
        lambda m: m.set("FT1(4)-1", "x"),
        lambda m: m.set("FT1[2='T9']-1", "x"),
        lambda m: m.set("PID-3[XX].1", "x"),
        lambda m: m.set("PID", "x"),
        lambda m: m.set_raw("MSH-1", "x"),
        lambda m: m.insert("PID-3", "x"),
        lambda m: m.insert("PID-3[5]", "x"),
        lambda m: m.delete("MSH"),
        lambda m: m.delete("MSH-2"),
        lambda m: m.delete("nothing"),
        lambda m: m.add_segment("MSH"),
        lambda m: m.add_segment("toolong"),
        lambda m: m.add_segment("NTE", "text"),
        lambda m: m.add_segment("NTE", {0: "x"}),
        lambda m: m.add_segment("NTE", {10_000: "x"}),
        lambda m: m.add_segment("NTE", after="ZZZ"),
        lambda m: m.add_segment("NTE", before="MSH"),
        lambda m: m.add_segment("NTE", before="PID", after="PID"),
        lambda m: m.add_segment("NTE", after=er7.Segment("PID|1", er7.STANDARD)),
    ],
)
def test_a_change_that_makes_no_sense_is_refused_and_changes_nothing(change):
    message = er7.Message.parse(DFT.encode())
    with pytest.raises(ValueError):
        change(message)
    assert message.to_bytes() == DFT.encode()


def test_a_separator_that_the_message_does_not_have_cannot_be_written():
    message = er7.Message.parse(b"MSH|^|A\rPID|a\r")
    for path in ("PID-1[2]", "PID-1.1.2"):
        with pytest.raises(ValueError, match="no separator"):
            message.set(path, "x")
    with pytest.raises(MessageError, match="NO_ESCAPE"):
        message.set("PID-1.2", "a^b")
    assert message.to_bytes() == b"MSH|^|A\rPID|a\r"


def test_a_value_that_the_character_set_lacks_is_an_error_and_not_another_message():
    raw = "MSH|^~\\&|A|||||||||||||||8859/1\rPID|1||é\r".encode("iso8859-1")
    message = er7.Message.parse(raw)
    message.set("PID-4", "李")
    with pytest.raises(MessageError, match="CHARSET at PID") as caught:
        message.to_bytes()
    assert "李" not in str(caught.value)


def test_half_a_surrogate_pair_is_no_character():
    message = er7.Message.parse(DFT.encode())
    message.set("PID-4", "\ud800")
    with pytest.raises(MessageError, match="CHARSET at PID"):
        message.to_bytes()


def test_the_changes_of_a_route_are_raw_text_in_fields_and_values_in_components():
    wanted = {er7.path("MSH-5"): "LAB^1", er7.path("PID-3.1"): "a^b"}
    assert er7.changed(DFT.encode(), wanted).decode() == DFT.replace("ENGINE", "LAB^1").replace("17^", "a\\S\\b^")


def test_a_route_s_change_that_a_message_cannot_take_is_told_as_its_error():
    message = er7.Message.parse(b"MSH!^~\\&!A\rPID!a\r")
    with pytest.raises(MessageError, match="NOT_SETTABLE at PID-1") as caught:
        edit.put(message, er7.path("PID-1"), "wow!")
    assert "wow" not in str(caught.value)


MARKS = st.lists(st.sampled_from("|^~\\&#!@$%*;:<>?="), min_size=6, max_size=6, unique=True)
PARTS = st.text(st.sampled_from("ab1 é.XFE"), max_size=4)


@st.composite
def messages(draw: st.DrawFn) -> er7.Message:
    field, component, repetition, escape, sub, truncation = draw(MARKS)
    marks = draw(st.sampled_from([component + repetition + escape + sub, component + repetition + escape + sub + truncation]))
    separators = st.sampled_from([component, repetition, sub, field])
    pieces = draw(st.lists(st.tuples(PARTS, separators), max_size=12))
    body = "".join(text + separator for text, separator in pieces)
    return er7.Message.parse(f"MSH{field}{marks}{field}A\rPID{field}{body}\rZZZ{field}z\r".encode())


PLACES = st.builds(
    lambda name, field, repetition, component, sub: f"{name}-{field}{repetition}{component}{sub if component else ''}",
    st.sampled_from(["PID", "ZZZ", "ZZZ(2)", "NEW", "MSH"]),
    st.integers(3, 6),
    st.sampled_from(["", "[1]", "[2]", "[4]"]),
    st.sampled_from(["", ".1", ".2", ".4"]),
    st.sampled_from(["", ".1", ".3"]),
)


@given(messages(), PLACES, st.text(max_size=20))
def test_what_is_set_is_read_back_and_nothing_else_changes(message, path, value):
    assume(value.encode("utf-8", "ignore").decode() == value)
    place = er7.path(path)
    before = {(i, n): s.raw(n) for i, s in enumerate(message.segments) for n in range(1, 9)}
    message.set(path, value)
    again = er7.Message.parse(message.to_bytes())
    assert message.get(path) == again.get(path) == value
    assert again.to_bytes() == message.to_bytes()
    touched = next(i for i, s in enumerate(again.segments) if s is again.named(place.segment)[place.occurrence - 1])
    after = {(i, n): s.raw(n) for i, s in enumerate(again.segments) for n in range(1, 9)}
    assert all(after[at] == text for at, text in before.items() if at != (touched, place.field))


@given(messages(), PLACES, st.sampled_from(["PID-3[2]", "PID-3[1]", "PID", "ZZZ", "PID-4.*", "PID-4[*].2"]))
def test_whatever_is_deleted_leaves_a_message(message, path, other):
    names = [s.name for s in message.segments]
    message.delete(path)
    message.delete(other)
    assert [n for n in names if n != other] == [s.name for s in er7.Message.parse(message.to_bytes()).segments if s.name != other]
