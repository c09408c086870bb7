"""ER7 messages: what is not touched stays as it is, and values are found where analysts say."""

import re
import tracemalloc

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from suture.model.errors import MessageError
from suture.model.value import changed
from suture.wire.hl7v2.text import er7
from suture.wire.hl7v2.text.charsets import codec_for
from suture.wire.hl7v2.text.delimiters import DOUBLED, NEEDLESS, UNCLEAR
from suture.wire.hl7v2.text.lines import lines_of, spans_of

DFT = (
    "MSH|^~\\&|POU|OR|ENGINE|HOSP|20260401101530||DFT^P03^DFT_P03|M1|P|2.5.1\r"
    "PID|1||17^^^HOSP^MR~99^^^SSA^SS||DOE^JO\\T\\HN|||||||||||||A&B^2\r"
    'FT1|1|T1|""\rFT1|2|T2||20260401|||X^COAT \\F\\ HAT^CDM\r'
)


def parse(text: str) -> er7.Message:
    return er7.Message.parse(text.encode())


def normalised(raw: bytes) -> bytes:
    """The line ends that docs/messages.md promises, said once more in another way."""
    raw = re.sub(rb"^(\xef\xbb\xbf|[ \t\r\n\x0b])*", b"", raw)
    if b"\r" not in raw:
        lines = raw.split(b"\n")
    else:
        parts = re.split(b"\r\n*", raw.rstrip(b"\n"))
        separator = re.escape(raw[3:4])
        lines = [line for part in parts for line in re.split(b"\n(?=[A-Z][A-Z0-9]{2}(?:\n|$|" + separator + b"))", part)]
    return b"".join(line + b"\r" for line in lines if line)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("MSH-1", "|"),
        ("MSH-2", "^~\\&"),
        ("MSH-10", "M1"),
        ("MSH-9.2", "P03"),
        ("PID-3.1", "17"),
        ("PID-3[2].1", "99"),
        ("PID-3[SS].1", "99"),
        ("PID-3[XX].1", ""),
        ("PID-5.2", "JO&HN"),
        ("PID-18.1", "A"),
        ("PID-18.1.2", "B"),
        ("PID-18.2.2", ""),
        ("FT1-2", "T1"),
        ("FT1(2)-2", "T2"),
        ("FT1(3)-2", ""),
        ("FT1[2='T2']-1", "2"),
        ("FT1[7.3='CDM']-1", "2"),
        ("FT1[2='T9']-1", ""),
        ("FT1(2)-7.2", "COAT | HAT"),
        ("FT1(2)-7", "X^COAT \\F\\ HAT^CDM"),
        ("ZZZ-1", ""),
    ],
)
def test_a_path_finds_its_value(path, value):
    assert parse(DFT).get(path) == value


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("FT1(*)-2", ["T1", "T2"]),
        ("FT1(*)-7.1", ["", "X"]),
        ("FT1[2='T2'](*)-7.3", ["CDM"]),
        ("PID-3[*].1", ["17", "99"]),
        ("PID-3[*].5", ["MR", "SS"]),
        ("PID-5.*", ["DOE", "JO&HN"]),
        ("PID-18.*", ["A", "2"]),
        ("PID-9[*]", []),
        ("ZZZ(*)-1", []),
        ("PID-3.1", ["17"]),
        ("PID-30", [""]),
        ("MSH(*)-1", ["|"]),
    ],
)
def test_a_star_finds_all_values(path, values):
    assert parse(DFT).get_all(path) == values


@pytest.mark.parametrize(
    ("path", "state"),
    [
        ("ZZZ-1", er7.ABSENT),
        ("FT1-4", er7.ABSENT),
        ("PID-3[3]", er7.ABSENT),
        ("PID-3[XX]", er7.ABSENT),
        ("PID-5.3", er7.ABSENT),
        ("FT1(2)-3", er7.EMPTY),
        ("PID-3.2", er7.EMPTY),
        ("FT1-3", er7.NULL),
        ("FT1-2", er7.VALUE),
        ("PID-18.1.2", er7.VALUE),
        ("MSH-1", er7.VALUE),
    ],
)
def test_absent_empty_and_null_are_told_apart(path, state):
    assert parse(DFT).state(path) == state


