"""The sequence number protocol: no message is taken twice, none is left out unnoticed, and lost acknowledgements do not stop it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.wire.sequence import Arrival, Sending, after_start, arrival, number_of, reaction


@pytest.mark.parametrize(
    ("expected", "sent", "told"),
    [
        (5, None, Arrival("take", None, 5)),
        (5, 5, Arrival("take", 5, 6)),
        (None, 17, Arrival("take", 17, 18)),
        (5, 4, Arrival("repeat", 5, 5)),
        (5, 3, Arrival("refuse", 5, 5)),
        (5, 6, Arrival("refuse", 5, 5)),
        (5, 0, Arrival("link", 5, 5)),
        (None, 0, Arrival("link", -1, None)),
        (5, -1, Arrival("link", -1, None)),
    ],
)
def test_what_a_receiver_does(expected, sent, told):
    assert arrival(expected, sent) == told


@pytest.mark.parametrize(
    ("sent", "answered", "told"),
    [(5, 5, "go_on"), (5, None, "go_on"), (5, 6, "was_taken"), (5, 3, "restart"), (5, 9, "freeze"), (5, -1, "freeze"), (5, 0, "freeze")],
)
def test_what_a_sender_does(sent, answered, told):
    assert reaction(sent, answered) == told


@pytest.mark.parametrize(("answered", "own", "goes_on"), [(-1, 7, 7), (7, 7, 7), (5, 7, None), (9, 7, None), (None, 7, None)])
def test_after_a_restart_both_sides_agree_or_the_sender_stops(answered, own, goes_on):
    assert after_start(answered, own) == goes_on


@pytest.mark.parametrize(("field", "number"), [(b"", None), (b'""', None), (b"12", 12), (b" 0 ", 0), (b"-1", -1), (b"007", 7)])
def test_numbers_as_they_are_written(field, number):
    assert number_of(field) == number


@pytest.mark.parametrize("field", [b"x", b"-2", b"1.5", b"1" * 16, b"\xff"])
def test_what_is_no_number(field):
    with pytest.raises(ValueError, match="not a sequence number"):
        number_of(field)


@given(st.lists(st.sampled_from(["fine", "lost message", "lost answer", "receiver forgot"]), max_size=40))
def test_whatever_is_lost_messages_are_taken_once_and_in_order_or_the_sender_stops(faults):
    sender, expected, taken, forgot = Sending(), None, [], False
    for fault in [*faults, *["fine"] * 5]:
        if sender.frozen:
            break
        sent = sender.number()
        if fault == "receiver forgot":
            expected, forgot = None, True
        if fault == "lost message":
            continue  # and it is sent again
        got = arrival(expected, sent)
        expected = got.expected
        if got.kind == "take" and sent > 0:
            taken.append(sent)
        if fault != "lost answer":
            sender.answered(got.reply)
    assert taken == sorted(taken)
    assert forgot or taken == list(range(1, len(taken) + 1))
    assert forgot or not sender.frozen


def test_a_receiver_that_was_set_back_makes_the_sender_ask_and_then_stop():
    sender = Sending(next=9, started=True)
    assert sender.answered(4) == "restart"
    assert sender.number() == 0
    assert sender.answered(4) == "freeze"
    assert sender.frozen
