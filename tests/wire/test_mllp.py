"""Framing: any chunking gives the same messages and quirks, nothing is lost that was whole, and nothing grows without a limit."""

from collections import Counter
from functools import partial

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from suture.wire import mllp
from suture.wire.mllp import Framing, TooLarge, Unframer, frame
from suture.wire.oversize import HEAD_BYTES

payloads = st.lists(st.binary(min_size=1, max_size=60).filter(lambda b: not {0x0B, 0x1C} & set(b)), max_size=5)
pieces = st.sampled_from(
    [
        b"\x0b",
        b"\x1c",
        b"\r",
        b"\n",
        b"\x1c\r",
        b"MSH",
        b"M",
        b"S",
        b"H",
        b"|",
        b"F",
        b"FHS",
        b"MSH|1\r",
        b"x",
        b" ",
        b"\x00",
        b"\x06",
        b"PID|1\r\x1c",
    ]
)
streams = st.lists(pieces, max_size=40).map(b"".join)
sizes = st.lists(st.integers(1, 7), min_size=1, max_size=60)


def cut(stream: bytes, sizes: list[int], unframer: Unframer) -> list[bytes]:
    """Feed it in pieces of these sizes, over and over."""
    found, at, turn = [], 0, 0
    while at < len(stream):
        size = sizes[turn % len(sizes)]
        found += unframer.feed(stream[at : at + size])
        at, turn = at + size, turn + 1
    return found


@given(payloads, sizes)
def test_what_is_framed_comes_out_as_it_was_in_any_chunking(messages, sizes):
    unframer = Unframer(1000)
    assert cut(b"".join(map(frame, messages)), sizes, unframer) == messages
    assert not unframer.partial
    assert unframer.quirks == +Counter(EMPTY_FRAME=sum(map(mllp.is_empty, messages)))


@given(streams, sizes)
@example(b"\x0bMSH|1\r\x1cMSH|2\r\x1c\r", [1])
@example(b"x\rMSH|1\r\x1c\x0bMSH|2\r\x1c\n\n", [3, 1])
def test_any_chunking_of_anything_gives_the_same_messages_and_the_same_quirks(stream, sizes):
    whole, parts = Unframer(1000), Unframer(1000)
    messages = whole.feed(stream)
    assert cut(stream, sizes, parts) == messages
    assert (parts.quirks, parts.partial, parts.may_have_ended) == (whole.quirks, whole.partial, whole.may_have_ended)
    assert parts.close() == whole.close()
    assert (parts.quirks, parts.stray) == (whole.quirks, whole.stray)


@given(streams, payloads)
def test_whatever_came_before_a_message_with_a_header_the_message_is_found(before, messages):
    headed = [b"MSH|" + message for message in messages]
    unframer = Unframer(1000)
    found = unframer.feed(before + b"".join(map(frame, headed)))
    assert found[len(found) - len(headed) :] == headed


@given(st.lists(st.binary(max_size=40) | streams, max_size=20))
def test_garbage_never_raises_anything_but_too_large(chunks):
    unframer = Unframer(100)
    for chunk in chunks:
        try:
            unframer.feed(chunk)
        except mllp.FrameTooLarge:
            break
    unframer.settle()
    unframer.close()


def test_bytes_outside_frames_are_dropped_and_counted():
    unframer = Unframer(100)
    assert unframer.feed(b"\r\nxx" + frame(b"A") + b"\x06" + frame(b"B")) == [b"A", b"B"]
    assert unframer.stray == 3


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize("over", [0, 1, 2, 100])
def test_the_limit_is_the_same_in_any_chunking(size, over):
    unframer = Unframer(100)
    stream = frame(b"x" * (100 + over))
    if over:
        with pytest.raises(mllp.FrameTooLarge):
            cut(stream, [size], unframer)
    else:
        assert cut(stream, [size], unframer) == [b"x" * 100]