def test_one_value_is_not_asked_for_with_a_star():
    message = parse(DFT)
    for ask in (message.get, message.state, lambda place: message.set(place, "x")):
        with pytest.raises(ValueError, match="several values"):
            ask("FT1(*)-7.1")
    with pytest.raises(ValueError, match="several values"):
        er7.getter(er7.path_to_many("PID-3[*].1"))


def test_a_segment_in_hand_is_preferred_to_the_first_of_its_kind():
    message = parse(DFT)
    second = message.named("FT1")[1]
    assert er7.getter(er7.path("FT1-2"))(message, second) == "T2"
    assert er7.getter(er7.path("FT1(1)-2"))(message, second) == "T1"
    assert er7.getter(er7.path("FT1[2='T1']-2"))(message, second) == "T1"
    assert er7.getter(er7.path("PID-3.1"))(message, second) == "17"


def test_other_delimiters_are_read_from_the_message():
    message = parse("MSH#*~\\&#A#B\rPID#1##5*6\r")
    assert (message.get("PID-3.2"), message.get("MSH-3")) == ("6", "A")


@pytest.mark.parametrize(
    ("encoding_characters", "expected"),
    [
        ("^~\\&", er7.STANDARD),
        ("^~\\&#", er7.STANDARD_27),
        ("^~\\", er7.Delimiters(subcomponent="")),
        ("^", er7.Delimiters(repetition="", escape="", subcomponent="")),
        ("^~^&", er7.Delimiters(escape="", repeats=UNCLEAR)),
        ("~~~~", er7.Delimiters(component="", repetition="~", escape="", subcomponent="", repeats=UNCLEAR)),
        ("^~y0", er7.Delimiters(escape="", subcomponent="")),
        ("&^~\\", er7.Delimiters(component="&", repetition="^", escape="~", subcomponent="\\")),
    ],
)
def test_what_msh_2_leaves_out_or_names_twice_is_no_delimiter(encoding_characters, expected):
    assert parse(f"MSH|{encoding_characters}|A\r").delimiters == expected


@pytest.mark.parametrize(
    ("encoding_characters", "repeats", "cut_as"),
    [
        ("^~\\\\&", DOUBLED, er7.STANDARD),
        ("^~\\\\&#", DOUBLED, er7.STANDARD_27),
        ("^~\\&&", NEEDLESS, er7.STANDARD),
        ("^~\\&~", NEEDLESS, er7.STANDARD),
        ("^~\\\\", UNCLEAR, None),
        ("^^\\&", UNCLEAR, None),
        ("^~~&", UNCLEAR, None),
        ("^~\\\\^", UNCLEAR, None),
        ("^~\\&#", "", er7.STANDARD_27),
        ("^~", "", None),
    ],
)
def test_a_character_twice_in_msh_2_is_known(encoding_characters, repeats, cut_as):
    found = parse(f"MSH|{encoding_characters}|A\r").delimiters
    assert found.repeats == repeats
    if cut_as:
        assert changed(found, repeats="") == cut_as


@pytest.mark.parametrize("usual", [er7.STANDARD, er7.STANDARD_27])
@pytest.mark.parametrize("rest", ["", "|A", "\rPID|1"])
def test_usual_delimiters_are_always_the_same_object(usual, rest):
    marks = "^~\\&" + usual.truncation
    assert er7.delimiters_of(f"MSH|{marks}{rest}") is usual


@pytest.mark.parametrize("ending", ["\r", "\n", "\r\n", "\r\r", "\n\n", "\r\n\r\n"])
def test_any_line_end_is_read_and_written_as_cr(ending):
    message = parse(DFT.replace("\r", ending))
    assert message.get("FT1(2)-2") == "T2"
    assert message.to_bytes() == DFT.encode()


