"""The acknowledgements that we answer with: MSH, MSA and ERR, by version, in the sender's own delimiters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.model.finding import CARDINALITY, ERROR, REQUIRED_FIELD_MISSING, TABLE_VALUE, WARNING, Finding, Location
from suture.model.value import changed
from suture.wire.hl7v2.exchange.reply import ERRORS_MAX, Reply, build, form, value, written
from suture.wire.hl7v2.text import er7
from suture.wire.hl7v2.text.header import Header

HEAD = b"MSH|^~\\&|POU|OR|ENGINE|HOSP|20260401101530||DFT^P03^DFT_P03|M1|P|2.5.1"
HERE = Finding(TABLE_VALUE, ERROR, Location("FT1", 2, 7, 1, 1), "unknown code")
THERE = Finding(TABLE_VALUE, ERROR, Location("FT1", 3, 7), "unknown code")
MISSING = Finding(REQUIRED_FIELD_MISSING, ERROR, Location("PID", 1, 3), "a patient is needed")


def answer(version: bytes = b"2.5.1", code: str = "AE", head: bytes = HEAD, **more) -> list[bytes]:
    header = Header.read(head.replace(b"2.5.1", version) + b"\rPID|1\r")
    return written(header, Reply(code, "SUT1", "20260101", **more)).split(b"\r")[:-1]


def test_the_answer_turns_sender_and_receiver_round():
    reply = build(Header.read(HEAD + b"\rPID|1\r"), "AA", "SUT1", "20260101")
    assert reply == b"MSH|^~\\&|ENGINE|HOSP|POU|OR|20260101||ACK^P03^ACK|SUT1|P|2.5.1\rMSA|AA|M1\r"
    assert reply.split(b"\r")[:-1] == answer(code="AA")


def test_the_answer_has_the_senders_delimiters():
    reply = build(Header.read(b"MSH#*~\\&#A#B#C#D#1##ADT*A01#7#P#2.3"), "AE", "SUT1", "20260101", "why # not")
    error = b"ERR#***207&Application internal error&HL70357"
    assert reply == b"MSH#*~\\&#C#D#A#B#20260101##ACK#SUT1#P#2.3\rMSA#AE#7#why \\F\\ not\r" + error + b"\r"


def test_what_has_no_header_is_answered_too():
    lines = written(None, Reply("AE", "SUT1", "20260101", "kept, but not HL7")).split(b"\r")
    assert lines[0] == b"MSH|^~\\&|SUTURE||||20260101||ACK|SUT1|P|2.5.1"
    assert lines[1] == b"MSA|AE||kept, but not HL7"
    assert lines[2].startswith(b"ERR||MSH^1|100^Segment sequence error^HL70357|E")


@pytest.mark.parametrize(
    ("given", "msh_2", "kind"),
    [
        (b"", b"^~\\&", b"ACK^P03^ACK"),
        (b"^", b"^~\\&", b"ACK^P03^ACK"),
        (b"^~", b"^~\\&", b"ACK^P03^ACK"),
        (b"^~\\", b"^~\\&", b"ACK^P03^ACK"),
        (b"*&", b"*&\\$", b"ACK"),
        (b"^^\\&", b"^~\\&", b"ACK^P03^ACK"),
        (b"^~\\\\&", b"^~\\&", b"ACK^P03^ACK"),
        (b"^~\\\\&#", b"^~\\&#", b"ACK^P03^ACK"),
        (b"^~\\&&", b"^~\\&", b"ACK^P03^ACK"),
        (b"^~\\&#", b"^~\\&#", b"ACK^P03^ACK"),
        (b"0000", b"^~\\&", b"ACK^P03^ACK"),
    ],
)
def test_the_answer_has_standard_separators_in_place_of_what_is_none(given, msh_2, kind):
    head = HEAD.replace(b"|^~\\&|", b"|%b|" % given)
    for lines in (answer(code="AA", head=head), build(Header.read(head), "AA", "SUT1", "20260101").split(b"\r")[:-1]):
        msh = lines[0].split(b"|")
        assert (msh[1], msh[8], lines[1]) == (msh_2, kind, b"MSA|AA|M1")
    read = er7.Message.parse(build(Header.read(head), "AA", "SUT1", "20260101"))
    assert (read.get("MSH-5"), read.get("MSA-2")) == ("POU", "M1")
    assert value(Header.read(head), "a^b") == b"a" + msh_2[:1] + b"b"
    assert written(Header.read(head), Reply("AA", "1", "2"), template=["MSH{MSH-1}{MSH-2}{MSH-1}X"]) == b"MSH|%b|X\r" % msh_2


def test_errors_have_their_parts_where_the_sender_names_no_separators():
    error = answer(head=HEAD.replace(b"|^~\\&|", b"||"), findings=[HERE, MISSING])[2:]
    assert error[0].startswith(b"ERR||FT1^2^7^1^1|103^Table value not found^HL70357|E")
    assert len(error) == 2


def test_a_separator_that_is_the_sender_s_field_separator_is_not_used_twice():
    msh = build(Header.read(b"MSH^^POU^^^^^^A01^7^P^2.3"), "AA", "SUT1", "20260101").split(b"\r")[0]
    assert msh.startswith(b"MSH^$~\\&^")


@pytest.mark.parametrize(
    ("version", "kind"),
    [(b"2.1", b"ACK"), (b"2.2", b"ACK"), (b"2.3.1", b"ACK"), (b"2.4", b"ACK^P03^ACK"), (b"2.8.2", b"ACK^P03^ACK"), (b"", b"ACK^P03^ACK")],
)
def test_the_type_of_the_answer_is_that_of_the_version(version, kind):
    assert answer(version)[0].split(b"|")[8] == kind


def test_a_message_without_a_trigger_is_answered_without_one():
    assert answer(head=HEAD.replace(b"DFT^P03^DFT_P03", b"DFT"))[0].split(b"|")[8] == b"ACK"


def test_an_answer_that_comes_later_is_a_delayed_acknowledgement_in_2_1_only():
    early = answer(b"2.1", "AA", apart=True)
    assert early[0].split(b"|")[8] == b"MCF"
    assert early[1] == b"MSA|AA|M1|||F"
    assert answer(b"2.3", "AA", apart=True)[0].split(b"|")[8] == b"ACK"


def test_the_character_set_and_processing_id_come_back_and_the_modes_do_not():
    head = HEAD.replace(b"|P|", b"|D^A|") + b"|17||AL|AL|USA|8859/1~UNICODE UTF-8|en"
    msh = answer(code="CA", head=head)[0].split(b"|")
    assert msh[10] == b"D^A"
    assert msh[17] == b"8859/1~UNICODE UTF-8"
    assert msh[12:17] == [b""] * 5


def test_an_application_acknowledgement_asks_for_none_itself():
    msh = answer(code="AA", head=HEAD + b"|||AL|AL", application="NE")[0].split(b"|")
    assert msh[14:] == [b"NE", b"NE"]


@pytest.mark.parametrize(("version", "msa"), [(b"2.6", b"MSA|AE|M1|no"), (b"2.7", b"MSA|AE|M1"), (b"2.1", b"MSA|AE|M1|no")])
def test_the_text_in_msa_was_withdrawn_with_2_7(version, msa):
    assert answer(version, text="no")[1] == msa


def test_the_expected_sequence_number_stands_in_msa_4():
    assert answer(code="AA", expected=8)[1] == b"MSA|AA|M1||8"
    assert answer(code="AA", expected=-1)[1] == b"MSA|AA|M1||-1"


def test_findings_of_one_kind_share_a_segment_and_others_have_their_own():
    assert answer(findings=[HERE, THERE, MISSING])[2:] == [
        b"ERR||FT1^2^7^1^1~FT1^3^7|103^Table value not found^HL70357|E|||FT1(2)-7.1, FT1(3)-7|unknown code",
        b"ERR||PID^1^3|101^Required field missing^HL70357|E|||PID-3|a patient is needed",
    ]


def test_before_2_5_there_is_one_segment_with_a_repeating_field():
    told = b"ERR|FT1^2^7^103&Table value not found&HL70357~PID^1^3^101&Required field missing&HL70357"
    assert answer(b"2.3.1", findings=[HERE, MISSING])[2:] == [told]
    assert answer(b"2.2", findings=[HERE, MISSING])[2:] == [b"ERR|FT1^2^7^103~PID^1^3^101"]


def test_before_2_5_a_warning_cannot_be_told():
    warning = Finding(CARDINALITY, WARNING, Location("FT1"), "more than one")
    assert answer(b"2.4", "AA", findings=[warning])[2:] == []
    assert answer(b"2.5", "AA", findings=[warning])[2].split(b"|")[4] == b"W"


def test_an_answer_has_a_limited_size():
    findings = [Finding(TABLE_VALUE, ERROR, Location("FT1", n, 7), f"code {n} " + "x" * 5000) for n in range(1, 5000)]
    assert len(answer(findings=findings)) == 2 + ERRORS_MAX
    assert len(b"\r".join(answer(findings=findings))) < 40_000


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-be", "utf-32-le"])
def test_a_wide_message_is_answered_in_kind(codec):
    head = HEAD.decode().replace("M1", "Mé").encode(codec)
    reply = written(Header.read(head), Reply("AE", "SUT1", "20260101", "no", [HERE]))
    assert reply.decode(codec).split("\r")[1] == "MSA|AE|Mé|no"
    assert reply[:2] == head[:2]


def test_fields_can_be_set_by_the_channel():
    settings = {"MSA-3": "Received", "MSH-3": "SUTURE", "MSH-17": "USA", "MSH-4": 6}
    lines = written(Header.read(HEAD), Reply("AA", "SUT1", "20260101"), settings).split(b"\r")
    assert lines[0].split(b"|")[3] == HEAD.split(b"|")[5]
    assert lines[0].split(b"|")[2] == b"SUTURE"
    assert lines[0].split(b"|")[16] == b"USA"
    assert lines[1] == b"MSA|AA|M1|Received"
    assert written(Header.read(HEAD), Reply("AE", "SUT1", "20260101"), settings).split(b"\r")[1] == b"MSA|AE|M1"


SIGNS = st.sampled_from([b"^~\\&", b"^~\\&#", b"^", b"^~", b"", b"*:?>", b"^~E&", b"^^^^", b"\xb0~\\&"])


@given(SIGNS, st.sampled_from([b"|", b"#", b"\xa7", b" "]), st.sampled_from([b"2.2", b"2.3", b"2.5", b"2.8", b"x"]), st.text(max_size=40))
def test_whatever_the_delimiters_are_the_control_id_comes_back_whole_and_no_text_breaks_a_line(signs, s, version, text):
    signs = signs.replace(s, b"")
    head = s.join([b"MSH", signs, b"A", b"B", b"C", b"D", b"1", b"", b"DFT^P03", b"M~1^\\", b"P", version])
    raw = written(Header.read(head), Reply("AE", "SUT1", "20260101", text, [HERE, Finding(TABLE_VALUE, ERROR, None, text)]))
    lines = raw.split(b"\r")
    assert {line[:3] for line in lines[:-1]} <= {b"MSH", b"MSA", b"ERR"}
    assert lines[1].split(s)[2] == b"M~1^\\"
    assert len(lines[1].split(s)) <= 4


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_a_text_is_read_back_as_it_was_written(text):
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    head = HEAD + b"||||||UNICODE UTF-8"
    raw = written(Header.read(head), Reply("AE", "SUT1", "20260101", findings=[Finding(TABLE_VALUE, ERROR, None, text)]))
    assert er7.Message.parse(raw).get("ERR-8") == text


BEGINS = [
    b"",
    b"MSH",
    b"MSH|",
    b"MSH|^~\\&|A|B|C|D|1||DFT^P03|M1|P|2.",
    b"MSH|^~\\&|A||||||||||||||||8859/0",
    b"\xff\xfeM\x00S\x00H\x00|\x00",
]
TEMPLATE = ("MSH|{MSH-5}|{MSH-1}{MSH-30}|{now}", "MSA|{code}|{MSH-10}|{text}")


@given(st.sampled_from(BEGINS), st.binary(max_size=150), st.text(max_size=30))
def test_any_header_that_can_be_read_can_be_answered(begin, tail, text):
    header = Header.read(begin + tail)
    reply = Reply("AE", "SUT1", "20260101", text, [HERE, MISSING], 7, "NE", True)
    assert written(header, reply, {"MSH-3": text})
    assert written(header, changed(reply, code="AA"), {"MSA-3": text})
    assert build(header, "AA", "SUT1", "20260101")
    if header is not None:
        assert written(header, reply, template=TEMPLATE)
        made = form(header, "AA", "NE")
        assert made is None or made % (b"1", b"2", header.get(10)) == written(header, Reply("AA", "2", "1", application="NE"))
