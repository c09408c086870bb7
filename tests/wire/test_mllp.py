"""Framing: any chunking gives the same messages, and nothing grows without a limit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.wire import mllp

payloads = st.lists(st.binary(max_size=60).filter(lambda b: b"\x1c\r" not in b and not b.endswith(b"\x1c")), max_size=5)


@given(payloads, st.lists(st.integers(1, 20), min_size=1, max_size=80))
def test_any_chunking_gives_the_same_messages(messages, sizes):
    stream = b"".join(map(mllp.frame, messages))
    unframer, found, at, turn = mllp.Unframer(1000), [], 0, 0
    while at < len(stream):
        size = sizes[turn % len(sizes)]
        found += unframer.feed(stream[at : at + size])
        at, turn = at + size, turn + 1
    assert found == messages
    assert not unframer.partial


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_garbage_never_raises_anything_but_too_large(chunks):
    unframer = mllp.Unframer(100)
    for chunk in chunks:
        try:
            unframer.feed(chunk)
        except mllp.FrameTooLarge:
            return


def test_bytes_outside_frames_are_dropped_and_counted():
    unframer = mllp.Unframer(100)
    assert unframer.feed(b"\r\nxx" + mllp.frame(b"A") + b"\n" + mllp.frame(b"B")) == [b"A", b"B"]
    assert unframer.stray == 5


def test_a_frame_over_the_limit_is_refused_before_it_ends():
    unframer = mllp.Unframer(100)
    with pytest.raises(mllp.FrameTooLarge):
        unframer.feed(b"\x0b" + b"x" * 101)


def test_a_whole_frame_over_the_limit_is_refused():
    with pytest.raises(mllp.FrameTooLarge):
        mllp.Unframer(100).feed(mllp.frame(b"x" * 101))