@pytest.mark.parametrize("lead", ["\ufeff", "\r\n", "  ", "\x0b", "\ufeff \n"])
def test_what_stands_before_msh_is_left_out(lead):
    assert parse(lead + DFT).to_bytes() == DFT.encode()


def test_a_missing_last_line_end_is_added():
    assert parse(DFT[:-1]).to_bytes() == DFT.encode()


def test_a_line_feed_in_a_message_with_crs_is_data():
    message = parse("MSH|^~\\&|A\rOBX|1|TX|||first\nsecond|F\rNTE|1\r")
    assert message.get("OBX-5") == "first\nsecond"
    assert [s.name for s in message.segments] == ["MSH", "OBX", "NTE"]


def test_a_line_feed_before_a_segment_ends_the_one_before_it_even_among_crs():
    message = parse("MSH|^~\\&|A|\nPID|1\rPV1|1\nNTE|1\r\n")
    assert [s.name for s in message.segments] == ["MSH", "PID", "PV1", "NTE"]


def test_trailing_separators_and_odd_lines_stay():
    raw = b"MSH|^~\\&|A|||\rPID|1|||\r \r?strange\rZ\r"
    assert er7.Message.parse(raw).to_bytes() == raw


@pytest.mark.parametrize("raw", [b"", b"MSH", b"PID|1", b"\x00\xff" * 50, b"MSHA^~\\&", b"MSH||A", b"\xff\xfe", b"\n\n", b"FHS|^~\\&|A"])
def test_what_is_no_message_is_a_message_error(raw):
    with pytest.raises(MessageError) as caught:
        er7.Message.parse(raw)
    assert caught.value.stage == "parse"


@given(st.binary(max_size=300))
def test_parse_then_write_is_the_identity(tail):
    raw = b"MSH|^~\\&|" + tail
    assume(codec_for(raw) == "utf-8")
    assert er7.Message.parse(raw).to_bytes() == normalised(raw)


PATHS = st.builds(
    lambda *parts: "".join(parts),
    st.sampled_from(["PID", "PID(1)", "PID(2)", "MSH", "ZZZ", "PID[1='a']", "PID[2.2='']", "PID(*)"]),
    st.sampled_from(["-1", "-2", "-3", "-9"]),
    st.sampled_from(["", "[1]", "[2]", "[9]", "[a]", "[*]"]),
    st.sampled_from(["", ".1", ".2", ".5", ".*", ".1.1", ".2.2"]),
)


@given(st.text(st.sampled_from('a^~\\&|\r\nPID|1XF"'), max_size=80), PATHS)
def test_any_path_may_be_asked_of_any_message(tail, path):
    message = parse("MSH|^~\\&|A|\rPID|" + tail)
    place = er7.path_to_many(path)
    values = message.get_all(place)
    if place.many:
        return
    state = message.state(path)
    assert values == [message.get(path)]
    assert state != er7.NULL or message.get(path) == '""'
    assert state in (er7.VALUE, er7.NULL) or message.get(path) == ""


ODD = st.characters(codec="ascii", exclude_characters="\r\n\x0b\x1b\x1c", exclude_categories=["Lu", "Ll", "Nd"])


@given(ODD, st.text(ODD, min_size=1, max_size=6), st.text(st.sampled_from("ABMPIDSH1^~\\&|#$!\r\n\r\n\xe9"), max_size=80))
def test_parse_then_write_is_the_identity_in_any_delimiters(separator, marks, tail):
    assume(separator not in marks)
    raw = f"MSH{separator}{marks}{separator}{tail}".encode()
    assert er7.Message.parse(raw).to_bytes() == normalised(raw)


@given(st.text(st.sampled_from("PID|1\r\n\r\nAé"), max_size=60))
def test_lines_of_bytes_and_of_text_are_the_same(tail):
    text = "MSH|^~\\&|" + tail
    raw = text.encode()
    assert [raw[a:b].decode() for a, b in spans_of(raw, 0)] == lines_of(text)


