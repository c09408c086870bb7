"""Batches: every message comes out whole, counts are checked, and what is wrong with the envelope has a name."""

from __future__ import annotations

import io
import itertools
import tracemalloc
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.model.errors import MessageError
from suture.wire import mllp
from suture.wire.hl7v2.exchange import batch
from suture.wire.hl7v2.exchange.batch import Answered, Closed, Envelope, Fault, Found, Opened, acknowledged
from suture.wire.hl7v2.text import er7
from suture.wire.hl7v2.text.cut import units

FHS = b"FHS|^~\\&|CAB|OR|ENGINE|HOSP|20260401||day.hl7||F1\r"
BHS = b"BHS|^~\\&|CAB|OR|ENGINE|HOSP|20260401||||B1\r"


def one(number: int, kind: str = "DFT^P03", more: bytes = b"") -> bytes:
    return rf"MSH|^~\&|CAB|OR|ENGINE|HOSP|20260401||{kind}|M{number}|P|2.5.1".encode() + b"\rEVN|P03\r" + more


def cut(stream: bytes) -> list[batch.Event]:
    return list(batch.cut(stream))


def cut_in_chunks(chunks: Iterable[bytes], limit: int = 1 << 20) -> Iterator[batch.Event]:
    """What is found when a stream comes in chunks."""
    envelope = Envelope()
    for unit in units(chunks, limit):
        yield from envelope.take(unit)
    yield from envelope.end()


def chunked(stream: bytes, sizes: list[int]) -> Iterator[bytes]:
    """A stream in chunks of these sizes, over and over."""
    at = 0
    for size in itertools.cycle(sizes):
        if at >= len(stream):
            return
        yield stream[at : at + size]
        at += size


def raws(events: list[batch.Event]) -> list[bytes]:
    return [event.raw for event in events if isinstance(event, Found)]


def faults(events: list[batch.Event]) -> list[str]:
    return [event.code for event in events if isinstance(event, Fault)]


def test_a_file_of_batches_is_cut_and_counted():
    events = cut(FHS + BHS + one(1) + one(2, "ADT^A01") + b"BTS|2\r" + BHS + b"BTS|0\r" + b"FTS|2\r")
    assert events == [
        Opened("FHS", FHS[:-1]),
        Opened("BHS", BHS[:-1]),
        Found(one(1), 1, 1),
        Found(one(2, "ADT^A01"), 2, 1),
        Closed("BTS", 2, 2),
        Opened("BHS", BHS[:-1]),
        Closed("BTS", 0, 0),
        Closed("FTS", 2, 2),
    ]


STREAMS = {
    "no envelope": (one(1) + one(2), 2, []),
    "a batch alone": (BHS + one(1) + b"BTS|1\r", 1, []),
    "a file without batches": (FHS + one(1) + one(2) + b"FTS|1\r", 2, []),
    "no BHS but BTS": (one(1) + b"BTS|1\r", 1, []),
    "no counts": (FHS + BHS + one(1) + b"BTS\rFTS\r", 1, []),
    "nothing at all": (b"", 0, []),
    "blank lines": (b"\r\n\r\n" + BHS + b"\r\n" + one(1) + b"\n\nBTS|1\r\n\r\n", 1, []),
    "messages outside of batches": (BHS + one(1) + b"BTS|1\r" + one(2), 2, []),
    "too few messages": (BHS + one(1) + b"BTS|2\r", 1, ["BATCH_COUNT"]),
    "too many batches": (FHS + BHS + b"BTS|0\r" + BHS + b"BTS|0\rFTS|1\r", 0, ["BATCH_COUNT"]),
    "a count that is none": (BHS + one(1) + b"BTS|one\r", 1, ["BATCH_COUNT"]),
    "a batch in a batch": (BHS + one(1) + BHS + one(2) + b"BTS|1\r", 2, ["BATCH_NESTING"]),
    "a file in a file": (FHS + one(1) + FHS + one(2) + b"FTS|1\r", 2, ["BATCH_NESTING"]),
    "a file in a batch": (BHS + FHS + b"FTS|0\r", 0, ["BATCH_NESTING"]),
    "an end without a begin": (b"BTS|0\rFTS|0\r", 0, ["BATCH_NESTING", "BATCH_NESTING"]),
    "a file that ends before its batch": (FHS + BHS + one(1) + b"FTS|1\r", 1, ["BATCH_NESTING"]),
    "cut off": (FHS + BHS + one(1), 1, ["BATCH_UNENDED", "BATCH_UNENDED"]),
    "segments of no message": (b"PID|1\r" + BHS + b"NTE|1\r" + one(1) + b"BTS|1\r", 1, ["STRAY_SEGMENT", "STRAY_SEGMENT"]),
}


