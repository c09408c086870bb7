"""Acknowledgements: how we read what a peer answers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.model.outcome import Accepted, Ambiguous, Held, Rejected, TryLater
from suture.wire.hl7v2.exchange import ack


def answer_to(control_id: bytes, code: bytes = b"AA") -> bytes:
    return b"MSH|^~\\&|S|S|E|E|20260101||ACK|9|P|2.5\rMSA|" + code + b"|" + control_id + b"\r"


@pytest.mark.parametrize(
    ("code", "outcome"),
    [(b"AA", Accepted), (b"CA", Accepted), (b"AE", Rejected), (b"AR", TryLater), (b"CE", Rejected), (b"CR", Rejected), (b"??", Ambiguous)],
)
def test_a_code_becomes_an_outcome(code, outcome):
    assert isinstance(ack.outcome(ack.read(answer_to(b"M1", code))), outcome)


def test_peers_differ_so_meanings_are_a_table():
    assert isinstance(ack.outcome(ack.read(answer_to(b"M1", b"AE")), {"AE": "hold"}), Held)


@pytest.mark.parametrize("code", [b"aa", b" AA", b"AA ", b"aA\t"])
def test_a_code_is_read_without_blanks_and_in_any_case(code):
    assert ack.outcome(ack.read(answer_to(b"M1", code))).code == "AA"


@pytest.mark.parametrize(
    ("answer", "flaw", "word"),
    [
        (b"", "empty", "empty frame"),
        (b" \r\n\x00", "empty", "empty frame"),
        (b"junk", "no_msa", "without an MSA"),
        (b"MSH|^~\\&|A\r", "no_msa", "without an MSA"),
        (b"MSH|^~\\&|A\rMSA|\r", "no_msa", "without an MSA"),
        (b"MSH|^~\\&|A\rMSA| ||\r", "no_msa", "without an MSA"),
    ],
)
def test_an_answer_that_says_nothing_is_ambiguous_unless_the_table_knows_it(answer, flaw, word):
    said = ack.read(answer)
    doubt = ack.outcome(said)
    assert isinstance(doubt, Ambiguous)
    assert doubt.code == "ACK_UNREADABLE"
    assert word in doubt.reason
    assert isinstance(ack.outcome(said, {flaw: "accept"}), Accepted)
    refusal = ack.outcome(said, {flaw: "reject"})
    assert isinstance(refusal, Rejected)
    assert word in refusal.reason


def test_an_answer_with_a_code_alone_is_one_to_nobody_in_particular():
    said = ack.read(b"MSH|^~\\&|A\rMSA|AA\r")
    assert (said.code, said.control_id, said.flaw) == ("AA", "", "")


def test_codes_that_hl7_does_not_have_can_be_given_a_meaning():
    assert isinstance(ack.outcome(ack.read(answer_to(b"M1", b"OK")), {"other": "accept"}), Accepted)
    assert isinstance(ack.outcome(ack.read(answer_to(b"M1", b"AE")), {"other": "accept"}), Ambiguous)


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
    assert ack.outcome(ack.read(answer_to(b"M1", b"AE") + error + b"\r")).reason == reason


def test_an_answer_in_utf_16_is_read():
    assert isinstance(ack.outcome(ack.read(answer_to(b"M1").decode().encode("utf-16"))), Accepted)


@given(
    st.binary(max_size=120),
    st.sampled_from([b"", b"MSH|^~\\&|A\r", b"MSH|^~\\&|A\rMSA|AE|1\rERR|", b"MSH|^~\\&|A\rMSA|AE|1\rERR||PID^1^3|1"]),
)
def test_no_answer_raises(tail, begin):
    ack.outcome(ack.read(begin + tail))
