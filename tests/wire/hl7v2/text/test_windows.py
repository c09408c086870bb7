"""Bytes 80 to 9F under ISO 8859: what programs for Windows write there is read, or told, and never lost."""

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.model.errors import MessageError
from suture.wire.hl7v2.text import er7, quick
from suture.wire.hl7v2.text.remarks import remarks
from suture.wire.hl7v2.text.windows import NAMES, PARTS, READERS

OPEN = [0x81, 0x8D, 0x8F, 0x90, 0x9D]
"""Bytes that Windows-1252 leaves open."""


def message(charset: str, name: bytes, more: bytes = b"") -> bytes:
    return b"MSH|^~\\&|CAB|||||||||||||||%b\rEVN|A\rPID|1||77||%b^Ada\r%b" % (charset.encode(), name, more)


@pytest.mark.parametrize("charset", ["8859/1", "8859/15", "ISO-8859-1", "8859/9", "8859/1~8859/5"])
def test_a_quotation_mark_of_windows_is_one_and_is_remarked(charset):
    raw = message(charset, b"O\x92Hara\x85\xfc")
    read = er7.Message.parse(raw)
    assert read.get("PID-5.1") == "O’Hara…ü"
    assert not read.undecodable
    assert read.to_bytes() == raw
    (remark,) = remarks(read)
    assert (remark.kind, str(remark.place)) == ("c1_bytes", "PID-5")
    assert "Hara" not in remark.text


def test_a_message_without_such_bytes_is_not_remarked():
    assert remarks(er7.Message.parse(message("8859/1", b"M\xfcller"))) == []
    assert remarks(er7.Message.parse(message("UNICODE UTF-8", "O’Hara".encode()))) == []


@pytest.mark.parametrize("byte", OPEN)
def test_a_byte_that_windows_1252_leaves_open_is_not_of_the_set(byte):
    raw = message("8859/1", bytes([65, byte]))
    read = er7.Message.parse(raw)
    assert read.undecodable
    assert read.to_bytes() == raw
    assert remarks(read) == []


@pytest.mark.parametrize("part", sorted(set(PARTS) - {1, 9, 11, 15}))
def test_of_a_part_whose_code_page_has_other_letters_such_a_byte_is_not(part):
    raw = message(f"8859/{part}", b"O\x92Hara")
    read = er7.Message.parse(raw)
    assert read.undecodable
    assert read.to_bytes() == raw
    read.set("PID-8", "F")
    assert read.to_bytes() == raw.rstrip(b"\r") + b"|||F\r"


def test_the_other_parts_lie_in_their_code_page_as_a_whole():
    for part, page in NAMES.items():
        differ = [b for b in range(0xA0, 0x100) if bytes([b]).decode(part, "replace") != bytes([b]).decode(page, "replace")]
        assert differ == ([0xA4, 0xA6, 0xA8, 0xB4, 0xB8, 0xBC, 0xBD, 0xBE] if part == "iso8859-15" else [])
        for byte in range(0x80, 0xA0):
            assert bytes([byte]).decode(page, "replace") in ("\ufffd", bytes([byte]).decode("cp1252", "replace"))


def test_what_is_read_is_written_so_that_it_reads_the_same_and_other_segments_keep_their_bytes():
    raw = message("8859/15", b"\x80 \xa4 O\x92Hara", b"PV1|\x93x\x94\r")
    read = er7.Message.parse(raw)
    read.set("PID-8", "F")
    written = read.to_bytes()
    assert written.endswith(b"PV1|\x93x\x94\r")
    again = er7.Message.parse(written)
    assert again.get("PID-5.1") == read.get("PID-5.1") == "€ € O’Hara"
    assert again.get("PID-8") == "F"


def test_where_no_such_byte_came_none_is_written():
    read = er7.Message.parse(message("8859/1", b"Ada"))
    read.set("PID-5.1", "O’Hara")
    with pytest.raises(MessageError, match=r"CHARSET at PID: .*iso8859-1"):
        read.to_bytes()


def test_such_a_byte_in_hexadecimal_is_read_and_remarked_too():
    read = er7.Message.parse(message("8859/1", b"O\\X92\\Hara"))
    assert read.get("PID-5.1") == "O’Hara"
    assert [str(one.place) for one in remarks(read)] == ["PID-5"]
    assert er7.Message.parse(message("8859/2", b"O\\X92\\Hara")).get("PID-5.1") == "O\\X92\\Hara"


@pytest.mark.parametrize(
    ("written", "value"), [("O\\X0092\\Hara", "O’Hara"), ("O\\X00\\\\X92\\Hara", "O’Hara"), ("\\X004F0092\\", "O’"), ("\\X92\\", "’")]
)
def test_such_a_unit_of_utf_16_is_read_as_its_byte_is(written, value):
    read = er7.Message.parse(message("8859/1", written.encode()))
    assert read.get("PID-5.1") == value
    assert [str(one.place) for one in remarks(read)] == ["PID-5"]


@pytest.mark.parametrize("written", ["\\X0081\\", "\\X81\\", "\\X00920081\\", "\\X009\\", "\\X9200\\"])
def test_where_nothing_was_read_so_it_stays_as_it_is_and_nothing_is_remarked(written):
    read = er7.Message.parse(message("8859/1", written.encode()))
    assert read.get("PID-5.1") == written
    assert remarks(read) == []


def test_a_unit_with_such_a_byte_that_is_another_character_is_not_remarked():
    read = er7.Message.parse(message("8859/1", b"\\X00410392\\"))
    assert (read.get("PID-5.1"), remarks(read)) == ("AΒ", [])


def test_a_remark_names_the_first_place_and_how_many_segments_have_some():
    read = er7.Message.parse(message("8859/1", b"Ada", b"NTE|1|a\rNTE|2\x92|b\rNTE|3\x92|c\r"))
    (remark,) = remarks(read)
    assert str(remark.place) == "NTE(2)-1"
    assert remark.text.endswith("(2 segments have some)")


def test_quick_reading_is_the_same():
    raw = message("8859/1", b"O\x92Hara")
    assert quick.reader([er7.path("PID-5.1")])(raw) == ["O’Hara"]


@given(st.sampled_from(sorted(READERS)), st.binary(max_size=40))
def test_every_byte_comes_back(part, raw):
    reader = READERS[part]
    text = raw.decode(reader, "surrogateescape")
    assert text.encode(reader, "surrogateescape").decode(reader, "surrogateescape") == text
    if not any(0x80 <= byte < 0xA0 for byte in raw):
        assert text == raw.decode(part, "surrogateescape")
        assert text.encode(reader, "surrogateescape") == raw


def test_its_codecs_have_their_names():
    assert [codecs.lookup(name).name for name in READERS.values()] == list(READERS.values())
