"""Files are cut into messages whatever pieces they are read in, and nothing is lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.wire import mllp
from suture.wire.hl7v2.text import cut, er7

ONE = b"MSH|^~\\&|A|B|C|D|20260304||DFT^P03|ID1|P|2.5.1\rPID|1\r"
LIMIT = 1 << 20

pieces = st.lists(
    st.sampled_from(
        [
            ONE,
            mllp.frame(ONE),
            b"FHS|^~\\&|A\r",
            b"BHS|^~\\&\r\n",
            b"BTS|2\r",
            b"\r\n",
            b"\xef\xbb\xbf",
            b"x MSH|y\r",
            b"\x1c",
            b"\x0b",
            b"MSH",
        ]
    )
    | st.binary(max_size=6),
    max_size=12,
)


def chunked(data: bytes, sizes: list[int]) -> list[bytes]:
    found, at = [], 0
    for size in sizes:
        found.append(data[at : at + size])
        at += size
    return [*found, data[at:]]


@given(pieces, st.lists(st.integers(1, 40), max_size=30))
def test_the_units_are_the_input_and_do_not_hang_on_how_it_is_read(parts: list[bytes], sizes: list[int]) -> None:
    data = b"".join(parts)
    units = list(cut.units([data], LIMIT))
    assert b"".join(units) == data
    assert list(cut.units(chunked(data, sizes), LIMIT)) == units


@given(st.lists(st.integers(1, 30), max_size=60))
def test_the_messages_of_a_batch_come_one_by_one(sizes: list[int]) -> None:
    data = b"FHS|^~\\&|A\rBHS|^~\\&|A\r" + ONE + mllp.frame(ONE) + b"\n" + ONE.replace(b"\r", b"\r\n") + b"BTS|3\rFTS|1\r"
    assert list(cut.messages(cut.units(chunked(data, sizes), LIMIT))) == [ONE] * 3


def test_a_message_over_the_limit_is_refused_before_it_is_read_to_its_end() -> None:
    endless = (b"MSH|^~\\&|A\r" if i == 0 else b"OBX|1|" + b"x" * 100 for i in range(1_000_000))
    with pytest.raises(cut.MessageTooLarge, match="larger than 5000 bytes"):
        list(cut.messages(cut.units(endless, 5000)))


def test_a_frame_begins_a_unit() -> None:
    assert list(cut.units([mllp.frame(ONE) * 2], LIMIT)) == [mllp.frame(ONE)] * 2
    assert list(cut.units([b"noise" + mllp.frame(ONE)], LIMIT)) == [b"noise", mllp.frame(ONE)]


def test_blanks_may_stand_between_the_beginning_of_a_frame_and_what_is_in_it() -> None:
    data = b"BTS|2\r\x0b\tBHS|^~\\&|A\r\x0b " + ONE + b"\x1c\r"
    assert list(cut.messages(cut.units([data], LIMIT))) == [b" " + ONE]


def test_a_name_inside_a_line_begins_no_message() -> None:
    data = ONE + b"NTE|1||see MSH|1 and FHS|2\r"
    assert list(cut.messages(cut.units([data], LIMIT))) == [data]


def test_a_frame_keeps_what_is_in_it_and_loses_what_is_behind_it() -> None:
    assert cut.message_of(b"\x0bMSH|^~\\&|A\x1cB\rPID\x1c\r") == b"MSH|^~\\&|A\x1cB\rPID"
    assert cut.message_of(b"\x0bMSH|^~\\&|A\rPID\x1c\rgarbage") == b"MSH|^~\\&|A\rPID"
    assert cut.message_of(b"\x0b\x1c\r") == cut.message_of(b"\r\n") == cut.message_of(b"") == b""


WIDE = ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"]
TWO = ONE.replace(b"ID1", b"ID2") + "NTE|1||Zoë 測試\r".encode()


def wide(text: bytes, codec: str, mark: bool = False) -> bytes:
    return (("\ufeff" if mark else "") + text.decode()).encode(codec)


@given(pieces, st.lists(st.integers(1, 40), max_size=30), st.sampled_from(WIDE), st.booleans(), st.binary(max_size=3))
def test_the_units_of_wide_text_are_the_input_and_do_not_hang_on_how_it_is_read(parts, sizes, codec, mark, odd) -> None:
    data = wide(b"".join(parts).decode("utf-8", "ignore").encode(), codec, mark) + odd
    units = list(cut.units([data], LIMIT))
    assert b"".join(units) == data
    assert list(cut.units(chunked(data, sizes), LIMIT)) == units
    messages = list(cut.messages(cut.units([data], LIMIT)))
    assert list(cut.messages(cut.units(chunked(data, sizes), LIMIT))) == messages


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n", b"\r\r"])
@pytest.mark.parametrize("mark", [False, True])
@pytest.mark.parametrize("codec", WIDE)
def test_a_file_in_wide_characters_is_cut_into_its_messages(codec: str, mark: bool, end: bytes) -> None:
    data = (b"FHS|^~\\&|A\rBHS|^~\\&|A\r" + ONE + TWO + b"BTS|2\rFTS|1\r").replace(b"\r", end)
    messages = [wide(ONE, codec, mark), wide(TWO, codec, mark)]
    assert list(cut.messages(cut.units([wide(data, codec, mark)], LIMIT))) == messages
    assert list(cut.messages(cut.units(chunked(wide(ONE + end + TWO, codec, mark), [1, 2, 3, 50]), LIMIT))) == messages
    assert [er7.Message.parse(message).get("MSH-10") for message in messages] == ["ID1", "ID2"]


@pytest.mark.parametrize("mark", [False, True])
@pytest.mark.parametrize("codec", WIDE)
def test_wide_messages_that_are_framed_or_put_one_behind_another_are_cut_too(codec: str, mark: bool) -> None:
    messages = [wide(ONE, codec, mark), wide(TWO, codec, mark), wide(ONE, codec, mark)]
    assert list(cut.messages(cut.units([b"".join(messages)], LIMIT))) == messages
    framed = b"".join(map(mllp.frame, messages))
    assert list(cut.messages(cut.units([framed], LIMIT))) == list(cut.messages(cut.units(chunked(framed, [1] * 80), LIMIT))) == messages


@pytest.mark.parametrize("codec", [*WIDE, "utf-16", "utf-32"])
def test_a_part_of_a_character_at_the_end_stays_there(codec: str) -> None:
    data = ONE.decode().encode(codec)
    assert list(cut.messages(cut.units([data + b"x"], LIMIT))) == [data + b"x"]


def test_a_wide_message_over_the_limit_is_refused_before_it_is_read_to_its_end() -> None:
    endless = (wide(b"MSH|^~\\&|A\r" if i == 0 else b"OBX|1|" + b"x" * 100, "utf-16-le") for i in range(1_000_000))
    with pytest.raises(cut.MessageTooLarge, match="larger than 5000 bytes"):
        list(cut.messages(cut.units(endless, 5000)))
