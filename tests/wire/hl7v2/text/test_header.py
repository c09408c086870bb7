"""The MSH, read cheaply and exactly."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from suture.wire.hl7v2.text.header import Header

HEAD = b"MSH|^~\\&|POU|OR|ENGINE|HOSP|20260401101530||DFT^P03^DFT_P03|M1|P|2.5.1"


@pytest.mark.parametrize(("written", "read"), [(b"DFT^P03^DFT_P03", "DFT^P03"), (b"DFT^P03", "DFT^P03"), (b"ACK", "ACK"), (b"", "")])
def test_the_message_type_is_code_and_trigger(written, read):
    assert Header.read(HEAD.replace(b"DFT^P03^DFT_P03", written)).type == read


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"])
def test_a_wide_character_set_is_seen(codec):
    header = Header.read((HEAD + b"\rPID|1\r").decode().encode(codec))
    assert header.get(10) == b"M1"
    assert header.width.codec.startswith(codec[:6])


@pytest.mark.parametrize("before", [b"\xef\xbb\xbf", b" ", b"\r\n", b"\n\n \t"])
def test_what_stands_before_the_header_does_not_matter(before):
    assert Header.read(before + HEAD).get(10) == b"M1"


@pytest.mark.parametrize("raw", [b"", b"MSH", b"PID|1", b"MSHA^~", b"MSH\r|", b"\xff\xfe", b"\xff\xfeM", b"BHS|^~\\&|"])
def test_what_has_no_header_has_none(raw):
    assert Header.read(raw) is None


def test_a_delimiter_is_a_character_and_not_a_byte():
    name = "功"  # its second byte in BIG-5 is a backslash, and there are others whose second byte is a bar
    for text in (name, "\u8a31", "育"):
        raw = f"MSH|^~\\&|{text}|OR|E|H|2026||DFT^P03|M{text}|P|2.3||||||BIG-5\r".encode("big5")
        header = Header.read(raw)
        assert header.get(10) == f"M{text}".encode("big5")
        assert header.get(18) == b"BIG-5"


@pytest.mark.parametrize(
    ("written", "version"),
    [(b"2.3", (2, 3)), (b"2.5.1^USA", (2, 5, 1)), (b"", (2, 5, 1)), (b"V2", (2, 5, 1)), (b"2.8.2", (2, 8, 2)), (b" 2.1", (2, 1))],
)
def test_a_version_can_be_compared(written, version):
    assert Header.read(HEAD.replace(b"2.5.1", written)).version == version


@given(st.binary(max_size=80))
@example(b"\xff\xfeM\x00S\x00H\x00|")
def test_any_bytes_are_read_or_not_and_never_raise(tail):
    for begin in (b"", b"MSH", b"MSH|", b"\xff\xfe", b"\xff\xfeM\x00S\x00H\x00", b"M\x00S\x00H\x00"):
        header = Header.read(begin + tail)
        if header is not None:
            assert isinstance(header.type + header.codec, str)
            assert header.version >= (0,)


@pytest.mark.parametrize(
    ("declared", "codec"),
    [(b"", "ascii"), (b"ASCII", "ascii"), (b"NO SUCH SET", "ascii"), (b"UNICODE UTF-8", "utf-8"), (b"UTF-16", "utf-8")]
    + [(b"8859/15~UNICODE UTF-8", "iso8859-15"), (b"iso-8859-1", "iso8859-1"), (b"GB 18030-2000", "gb18030")],
)
def test_an_answer_is_written_in_the_set_that_the_message_declares(declared, codec):
    assert Header.read(HEAD + b"||||||" + declared).codec == codec