LIMIT, SKIP = 40, 60
long_pieces = pieces | st.sampled_from([b"x" * 30, b"\x0b" + b"y" * 60, b"\x1c\r\x0b", b"\x1c\n\n\n\x0bMSH|", b"\r\x1c\x0bMSH|2"])
long_streams = st.lists(long_pieces, max_size=40).map(b"".join)


def all_of(chunks: list[bytes]) -> tuple[list[bytes | TooLarge], Unframer]:
    """Messages, and those over the limit among them, as a connection takes them: until one is endless, or all has come."""
    unframer, found = Unframer(LIMIT, skip_bytes=SKIP), list[bytes | TooLarge]()
    for step in [*(partial(unframer.feed, chunk) for chunk in chunks), unframer.close]:
        found += step()
        while (large := unframer.large()) is not None:
            found.append(large)
            if large.endless:
                return found, unframer
            found += unframer.feed(b"")
        assert len(unframer._buffer) <= max(LIMIT + 8, max(map(len, chunks)))
    return found, unframer


@given(long_streams.filter(bool), sizes)
@example(b"\x0b" + b"x" * (LIMIT + SKIP) + b"\x1c\r" + frame(b"after"), [1])
@example(b"\x0b" + b"x" * (LIMIT + SKIP + 1) + b"\x1c\r" + frame(b"after"), [1])
@example(b"\x0bMSH|" + b"x" * LIMIT + b"\r\x1c\x0bMSH|2\r\x1c\r", [1])
@example(b"\x0bMSH|" + b"x" * (LIMIT + SKIP - 5) + b"\r\x1c\x0bMSH|2\r\x1c\r", [3])
@example(b"\x0b" + b"x" * (LIMIT + 1), [7])
def test_messages_over_the_limit_are_passed_over_alike_in_any_chunking(stream, sizes):
    cut_up, at, turn = [], 0, 0
    while at < len(stream):
        cut_up.append(stream[at : at + sizes[turn % len(sizes)]])
        at, turn = at + len(cut_up[-1]), turn + 1
    (messages, whole), (others, parts) = all_of([stream]), all_of(cut_up)
    assert others == messages
    if not (messages and isinstance(messages[-1], TooLarge) and messages[-1].endless):
        assert (parts.quirks, parts.stray) == (whole.quirks, whole.stray)


@pytest.mark.parametrize("size", [1, 1000, 70_000, 1 << 24])
def test_a_message_over_the_limit_is_passed_over_in_little_memory_and_the_next_is_taken(size):
    unframer = Unframer(100_000, skip_bytes=1 << 24)
    big = b"MSH|^~\\&|A|B|" + b"x" * 5_000_000 + b"\r"
    stream, found, refused = frame(b"MSH|1") + frame(big) + frame(b"MSH|2"), list[bytes](), list[TooLarge]()
    for at in range(0, len(stream), size) if size > 1 else (0, *range(1, len(stream), 4096)):
        end = at + size if size > 1 else (1 if not at else at + 4096)
        found += unframer.feed(stream[at:end])
        if (large := unframer.large()) is not None:
            refused.append(large)
            found += unframer.feed(b"")
        assert len(unframer._buffer) < 110_000
    assert found == [b"MSH|1", b"MSH|2"]
    assert refused == [TooLarge(big[:HEAD_BYTES], len(big), True)]
    assert unframer.quirks == {"FRAME_TOO_LARGE": 1}


def test_a_message_that_is_broken_off_over_the_limit_is_told_without_an_end():
    unframer = Unframer(100, skip_bytes=1000)
    assert unframer.feed(b"\x0bMSH|" + b"x" * 500 + b"\x0bMSH|2") == []
    assert unframer.large() == TooLarge(b"MSH|" + b"x" * 46, 504, False)
    assert unframer.feed(b"\r\x1c\r") == [b"MSH|2\r"]
    assert unframer.quirks == {"FRAME_TOO_LARGE": 1, "INCOMPLETE_FRAME": 1}


