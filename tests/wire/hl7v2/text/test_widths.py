"""Wide text seen with one byte a character: what is ASCII is itself, and nothing else looks like it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.wire.hl7v2.text import widths

WIDE = ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"]


def width(codec: str) -> widths.Width:
    return widths.width_of("MSH|".encode(codec))


def seen(character: str, codec: str) -> bytes:
    units = len(character.encode(codec)) // width(codec).size
    return character.encode() if character.isascii() else widths.MARK if character == "\ufeff" else b"\xff" * units


@given(st.text(st.characters() | st.sampled_from("\ufeff\xfe\xff\u0d0a\u4d00AZ\r\n")), st.sampled_from(WIDE))
def test_a_view_has_a_byte_for_each_unit(text: str, codec: str) -> None:
    raw = text.encode(codec, "surrogatepass")
    if len(raw) == sum(len(c.encode(codec, "surrogatepass")) for c in text):
        expected = b"".join(seen(c, codec) if not 0xD800 <= ord(c) < 0xE000 else b"\xff" for c in text)
        assert width(codec).view(raw) == expected


@given(st.binary(max_size=200), st.lists(st.integers(0, 20), max_size=20), st.sampled_from(WIDE))
def test_a_buffer_holds_what_came_in_whatever_pieces(data: bytes, sizes: list[int], codec: str) -> None:
    buffer, at = widths.Buffer(width(codec)), 0
    for size in sizes:
        buffer.add(data[at : at + size])
        at += size
    buffer.add(data[at:])
    assert buffer.view == width(codec).view(data)
    assert buffer.piece(0, len(buffer.view)) + buffer.odd() == data


@pytest.mark.parametrize("codec", WIDE)
@pytest.mark.parametrize("name", ["MSH|", "FHS|", "BHS|", "BTS|", "FTS|", "\r\n MSH|", "\ufeffMSH|", "\ufeff\ufeffBHS|"])
def test_the_first_bytes_tell_the_width(codec: str, name: str) -> None:
    found = widths.width_of(name.encode(codec))
    assert (found.codec, found.size) == (codec, 2 if "16" in codec else 4)
    assert found.mark == ("\ufeff".encode(codec) if name[0] == "\ufeff" else b"")


@given(st.binary(max_size=40) | st.text("\r MSHBF|\ufeff").flatmap(lambda t: st.sampled_from([t.encode(c) for c in WIDE])), st.binary())
def test_bytes_that_are_enough_to_tell_it_stay_enough(head: bytes, more: bytes) -> None:
    if widths.tells(head):
        assert widths.width_of(head) == widths.width_of(head + more)


def test_a_large_text_is_looked_at() -> None:
    text = "MSH|ä" * 50_000
    assert width("utf-16-be").view(text.encode("utf-16-be")) == text.encode("latin-1").replace(b"\xe4", b"\xff")