@pytest.mark.parametrize("name", STREAMS)
def test_envelopes_of_all_kinds(name):
    stream, count, codes = STREAMS[name]
    events = cut(stream)
    assert raws(events) == [one(n) for n in range(1, count + 1)]
    assert faults(events) == codes


def test_a_fault_says_where():
    (fault,) = (e for e in cut(BHS + one(1) + b"BTS|7\r") if isinstance(e, Fault))
    assert fault.offset == len(BHS + one(1))
    assert fault.text == "BTS-1 says 7 messages, and 1 were found"


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n", b"\r\r", b"\n\r"])
def test_any_line_ends(end):
    stream = (FHS + BHS + one(1) + one(2) + b"BTS|2\rFTS|1\r").replace(b"\r", end)
    events = cut(stream)
    assert raws(events) == [one(1), one(2)]
    assert not faults(events)


def test_a_text_that_goes_over_lines_stays_in_its_message_line_by_line():
    text = b"NTE|1||first\nsecond line\nMSHA and more\nMSH, whatever\n"
    (raw,) = raws(cut(one(1).replace(b"\r", b"\n") + text))
    assert raw == one(1) + text.replace(b"\n", b"\r")


def test_a_line_feed_that_is_data_stays_data():
    text = b"NTE|1||first\nsecond line|x\r"
    (raw,) = raws(cut(one(1) + text))
    assert raw == one(1) + text


def test_framed_or_not():
    stream = mllp.frame(one(1)) + mllp.frame(one(2)) + b"\x0b" + one(3) + b"\x1c" + b"\x0b" + one(4) + b"\x1c\r\n"
    assert raws(cut(stream)) == [one(1), one(2), one(3), one(4)]
    assert raws(cut(mllp.frame(BHS + one(1) + b"BTS|1\r"))) == [one(1)]


def test_a_byte_order_mark_and_other_delimiters():
    mark = b"\xef\xbb\xbf"
    assert raws(cut(mark + one(1))) == raws(cut(mark + b"\r" + one(1))) == [one(1)]
    assert raws(cut(BHS + mark + one(1) + b"\x0b " + mark + one(2) + b"BTS|2\r")) == [one(1), one(2)]
    (stray,) = (e for e in cut(mark + b"\nPID|1\r" + one(1)) if isinstance(e, Fault))
    assert stray.offset == 4
    odd = [line.replace(b"|", b"#") for line in (BHS, one(1), b"BTS#1\r")]
    assert cut(b"".join(odd))[-1] == Closed("BTS", 1, 1)


PIECES = st.sampled_from(
    [FHS, BHS, b"BTS|1\r", b"BTS|2\n", b"FTS|1\r\n", b"FTS\r", one(1), one(2).replace(b"\r", b"\n"), b"PID|1\r"]
    + [b"NTE|1||a\nMSH b\r", b"\x0b", b"\x1c\r", b"\r\n", b" ", one(3, more=b"OBX|" + b"y" * 400 + b"\r"), b"MSH", b"BHS", b"F", b"\xff"]
)


@given(st.lists(PIECES, max_size=12), st.lists(st.integers(1, 90), min_size=1, max_size=30))
def test_any_chunking_gives_the_same_events(pieces, sizes):
    stream = b"".join(pieces)
    assert list(cut_in_chunks(chunked(stream, sizes))) == cut(stream)


@given(st.binary(max_size=300))
def test_no_bytes_raise(data):
    cut(data)


WIDE = ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"]


def wide(stream: bytes, codec: str, mark: bool) -> bytes:
    return (("\ufeff" if mark else "") + stream.decode()).encode(codec)


