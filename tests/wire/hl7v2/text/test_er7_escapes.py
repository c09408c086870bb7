"""Escape sequences: what is known is resolved, what is not stays, and every text can be written and read back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.model.errors import MessageError
from suture.wire.hl7v2.text import er7

PUNCTUATION = st.sampled_from("|^~\\&#!@$%*+-_=:;,.<>/?'\"`(){}[] \t\x01")


@st.composite
def delimiters(draw: st.DrawFn, escape: bool = True) -> er7.Delimiters:
    marks = draw(st.lists(PUNCTUATION, min_size=6, max_size=6, unique=True))
    kept = draw(st.lists(st.booleans(), min_size=6, max_size=6))
    field, component, repetition, mark, sub, truncation = (m if k else "" for m, k in zip(marks, kept, strict=True))
    return er7.Delimiters(field or marks[0], component, repetition, marks[3] if escape else "", sub, truncation)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a\\F\\b\\S\\c\\T\\d\\R\\e\\E\\f", "a|b^c&d~e\\f"),
        ("\\P\\", "#"),
        ("a\\.br\\b", "a\nb"),
        ("a\\.sp\\b\\.sp2\\c\\.sp+3\\d", "a\nb\n\nc\n\n\nd"),
        ("a\\.sk3\\b\\.ce\\c", "a   b\nc"),
        ("\\.fi\\a\\.nf\\b\\.in+4\\c\\.ti-2\\d", "abcd"),
        ("\\H\\HIGH\\N\\ 7", "HIGH 7"),
        ("\\X41\\\\X42\\", "AB"),
        ("\\XC3A9\\", "é"),
        ("\\XC3\\\\XA9\\", "é"),
        ("\\X0D0A\\", "\r\n"),
        ("\\XE9\\", "\\XE9\\"),
        ("\\XA\\", "\\XA\\"),
        ("\\X\\", "\\X\\"),
        ("\\Zab cd\\x\\F\\", "\\Zab cd\\x|"),
        ("Citt\\X00E0\\", "Città"),
        ("\\X004F00E9\\", "Oé"),
        ("\\X00\\\\XE0\\", "à"),
        ("a\\X000D\\b", "a\rb"),
        ("\\XD83DDE0000E9\\", "😀é"),
        ("a\\X00\\b", "a\\X00\\b"),
        ("\\X00E00000\\", "\\X00E00000\\"),
        ("\\X00E000\\", "\\X00E000\\"),
        ("\\X4100\\", "\\X4100\\"),
        ("\\C2842\\\\M244A\\", "\\C2842\\\\M244A\\"),
        ("\\.xy\\", "\\.xy\\"),
        ("\\.sp9999\\", "\\.sp9999\\"),
        ("\\.sp-1\\", "\\.sp-1\\"),
        ("100\\200 \\F\\ 3", "100\\200 | 3"),
        ("end\\", "end\\"),
        ("\\E\\F\\E\\", "\\F\\"),
    ],
)
def test_a_sequence_is_resolved_or_kept(text, value):
    assert er7.unescape(text) == value


def test_bytes_are_text_of_the_character_set_of_the_message():
    raw = "MSH|^~\\&|A|||||||||||||||8859/1\rPID|1||\\XE9\\é\r".encode("iso8859-1")
    assert er7.Message.parse(raw).get("PID-3") == "éé"


def test_units_of_utf_16_are_text_in_every_character_set():
    raw = b"MSH|^~\\&|A|||||||||||||||8859/1\rPID|1||Citt\\X00E0\\ \\XE0\\\r"
    assert er7.Message.parse(raw).get("PID-3") == "Città à"
    wide = "MSH|^~\\&|A\rPID|1||\\X00E0\\ \\X0041\\ \\XE000\\\r".encode("utf-16-le")
    assert er7.Message.parse(wide).get("PID-3") == "à A à"


@given(st.sampled_from(["utf-8", "iso8859-1", "iso8859-2", "gb18030", "utf-16-le", "utf-16-be", "utf-32-le"]), st.binary(max_size=8))
def test_no_escape_makes_a_nul(encoding, raw):
    assert "\0" not in er7.unescape(f"\\X{raw.hex()}\\", encoding=encoding)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("NUT \\T\\ BOLT", "NUT & BOLT"),
        ("NUT \\\\T\\\\ BOLT", "NUT & BOLT"),
        ("\\\\T\\\\\\\\T\\\\", "&&"),
        ("\\T\\\\T\\", "&&"),
        ("\\\\XC3A0\\\\", "à"),
        ("C:\\\\TEMP", "C:\\TEMP"),
    ],
)
def test_a_program_that_doubles_the_escape_character_may_do_so_everywhere(text, value):
    message = er7.Message.parse(f"MSH|^~\\\\&|A\rFT1|1|{text}&SUB^L\r".encode())
    assert (message.get("FT1-2.1"), message.get("FT1-2.1.2"), message.get("FT1-2.2")) == (value, "SUB", "L")
    message.set("FT1-3", text)
    assert er7.Message.parse(message.to_bytes()).get("FT1-3") == text


def test_a_delimiter_the_message_does_not_have_is_the_usual_one():
    message = er7.Message.parse(b"MSH|^~\\|A\rPID|a\\T\\b\r")
    assert message.get("PID-1") == "a&b"


@given(st.text(max_size=50), delimiters())
def test_escaped_text_reads_back_and_is_not_cut(text, d):
    written = er7.escape(text, d)
    assert er7.unescape(written, d) == text
    assert not [c for c in (d.field, d.component, d.repetition, d.subcomponent, "\r", "\n", "\x0b", "\x1c") if c and c in written]


@given(st.text(alphabet="\\FSTRE.brXZ41|^~&\r\n a", max_size=40))
def test_text_that_looks_like_sequences_reads_back(text):
    assert er7.unescape(er7.escape(text)) == text


@given(st.text(max_size=30), delimiters(escape=False))
def test_without_an_escape_character_a_text_is_written_as_it_is_or_refused(text, d):
    try:
        written = er7.escape(text, d)
    except MessageError as error:
        assert error.code == "NO_ESCAPE"
        assert any(c in text for c in (d.field, d.component, d.repetition, d.subcomponent, "\r", "\n", "\x0b", "\x1c") if c)
    else:
        assert er7.unescape(written, d) == written == text


@given(st.text(alphabet="\\FSTRE.brXZ41|^~& aspk0923", max_size=60), delimiters())
def test_unescape_takes_anything(text, d):
    er7.unescape(text)
    er7.unescape(text, d)
