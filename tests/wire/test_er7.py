"""ER7 messages: what is not touched stays as it is, and values are found where analysts say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.model.errors import MessageError
from suture.wire import er7

DFT = (
    "MSH|^~\\&|POU|OR|ENGINE|HOSP|20260401101530||DFT^P03^DFT_P03|M1|P|2.5.1\r"
    "PID|1||17^^^HOSP^MR~99^^^SSA^SS||DOE^JO\\T\\HN|||||||||||||A&B^2\r"
    "FT1|1|T1\rFT1|2|T2||20260401|||X^COAT \\F\\ HAT^CDM\r"
)


def parse(text: str) -> er7.Message:
    return er7.Message.parse(text.encode())


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
        ("FT1-2", "T1"),
        ("FT1(2)-2", "T2"),
        ("FT1(3)-2", ""),
        ("FT1(2)-7.2", "COAT | HAT"),
        ("FT1(2)-7", "X^COAT \\F\\ HAT^CDM"),
        ("ZZZ-1", ""),
    ],
)
def test_a_path_finds_its_value(path, value):
    assert parse(DFT).get(path) == value


@pytest.mark.parametrize("path", ["", "PID", "pid-3", "PID-0", "PID-3.", "PID-3[0]", "PID-3.1.2.3", "PID 3"])
def test_a_wrong_path_says_how_to_write_one(path):
    with pytest.raises(ValueError, match="is not a path"):
        er7.path(path)


def test_a_segment_in_hand_is_preferred_to_the_first_of_its_kind():
    message = parse(DFT)
    second = message.named("FT1")[1]
    assert er7.getter(er7.path("FT1-2"))(message, second) == "T2"
    assert er7.getter(er7.path("FT1(1)-2"))(message, second) == "T1"
    assert er7.getter(er7.path("PID-3.1"))(message, second) == "17"


def test_setting_a_field_leaves_the_rest_byte_for_byte():
    changed = er7.changed(DFT.encode(), {er7.path("MSH-5"): "LAB", er7.path("MSH-6"): "MCM"})
    assert changed == DFT.replace("ENGINE|HOSP|", "LAB|MCM|", 1).encode()


def test_setting_beyond_the_end_fills_up():
    message = parse("MSH|^~\\&|A\r")
    message.set(er7.path("MSH-6"), "X")
    assert message.to_bytes() == b"MSH|^~\\&|A|||X\r"


def test_other_delimiters_are_read_from_the_message():
    message = parse("MSH#*~\\&#A#B\rPID#1##5*6\r")
    assert (message.get("PID-3.2"), message.get("MSH-3")) == ("6", "A")


@pytest.mark.parametrize("ending", ["\r", "\n", "\r\n"])
def test_any_line_end_is_read(ending):
    assert parse(DFT.replace("\r", ending)).get("FT1(2)-2") == "T2"


@pytest.mark.parametrize("raw", [b"", b"MSH", b"PID|1", b"\x00\xff" * 50, b"MSHA^~\\&"])
def test_what_is_no_message_is_a_message_error(raw):
    with pytest.raises(MessageError) as caught:
        er7.Message.parse(raw)
    assert caught.value.stage == "parse"


def test_a_declared_character_set_is_used():
    raw = "MSH|^~\\&|A|||||||||||||||8859/1\rPID|1||é\r".encode("iso8859-1")
    message = er7.Message.parse(raw)
    assert message.get("PID-3") == "é"
    assert message.to_bytes() == raw


def test_undecodable_bytes_are_kept_and_told():
    raw = b"MSH|^~\\&|A\rPID|1||\xe9\xff\r"
    message = er7.Message.parse(raw)
    assert message.undecodable
    assert message.to_bytes() == raw


@given(st.binary(max_size=300))
def test_parse_then_write_is_the_identity(tail):
    raw = b"MSH|^~\\&|A|B\r" + tail.replace(b"\r", b"").replace(b"\n", b"").replace(b"\xef\xbb\xbf", b"") + b"\rPID|1\r"
    raw = raw.replace(b"\r\r", b"\r")
    assert er7.Message.parse(raw).to_bytes() == raw


@given(st.text(max_size=50))
def test_escaped_text_reads_back(text):
    text = text.replace("\r\n", "\n").replace("\r", "\n").encode("utf-8", "replace").decode()
    assert er7.unescape(er7.escape(text)) == text


@given(st.text(alphabet="\\FSTRE.brXZ41|^~& a", max_size=40))
def test_unescape_takes_anything(text):
    er7.unescape(text)


def test_a_message_does_not_show_its_content():
    assert "DOE" not in repr(parse(DFT)) + repr(parse(DFT).segments)