def test_a_lone_end_byte_ends_a_message_over_the_limit_too():
    unframer = Unframer(100, skip_bytes=1000)
    assert unframer.feed(b"\x0bMSH|" + b"x" * 500 + b"\r\x1c") == []
    assert unframer.may_have_ended
    assert unframer.settle() == []
    assert unframer.large() == TooLarge(b"MSH|" + b"x" * 46, 505, True)


@pytest.mark.parametrize("payload", [b"", b"\r", b" \r\n", b"\0\0"])
def test_a_frame_of_nothing_or_of_blanks_is_empty(payload):
    unframer = Unframer(100)
    assert unframer.feed(frame(payload) + frame(b"\rMSH|1")) == [payload, b"\rMSH|1"]
    assert mllp.is_empty(payload) and not mllp.is_empty(b"\rMSH|1")
    assert unframer.quirks == {"EMPTY_FRAME": 1}


def test_a_frame_over_the_limit_is_refused_before_it_ends():
    unframer = Unframer(100)
    with pytest.raises(mllp.FrameTooLarge):
        unframer.feed(b"\x0b" + b"x" * 110)


def test_what_is_not_in_a_frame_is_not_kept():
    unframer = Unframer(100)
    for _ in range(1000):
        assert unframer.feed(b"GET / HTTP/1.1\r\n\r\nM") == []
    assert len(unframer._buffer) < 10


@pytest.mark.parametrize("unit", [b"x", b"\x1cy", b"\r\x1cM", b"\x0bMS", b"\x0b\x1cz"])
def test_a_long_message_of_awkward_bytes_is_searched_once(unit):
    message = b"MSH|" + unit * (300_000 // len(unit)) + b"\r"
    searched = 0

    class Events:
        """The framing's pattern; counts how far it has to look."""

        def search(self, buffer, begin):
            nonlocal searched
            found = mllp.RELEASE_1.events.search(buffer, begin)
            searched += (found.end() if found else len(buffer)) - begin
            return found

    framing = Framing()
    object.__setattr__(framing, "events", Events())
    unframer = Unframer(1 << 20, framing)
    assert cut(frame(message), [100], unframer) == [message]
    assert searched < 1.1 * len(message)


def test_other_bytes_around_a_message():
    framing = Framing(b"\x02", b"\x03")
    unframer = Unframer(100, framing)
    assert framing.frame(b"A") == b"\x02A\x03"
    assert unframer.feed(b"\x02A\x1c\rB\x03\r\n\x02C\x03MSH|D\r\x03") == [b"A\x1c\rB", b"C", b"MSH|D\r"]
    assert unframer.quirks == Counter(BLANKS_BETWEEN_FRAMES=1, NO_START_BLOCK=1)


@given(
    payloads.map(lambda some: [b"MSH|" + one for one in some]), sizes, st.sampled_from([b"\x03", b"\x1c\n", b"\x1c\x1d\x1e\r", b"\x1c\x1c"])
)
def test_other_end_bytes_in_any_chunking(messages, sizes, end):
    messages = [message for message in messages if end[:1] not in message and b"\x02" not in message]
    framing = Framing(b"\x02", end)
    assert cut(b"".join(map(framing.frame, messages)), sizes, Unframer(1000, framing)) == messages


@pytest.mark.parametrize(
    ("start", "end", "says"),
    [
        (b"\x0b", b"\x0b\r", "cannot stand in its end"),
        (b"\x1c", b"\r\x1c", "stands in messages too"),
        (b"M", b"\x1c\r", "0x4d stands in messages too"),
        (b"\x1b", b"\x1c\r", "stands in messages too"),
        (b"", b"\x1c\r", "one byte"),
        (b"\x0b\x0b", b"\x1c\r", "one byte"),
        (b"\x0b", b"", "one to four"),
        (b"\x0b", b"\x1c\x1c\x1c\x1c\r", "one to four"),
    ],
)
def test_bytes_that_could_not_be_told_apart_are_refused(start, end, says):
    with pytest.raises(ValueError, match=says):
        Framing(start, end)
