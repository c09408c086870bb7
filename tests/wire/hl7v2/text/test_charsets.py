"""Character sets: the one that is declared, shown or set is read, and no byte is lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.model.errors import MessageError
from suture.wire.hl7v2.text import er7
from suture.wire.hl7v2.text.charsets import CHARSETS, canonical, codec_for, codec_of, is_transparent, is_wide
from suture.wire.hl7v2.text.lines import lines_of


def head(charset: str) -> str:
    return f"MSH|^~\\&|A|||||||||||||||{charset}\r"


def read(charset: str, body: bytes) -> er7.Message:
    return er7.Message.parse(head(charset).encode() + body)


SAMPLES = [
    ("ASCII", "utf-8", "plain"),
    ("ISO IR6", "utf-8", "plain"),
    ("UNICODE UTF-8", "utf-8", "李 é"),
    ("unicode utf-8", "utf-8", "李 é"),
    ("8859/1", "iso8859-1", "é"),
    ("8859/2", "iso8859-2", "ł"),
    ("8859/5", "iso8859-5", "ж"),
    ("8859/6", "iso8859-6", "س"),
    ("8859/7", "iso8859-7", "λ"),
    ("8859/8", "iso8859-8", "ש"),
    ("8859/9", "iso8859-9", "ğ"),
    ("8859/11", "iso8859-11", "ก"),
    ("8859/15", "iso8859-15", "€"),
    ("WINDOWS-1252", "cp1252", "’€"),
    ("WINDOWS-1250", "cp1250", "’Šł"),
    ("CP1251", "cp1251", "ж"),
    ("GB 18030-2000", "gb18030", "亅亊李"),
    ("BIG-5", "cp950", "功許"),
    ("KS X 1001", "cp949", "김"),
    ("ISO IR87", "iso2022_jp_ext", "山田"),
    ("~ISO IR87", "iso2022_jp_ext", "山田"),
    ("ISO IR6~ISO IR87~ISO IR159", "iso2022_jp_ext", "山田"),
    ("JIS X 0202", "iso2022_jp_ext", "山田^太郎"),
    ("ISO IR13", "cp932", "ﾔﾏﾀﾞ"),
    ("SHIFT_JIS", "cp932", "表示"),
]


@pytest.mark.parametrize(("charset", "codec", "text"), SAMPLES)
def test_a_declared_character_set_is_read(charset, codec, text):
    body = f"PID|1|{text}|after\r".encode(codec)
    message = read(charset, body)
    assert (message.get("PID-2.1"), message.get("PID-3")) == (text.partition("^")[0], "after")
    assert not message.undecodable
    assert message.to_bytes() == head(charset).encode() + body


@pytest.mark.parametrize(("charset", "codec", "text"), SAMPLES)
def test_a_value_is_set_in_the_message_s_own_character_set(charset, codec, text):
    message = read(charset, b"PID|1||x\r")
    message.set("PID-2", text)
    again = er7.Message.parse(message.to_bytes())
    assert again.get("PID-2") == text
    assert again.get("PID-3") == "x"


@pytest.mark.parametrize("byte", [0x5C, 0x5E, 0x7C, 0x7E])
@pytest.mark.parametrize(("charset", "codec"), [("BIG-5", "cp950"), ("GB 18030-2000", "gb18030"), ("SHIFT_JIS", "cp932")])
def test_a_delimiter_s_byte_inside_a_character_does_not_cut(charset, codec, byte):
    for lead in range(0x81, 0xFF):
        try:
            text = bytes([lead, byte]).decode(codec)
        except UnicodeDecodeError:
            continue
        if len(text) != 1:
            continue
        assert read(charset, b"PID|" + bytes([lead, byte]) + b"^b|c\r").get("PID-1.1") == text


def test_msh_18_is_found_behind_a_character_that_holds_a_separator():
    text = next(t for t in (bytes([lead, 0x7C]).decode("cp950", "ignore") for lead in range(0xA4, 0xC6)) if len(t) == 1)
    raw = f"MSH|^~\\&|{text}|||||||||||||||BIG-5\rPID|{text}\r".encode("cp950")
    message = er7.Message.parse(raw)
    assert (message.encoding, message.get("MSH-3"), message.get("MSH-18")) == ("cp950", text, "BIG-5")


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("charset", ["", "UNICODE UTF-16"])
def test_wide_characters_are_recognised_and_written_again(codec, mark, charset):
    raw = f"{mark}{head(charset)}PID|李😀\r\n".encode(codec)
    message = er7.Message.parse(raw)
    assert (message.encoding, message.get("PID-1")) == (codec, "李😀")
    assert message.to_bytes() == raw[: -len("\n".encode(codec))]
    message.set("PID-2", "é|")
    assert er7.Message.parse(message.to_bytes()).get("PID-2") == "é|"


def test_half_a_character_at_the_end_is_an_error_and_half_a_pair_is_kept():
    raw = "MSH|^~\\&|A\rPID|".encode("utf-16-le")
    with pytest.raises(MessageError, match="CHARSET"):
        er7.Message.parse(raw + b"x")
    message = er7.Message.parse(raw + b"\x00\xd8\r\x00")
    assert message.undecodable
    assert message.to_bytes() == raw + b"\x00\xd8\r\x00"


@pytest.mark.parametrize("charset", ["UNICODE UTF-16", "UNICODE UTF-32"])
def test_a_sender_that_declares_wide_characters_and_writes_bytes_is_not_believed(charset):
    assert read(charset, "PID|é\r".encode()).get("PID-1") == "é"


def test_what_wins_override_then_bytes_then_msh_18_then_default():
    latin = head("8859/1").encode() + b"PID|\xe9\r"
    assert er7.Message.parse(latin, "utf-8").get("PID-1") == "é"
    assert er7.Message.parse(latin, "utf-8", override="iso8859-5").get("PID-1") == "щ"
    assert er7.Message.parse(head("").encode() + b"PID|\xe9\r", "iso8859-1").get("PID-1") == "é"
    assert er7.Message.parse(head("NONSENSE").encode() + b"PID|\xe9\r", "iso8859-1").get("PID-1") == "é"
    assert er7.Message.parse(("\ufeff" + head("8859/1") + "PID|é\r").encode()).get("PID-1") == "é"


def test_msh_18_is_not_looked_for_beyond_an_msh_that_ends_with_a_line_feed():
    raw = b"MSH|^~\\&|A|\nPID|1|||||||||||||8859/5|8859/5\rPV1|\xc3\xa9\r"
    assert er7.Message.parse(raw).get("PV1-1") == "é"


def test_a_mark_counts_behind_blanks_too():
    assert er7.Message.parse((" \r\n\ufeff" + head("8859/1") + "PID|é\r").encode()).get("PID-1") == "é"
    assert er7.Message.parse(b"\r\n " + head("8859/1").encode() + b"PID|\xe9\r").get("PID-1") == "é"


def test_japanese_escapes_of_hl7_switch_as_those_of_iso_2022():
    name = "山田".encode("iso2022_jp")  # ESC $ B ... ESC ( B
    escaped = name.replace(b"\x1b$B", b"\\M2442\\").replace(b"\x1b(B", b"\\C2842\\")
    for body in (b"PID|" + name + b"^x|y\r", b"PID|" + escaped + b"^x|y\r"):
        message = read("ASCII~ISO IR87", body)
        assert (message.get("PID-1.1"), message.get("PID-1.2"), message.get("PID-2")) == ("山田", "x", "y")
        assert message.to_bytes().endswith(body)


@pytest.mark.parametrize("switch", [b"\x1b-L", b"\\C2D4C\\"])
@pytest.mark.parametrize("back", [b"\x1b-A", b"\\C2D41\\"])
def test_a_switch_between_sets_of_single_bytes(switch, back):
    body = b"PID|\xe9 " + switch + "ж".encode("iso8859-5") + back + b" \xe9|x\rPV1|\xe9\r"
    message = read("8859/1~8859/5", body)
    assert (message.get("PID-1"), message.get("PID-2"), message.get("PV1-1")) == ("é ж é", "x", "é")
    message.set("PV1-2", "é")
    assert message.to_bytes() == head("8859/1~8859/5").encode() + body[:-1] + b"|\xe9\r"
    message.set("PID-2", "y")
    with pytest.raises(MessageError, match="CHARSET at PID"):
        message.to_bytes()


@pytest.mark.parametrize("charset", ["ASCII~ISO IR87", "8859/1~8859/5"])
def test_a_switch_to_an_unknown_set_is_told_and_kept(charset):
    message = read(charset, b"PID|a\x1b$1bc\r")
    assert message.undecodable
    assert message.to_bytes().endswith(b"PID|a\x1b$1bc\r")


def test_a_korean_switch():
    body = b"PID|\x1b$)C" + "김".encode("euc_kr") + b"|x\r"
    assert read("ASCII~KS X 1001", body).get("PID-1") == "김"


def test_undecodable_bytes_are_kept_and_told():
    raw = b"MSH|^~\\&|A\rPID|1||\xe9\xff\r"
    message = er7.Message.parse(raw)
    assert message.undecodable
    assert message.to_bytes() == raw
    message.set("PID-5", "x")
    assert message.to_bytes() == raw[:-1] + b"||x\r"


def test_only_what_is_touched_is_written_anew():
    twice = b"\x1b$B\x1b$B;3\x1b(B"  # a needless switch: another spelling of the same text
    body = b"PID|" + twice + b"\rPV1|" + twice + b"\r"
    message = read("ISO IR87", body)
    message.set("PV1-2", "x")
    assert message.to_bytes() == head("ISO IR87").encode() + b"PID|" + twice + b"\rPV1|" + b"\x1b$B;3\x1b(B" + b"|x\r"


NAMES = st.sampled_from(sorted({*CHARSETS, "ASCII~ISO IR87", "8859/1~8859/5", "~ISO IR87", "UNKNOWN"}))
BYTES = st.binary(max_size=60).map(lambda raw: raw.replace(b"\n", b""))
SEQUENCES = st.lists(
    st.sampled_from([b"\x1b$B", b"\x1b(B", b"\x1b-L", b"\x1b", b"\\C2842\\", b"\\M2442\\", b"|", b"\r", b"\x81", b"A", b"\xe9"])
)


@given(NAMES, BYTES | SEQUENCES.map(b"".join))
def test_no_byte_is_lost_in_any_character_set(charset, tail):
    raw = head(charset).encode() + b"PID|" + tail.strip(b"\r") + b"\r"
    while b"\r\r" in raw:
        raw = raw.replace(b"\r\r", b"\r")
    assert er7.Message.parse(raw).to_bytes() == raw


@given(st.sampled_from(["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"]), st.binary(max_size=80))
def test_wide_bytes_are_kept_or_refused(codec, tail):
    raw = "MSH|^~\\&|A|".encode(codec) + tail
    try:
        message = er7.Message.parse(raw)
    except MessageError as error:
        assert error.code == "CHARSET"
    else:
        text = "".join(line + "\r" for line in lines_of(raw.decode(codec, "surrogatepass")))
        assert message.to_bytes() == text.encode(codec, "surrogatepass")


@pytest.mark.parametrize("codec", sorted({canonical(c) for c in CHARSETS.values() if c}))
def test_a_transparent_codec_gives_back_every_byte(codec):
    for byte in range(256) if is_transparent(codec) else ():
        raw = bytes([byte, 65, byte])
        assert raw.decode(codec, "surrogateescape").encode(codec, "surrogateescape") == raw


def test_names_are_found_as_senders_write_them():
    assert codec_of(" unicode utf-8 ") == "utf-8"
    assert codec_of("CNS 11643-1992") == ""
    assert is_wide("utf-16-le")
    assert codec_for(b"MSH") == "utf-8"


def test_an_encoding_that_is_none_of_texts_is_refused():
    with pytest.raises(LookupError):
        canonical("hex")
