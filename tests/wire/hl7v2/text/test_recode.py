"""A message for a receiver that knows one character set: what fits goes out in it, what does not is never lost unsaid."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.model.errors import MessageError
from suture.wire.hl7v2.text import er7
from suture.wire.hl7v2.text.recode import Recoded, recoded, target


def head(charset: str) -> bytes:
    return f"MSH|^~\\&|A|||||||||||||||{charset}\r".encode()


def go(raw: bytes, name: str, unfit: str = "refuse", encoding: str = "utf-8") -> Recoded:
    return recoded(er7.Message.parse(raw, encoding), raw, target(name, unfit))  # type: ignore[arg-type]


def pid(text: str, codec: str = "utf-8") -> bytes:
    return f"PID|1||{text}|after\r".encode(codec)


@pytest.mark.parametrize(
    ("name", "codec", "msh_18"),
    [
        ("8859/1", "iso8859-1", "8859/1"),
        ("iso-8859-15", "iso8859-15", "8859/15"),
        ("UTF-8", "utf-8", "UNICODE UTF-8"),
        ("windows-1252", "cp1252", "WINDOWS-1252"),
        ("GBK", "gbk", "GBK"),
        ("GB18030", "gb18030", "GB 18030-2000"),
        ("8859/2", "iso8859-2", "8859/2"),
    ],
)
@pytest.mark.parametrize(("declared", "read_as"), [("UNICODE UTF-8", "utf-8"), ("8859/1", "iso8859-1"), ("", "iso8859-1")])
def test_a_message_goes_out_in_the_set_and_says_so(name, codec, msh_18, declared, read_as):
    raw = head(declared) + pid("é^ü", read_as)
    found = go(raw, name, encoding="iso8859-1")
    if read_as == codec:
        assert found == Recoded(raw)
    else:
        assert found == Recoded(head(msh_18) + pid("é^ü", codec))


@pytest.mark.parametrize("name", ["ASCII", "8859/1", "UTF-8", "GBK"])
@pytest.mark.parametrize("raw", [head("") + b"PID|1\r", b"\r\n" + head("") + b"PID|1\nPV1|2", b"MSH|^~\\&|A\nPID|1\n"])
def test_what_is_plain_and_says_nothing_else_stays_byte_for_byte(raw, name):
    assert go(raw, name).body is raw


@pytest.mark.parametrize(("name", "same"), [("ASCII", "us-ascii"), ("8859/1", "ISO-8859-1"), ("UTF-8", "UNICODE"), ("UTF-8", "UTF_8")])
def test_another_name_of_the_set_stays(name, same):
    raw = head(same) + b"PID|1\r"
    assert go(raw, name).body is raw


@pytest.mark.parametrize("name", ["ASCII", "8859/1", "GBK"])
def test_a_set_that_is_declared_and_not_the_receiver_s_is_set_though_nothing_else_changes(name):
    msh_18 = {"GBK": "GBK"}.get(name, name)
    assert go(head("UNICODE UTF-8") + b"PID|1\r", name).body == head(msh_18) + b"PID|1\r"


def test_utf_8_in_a_message_that_says_ascii_is_said_to_be_utf_8():
    assert go(head("ASCII") + pid("é"), "UTF-8").body == head("UNICODE UTF-8") + pid("é")
    assert go(head("ASCII") + pid("e"), "UTF-8").body == head("ASCII") + pid("e")


def test_wide_messages_switches_and_marks_become_single_bytes():
    wide = "\ufeffMSH|^~\\&|A\r\nPID|é\r\n".encode("utf-16-le")
    assert go(wide, "8859/1").body == head("8859/1") + b"PID|\xe9\r"
    switching = head("8859/1~8859/5") + b"PID|\xe9\x1b-L\xd6\x1b-A\xe9\r"
    assert go(switching, "UTF-8").body == head("UNICODE UTF-8") + "PID|éжé\r".encode()
    assert go(switching, "8859/1", "replace") == Recoded(head("8859/1") + b"PID|\xe9?\xe9\r", 1, "PID-1")
    japanese = head("~ISO IR87") + "PID|山田\r".encode("iso2022_jp")
    assert go(japanese, "UTF-8").body == head("UNICODE UTF-8") + "PID|山田\r".encode()
    assert go(b"\xef\xbb\xbf" + head("") + b"PID|1\r", "ASCII").body == head("") + b"PID|1\r"


def test_windows_bytes_under_8859_are_the_signs_they_mean():
    raw = head("8859/1") + b"PID|O\x92Hara\r"
    assert go(raw, "UTF-8").body == head("UNICODE UTF-8") + "PID|O’Hara\r".encode()
    assert go(raw, "windows-1252").body == head("WINDOWS-1252") + b"PID|O\x92Hara\r"
    with pytest.raises(MessageError, match="CHARSET at PID-1: characters that 8859/1 does not have"):
        go(raw, "8859/1")


def test_a_control_character_that_would_be_read_as_a_sign_of_windows_does_not_fit():
    raw = head("UNICODE UTF-8") + pid("a\x92b")
    assert go(raw, "8859/1", "replace") == Recoded(head("8859/1") + pid("a?b"), 1, "PID-3")
    message = er7.Message.parse(head("8859/1") + b"PID|1\r")
    message.set("PID-3", "a\x92b")
    with pytest.raises(MessageError, match="CHARSET at PID"):
        message.to_bytes()


NAME = "Müller^O’Brien^李"


def test_characters_that_do_not_fit_are_refused_with_their_place_and_without_them():
    with pytest.raises(MessageError) as caught:
        go(head("UNICODE UTF-8") + b"NTE|1\rNTE|2|x\r" + b"NTE|3||" + NAME.encode() + b"\r", "8859/1")
    assert (caught.value.stage, caught.value.code, caught.value.place) == ("render", "CHARSET", "NTE(3)-3")
    assert not set("üÜ’李") & set(str(caught.value))


def test_characters_that_do_not_fit_are_replaced_and_counted():
    raw = head("UNICODE UTF-8") + pid(NAME)
    assert go(raw, "ASCII", "replace") == Recoded(head("ASCII") + b"PID|1||Muller^O?Brien^?|after\r", 3, "PID-3")
    assert go(raw, "8859/1", "replace") == Recoded(head("8859/1") + b"PID|1||M\xfcller^O?Brien^?|after\r", 2, "PID-3")


@pytest.mark.parametrize("character", ["｜", "＾", "½", "ﬁ", "．"])
def test_what_replaces_a_character_never_separates(character):
    found = go(head("") + pid(f"a{character}b"), "ASCII", "replace").body
    assert er7.Message.parse(found).get("PID-3") == "a?b"
    odd = b"MSH|?~\\&|A\r" + pid(f"a{character}b")
    assert er7.Message.parse(go(odd, "ASCII", "replace").body).get("PID-3") == "a_b"


def test_characters_that_do_not_fit_are_escaped_and_read_back():
    found = go(head("UNICODE UTF-8") + pid(NAME), "ASCII", "escape").body
    assert found == head("ASCII") + b"PID|1||M\\XC3BC\\ller^O\\XE28099\\Brien^\\XE69D8E\\|after\r"
    read = er7.Message.parse(found)
    assert [read.get(f"PID-3.{n}") for n in (1, 2, 3)] == NAME.split("^")


def test_without_an_escape_character_nothing_is_escaped():
    raw = b"MSH|^~|A\r" + pid("é")
    with pytest.raises(MessageError, match=r"CHARSET at PID-3: .*no escape character"):
        go(raw, "ASCII", "escape")


def test_bytes_in_hexadecimal_mean_the_same_afterwards():
    raw = head("UNICODE UTF-8") + pid("\\XC3A0\\^\\XFF\\^\\X00E0\\^\\X0D\\^\\Zé\\")
    found = go(raw, "8859/1").body
    assert found == head("8859/1") + pid("à^\\XFF\\^\\X00E0\\^\\X0D\\^\\Zé\\", "iso8859-1")
    before, after = er7.Message.parse(raw), er7.Message.parse(found)
    assert [after.get(f"PID-3.{n}") for n in (1, 3, 4, 5)] == [before.get(f"PID-3.{n}") for n in (1, 3, 4, 5)]
    assert er7.Message.parse(go(head("8859/1") + pid("\\XE9\\"), "UTF-8").body).get("PID-3") == "é"


def test_a_doubled_escape_character_reads_the_same_afterwards():
    raw = b"MSH|^~\\\\&|A\r" + pid("a\\\\T\\\\é")
    found = er7.Message.parse(go(raw, "ASCII", "escape").body)
    assert found.get("PID-3") == er7.Message.parse(raw).get("PID-3") == "a&é"


def test_bytes_that_are_not_of_the_message_s_own_set_are_refused():
    for name in ("UTF-8", "8859/1", "ASCII"):
        with pytest.raises(MessageError, match="CHARSET at MSH-18"):
            go(head("UNICODE UTF-8") + b"PID|\xff\r", name, "replace")


def test_separators_that_the_set_does_not_have_are_refused():
    with pytest.raises(MessageError, match="CHARSET at MSH-2"):
        go("MSH|^~\\§|A\rPID|1\r".encode(), "ASCII", "replace")


@pytest.mark.parametrize("name", ["UTF-16", "ISO IR87", "~ISO IR87", "8859/12", "", "latin-9000"])
def test_what_is_no_set_to_send_in_is_no_target(name):
    with pytest.raises(ValueError, match="no character set to send in"):
        target(name)


def test_a_target_has_a_name_for_http():
    names = {"ASCII": "us-ascii", "8859/1": "ISO-8859-1", "CP1252": "windows-1252", "UTF-8": "utf-8", "BIG-5": "Big5"}
    assert {name: target(name).mime for name in names} == names


TEXTS = st.text("aé’李€ж\\T|^~&#\x92", max_size=8)


@given(st.sampled_from(["ASCII", "8859/1", "8859/15", "UTF-8", "GBK", "windows-1252"]), st.lists(TEXTS, min_size=1, max_size=4))
def test_escaped_or_not_the_receiver_s_set_holds_it_and_everything_keeps_its_place(name, values):
    message = er7.Message.parse(head("UNICODE UTF-8") + b"PID|1\r")
    for number, value in enumerate(values, 2):
        message.set(f"PID-{number}", value)
    to = target(name, "escape")
    found = recoded(message, message.to_bytes(), to)
    text = found.body.decode(to.codec)
    lines, before = text.split("\r"), message.to_bytes().decode().split("\r")
    assert [line.count("|") for line in lines[1:]] == [line.count("|") for line in before[1:]]
    if name in ("ASCII", "UTF-8"):
        again = er7.Message.parse(found.body)
        assert [again.get(f"PID-{number}") for number in range(2, len(values) + 2)] == values
