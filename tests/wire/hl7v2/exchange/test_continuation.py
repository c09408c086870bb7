"""Fragments: whatever way a message was cut, it comes back whole, and nothing waits for ever."""

from __future__ import annotations

import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.wire.hl7v2.exchange.continuation import Assembler, Broken, Chain, Limits, is_fragment, join, links
from suture.wire.hl7v2.text.header import Header


def head(number: int, follows: str = "") -> str:
    return rf"MSH|^~\&|LAB|OR|ENGINE|HOSP|20260401||ORU^R01|M{number}|P|2.5.1||{follows}" + "\r"


def fragment(number: int, body: str, follows: str = "", points_to: str = "") -> bytes:
    return (head(number, follows) + body + (f"DSC|{points_to}|F\r" if points_to else "")).encode()


def add(assembler: Assembler[int], raw: bytes, item: int = 0, now_s: float = 0.0, sender: str = "LAB"):
    return assembler.add(sender, Header.read(raw), raw, item, now_s)


def cut_up(body: str, cuts: list[int]) -> list[bytes]:
    """The message with this body (segments ended by CR), cut at these places, in segments and between them."""
    places = [0, *sorted({c % (len(body) + 1) for c in cuts} - {0, len(body)}), len(body)]
    pieces = []
    for number, (begin, end) in enumerate(itertools.pairwise(places), start=1):
        text = body[begin:end]
        if begin and body[begin - 1] != "\r":
            text = "ADD|" + text
        if end < len(body) and not text.endswith("\r"):
            text += "\rADD|\r"
        follows, points_to = (f"p{number - 1}" if begin else ""), (f"p{number}" if end < len(body) else "")
        pieces.append(fragment(number, text, follows, points_to))
    return pieces


SEGMENTS = st.lists(st.tuples(st.sampled_from(["PID", "OBX", "NTE"]), st.text("ab|^&~ ", max_size=20)), min_size=1, max_size=6)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_segment_behind_an_msh_that_ends_with_a_line_feed_is_not_lost(end):
    """Some senders end MSH so; the line end of the others is CR."""
    first, second = (one.decode().replace("\r", end, 1).encode() for one in cut_up("PID|1\rNTE|1||a\nb\r", [6]))
    joined = join([first, second], b"|")
    assert joined.count(b"\r") == 3
    assert joined.endswith(b"\rPID|1\rNTE|1||a\nb\r")


def test_blanks_before_dsc_and_add_do_not_hide_them():
    first, second = fragment(1, "NTE|1||a\r ADD|\r DSC|p1|F\r"), fragment(2, " ADD|b\r", "p1")
    assert links(Header.read(first), first).points_to == b"p1"
    assert join([first, second], b"|").endswith(b"\rNTE|1||ab\r")


@given(SEGMENTS, st.lists(st.integers(0, 200), max_size=6))
def test_a_message_cut_anywhere_comes_back_as_it_was(segments, cuts):
    body = "".join(f"{name}|{text}x\r" for name, text in segments)
    pieces = cut_up(body, cuts)
    assembler: Assembler[int] = Assembler(Limits())
    for number, piece in enumerate(pieces[:-1]):
        assert add(assembler, piece, number) is None
    if len(pieces) > 1:
        whole = add(assembler, pieces[-1], len(pieces) - 1)
        assert isinstance(whole, Chain)
        assert whole.items == list(range(len(pieces)))
        assert whole.joined() == (head(1) + body).encode()
        assert assembler.waiting == 0
    else:
        assert not is_fragment(Header.read(pieces[0]), pieces[0])


WIDE = ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"]


def wide(raw: bytes, codec: str, mark: bool) -> bytes:
    return (("\ufeff" if mark else "") + raw.decode()).encode(codec)


WIDE_SEGMENTS = st.lists(
    st.tuples(st.sampled_from(["PID", "OBX"]), st.text(st.sampled_from("ab|^ë測😀\u0d0a\ufeff"), max_size=20)), min_size=1, max_size=6
)


@given(
    WIDE_SEGMENTS, st.lists(st.integers(0, 200), max_size=6), st.sampled_from(WIDE), st.booleans(), st.sampled_from(["\r", "\n", "\r\n"])
)
def test_a_wide_message_cut_anywhere_comes_back_as_it_was(segments, cuts, codec, mark, end):
    body = "".join(f"{name}|{text}x\r" for name, text in segments)
    pieces = [wide(piece.replace(b"\r", end.encode()), codec, mark) for piece in cut_up(body, cuts)]
    assembler: Assembler[int] = Assembler(Limits())
    came = [add(assembler, piece, number) for number, piece in enumerate(pieces)]
    assert came[:-1] == [None] * (len(pieces) - 1)
    assert isinstance(came[-1], Chain)
    assert came[-1].joined() == wide((head(1) + body).encode(), codec, mark)


@pytest.mark.parametrize("codec", WIDE)
def test_what_is_a_fragment_in_wide_characters(codec):
    pointed = wide(fragment(1, "PID|1\r", points_to="測試p"), codec, True)
    assert links(Header.read(pointed), pointed).points_to == "測試p".encode()
    interactive = wide(fragment(1, "PID|1\rDSC|x|I\r"), codec, False)
    assert not is_fragment(Header.read(interactive), interactive)
    damaged = wide(fragment(1, "PID|1\r", points_to="p"), codec, False) + b"x"
    assert not is_fragment(Header.read(damaged), damaged)  # and so it is read by itself, and refused for its last byte


def test_fragments_in_different_character_sets_are_broken():
    assembler: Assembler[int] = Assembler(Limits())
    add(assembler, wide(fragment(1, "PID|1\r", points_to="p"), "utf-16-le", True), 1)
    broken = add(assembler, fragment(2, "OBX|1\r", follows="p"), 2)
    assert (broken.code, broken.items) == ("CONTINUATION_UNKNOWN", [1, 2])


