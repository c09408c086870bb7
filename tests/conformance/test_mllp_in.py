"""What is MLLP's own about its source: odd frames over real sockets, who may connect, release 2, and the socket's settings."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from pydantic import ValidationError

from suture.connectors import mllp_in
from suture.connectors.mllp.framing import framing_of
from suture.connectors.net import access, complaints
from suture.model.outcome import Accepted
from suture.wire.hl7v2.exchange import ack
from suture.wire.mllp import COMMIT_ACK, COMMIT_NAK, frame
from tests.conformance.kits import KITS, sender
from tests.conformance.stand import FRAME_TIMEOUT_S, MARKER, stand, until
from tests.conformance.test_framing_quirks import ROWS, A, Row

END_WAIT_S = 2.0


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.habit)
async def test_a_habit_of_framing_is_answered_and_said_once(reactor: Any, row: Row) -> None:
    async with stand(reactor) as s:
        one = await s.sender()
        one.say(row.stream)
        one.writer.write_eof()
        messages = [message for message in row.messages if message]  # an empty frame is no message
        answers = await one.reader.read()
        assert answers == b"".join(frame(b"ACK " + message) for message in messages)
        await s.engine.until(lambda: len(s.engine.received) == len(messages) and len(s.engine.notes) == len(row.quirks))
        assert s.engine.bodies == messages
        assert sorted(s.engine.codes) == sorted(row.quirks)
        assert s.source.quirks == row.quirks


async def test_quirks_are_counted_once_while_the_connection_is_open_and_after_it(reactor: Any) -> None:
    async with stand(reactor) as s:
        one = await s.sender()
        one.say(b"junk" + frame(b"MSH|1"))
        await one.answer()
        assert s.source.counts()["framing"] == {"STRAY_BYTES": 1}
        one.writer.close()
        await until(lambda: not s.source.connections)
        assert s.source.counts()["framing"] == {"STRAY_BYTES": 1}


async def test_a_sender_that_has_said_all_waits_for_its_answers(reactor: Any) -> None:
    async with stand(reactor) as s:
        s.engine.at_once = False
        one = await s.sender()
        one.say(frame(b"MSH|1") + frame(b"MSH|2"))
        one.writer.write_eof()
        await s.engine.until(lambda: len(s.engine.received) == 2)
        s.engine.received[0][2](b"ACK 1")
        assert await one.answer() == b"ACK 1"
        s.source.set_full(True)
        s.source.set_full(False)
        s.engine.received[1][2](b"ACK 2")
        assert await one.answer() == b"ACK 2"
        assert await one.is_closed()
        await until(lambda: not s.source.connections)


async def test_a_sender_that_ends_with_a_lone_end_byte_is_answered_after_a_moment(reactor: Any) -> None:
    async with stand(reactor, end_wait_s=END_WAIT_S) as s:
        one = await s.sender()
        for n in (1, 2):
            one.say(b"\x0b" + A + b"\x1c")
            await until(lambda: any(c.timer for c in s.source.connections))
            s.pass_time(END_WAIT_S - 1)
            assert len(s.engine.received) == n - 1
            s.pass_time(1)
            assert await one.answer() == b"ACK " + A
        s.pass_time(FRAME_TIMEOUT_S + 10)
        assert s.engine.codes == ["NO_CR_AFTER_END"]


async def test_time_that_a_sender_is_held_back_does_not_make_an_end(reactor: Any) -> None:
    async with stand(reactor, end_wait_s=END_WAIT_S) as s:
        one = await s.sender()
        one.say(b"\x0b" + A + b"\x1c")
        await until(lambda: any(c.timer for c in s.source.connections))
        s.source.set_full(True)
        one.say(b"NTE|1\r\x1c\r")
        s.pass_time(END_WAIT_S * 3)
        s.source.set_full(False)
        assert await one.answer() == b"ACK " + A + b"\x1cNTE|1\r"


async def test_the_rest_of_an_end_block_may_come_late(reactor: Any) -> None:
    async with stand(reactor, end_wait_s=END_WAIT_S) as s:
        one = await s.sender()
        one.say(b"\x0b" + A + b"\x1c")
        await until(lambda: any(c.timer for c in s.source.connections))
        one.say(b"\r")
        assert await one.answer() == b"ACK " + A
        s.pass_time(END_WAIT_S * 2)
        assert s.engine.bodies == [A]
        assert s.engine.codes == []


async def test_a_connection_a_message_does_not_fill_the_log(reactor: Any) -> None:
    async with stand(reactor) as s:
        for n in range(5):
            one = await s.sender()
            one.say(b"MSH|%d\x1c\n" % n + frame(b"MSH|last"))
            one.writer.write_eof()
            await s.engine.until(lambda n=n: len(s.engine.received) >= n + 1)
            assert await one.is_closed()
        assert sorted(s.engine.codes) == ["LF_AFTER_END", "NO_START_BLOCK"] or s.engine.codes == ["NO_START_BLOCK"]


async def test_other_frame_bytes_both_ways(reactor: Any) -> None:
    async with stand(reactor, start_byte="0x02", end_bytes="03") as s:
        one = await s.sender()
        one.say(b"\x02MSH|1\x1c\rx\x03")
        assert await one.reader.readuntil(b"\x03") == b"\x02ACK MSH|1\x1c\rx\x03"


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"start_byte": "zz"}, "not bytes in hex"),
        ({"start_byte": "4d"}, "stands in messages"),
        ({"start_byte": "1c"}, "begins a message and cannot stand in its end"),
        ({"end_bytes": "0d"}, "stands in messages"),
        ({"end_bytes": "1c0b0d"}, "begins a message and cannot stand in its end"),
        ({"start_byte": "06", "release": 2}, "commit acknowledgement"),
        ({"allow": ["10.0.0.1/8"]}, "write 10.0.0.0/8"),
        ({"allow": ["cabinet"]}, "not an address or network"),
        ({"tls": {"certificate": "x"}}, "key"),
    ],
)
def test_settings_that_cannot_be_are_refused_in_words(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        mllp_in.Config(port=0, **settings)


@pytest.mark.parametrize("written", ["0b", "0B", "0x0b", " 0x0B ", 11])
def test_bytes_may_be_written_as_people_do(written: Any) -> None:
    assert mllp_in.Config(port=0, start_byte=written).start_byte == "0b"
    assert framing_of(mllp_in.Config(port=0, end_bytes="0x1C 0x0D")).end == b"\x1c\r"


async def test_only_listed_networks_may_connect(reactor: Any) -> None:
    async with stand(reactor, allow=["127.0.0.2", "127.0.1.0/24"]) as s:
        for own in ("127.0.0.2", "127.0.1.77"):
            one = await s.sender(local_addr=(own, 0))
            one.say(frame(b"MSH|1"))
            assert await one.answer() == b"ACK MSH|1"
        for _ in range(3):
            for own in ("127.0.0.1", "127.0.2.1"):
                bad = await s.sender(local_addr=(own, 0))
                assert await bad.is_closed()
        assert s.engine.codes == ["NOT_ALLOWED", "NOT_ALLOWED"]  # once for each address
        assert s.source.counts()["refused"] == {"NOT_ALLOWED": 6}
        assert len(s.engine.received) == 2


async def test_ipv6_and_lists_of_both_kinds(reactor: Any) -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("no IPv6 here")
    async with stand(reactor, host="::1", allow=["10.0.0.0/8", "::1"]) as s:
        one = await s.sender("::1")
        one.say(frame(b"MSH|1"))
        assert await one.answer() == b"ACK MSH|1"


@pytest.mark.parametrize(
    ("networks", "host", "admits"),
    [
        ([], "8.8.8.8", True),
        (["10.0.0.0/8"], "10.9.8.7", True),
        (["10.0.0.0/8"], "11.0.0.1", False),
        (["10.0.0.0/8"], "::ffff:10.1.1.1", True),
        (["10.0.0.0/8"], "fe80::1%eth0", False),
        (["fe80::/10"], "fe80::1%eth0", True),
        (["192.168.1.5"], "192.168.1.50", False),
        (["10.0.0.0/8"], "", False),
    ],
)
def test_the_list_is_read_as_people_mean_it(networks: list[str], host: str, admits: bool) -> None:
    assert access.AllowList(networks).admits(host) is admits


def test_a_flood_of_addresses_is_remembered_only_so_far(clock: Any) -> None:
    seldom = complaints.Seldom(clock, 60)
    assert [seldom.due("a"), seldom.due("a"), seldom.due("b")] == [True, False, True]
    clock.advance(60)
    assert seldom.due("a")
    for n in range(complaints.REMEMBERED * 3):
        seldom.due(str(n))
    assert len(seldom._said) == complaints.REMEMBERED


@pytest.mark.parametrize(
    ("settings", "said"),
    [({}, ["OPEN_TO_ALL"]), ({"allow": ["127.0.0.0/8"]}, []), ({"host": "127.0.0.1"}, []), ({"host": "localhost"}, [])],
)
async def test_a_port_that_is_open_to_all_is_warned_of(reactor: Any, settings: dict[str, Any], said: list[str]) -> None:
    async with stand(reactor, **{"host": "0.0.0.0", **settings}) as s:
        assert s.engine.codes == said


async def test_several_processes_may_share_a_port(reactor: Any) -> None:
    async with stand(reactor, reuse_port=True) as s, stand(reactor, reuse_port=True, port=s.source.port) as other:
        for n in range(30):
            one = await s.sender()
            one.say(frame(b"MSH|%d" % n))
            assert await one.answer() == b"ACK MSH|%d" % n
        assert s.engine.received
        assert other.engine.received
        assert len(s.engine.received) + len(other.engine.received) == 30


async def test_keep_alive_probes_begin_when_configured(reactor: Any) -> None:
    async with stand(reactor, keepalive_s=40) as s:
        one = await s.sender()
        one.say(frame(b"MSH|1"))
        await one.answer()
        (connection,) = s.source.connections
        handle = connection.transport.getHandle()
        read = [handle.getsockopt(socket.IPPROTO_TCP, option) for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)]
        assert read == [40, 10, 4]


async def test_release_2_says_stored_before_the_answer(reactor: Any) -> None:
    async with stand(reactor, release=2) as s:
        one = await s.sender()
        one.say(frame(b"MSH|1"))
        assert await one.answers(2) == [COMMIT_ACK, b"ACK MSH|1"]
        s.engine.at_once = False
        one.say(frame(b"MSH|2"))
        await s.engine.until(lambda: len(s.engine.received) == 2)
        s.engine.received[-1][2](None)
        assert await one.answer() == COMMIT_ACK  # also where no HL7 answer is wanted


async def test_release_2_says_stored_at_once_where_the_answer_comes_later(reactor: Any) -> None:
    async with stand(reactor, release=2) as s:
        s.engine.at_once = False
        said: list[Any] = []
        receive = s.source.receive

        def received(raw: bytes, peer: str, answer: Any, say: Any) -> None:
            said.append(say)
            receive(raw, peer, answer, say)

        s.source.receive = received
        one = await s.sender()
        one.say(frame(b"MSH|1") + frame(b"MSH|2"))
        await s.engine.until(lambda: len(s.engine.received) == 2)
        said[0](None)
        assert await one.answer() == COMMIT_ACK
        s.engine.received[1][2](b"AA 2")
        s.engine.received[0][2](b"AA 1")
        said[0](b"more")
        assert await one.answers(4) == [COMMIT_ACK, b"AA 2", b"AA 1", b"more"]


async def test_release_2_says_not_stored_and_takes_the_message_again(reactor: Any) -> None:
    async with stand(reactor, release=2) as s:
        s.engine.at_once = False
        one = await s.sender()
        for payload, said in ((b"CE", [COMMIT_NAK, b"CE"]), (None, [COMMIT_NAK])):
            one.say(frame(b"MSH|1|" + MARKER))
            await s.engine.until(lambda: bool(s.engine.received))
            s.engine.received.pop()[2](payload, False)
            assert await one.answers(len(said)) == said
        one.say(frame(b"MSH|1|" + MARKER))
        await s.engine.until(lambda: bool(s.engine.received))
        s.engine.received.pop()[2](b"AA")
        assert await one.answers(2) == [COMMIT_ACK, b"AA"]


async def test_release_1_says_nothing_of_commits(reactor: Any) -> None:
    async with stand(reactor) as s:
        s.engine.at_once = False
        one = await s.sender()
        one.say(frame(b"MSH|1"))
        await s.engine.until(lambda: bool(s.engine.received))
        s.engine.received[0][2](b"AE", False)
        assert await one.answer() == b"AE"


async def test_a_sender_that_hangs_up_in_a_message_loses_nothing_that_was_answered(reactor: Any) -> None:
    async with stand(reactor) as s:
        one = await s.sender()
        one.say(frame(b"MSH|1"))
        assert await one.answer() == b"ACK MSH|1"
        one.say(b"\x0bMSH|2|" + MARKER)
        one.writer.write_eof()
        assert await one.is_closed()
        await s.engine.until(lambda: s.engine.codes == ["INCOMPLETE_FRAME"])
        assert s.engine.bodies == [b"MSH|1"]


@pytest.mark.parametrize(
    "settings", [{}, {"release": 2}, {"release": 2, "start_byte": "02", "end_bytes": "03"}, {"start_byte": "1e", "end_bytes": "1f0d"}]
)
async def test_both_our_ends_understand_each_other(reactor: Any, settings: dict[str, Any]) -> None:
    kit = KITS["mllp_out"]
    async with stand(reactor, **settings) as s, sender(kit, reactor, s.source.port, **settings) as out:
        s.source.receive = lambda raw, peer, answer, say: answer(ack.build(ack.Header.read(raw), "AA", "1", "20260301"))
        for n in (1, 2, 3):
            outcome = await out.send(n).outcome()
            assert (type(outcome), outcome.code) == (Accepted, "AA")
        assert (s.engine.notes, out.notes) == ([], [])