@given(st.binary(max_size=60) | st.text(st.sampled_from("PID|1\r\n\r\nAé\ufeff"), max_size=60).map(str.encode))
def test_a_large_message_is_read_as_a_small_one_is(tail):
    raw = b"MSH|^~\\&|" + tail
    small = er7.Message.parse(raw)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(er7, "LARGE", 0)
        large = er7.Message.parse(raw)
    assert [s.text for s in large.segments] == [s.text for s in small.segments]
    assert (large.encoding, large.undecodable, large.to_bytes()) == (small.encoding, small.undecodable, small.to_bytes())


def test_a_message_does_not_show_its_content():
    assert "DOE" not in repr(parse(DFT)) + repr(parse(DFT).segments)


def test_a_copy_is_changed_alone():
    message = parse(DFT)
    copy = message.copy()
    copy.set("PID-3.1", "other")
    assert message.to_bytes() == DFT.encode()
    assert copy.get("PID-3.1") == "other"


TEN_MEGABYTES = 10_000_000


def test_a_large_document_is_read_in_three_copies_of_the_message():
    raw = DFT.encode() + b"OBX|1|ED|||^AP^PDF^Base64^" + b"QUJD" * (TEN_MEGABYTES // 4) + b"||||||F\r"
    tracemalloc.start()
    try:
        value = er7.Message.parse(raw).get("OBX-5.5")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(value) >= TEN_MEGABYTES
    assert peak < 2.2 * len(raw)  # beside the raw bytes, which are the first copy


def test_a_large_message_in_another_character_set_costs_no_more():
    head = "MSH|^~\\&|A|||||||||||||||BIG-5\rPID|功許\r".encode("cp950")
    raw = head + b"OBX|1|TX|||^" + b"x" * TEN_MEGABYTES + b"\r"
    tracemalloc.start()
    try:
        assert len(er7.Message.parse(raw).get("OBX-5.2")) == TEN_MEGABYTES
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2.2 * len(raw)


def test_a_large_message_in_wide_characters_costs_no_more_where_it_has_none():
    raw = DFT.replace("DOE", "李").encode() + b"OBX|1|TX|||" + b"x" * TEN_MEGABYTES + b"\r"
    tracemalloc.start()
    try:
        assert len(er7.Message.parse(raw).get("OBX-5")) == TEN_MEGABYTES
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2.2 * len(raw)


class Counted(str):
    """A text that counts how many characters are gone through to cut it."""

    work = 0

    def split(self, *arguments):
        Counted.work += len(self)
        return super().split(*arguments)


def test_reading_all_of_very_many_parts_goes_through_them_once():
    d = er7.STANDARD
    many = 100_000
    Counted.work = 0
    segment = er7.Segment("", d)
    segment.known = ["OBX", Counted("~".join(f"{i}^x" for i in range(many)))]
    assert [segment.get(1, 1, n) for n in range(1, many + 1)] == [str(i) for i in range(many)]
    segment.known = ["OBX", Counted("^".join(map(str, range(many))))]
    assert [segment.get(1, n) for n in range(1, many + 1)] == [str(i) for i in range(many)]
    assert Counted.work < 2_500_000


def test_very_many_segments_are_read_one_by_one():
    message = parse("MSH|^~\\&|A\r" + "".join(f"NTE|{i}\r" for i in range(1, 100_001)))
    assert [message.get(f"NTE({i})-1") for i in range(1, 100_001, 7)] == [str(i) for i in range(1, 100_001, 7)]


def test_a_million_separators_are_read_and_written():
    raw = b"MSH|^~\\&|" + b"|" * 1_000_000 + b"\rPID|" + b"~" * 1_000_000 + b"\rPV1|" + b"^&" * 1_000_000 + b"\r"
    message = er7.Message.parse(raw)
    assert len(message.get_all("PID-1[*]")) == 1_000_001
    assert len(message.get_all("PV1-1.*")) == 1_000_001
    assert message.to_bytes() == raw