@given(st.lists(PIECES, max_size=12), st.lists(st.integers(1, 90), min_size=1, max_size=30), st.data())
def test_any_chunking_of_wide_characters_gives_the_same_events(pieces, sizes, data):
    codec, mark, odd = data.draw(st.sampled_from(WIDE)), data.draw(st.booleans()), data.draw(st.binary(max_size=3))
    stream = wide(b"".join(pieces).replace(b"\xff", b"\xc3\x85"), codec, mark) + odd
    assert list(cut_in_chunks(chunked(stream, sizes))) == cut(stream)


@given(st.binary(max_size=300), st.sampled_from(WIDE), st.booleans())
def test_no_bytes_behind_a_wide_beginning_raise_or_are_lost(data, codec, mark):
    first = wide(one(1), codec, mark)
    found = raws(cut(first + data))
    assert found[0].startswith(first[: -len("\r".encode(codec))])


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\x0b\x1c"), max_size=30).map(lambda text: f"NTE|1||{text}x\r".encode())


@given(st.lists(TEXTS, max_size=5), st.sampled_from(WIDE), st.booleans(), st.sampled_from([b"\r", b"\n", b"\r\n"]))
def test_a_batch_in_wide_characters_is_cut_into_its_messages_and_each_reads_by_itself(texts, codec, mark, end):
    messages = [one(number, more=text) for number, text in enumerate(texts, start=1)]
    events = cut(wide((FHS + BHS + b"".join(messages) + b"BTS|%d\rFTS|1\r" % len(texts)).replace(b"\r", end), codec, mark))
    assert raws(events) == [wide(message, codec, mark) for message in messages]
    assert [event for event in events if not isinstance(event, Found)] == [
        *(Opened("FHS", FHS[:-1]), Opened("BHS", BHS[:-1])),
        *(Closed("BTS", len(texts), len(texts)), Closed("FTS", 1, 1)),
    ]
    for raw, message in zip(raws(events), messages, strict=True):
        read = er7.Message.parse(raw)
        assert (read.encoding, read.to_bytes()) == (codec, raw)
        assert read.get("MSH-10") == er7.Message.parse(message).get("MSH-10")
        assert read.get("NTE-3") == er7.Message.parse(message).get("NTE-3")


@pytest.mark.parametrize("mark", [False, True])
@pytest.mark.parametrize("codec", WIDE)
def test_wide_messages_in_frames_are_as_they_stand_there(codec, mark):
    messages = [wide(one(n, more="NTE|1||Zoë\r".encode()), codec, mark) for n in (1, 2, 3)]
    stream = b"".join(map(mllp.frame, messages))
    assert list(cut_in_chunks(chunked(stream, [7]))) == cut(stream) == [Found(raw, n, 0) for n, raw in enumerate(messages, start=1)]


@pytest.mark.parametrize("codec", WIDE)
def test_wide_messages_each_with_its_mark_in_one_file(codec):
    messages = [wide(one(n), codec, True) for n in (1, 2, 3)]
    assert raws(cut(b"".join(messages))) == messages


@pytest.mark.parametrize("codec", WIDE)
def test_a_character_whose_bytes_look_like_a_segment_begins_none(codec):
    text = "NTE|1||\u0d00\u4d00\u5300\u4800\u7c00\r".encode()  # their bytes hold CR, M, S, H and a separator, a byte further
    assert raws(cut(wide(BHS + one(1, more=text) + b"BTS|1\r", codec, False))) == [wide(one(1, more=text), codec, False)]


@pytest.mark.parametrize("codec", WIDE)
def test_what_is_wrong_in_wide_characters_is_told_as_in_narrow_ones(codec):
    stream = wide(BHS + one(1) + one(3) + b"PID|1\rBTS|4\rNTE|1\r", codec, True)
    events = cut(stream)
    assert raws(events) == [wide(one(1), codec, True), wide(one(3, more=b"PID|1\r"), codec, True)]
    assert faults(events) == ["BATCH_COUNT", "STRAY_SEGMENT"]
    (count,) = (e for e in events if isinstance(e, Fault) and e.code == "BATCH_COUNT")
    assert stream[count.offset :].decode(codec).startswith("BTS|4")


