"""Where messages and segments begin and end, and lines that are no segments."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.wire.hl7v2.text import cut, er7, lines
from suture.wire.hl7v2.text.lines import NOTHING, OddLine

HEAD = "MSH|^~\\&|POU|MAIN|||20260401||DFT^P03|C1|P|2.7|||||"
CODECS = {"utf-8": "", "iso8859-1": "8859/1", "gb18030": "GB 18030-2000", "utf-16-le": "UNICODE UTF-16", "utf-32-be": "UNICODE UTF-32"}
ALL_CODECS = pytest.mark.parametrize("codec", CODECS)
SIZES = pytest.mark.parametrize("large", [False, True])


def parse(text: str, codec: str = "utf-8", join: bool = False) -> er7.Message:
    """A message with these lines behind its MSH, in that character set."""
    return er7.Message.parse(f"{HEAD}|{CODECS[codec]}\r{text}".encode(codec), join=join)


@pytest.fixture(autouse=True)
def _size(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "large" in request.fixturenames and request.getfixturevalue("large"):
        monkeypatch.setattr(er7, "LARGE", 0)


class TestALineThatIsNoSegment:
    @SIZES
    @ALL_CODECS
    @pytest.mark.parametrize(
        "line", ["SZ 5^L|||3", "ft1|2", "Ft1|2", "FT1^2", "FT12|x", "F1|x", "1FT|x", "//PID|1", "?", "x", "MSH and more", "FT1 |2", "ZÉ1|2"]
    )
    def test_is_known_by_its_number_and_the_segment_before_it(self, codec: str, line: str, large: bool) -> None:
        if codec == "iso8859-1" and not line.isascii():
            line = line.replace("É", "é")
        message = parse(f"PID|1\rFT1|1\rFT1|2\r{line}\rNTE|1\r", codec)
        assert message.odd.broken == (OddLine(5, "FT1(2)"),)
        assert (message.odd.trimmed, message.odd.stray) == ((), ())

    @ALL_CODECS
    @pytest.mark.parametrize("line", ["NTE", "Z1X|", "ZZZ|x\ty", "", "  ", "\x1c", "\x0b", "\x00", "DSC"])
    def test_is_none_that_is_a_name_or_holds_nothing(self, codec: str, line: str) -> None:
        message = parse(f"PID|1\r{line}\rNTE|1\r", codec)
        assert message.odd is NOTHING
        assert message.named("NTE")

    @pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
    def test_is_seen_whatever_ends_lines(self, end: str) -> None:
        raw = f"{HEAD}\rFT1|1\rSZ 5^L\r".replace("\r", end).encode()
        assert er7.Message.parse(raw).odd.broken == (OddLine(3, "FT1"),)

    def test_does_not_count_empty_lines(self) -> None:
        assert parse("PID|1\r\r\rx\r").odd.broken == (OddLine(3, "PID"),)

    def test_a_line_feed_that_is_data_makes_none(self) -> None:
        message = parse("OBX|1|TX|||first\nsecond|F\rNTE|1\r")
        assert message.odd is NOTHING
        assert message.get("OBX-5") == "first\nsecond"

    def test_stays_as_it_is_when_the_message_is_written(self) -> None:
        raw = f"{HEAD}\rFT1|1\rSZ 5^L|||3\rft1|2\r \r\x1c\r".encode()
        assert er7.Message.parse(raw).to_bytes() == raw

    def test_with_a_stray_byte_in_its_name_alone_is_told_apart(self) -> None:
        raw = HEAD.encode() + b"\rPV1|1\rNT\xe9|1\r\xe9 x|1\r"
        message = er7.Message.parse(raw)
        assert message.odd.stray == (OddLine(3, "PV1"),)
        assert message.odd.broken == (OddLine(3, "PV1"), OddLine(4, "PV1"))
        assert er7.Message.parse(HEAD.encode() + b"\rPV1|1\rNT\xe9|1\r").only_names_undecodable
        assert not er7.Message.parse(HEAD.encode() + b"\rPV1|1\rNT\xe9|\xe9\r").only_names_undecodable


class TestBlanksBeforeAName:
    @SIZES
    @ALL_CODECS
    @pytest.mark.parametrize("blanks", [" ", "\t", "  \t "])
    def test_are_left_out_and_told(self, codec: str, blanks: str, large: bool) -> None:
        message = parse(f"FT1|1|T1\r{blanks}FT1|2|T2\r", codec)
        assert message.get("FT1(2)-2") == "T2"
        assert message.odd.trimmed == (OddLine(3, "FT1(2)"),)
        assert message.odd.broken == ()
        again = er7.Message.parse(message.to_bytes())
        assert (again.odd, again.get_all("FT1(*)-2")) == (NOTHING, ["T1", "T2"])

    @pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
    def test_are_left_out_whatever_ends_lines(self, end: str) -> None:
        raw = f"{HEAD}\rFT1|1|T1\r FT1|2|T2\r".replace("\r", end).encode()
        assert er7.Message.parse(raw).get("FT1(2)-2") == "T2"

    def test_behind_a_line_feed_among_crs_they_begin_a_segment_too(self) -> None:
        message = parse("FT1|1|T1\n FT1|2|T2\rNTE|1||a\n b|c\r")
        assert message.get_all("FT1(*)-2") == ["T1", "T2"]
        assert message.get("NTE-3") == "a\n b"


class TestASegmentAroundMessages:
    @SIZES
    @ALL_CODECS
    def test_is_told_wherever_it_stands(self, codec: str, large: bool) -> None:
        message = parse(f"FT1|1|T1\r BTS|1\rNTE|1||{'x' * 300}\rFTS|1\r", codec)
        assert message.odd.around == (OddLine(3, "BTS"), OddLine(5, "FTS"))
        assert message.odd.trimmed == (OddLine(3, "BTS"),)
        assert [one.name for one in message.segments] == ["MSH", "FT1", "BTS", "NTE", "FTS"]
        assert message.get("BTS-1") == "1"
        assert parse("FT1|1|T1\rBTX|1\r", codec).odd is NOTHING


class TestWhatCameBefore:
    @pytest.mark.parametrize("line", ["    |", "\x00\x01\x02\x03", " \t \t"])
    def test_does_not_make_a_segment_of_what_is_none(self, line: str) -> None:
        parse(f"FT1|1|T1\r{line}\r")
        again = parse(f"FT1|1|T1\r{line[:4]}ZZZ|2\r")
        assert again.odd != NOTHING

    def test_goes_for_one_separator_only(self) -> None:
        parse("FT1|1|T1\r")
        message = er7.Message.parse(b"MSH^~|\\&^A\rFT1|1|T1\r")
        assert [one.place for one in message.odd.broken] == ["MSH"]
        assert message.named("FT1") == message.segments[1:]


class TestJoiningLines:
    LINE = "FT1|1|T1||20260401||CG|IMP-1^HIP STEM\rSZ 5^L|||3\r"

    @SIZES
    @ALL_CODECS
    def test_keeps_the_value_as_its_sender_had_it(self, codec: str, large: bool) -> None:
        message = parse(f"{self.LINE} NTE|1||é\r", codec, join=True)
        assert message.get("FT1-7.2") == "HIP STEM\rSZ 5"
        assert (message.get("FT1-7.3"), message.get("FT1-10"), message.get("NTE-3")) == ("L", "3", "é")
        assert message.odd == lines.Odd(trimmed=(OddLine(4, "NTE"),), joined=(OddLine(3, "FT1"),))
        assert message.raw == f"{HEAD}|{CODECS[codec]}\r{self.LINE} NTE|1||é\r".encode(codec)

    def test_writes_what_a_sender_who_escapes_would_have_written(self) -> None:
        message = parse(self.LINE, join=True)
        assert message.to_bytes() == f"{HEAD}|\r{self.LINE}".encode().replace(b"STEM\rSZ", b"STEM\\X0D\\SZ")
        assert er7.Message.parse(message.to_bytes()).odd is NOTHING

    @pytest.mark.parametrize(
        ("text", "value"),
        [("a\r\nb", "a\r\nb"), ("a\rb c\rd, e", "a\rb c\rd, e"), ("a\r\r b", "a\r\r b"), ("a\r\r\r.", "a\r\r\r."), ("a\r \r5", "a\r \r5")],
    )
    def test_keeps_every_line_end(self, text: str, value: str) -> None:
        assert parse(f"NTE|1||{text}\rZZZ|1\r", join=True).get("NTE-3") == value

    def test_of_a_message_whose_lines_end_with_lf(self) -> None:
        raw = f"{HEAD}\rNTE|1||first\rthe second\rZZZ|1\r".replace("\r", "\n").encode()
        message = er7.Message.parse(raw, join=True)
        assert (message.get("NTE-3"), message.get("ZZZ-1")) == ("first\nthe second", "1")

    @pytest.mark.parametrize("line", ["ft1|2|T2", "FT12|2", "Fx|1"])
    def test_leaves_a_message_with_what_may_be_meant_for_a_segment(self, line: str) -> None:
        message = parse(f"FT1|1\rand a text\r{line}\r", join=True)
        assert message.odd.joined == ()
        assert [one.number for one in message.odd.broken] == [3, 4]
        assert message.to_bytes() == message.raw

    @pytest.mark.parametrize("line", ["SZ5|||3", "PID|2"])
    def test_leaves_a_segment(self, line: str) -> None:
        message = parse(f"FT1|1\rand a text\r{line}\r", join=True)
        assert message.names == ["MSH", "FT1", line[:3]]

    def test_leaves_a_message_without_an_escape_character(self) -> None:
        raw = b"MSH|^~|POU|MAIN|||20260401||DFT^P03|C1|P|2.7\rNTE|1||a\rb c\r"
        assert er7.Message.parse(raw, join=True).odd.broken == (OddLine(3, "NTE"),)

    def test_leaves_a_message_that_switches_its_character_set(self) -> None:
        raw = f"{HEAD}|ASCII~ISO IR87\rNTE|1||a\rb c\r".encode()
        assert er7.Message.parse(raw, join=True).odd.broken == (OddLine(3, "NTE"),)

    @given(st.lists(st.text(st.sampled_from("ab |^5.\r"), min_size=1, max_size=8), max_size=6))
    def test_loses_no_character(self, texts: list[str]) -> None:
        text = f"{HEAD}\r" + "\r".join(f"NTE|{number}||{one}" for number, one in enumerate(texts)) + "\r"
        found = lines.joined(text, "\\")
        assert re.sub(r"\\X((?:0D|20)+)\\", lambda match: bytes.fromhex(match[1]).decode(), found) == text
        left, odd = lines.trimmed(lines.lines_of(found), found[3:4])
        assert all(re.match(r"[^\w|]*\w{2,4} *\|", left[line.number - 1]) for line in odd.broken)

    @ALL_CODECS
    @pytest.mark.parametrize("name", ["PID", "FT1", "MSH", "NTE", "pid", "ZIM"])
    @pytest.mark.parametrize(
        "line",
        ["\x0c{}|1||M8", "\xa0{}|1", '"{}|1', "\x0b{}|1", "> {}|1", "{} |1", "{}^1", "{},1", "{}-1|x", "? {}\t|x", "|{}|1"],
    )
    def test_leaves_a_name_with_signs_around_it(self, codec: str, name: str, line: str) -> None:
        left = parse(f"NTE|1||a\r{line.format(name)}|x\r", codec, join=True)
        assert (left.odd.joined, [one.number for one in left.odd.broken]) == ((), [3])

    @pytest.mark.parametrize("lead", ["\u200b", "\ufeff", "\u2028", "\x85", "\xe9", "\U0001f600"])
    @pytest.mark.parametrize("codec", ["utf-8", "utf-16-le"])
    def test_leaves_a_name_behind_what_ascii_does_not_have(self, codec: str, lead: str) -> None:
        assert parse(f"NTE|1||a\r{lead}PID|1\r", codec, join=True).odd.joined == ()

    @pytest.mark.parametrize("line", [b"\xff\xff\xffPID|1", b"P\xff\xffD|1", b"\xff\xff1|1", b"FT1\xff1", b"FT1XX|1", b"1 FT1|1"])
    def test_leaves_a_name_among_bytes_of_no_character(self, line: bytes) -> None:
        assert er7.Message.parse(f"{HEAD}\rNTE|1||a\r".encode() + line + b"\r", join=True).odd.joined == ()

    @pytest.mark.parametrize(
        "line", ["SZ 5 STD OFFSET|27000123|3", "see note", "3 x 5 cm|", "and the rest, as he said|3", "^L|||3", "|20|PCS", "SZ 5^CDM|||3"]
    )
    def test_joins_what_is_the_rest_of_a_text(self, line: str) -> None:
        message = parse(f"NTE|1||a\r{line}\r", join=True)
        assert message.odd.joined == (OddLine(3, "NTE"),)
        assert message.to_bytes().endswith(f"\rNTE|1||a\\X0D\\{line}\r".encode())

    @given(
        st.text(st.characters(exclude_categories=("L", "N", "Cs"), exclude_characters="\r\n"), max_size=40),
        st.sampled_from(["PID", "PV1", "MSH", "FT1", "NTE", "OBX", "OBR", "ORC", "ZU1"]),
        st.characters(exclude_categories=("L", "N", "Cs")),
        st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\r\n"), max_size=10),
        st.sampled_from(["\r", "\n", "\r\n"]),
    )
    def test_never_joins_a_line_whose_first_word_is_a_name(self, lead: str, name: str, sign: str, rest: str, end: str) -> None:
        raw = f"{HEAD}|{end}NTE|1||a{end}".encode() + f"{lead}{name}{sign}{rest}{end}".encode()
        joined = er7.Message.parse(raw, join=True).odd.joined
        assert not joined or "\n" in lead


class TestAMessageBeginsAtItsHeader:
    ONE = b"MSH|^~\\&|A|B|C|D|20260304||DFT^P03|ID1|P|2.5.1\rPID|1\r"

    @pytest.mark.parametrize("lead", [b"", b" ", b"\t  ", b"\x0b", b"\xef\xbb\xbf", b"\r\n", b"\n"])
    @pytest.mark.parametrize("second", [b"MSH|^~\\&|E\r", b"MSH#*~\\&#E\r", b"MSH||E\r", b"MSH|"])
    def test_wherever_it_stands_behind_a_line_end(self, lead: bytes, second: bytes) -> None:
        data = self.ONE + lead + second
        assert lines.messages_in(data, 10) == [0, len(self.ONE) + len(lead.strip(b" \t\x0b\xef\xbb\xbf"))]
        assert len(list(cut.messages(cut.units([data], 1 << 20)))) == 2

    @pytest.mark.parametrize("blanks", [b" " * 33, b"\t" * 500, b" \x0b" * 40])
    def test_behind_any_number_of_blanks(self, blanks: bytes) -> None:
        assert lines.messages_in(self.ONE + blanks + self.ONE, 10) == [0, len(self.ONE)]

    @pytest.mark.parametrize("text", [b"MSH and more", b"MSH, see above", b"MSH", b"MSHA|x", b"MSH see | there", b"x MSH|^~\\&|A"])
    def test_and_a_text_is_none(self, text: bytes) -> None:
        data = self.ONE + b"NTE|1||see\r" + text + b"\r"
        assert lines.messages_in(data, 10) == [0]
        assert list(cut.messages(cut.units([data], 1 << 20))) == [data]

    def test_no_more_are_looked_for_than_may_be(self) -> None:
        assert len(lines.messages_in(self.ONE * 9, 3)) == 4


PARTS = st.lists(
    st.sampled_from(["PID|1", "NTE|1||a", "b c", " PV1|1", "ft1|1", "x\ny|z", "MSH|^~\\&|B", "MSH see", " ", "\x1c", "ZZZ", "x\nOBX|1"]),
    max_size=8,
)


@given(PARTS, st.sampled_from(["\r", "\n", "\r\n"]))
def test_files_and_frames_are_cut_alike(parts: list[str], end: str) -> None:
    data = end.join(["MSH|^~\\&|A", *parts, ""]).encode()
    begins = lines.messages_in(data, 100)
    frames = [data[a:b] for a, b in zip(begins, [*begins[1:], len(data)], strict=True)]
    files = list(cut.messages(cut.units([data], 1 << 20)))
    assert list(map(segments, files)) == list(map(segments, frames))


def segments(raw: bytes) -> Any:
    """What a message holds; what holds nothing, a file may leave out."""
    message = er7.Message.parse(raw)
    return [segment.text for segment in message.segments if segment.text.strip(" \x1c")]
