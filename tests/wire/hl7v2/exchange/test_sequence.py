"""The sequence number protocol: no message is taken twice, none is left out unnoticed, and lost acknowledgements do not stop it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.wire.hl7v2.exchange.sequence import NUMBER_MAX, Arrival, Count, arrival, link, number_of, numbered


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


def at(number: int, delivery: int = 1, taken: bool | None = True, agreed: bool = True) -> Count:
    return Count(number, delivery, taken, agreed)


def test_a_sender_asks_first_and_then_numbers_each_message_with_one_more():
    count = Count()
    assert count.asks(1)
    assert count.started(1, -1)
    numbers = []
    for delivery in (1, 2, 3):
        assert not count.asks(delivery)
        numbers.append(count.give(delivery))
        assert count.answered(True, numbers[-1]) == "own"
    assert numbers == [1, 2, 3]


@pytest.mark.parametrize(
    ("count", "delivery", "answered", "next_number"),
    [
        (Count(), 1, 1, 1),
        (Count(), 1, 17, 17),  # a new sender takes the receiver's number
        (Count(), 1, -1, 1),
        (Count(), 1, None, 1),
        (at(6), 7, 7, 7),
        (at(6), 7, -1, 7),
        (at(6, taken=False), 7, 6, 6),
        (at(6, 1, None), 1, 6, 6),  # the same delivery again, under its number
        (at(6, 1, None), 1, 7, 6),  # the receiver has it, and will say so
        (at(6, 1, None), 1, -1, 6),
        (at(6, 1, None), 2, 6, 6),  # another delivery: the first one never came
        (at(6, 1, None), 2, 7, 7),  # it did
        (at(6, 1, None), 2, -1, 7),
        (at(NUMBER_MAX), 2, 1, 1),
    ],
)
def test_after_a_start_the_sender_goes_on_where_the_receiver_stands(count, delivery, answered, next_number):
    count.agreed = False
    assert count.started(delivery, answered)
    assert not count.asks(delivery)
    assert count.give(delivery) == next_number


@pytest.mark.parametrize(
    ("count", "answered"),
    [(at(6), 5), (at(6), 6), (at(6), 9), (at(6, taken=False), 7), (at(6, taken=None), 5), (at(6, taken=None), 8), (Count(), 0)],
)
def test_where_messages_are_missing_the_sender_does_not_go_on(count, answered):
    count.agreed = False
    assert not count.started(2, answered)
    assert count.asks(2)


@pytest.mark.parametrize(
    ("again", "good", "answered", "told", "asks_next"),
    [
        (False, True, 5, "own", False),
        (False, True, None, "own", False),
        (False, True, 6, "own", False),  # a receiver that gives the number after
        (False, True, 9, "own", True),  # it has taken the message, but the numbers do not fit
        (False, False, 5, "own", True),  # refused; whether it was counted has to be asked
        (False, False, None, "own", True),
        (False, False, 6, "astray", True),  # it has another message under this number
        (False, False, 3, "astray", True),
        (True, True, 6, "own", False),  # the first answer was lost
        (True, False, 6, "repetition", False),
        (True, False, 5, "own", True),
        (True, False, None, "own", True),
        (True, False, 9, "astray", True),
    ],
)
def test_what_a_sender_makes_of_an_answer(again, good, answered, told, asks_next):
    count = at(5, 1, None) if again else at(4)
    assert count.give(1) == 5
    assert count.again == again
    assert count.answered(good, answered) == told
    assert count.asks(2) == asks_next


def test_a_number_that_has_not_left_the_house_is_given_again():
    count = at(4)
    assert count.give(1) == 5
    count.unsent()
    assert not count.asks(2)
    assert count.give(2) == 5
    assert not count.again


def test_a_message_is_numbered_and_else_as_it_was():
    raw = b"MSH|^~\\&|A|B|C|D|20260401||DFT^P03|M1|P|2.5|||AL\rPID|||1\x00\xff||||\r"
    assert numbered(raw, 42) == raw.replace(b"|2.5||", b"|2.5|42|")
    assert numbered(b"MSH|^~\\&|A|B|C|D|20260401||DFT^P03|M1|P|2.5\r", 42).endswith(b"|2.5|42\r")
    wide = "MSH|^~\\&|A|B|C|D|20260401||DFT^P03|M1|P|2.5|7|||||UNICODE UTF-16\rPID|||é\r".encode("utf-16")
    assert numbered(wide, 8).decode("utf-16") == wide.decode("utf-16").replace("|7|", "|8|")


def test_a_start_is_a_header_of_its_own():
    raw = b"MSH|^~\\&|A|B|C|D|20260401||DFT^P03|M1|P|2.5|7|x|AL|NE\rPID|||1\r"
    assert link(raw, -1, "SEQ1", "20261125") == b"MSH|^~\\&|A|B|C|D|20261125||DFT^P03|SEQ1|P|2.5|-1|x|AL|NE\r"


@pytest.mark.parametrize(("field", "number"), [(b"", None), (b'""', None), (b"12", 12), (b" 0 ", 0), (b"-1", -1), (b"007", 7)])
def test_numbers_as_they_are_written(field, number):
    assert number_of(field) == number


@pytest.mark.parametrize("field", [b"x", b"-2", b"1.5", b"1" * 16, b"\xff"])
def test_what_is_no_number(field):
    with pytest.raises(ValueError, match="not a sequence number"):
        number_of(field)


FAULTS = ("fine", "lost message", "lost answer", "sender crashed", "receiver forgot", "refused", "refused and counted")


@given(st.lists(st.sampled_from(FAULTS), max_size=60))
def test_whatever_is_lost_each_message_is_taken_once_and_in_order(faults):
    count, expected, delivery, written = Count(), None, 1, (0, 0)
    taken, accepted = [], []
    liked = True
    for fault in [*faults, *["fine"] * 20]:
        if count.asks(delivery):
            got = arrival(expected, 0)
            assert count.started(delivery, got.reply), (count, got)
            continue
        number = count.give(delivery)
        written = number, delivery
        if fault == "receiver forgot" and not count.again:
            expected = None
        got = arrival(expected, number)
        if fault == "refused":
            assert count.answered(False, None) == "own"
            continue
        if fault != "lost message":
            expected = got.expected
            if got.kind == "take":
                liked = fault != "refused and counted"
                taken += [delivery] if liked else []
            good = liked and got.kind in ("take", "repeat")  # a repetition is answered as the first was
            if fault not in ("lost answer", "sender crashed") and (told := count.answered(good, got.reply)) != "astray":
                accepted += [delivery] if good else []
                delivery += good or told == "repetition"
        if fault == "sender crashed":
            count = Count(*written, taken=None)
    assert taken == sorted(set(taken))
    assert set(accepted) <= set(taken)
    assert len(accepted) >= 9