def test_a_part_of_a_character_at_the_end_stays_in_its_message_and_is_refused_there():
    (raw,) = raws(cut(wide(one(1), "utf-16-le", True) + b"x"))
    with pytest.raises(MessageError, match="not whole characters"):
        er7.Message.parse(raw)
    assert cut(wide(BHS + one(1) + b"BTS|1\r", "utf-32-be", False) + b"x")[-1] == Closed("BTS", 1, 1)


@given(st.lists(st.integers(0, 3), max_size=6), st.sampled_from([b"\r", b"\n", b"\r\n"]))
def test_every_message_of_well_formed_batches_comes_out(counts, end):
    stream, number = FHS, 0
    for count in counts:
        stream += BHS + b"".join(one(number + i + 1) for i in range(count)) + b"BTS|%d\r" % count
        number += count
    events = cut((stream + b"FTS|%d\r" % len(counts)).replace(b"\r", end))
    assert raws(events) == [one(n) for n in range(1, number + 1)]
    assert not faults(events)


class Endless(io.RawIOBase):
    """A file of messages that is made as it is read."""

    def __init__(self, size: int, piece: bytes):
        self.left, self.piece, self.at = size, piece, 0

    def read(self, size: int = -1) -> bytes:
        size = min(size, self.left)
        self.left -= size
        begin = self.at % len(self.piece)
        self.at += size
        return (self.piece * (size // len(self.piece) + 2))[begin : begin + size]


@pytest.mark.slow
@pytest.mark.parametrize("piece", [one(1, more=b"FT1|1|T|\r" * 100), b"MSH|^~\\&|" + b"x" * 1_000_003])
def test_a_very_large_file_is_read_in_constant_memory(piece):
    size, chunk, limit = 200_000_000, 65_536, 2_000_000
    tracemalloc.start()
    stream = Endless(size, piece + b"\r")
    count = sum(isinstance(event, Found) for event in cut_in_chunks(iter(lambda: stream.read(chunk), b""), limit))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == -(-size // (len(piece) + 1))
    assert peak < 4 * limit


def test_a_batch_of_acknowledgements_names_the_batch_it_answers():
    ack = b"MSH|^~\\&|E|H|C|O|1||ACK|S1|P|2.5.1\rMSA|AE|M1\r"
    raw = acknowledged(b"", [Answered(BHS, [ack], "BTS-1 says 3 | 1")], "SUT9", "20260102")
    assert raw == b"BHS|^~\\&|ENGINE|HOSP|CAB|OR|20260102||||SUT9|B1\r" + ack + b"BTS|1|BTS-1 says 3   1\r"
    assert raws(cut(raw)) == [ack]
    assert not faults(cut(raw))


def test_an_empty_batch_of_acknowledgements_says_that_all_is_well():
    assert acknowledged(b"", [Answered(BHS, [])], "S", "1").endswith(b"|B1\rBTS|0\r")


def test_a_file_is_answered_with_a_file():
    raw = acknowledged(FHS, [Answered(BHS, [one(1)]), Answered(b"", [])], "S", "1")
    assert [type(e).__name__ for e in cut(raw)] == ["Opened", "Opened", "Found", "Closed", "Opened", "Closed", "Closed"]
    assert not faults(cut(raw))
    assert raw.startswith(b"FHS|^~\\&|ENGINE|HOSP|CAB|OR|1||||S|F1\r")


@pytest.mark.parametrize("data", [b"\x0b" * 300_000, b"MSH|a\n" + b"\n" * 300_000 + b"x", b" \r" * 150_000, b"BTS\r" * 50_000])
def test_nothing_makes_the_cutting_slow(data):
    cut(data)  # with a time that grows as the square of the input, it would not end


def test_a_batch_without_encoding_characters_is_answered_with_the_standard_s():
    answer = acknowledged(b"FHS||A|B", [Answered(b"BHS||A|B|||||||9", [])], "ID", "20260101")
    assert [line[:8] for line in answer.split(b"\r") if line[1:3] == b"HS"] == [b"FHS|^~\\&", b"BHS|^~\\&"]
