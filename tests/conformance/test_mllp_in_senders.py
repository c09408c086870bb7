"""The MLLP source, whatever its senders do: each message once, answers in order, one bad sender alone."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from twisted.internet import defer

from suture.wire import mllp
from suture.wire.mllp import frame
from suture.wire.oversize import HEAD_BYTES
from tests.conformance.stand import FRAME_TIMEOUT_S, IDLE_S, LIMIT_BYTES, MARKER, Sender, stand, until


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
async def test_chunks_of_any_size_give_the_same_messages(reactor: Any, size: int) -> None:
    messages = [b"MSH|1", b"MSH|" + b"x" * 100, b"\x1c\x0b in the middle", b"last"]
    data = b"".join(map(frame, messages))
    async with stand(reactor) as s:
        one = await s.sender()
        for start in range(0, len(data), size):
            one.say(data[start : start + size])
            await one.writer.drain()
            await asyncio.sleep(0)
        assert await one.answers(4) == [b"ACK " + m for m in messages]
        assert s.engine.bodies == messages


async def test_many_messages_in_one_packet_are_answered_in_order(reactor: Any) -> None:
    messages = [f"MSH|{i}".encode() for i in range(200)]
    async with stand(reactor, unanswered=500) as s:
        one = await s.sender()
        one.say(b"".join(map(frame, messages)))
        assert await one.answers(200) == [b"ACK " + m for m in messages]


async def test_garbage_between_messages_is_dropped_and_said_once(reactor: Any) -> None:
    async with stand(reactor) as s:
        one = await s.sender()
        one.say(b"GET / HTTP/1.1\r\n\r\n" + frame(b"MSH|1") + MARKER + b"\r\n" + frame(b"MSH|2") + b"\0\n" + frame(b"MSH|3"))
        assert await one.answers(3) == [b"ACK MSH|1", b"ACK MSH|2", b"ACK MSH|3"]
        one.say(MARKER + frame(b"MSH|4") + b"\0" + frame(b"MSH|5"))
        assert await one.answers(2) == [b"ACK MSH|4", b"ACK MSH|5"]
        assert sorted(s.engine.codes) == ["BLANKS_BETWEEN_FRAMES", "STRAY_BYTES"]


def large(size: int = LIMIT_BYTES * 3) -> bytes:
    """A message over the limit."""
    head = b"MSH|^~\\&|CAB|OR1|SUTURE|S|20260301||DFT^P03|BIG1|P|2.5.1\rPID|1||7||"
    return head + MARKER * ((size - len(head)) // len(MARKER)) + b"\r"


async def test_a_message_over_the_limit_is_refused_and_the_connection_goes_on(reactor: Any) -> None:
    async with stand(reactor) as s:
        one = await s.sender()
        one.say(frame(b"MSH|1") + frame(large()) + frame(b"MSH|2"))
        assert await one.answers(3) == [b"ACK MSH|1", b"AR", b"ACK MSH|2"]
        assert s.engine.bodies == [b"MSH|1", b"MSH|2"]
        (refused,) = s.engine.refused
        assert refused == mllp.TooLarge(large()[:HEAD_BYTES], len(large()), True)
        assert s.engine.codes == ["FRAME_TOO_LARGE"]
        assert s.source.counts()["framing"] == {"FRAME_TOO_LARGE": 1}


@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_a_message_over_the_limit_in_pieces(reactor: Any, size: int) -> None:
    async with stand(reactor) as s:
        one = await s.sender()
        stream = frame(large()) + frame(b"MSH|2")
        for at in range(0, len(stream), size):
            one.say(stream[at : at + size])
            await one.writer.drain()
            await asyncio.sleep(0)
        assert await one.answers(2) == [b"AR", b"ACK MSH|2"]
        assert [r.size_bytes for r in s.engine.refused] == [len(large())]


async def test_release_2_says_not_stored_of_a_message_over_the_limit(reactor: Any) -> None:
    async with stand(reactor, release=2) as s:
        one = await s.sender()
        one.say(frame(large()))
        assert await one.answers(2) == [mllp.COMMIT_NAK, b"AR"]


async def test_what_is_passed_over_costs_no_memory_and_no_other_its_place(reactor: Any) -> None:
    async with stand(reactor) as s:
        good, bad = await s.sender(), await s.sender()
        most = 0
        bad.say(b"\x0b" + large()[:200])
        for _ in range(300):
            bad.say(b"x" * 100_000)
            await bad.writer.drain()
            most = max(most, *(len(c.unframer._buffer) for c in s.source.connections))
        good.say(frame(b"MSH|" + b"x" * (LIMIT_BYTES - 10)))
        assert len(await good.answer()) == LIMIT_BYTES - 2
        bad.say(b"\r\x1c\r" + frame(b"MSH|2"))
        assert await bad.answers(2) == [b"AR", b"ACK MSH|2"]
        assert most < LIMIT_BYTES + 100
        assert s.engine.refused[0].size_bytes == 30_000_201


async def test_a_message_without_an_end_is_answered_and_then_its_connection_is_closed(reactor: Any) -> None:
    async with stand(reactor, skip_bytes=1_000_000) as s:
        one = await s.sender()
        one.say(frame(b"MSH|1") + b"\x0b" + large()[:200] + b"x" * 30_000_000)
        assert await one.answers(2) == [b"ACK MSH|1", b"AR"]
        assert await one.is_closed()
        one.writer.close()
        assert s.engine.refused[0].endless
        await until(lambda: not s.source.connections)


async def test_the_connection_of_a_message_without_an_end_waits_for_the_answers_that_are_due(reactor: Any) -> None:
    async with stand(reactor, skip_bytes=0) as s:
        s.engine.at_once = False
        one = await s.sender()
        one.say(frame(b"MSH|1") + b"\x0b" + large())
        await s.engine.until(lambda: len(s.engine.received) == 1 and len(s.engine.refused) == 1)
        assert await one.answer() == b"AR"
        s.engine.received[0][2](b"ACK 1")
        assert await one.answer() == b"ACK 1"
        assert await one.is_closed()
        one.writer.close()
        await until(lambda: not s.source.connections)


async def test_a_message_over_the_limit_that_is_broken_off_is_told_and_not_answered(reactor: Any) -> None:
    async with stand(reactor) as s:
        one, two = await s.sender(), await s.sender()
        one.say(b"\x0b" + large() + b"\x0bMSH|2\r\x1c\r")
        assert await one.answer() == b"ACK MSH|2\r"
        two.say(b"\x0b" + large())
        two.writer.write_eof()
        assert await two.is_closed()
        await s.engine.until(lambda: len(s.engine.refused) == 2)
        assert not any(r.ended or r.endless for r in s.engine.refused)


async def test_a_message_over_the_limit_whose_time_is_over_is_told(reactor: Any) -> None:
    async with stand(reactor) as s:
        one = await s.sender()
        one.say(b"\x0b" + large())
        await until(lambda: any(c.flow.frame_since_s is not None for c in s.source.connections))
        s.pass_time(FRAME_TIMEOUT_S + 10)
        assert await one.is_closed()
        assert "FRAME_TIMEOUT" in s.engine.codes
        assert [r.ended for r in s.engine.refused] == [False]


@pytest.mark.parametrize("empty", [b"", b"\r", b"  \r\n", b"\0"])
async def test_signs_of_life_are_counted_and_nothing_else(reactor: Any, empty: bytes) -> None:
    async with stand(reactor, unanswered=4, release=2) as s:
        one = await s.sender()
        for _ in range(3):
            one.say(frame(empty) * 10)
            one.say(frame(b"MSH|1") + frame(empty) + frame(b"MSH|2"))
            assert await one.answers(4) == [mllp.COMMIT_ACK, b"ACK MSH|1", mllp.COMMIT_ACK, b"ACK MSH|2"]
        assert s.source.counts()["framing"] == {"EMPTY_FRAME": 33}
        assert s.engine.codes == ["EMPTY_FRAME"]
        s.pass_time(IDLE_S - 10)
        one.say(frame(empty))
        await until(lambda: s.source.counts()["framing"]["EMPTY_FRAME"] >= 34)
        s.pass_time(20)
        one.say(frame(b"MSH|3"))
        assert await one.answers(2) == [mllp.COMMIT_ACK, b"ACK MSH|3"]  # it has said something, and is not idle


async def test_half_a_message_and_then_silence_ends_the_connection(reactor: Any) -> None:
    async with stand(reactor) as s:
        slow, quiet = await s.sender(), await s.sender()
        slow.say(b"\x0bMSH|" + MARKER)
        quiet.say(frame(b"MSH|1"))
        await quiet.answer()
        await s.engine.until(lambda: len(s.engine.received) == 1)
        s.pass_time(FRAME_TIMEOUT_S - 5)
        slow.say(b"still here")
        quiet.say(frame(b"MSH|2"))
        await quiet.answer()
        s.pass_time(10)
        assert await slow.is_closed()
        quiet.say(frame(b"MSH|3"))
        assert await quiet.answer() == b"ACK MSH|3"
        assert s.engine.codes == ["FRAME_TIMEOUT"]


async def test_a_client_that_does_not_speak_mllp_is_not_kept(reactor: Any) -> None:
    async with stand(reactor) as s:
        one, good = await s.sender(), await s.sender()
        one.say(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        good.say(frame(b"MSH|1") + b"\r\n")  # a line end after a message is a habit of some, and no reason
        await good.answer()
        await s.engine.until(lambda: len(s.engine.notes) == 2)
        s.pass_time(FRAME_TIMEOUT_S / 2)
        one.say(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        s.pass_time(FRAME_TIMEOUT_S / 2 + 5)
        assert await one.is_closed()
        good.say(frame(b"MSH|2"))
        assert await good.answer() == b"ACK MSH|2"
        assert sorted(s.engine.codes) == ["BLANKS_BETWEEN_FRAMES", "FRAME_TIMEOUT", "STRAY_BYTES"]


async def test_time_that_a_sender_is_held_back_does_not_count_against_its_message(reactor: Any) -> None:
    async with stand(reactor) as s:
        one, other = await s.sender(), await s.sender()
        one.say(b"\x0bMSH|be")
        other.say(frame(b"MSH|1"))
        await other.answer()
        s.source.set_full(True)
        s.pass_time(FRAME_TIMEOUT_S * 3)
        s.source.set_full(False)
        s.pass_time(5)
        one.say(b"gun\x1c\r")
        assert await one.answer() == b"ACK MSH|begun"
        assert s.engine.codes == []


async def test_a_connection_that_says_nothing_is_closed_after_its_time_and_a_busy_one_is_not(reactor: Any) -> None:
    async with stand(reactor) as s:
        silent, busy, waiting = await s.sender(), await s.sender(), await s.sender()
        for n in range(10):
            busy.say(frame(b"MSH|%d" % n))
            await busy.answer()
            s.pass_time(IDLE_S / 10)
        s.engine.at_once = False
        waiting_since = len(s.engine.received)
        assert waiting_since == 10
        s.pass_time(6)
        assert await silent.is_closed()
        assert await waiting.is_closed()
        assert s.engine.codes == ["IDLE", "IDLE"]
        assert len(s.source.connections) == 1


async def test_a_sender_that_waits_for_its_answer_is_not_idle(reactor: Any) -> None:
    async with stand(reactor) as s:
        s.engine.at_once = False
        one = await s.sender()
        one.say(frame(b"MSH|1"))
        await s.engine.until(lambda: len(s.engine.received) == 1)
        s.pass_time(IDLE_S * 3)
        s.engine.received[0][2](b"ACK")
        assert await one.answer() == b"ACK"


async def test_one_connection_too_many_is_closed_and_the_others_go_on(reactor: Any) -> None:
    async with stand(reactor, connections=3) as s:
        inside = [await s.sender() for _ in range(3)]
        for _ in range(4):
            assert await (await s.sender()).is_closed()
        assert s.engine.codes == ["TOO_MANY_CONNECTIONS"]
        assert set(s.source.counts()["refused"]) == {"TOO_MANY_CONNECTIONS"}
        inside[0].writer.close()
        await inside[0].writer.wait_closed()
        await until(lambda: len(s.source.connections) != 3)
        new = await s.sender()
        for n, one in enumerate([*inside[1:], new]):
            one.say(frame(b"MSH|%d" % n))
            assert await one.answer() == b"ACK MSH|%d" % n


async def test_a_full_engine_reads_nothing_and_goes_on_where_it_was(reactor: Any) -> None:
    async with stand(reactor) as s:
        one, probe = await s.sender(), await s.sender()
        probe.say(frame(b"MSH|0"))
        await probe.answer()
        s.source.set_full(True)
        one.say(frame(b"MSH|1"))
        late = await s.sender()
        late.say(frame(b"MSH|2"))
        await until(lambda: len(s.source.connections) >= 3)
        for _ in range(50):
            await asyncio.sleep(0)
        assert s.engine.bodies == [b"MSH|0"]
        s.source.set_full(False)
        assert (await one.answer(), await late.answer()) == (b"ACK MSH|1", b"ACK MSH|2")


async def test_a_sender_with_too_many_unanswered_messages_is_read_no_further(reactor: Any) -> None:
    async with stand(reactor, unanswered=5) as s:
        s.engine.at_once = False
        one, other = await s.sender(), await s.sender()
        for n in range(5):
            one.say(frame(b"MSH|%d" % n))
        await s.engine.until(lambda: len(s.engine.received) == 5)
        one.say(b"".join(frame(b"MSH|%d" % n) for n in range(5, 40)))
        other.say(frame(b"OTHER"))
        await s.engine.until(lambda: b"OTHER" in s.engine.bodies)
        assert len(s.engine.received) == 6
        for _, _, answer in list(s.engine.received):
            answer(b"ACK")
        await s.engine.until(lambda: len(s.engine.received) == 41)
        assert s.engine.bodies[:5] + s.engine.bodies[6:] == [b"MSH|%d" % n for n in range(40)]
        for _, _, answer in s.engine.received[6:]:
            answer(b"ACK")
        assert await one.answers(40) == [b"ACK"] * 40


async def test_no_answer_is_sent_where_none_is_wanted_and_the_next_goes_on(reactor: Any) -> None:
    async with stand(reactor) as s:
        s.engine.at_once = False
        one = await s.sender()
        one.say(frame(b"MSH|1") + frame(b"MSH|2"))
        await s.engine.until(lambda: len(s.engine.received) == 2)
        s.engine.received[0][2](None)
        s.engine.received[1][2](b"ACK 2")
        assert await one.answer() == b"ACK 2"


async def test_a_sender_that_is_gone_before_its_answer_harms_nobody(reactor: Any) -> None:
    async with stand(reactor) as s:
        s.engine.at_once = False
        gone, other = await s.sender(), await s.sender()
        gone.say(frame(b"MSH|1"))
        await s.engine.until(lambda: len(s.engine.received) == 1)
        gone.writer.transport.abort()
        other.say(frame(b"MSH|2"))
        await s.engine.until(lambda: len(s.engine.received) == 2)
        for _, _, answer in s.engine.received:
            answer(b"ACK")
        assert await other.answer() == b"ACK"


async def test_closing_answers_what_was_read_and_takes_nothing_more(reactor: Any) -> None:
    async with stand(reactor) as s:
        s.engine.at_once = False
        one, silent = await s.sender(), await s.sender()
        one.say(frame(b"MSH|1"))
        await s.engine.until(lambda: len(s.engine.received) == 1)
        closing = asyncio.ensure_future(s.close(10))
        await asyncio.sleep(0)
        one.say(frame(b"MSH|2"))
        s.engine.received[0][2](b"ACK 1")
        assert await one.answer() == b"ACK 1"
        await closing
        assert await one.is_closed()
        assert await silent.is_closed()
        assert s.engine.bodies == [b"MSH|1"]


async def test_closing_gives_up_on_answers_that_do_not_come(reactor: Any) -> None:
    async with stand(reactor) as s:
        s.engine.at_once = False
        one = await s.sender()
        one.say(frame(b"MSH|1"))
        await s.engine.until(lambda: len(s.engine.received) == 1)
        closing = asyncio.ensure_future(s.close(10))
        for _ in range(20):
            await asyncio.sleep(0)
        assert not closing.done()
        s.pass_time(11)
        await closing
        assert await one.is_closed()


async def test_an_error_behind_the_source_harms_no_other_connection(reactor: Any) -> None:
    async with stand(reactor) as s:
        one, other = await s.sender(), await s.sender()
        s.source.receive = lambda raw, peer, answer, say: 1 / 0 if raw == b"bad" else s.engine.receive(raw, peer, answer)
        one.say(frame(b"bad"))
        other.say(frame(b"MSH|1"))
        assert await other.answer() == b"ACK MSH|1"
        assert await one.is_closed()


async def test_a_sender_that_does_not_read_its_answers_is_read_no_further(reactor: Any) -> None:
    count, size = 3000, 20_000
    messages = [b"MSH|%d|" % n + b"x" * 1500 for n in range(count)]
    async with stand(reactor) as s:
        s.source.receive = lambda raw, peer, answer, say: s.engine.receive(raw, peer, lambda ack: answer(b"ACK" * (size // 3)))
        reader, writer = await asyncio.open_connection("127.0.0.1", s.source.port, limit=2**16)
        one = Sender(reader, writer)
        s.senders.append(one)
        writer.transport.pause_reading()
        one.say(b"".join(map(frame, messages)))
        seen = -1
        while seen < len(s.engine.received):  # until it stands still
            seen = len(s.engine.received)
            await asyncio.sleep(0.2)
        assert seen < count / 2, "answers for nobody pile up in memory"
        writer.transport.resume_reading()
        for _ in range(count):
            await one.reader.readuntil(b"\x1c\r")
        assert s.engine.bodies == messages


async def test_a_sender_that_never_reads_its_answers_is_closed_after_its_time(reactor: Any) -> None:
    async with stand(reactor) as s:
        s.source.receive = lambda raw, peer, answer, say: s.engine.receive(raw, peer, lambda ack: answer(b"x" * 20_000_000))
        one = await s.sender()
        one.writer.transport.pause_reading()
        one.say(frame(b"MSH|1"))
        await s.engine.until(lambda: len(s.engine.received) == 1)
        s.pass_time(IDLE_S + 4)
        good = await s.sender()
        s.pass_time(6)
        await s.engine.until(lambda: "IDLE" in s.engine.codes)
        one.writer.transport.resume_reading()
        assert await one.is_closed()
        s.source.receive = s.engine.receive
        good.say(frame(b"MSH|2"))
        assert await good.answer() == b"ACK MSH|2"


async def test_a_source_knows_whether_anybody_can_connect(reactor: Any) -> None:
    async with stand(reactor) as s:
        assert s.source.listening
        await defer.maybeDeferred(s.source.door._port.stopListening).asFuture(asyncio.get_running_loop())  # as an error of the socket does
        assert not s.source.listening
    assert not s.source.listening
