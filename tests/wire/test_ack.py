"""Acknowledgements: what we answer and how we read answers."""

import pytest

from suture.model.outcome import Accepted, Ambiguous, Held, Rejected, TryLater
from suture.wire import ack

HEAD = b"MSH|^~\\&|POU|OR|ENGINE|HOSP|20260401101530||DFT^P03^DFT_P03|M1|P|2.5.1"


def answer_to(control_id: bytes, code: bytes = b"AA") -> bytes:
    return b"MSH|^~\\&|S|S|E|E|20260101||ACK|9|P|2.5\rMSA|" + code + b"|" + control_id + b"\r"


def test_the_answer_turns_sender_and_receiver_round():
    reply = ack.build(ack.Header.read(HEAD + b"\rPID|1\r"), "AA", "SUT1", "20260101")
    assert reply == b"MSH|^~\\&|ENGINE|HOSP|POU|OR|20260101||ACK|SUT1|P|2.5.1\rMSA|AA|M1\r"


def test_the_answer_has_the_senders_delimiters():
    reply = ack.build(ack.Header.read(b"MSH#*~\\&#A#B#C#D#1##ADT*A01#7#P#2.3"), "AE", "SUT1", "20260101", "why")
    assert reply == b"MSH#*~\\&#C#D#A#B#20260101##ACK#SUT1#P#2.3\rMSA#AE#7#why\r"


def test_what_has_no_header_is_answered_too():
    assert b"MSA|AE||" in ack.build(ack.Header.read(b"garbage"), "AE", "SUT1", "20260101", "kept")


@pytest.mark.parametrize(
    ("accept_ack", "application_ack", "good", "code"),
    [
        (b"", b"", True, "AA"),
        (b"", b"", False, "AE"),
        (b"AL", b"NE", True, "CA"),
        (b"AL", b"NE", False, "CE"),
        (b"NE", b"NE", True, None),
        (b"ER", b"NE", True, None),
        (b"ER", b"NE", False, "CE"),
        (b"SU", b"NE", True, "CA"),
        (b"SU", b"NE", False, None),
    ],
)
def test_the_mode_of_the_sender_chooses_the_code(accept_ack, application_ack, good, code):
    header = ack.Header.read(HEAD + b"|||" + accept_ack + b"|" + application_ack)
    assert ack.code_for(header, good) == code


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


@pytest.mark.parametrize(("written", "read"), [(b"DFT^P03^DFT_P03", "DFT^P03"), (b"DFT^P03", "DFT^P03"), (b"ACK", "ACK"), (b"", "")])
def test_the_message_type_is_code_and_trigger(written, read):
    assert ack.Header.read(HEAD.replace(b"DFT^P03^DFT_P03", written)).type == read