@given(st.binary(max_size=80), st.booleans(), st.sampled_from(WIDE), st.booleans())
def test_no_wide_bytes_raise(data, follows, codec, mark):
    raw = wide(head(1, "p" if follows else "").encode(), codec, mark) + data
    add(Assembler(Limits()), raw)
    join([raw, raw, data], b"\xe6")


def test_a_segment_that_was_split_is_one_again():
    pieces = [
        fragment(1, "OBX|1|TX|R||begin of \rADD\r", points_to="p"),
        fragment(2, "ADD|the text\rADD|, and more|F\rOBX|2\r", follows="p"),
    ]
    assert join(pieces, b"|") == (head(1) + "OBX|1|TX|R||begin of the text, and more|F\rOBX|2\r").encode()


@pytest.mark.parametrize(
    ("raw", "alone"),
    [
        (fragment(1, "PID|1\r"), True),
        (fragment(1, "PID|1\r", points_to="x"), False),
        (fragment(1, "PID|1\r", follows="x"), False),
        (fragment(1, "PID|1\rDSC|x|I\r"), True),
        (fragment(1, "PID|1\rDSC|\r"), True),
        (fragment(1, "DSC|x\rPID|1\r"), True),
        (fragment(1, "PID|1\r", points_to="x").replace(b"\r", b"\r\n"), False),
        (fragment(1, "PID|1\r", points_to="x").replace(b"\r", b"\n"), False),
    ],
)
def test_what_is_a_fragment(raw, alone):
    assert is_fragment(Header.read(raw), raw) != alone


def test_fragments_of_many_messages_and_senders_do_not_mix():
    assembler: Assembler[int] = Assembler(Limits())
    for item, sender in enumerate("ab"):
        assert add(assembler, fragment(1, f"PID|{sender}\r", points_to="p"), item, sender=sender) is None
    whole = add(assembler, fragment(2, "OBX|1\r", follows="p"), 5, sender="b")
    assert whole.items == [1, 5]
    assert assembler.waiting == 1


def test_a_fragment_that_follows_nothing_is_broken():
    broken = add(Assembler(Limits()), fragment(2, "OBX|1\r", follows="p"), 7)
    assert (broken.code, broken.items) == ("CONTINUATION_UNKNOWN", [7])


def test_a_pointer_used_again_breaks_the_older_message():
    assembler: Assembler[int] = Assembler(Limits())
    add(assembler, fragment(1, "PID|1\r", points_to="p"), 1)
    assert add(assembler, fragment(2, "PID|2\r", points_to="p"), 2).items == [1]
    assert add(assembler, fragment(3, "OBX|1\r", follows="p"), 3).items == [2, 3]


def test_a_fragment_without_a_follower_expires():
    assembler: Assembler[int] = Assembler(Limits(timeout_s=10))
    add(assembler, fragment(1, "PID|1\r", points_to="p"), 1, now_s=0)
    add(assembler, fragment(2, "OBX|1\r", follows="p", points_to="q"), 2, now_s=8)
    assert assembler.next_s() == 18
    assert assembler.expired(17) == []
    assert assembler.expired(18) == [Broken("CONTINUATION_TIMEOUT", "no fragment followed its DSC within 10 s", [1, 2])]
    assert assembler.next_s() is None


@pytest.mark.parametrize("limits", [Limits(fragments=2), Limits(size_bytes=250), Limits(chains=0)])
def test_a_message_has_a_limit(limits):
    assembler: Assembler[int] = Assembler(limits)
    found = [add(assembler, fragment(n, "PID|1\r" * 5, f"{n - 1}" if n > 1 else "", f"{n}"), n) for n in (1, 2, 3)]
    assert "CONTINUATION_TOO_LARGE" in [broken.code for broken in found if broken]
    assert assembler.waiting == 0


@given(st.binary(max_size=80), st.booleans())
def test_no_bytes_raise(data, follows):
    raw = head(1, "p" if follows else "").encode() + data
    add(Assembler(Limits()), raw)
    join([raw, raw], b"|")


def test_what_waits_of_all_messages_has_a_limit_in_bytes() -> None:
    assembler: Assembler[int] = Assembler(Limits(waiting_bytes=1000))
    assert add(assembler, fragment(1, "PID|1\r" + "x" * 400 + "\r", points_to="p1"), sender="A") is None
    assert add(assembler, fragment(2, "PID|1\r" + "x" * 300 + "\r", points_to="p2"), sender="B") is None
    too_much = add(assembler, fragment(3, "OBX|1\r" + "x" * 300 + "\r", "p1", "p3"), 7, sender="A")
    assert isinstance(too_much, Broken) and too_much.code == "CONTINUATION_TOO_LARGE"
    assert too_much.reason == "more than 1000 bytes of unfinished messages"
    assert 300 < assembler.waiting_bytes < 500
    whole = add(assembler, fragment(4, "OBX|1\r" + "x" * 900 + "\r", "p2"), sender="B")
    assert isinstance(whole, Chain), "the last fragment of one that waits does not wait itself"
    assert assembler.waiting_bytes == 0


def test_a_segment_in_very_many_parts_is_joined_in_good_time() -> None:
    parts, size = 1000, 16_000
    raws = [
        fragment(
            n, ("ADD|" if n else "OBX|1||") + "Q" * size + "\r" + ("ADD|\r" if n < parts - 1 else ""), f"p{n}" if n else "", f"p{n + 1}"
        )
        for n in range(parts)
    ]
    began_s = time.process_time()
    whole = join(raws, b"|")
    assert time.process_time() - began_s < 3
    assert whole.split(b"\r")[1] == b"OBX|1||" + b"Q" * size * parts
