"""Acknowledgements: how we read what a peer answers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.model.outcome import Accepted, Ambiguous, Held, Rejected, TryLater
from suture.wire import ack


def answer_to(control_id: bytes, code: bytes = b"AA") -> bytes:
    return b"MSH|^~\\&|S|S|E|E|20260101||ACK|9|P|2.5\rMSA|" + code + b"|" + control_id + b"\r"


@pytest.mark.parametrize(
    ("code", "outcome"),
    [(b"AA", Accepted), (b"CA", Accepted), (b"AE", Rejected), (b"AR", TryLater), (b"CE", Rejected), (b"CR", Rejected), (b"??", Ambiguous)],
)
def test_a_code_becomes_an_outcome(code, outcome):
    assert isinstance(ack.judge(answer_to(b"M1", code), "M1"), outcome)


def test_peers_differ_so_meanings_are_a_table():
    assert isinstance(ack.judge(answer_to(b"M1", b"AE"), "M1", {"AE": "hold"}), Held)


def test_a_control_id_is_compared_whole():
    assert ack.judge(answer_to(b"10"), "1") is None
    assert ack.judge(answer_to(b"1"), "10") is None


@pytest.mark.parametrize("answer", [b"", b"junk", b"MSH|^~\\&|A\r", b"MSH|^~\\&|A\rMSA|AA\r"])
def test_an_unreadable_answer_is_ambiguous(answer):
    assert isinstance(ack.judge(answer, "1"), Ambiguous)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (b"ERR||FT1^2^7^1|103^Table value not found^HL70357|E||||SECRET", "the peer answered AE: Table value not found (103) at FT1(2)-7"),
        (b"ERR|||101|E", "the peer answered AE: Required field missing (101)"),
        (b"ERR||SECRET^NAME|999^SECRET", "the peer answered AE"),
        (b"ERR|PID^1^3^101", "the peer answered AE"),
    ],
)
def test_a_refusal_says_why_as_far_as_it_is_a_code_and_a_place(error, reason):
    assert ack.judge(answer_to(b"M1", b"AE") + error + b"\r", "M1").reason == reason


def test_an_answer_in_utf_16_is_read():
    assert isinstance(ack.judge(answer_to(b"M1").decode().encode("utf-16"), "M1"), Accepted)


@given(
    st.binary(max_size=120),
    st.sampled_from([b"", b"MSH|^~\\&|A\r", b"MSH|^~\\&|A\rMSA|AE|1\rERR|", b"MSH|^~\\&|A\rMSA|AE|1\rERR||PID^1^3|1"]),
)
def test_no_answer_raises(tail, begin):
    ack.judge(begin + tail, "1")
