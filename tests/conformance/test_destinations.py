"""Every destination, whatever its transport, keeps the same promises against the same bad peers."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from suture.connectors import http_out
from suture.connectors.mllp_out import Destination as MllpDestination
from suture.connectors.registry import DESTINATIONS
from suture.model.outcome import Accepted, Ambiguous, Outcome, Rejected, TryLater, Unavailable
from suture.model.value import changed
from tests.conformance.kits import CONNECTIONS, KITS, LIMIT_BYTES, TIMEOUT_S, Kit, sender
from tests.faults.kernel import ESTABLISHED, connections, needs_linux, wait_until
from tests.faults.peer import Ack, Bye, Close, Elsewhere, FaultyPeer, Late, Oversized, Pieces, Raw, Reset, Silence, Twice, WrongId


@pytest.fixture(params=sorted(DESTINATIONS))
def kit(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kit]:
    """Each transport of the registry; what has no kit fails here, so that a new transport joins the suite."""
    monkeypatch.setattr(MllpDestination, "SWEEP_S", 0.05)
    monkeypatch.setattr(http_out, "SWEEP_S", 0.05)
    yield KITS[request.param]


def closed_port() -> int:
    """A port on which nothing listens."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


async def test_what_the_peer_accepts_is_accepted_and_arrives_byte_for_byte(kit: Kit, reactor: Any) -> None:
    async with kit.peer() as peer, sender(kit, reactor, peer.port) as s:
        assert isinstance(await s.send(1).outcome(), Accepted)
        assert peer.seen[0].body == kit.delivery(1).body
        if kit.wire == "http":
            assert peer.seen[0].key == "key-1"
            assert peer.seen[0].headers["content-type"] == kit.content_type


async def test_what_the_peer_refuses_is_rejected_or_tried_later_as_it_says(kit: Kit, reactor: Any) -> None:
    async with kit.peer([Ack("AE"), Ack("AR"), Ack("AA")]) as peer, sender(kit, reactor, peer.port) as s:
        kinds = [type(await s.send(n).outcome()) for n in (1, 2, 3)]
        assert kinds == [Rejected, TryLater, Accepted]


async def test_silence_is_ambiguous_after_its_time(kit: Kit, reactor: Any) -> None:
    loop = asyncio.get_running_loop()
    async with kit.peer([Silence()]) as peer, sender(kit, reactor, peer.port) as s:
        begin_s = loop.time()
        assert isinstance(await s.send(1).outcome(), Ambiguous)
        assert TIMEOUT_S * 0.9 <= loop.time() - begin_s < TIMEOUT_S * 5
        assert isinstance(await s.send(2).outcome(), Accepted)


async def test_a_closed_port_is_nobodys_fault_and_said_in_words(kit: Kit, reactor: Any) -> None:
    async with sender(kit, reactor, closed_port()) as s:
        for outcome in await s.outcomes(1, 2, 3, 4, 5):
            assert isinstance(outcome, Unavailable)
            assert "connection refused" in outcome.reason


async def test_a_host_that_does_not_answer_the_connection_attempt_is_nobodys_fault(kit: Kit, reactor: Any) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        filling = [socket.socket() for _ in range(3)]  # with its queue full, the kernel drops further attempts
        for one in filling:
            one.setblocking(False)
            one.connect_ex(deaf.getsockname())
        more = {"connect_timeout_s": TIMEOUT_S} if kit.wire == "mllp" else {}
        async with sender(kit, reactor, deaf.getsockname()[1], **more) as s:
            outcome = await s.send(1).outcome()
            assert isinstance(outcome, Unavailable)
            assert "no answer to the connection attempt" in outcome.reason
        for one in filling:
            one.close()


async def test_a_peer_that_comes_back_is_found_again(kit: Kit, reactor: Any) -> None:
    peer = await kit.peer().start()
    async with sender(kit, reactor, peer.port) as s:
        assert isinstance(await s.send(1).outcome(), Accepted)
        await peer.stop()
        while not isinstance(outcome := await s.send(2).outcome(), Unavailable):
            assert isinstance(outcome, Ambiguous)  # it may have been sent into the dying connection
        await peer.start()
        assert isinstance(await s.send(3).outcome(), Accepted)
        await peer.stop()


@pytest.mark.parametrize("after_bytes", [0, 1, 3, 20])
@pytest.mark.parametrize("fault", [Reset, Close])
async def test_a_connection_that_ends_in_an_answer_is_ambiguous(kit: Kit, reactor: Any, fault: Any, after_bytes: int) -> None:
    async with kit.peer([fault(after_bytes)]) as peer, sender(kit, reactor, peer.port) as s:
        assert isinstance(await s.send(1).outcome(), Ambiguous)
        assert isinstance(await s.send(2).outcome(), Accepted)


async def test_a_peer_that_hangs_up_at_once_takes_nothing(kit: Kit, reactor: Any) -> None:
    async with kit.peer(hang_up=2) as peer, sender(kit, reactor, peer.port) as s:
        outcomes = [await s.send(n).outcome() for n in (1, 2)]
        assert all(isinstance(o, Ambiguous | Unavailable) for o in outcomes)
        assert isinstance(await s.send(3).outcome(), Accepted)
        assert [seen.body for seen in peer.seen] == [kit.delivery(3).body]


async def test_a_late_answer_never_completes_another_delivery(kit: Kit, reactor: Any) -> None:
    async with kit.peer([Late("AA"), Late("AE"), Ack("AE")]) as peer, sender(kit, reactor, peer.port, connections=1) as s:
        assert isinstance(await s.send(1).outcome(), Ambiguous)
        second = s.send(11)
        await peer.got(2)
        peer.let_go()  # AA of the first, AE of the second
        assert isinstance(await second.outcome(), Rejected)
        assert isinstance(await s.send(111).outcome(), Rejected)


@pytest.mark.parametrize("later", [False, True])
async def test_an_answer_that_comes_twice_completes_one_delivery(kit: Kit, reactor: Any, later: bool) -> None:
    async with kit.peer([Twice(later), Ack("AE")]) as peer, sender(kit, reactor, peer.port, connections=1) as s:
        assert isinstance(await s.send(1).outcome(), Accepted)
        peer.let_go()
        for _ in range(5):  # the second copy is on its way through the loop
            await asyncio.sleep(0)
        assert isinstance(await s.send(2).outcome(), Rejected)
        if later:
            assert [code for code, _ in s.notes] == ["LATE_ACK"]


@pytest.mark.parametrize("other", [lambda right: right[:-1], lambda right: right + "1", lambda right: "", str.lower])
async def test_an_answer_to_another_message_completes_nothing(kit: Kit, reactor: Any, other: Any) -> None:
    if not kit.has_ids:
        pytest.skip("an HTTP answer belongs to its request by its place")
    async with kit.peer([WrongId(other), Ack("AE")]) as peer, sender(kit, reactor, peer.port) as s:
        assert isinstance(await s.send(3).outcome(), Ambiguous)
        assert s.destination.counts()["quarantined"] == {"FOREIGN_ACK": 1}
        assert [code for code, _ in s.notes] == ["FOREIGN_ACK"]
        assert isinstance(await s.send(4).outcome(), Rejected)


async def test_an_answer_in_single_bytes_is_one_answer(kit: Kit, reactor: Any) -> None:
    async with kit.peer([Pieces(1), Pieces(2)]) as peer, sender(kit, reactor, peer.port) as s:
        assert isinstance(await s.send(1).outcome(), Accepted)
        assert isinstance(await s.send(2).outcome(), Accepted)


async def test_an_oversized_answer_is_cut_off_with_its_connection(kit: Kit, reactor: Any) -> None:
    async with kit.peer([Oversized()]) as peer, sender(kit, reactor, peer.port) as s:
        outcome = await s.send(1).outcome()
        assert isinstance(outcome, kit.oversized)
        assert len(outcome.response) <= LIMIT_BYTES
        await peer.until(lambda: peer.open == 0)
        assert isinstance(await s.send(2).outcome(), Accepted)


@pytest.mark.parametrize(
    "data",
    [b"nonsense\r\n\r\n", b"\x0b\x1c\r", b"\x0bMSH|^~\\&|A\r\x1c\r", b"\x0bMSH|^~\\&|A\rMSA|\r\x1c\r", b"\x00" * 50, b"\xff\xfe\x0b\x1c"],
)
async def test_an_answer_that_cannot_be_read_is_ambiguous(kit: Kit, reactor: Any, data: bytes) -> None:
    async with kit.peer([Raw(data)]) as peer, sender(kit, reactor, peer.port) as s:
        assert isinstance(await s.send(1).outcome(), Ambiguous)
        assert isinstance(await s.send(2).outcome(), Accepted)


async def test_connections_are_kept_and_used_again(kit: Kit, reactor: Any) -> None:
    async with kit.peer() as peer, sender(kit, reactor, peer.port) as s:
        for n in range(1, 11):
            assert isinstance(await s.send(n).outcome(), Accepted)
        assert peer.connections == 1


async def test_no_more_connections_than_configured_and_all_get_through(kit: Kit, reactor: Any) -> None:
    async with kit.peer() as peer, sender(kit, reactor, peer.port) as s:
        outcomes = await s.outcomes(*range(1, 31))
        assert all(isinstance(o, Accepted) for o in outcomes)
        assert peer.connections <= CONNECTIONS
        assert sorted(len(seen.body) for seen in peer.seen) == sorted(len(kit.delivery(n).body) for n in range(1, 31))


async def test_a_connection_that_the_peer_closed_while_it_rested_is_replaced(kit: Kit, reactor: Any) -> None:
    peer = await kit.peer().start()
    async with sender(kit, reactor, peer.port) as s:
        assert isinstance(await s.send(1).outcome(), Accepted)
        await peer.stop()
        await peer.start()
        for _ in range(20):
            await asyncio.sleep(0)
        assert isinstance(await s.send(2).outcome(), Accepted)
        await peer.stop()


async def test_closing_waits_for_what_is_on_its_way(kit: Kit, reactor: Any) -> None:
    async with kit.peer([Late("AA")]) as peer, sender(kit, reactor, peer.port) as s:
        one = s.send(1)
        await peer.got(1)
        closing = asyncio.ensure_future(s.close())
        peer.let_go()
        assert isinstance(await one.outcome(), Accepted)
        await closing
        await peer.until(lambda: peer.open == 0)


async def test_closing_on_a_silent_peer_ends_with_an_outcome_and_no_connection(kit: Kit, reactor: Any) -> None:
    async with kit.peer([Silence(), Silence()]) as peer, sender(kit, reactor, peer.port, connections=1) as s:
        both = [s.send(1), s.send(2)]
        await peer.got(1)
        await s.close()
        for one in both:
            assert isinstance(await one.outcome(), Ambiguous | Unavailable)
        await peer.until(lambda: peer.open == 0)


async def test_every_fault_in_a_row_harms_no_delivery_that_follows(kit: Kit, reactor: Any) -> None:
    faults = [Silence(), Reset(3), Ack("AE"), Close(1), Raw(b"\x0b\x1c\r"), Pieces(), Twice(), Oversized()]
    async with kit.peer(faults) as peer, sender(kit, reactor, peer.port) as s:
        for n in range(1, len(faults) + 1):
            await s.send(n).outcome()
        outcomes = await s.outcomes(20, 21, 22, 23)
        assert all(isinstance(o, Accepted) for o in outcomes)
        assert len(peer.seen) == len(faults) + 4


async def test_no_payload_makes_it_raise(kit: Kit, reactor: Any) -> None:
    odd = []
    for n, (body, content_type, control_id) in enumerate(
        [(b"", "", ""), (bytes(range(256)), "x/y", "M"), (b"x" * 3_000_000, "x/y", "€")], 1
    ):
        one = changed(kit.delivery(n), body=body, content_type=content_type, control_id=control_id)
        odd.append(one)
    async with kit.peer(usual=Silence()) as peer, sender(kit, reactor, peer.port) as s:
        for one in odd:
            assert await s.send(one).outcome() is not None


# -- an answer completes only what it answers ------------------------------------------------------------------------


@needs_linux
async def test_a_second_answer_never_completes_the_next_message(kit: Kit, reactor: Any) -> None:
    peer = kit.peer([Twice(later=True), Ack("AE")])
    with Elsewhere(peer) as elsewhere:
        async with sender(kit, reactor, peer.port, connections=1, **kit.timeout(10)) as s:
            assert isinstance(await s.send(1).outcome(), Accepted)
            elsewhere.call(_let_go(peer))
            wait_until(lambda: any(unread for _, unread in connections(peer.port)))
            assert isinstance(await s.send(kit.delivery(2, "M1")).outcome(), Rejected)
            assert isinstance(await s.send(3).outcome(), Accepted)
            assert [code for code, _ in s.notes if code != "OWN_CONTROL_ID"] == ["LATE_ACK"]
            assert s.destination.counts()["quarantined"] == {"LATE_ACK": 1}


async def _let_go(peer: FaultyPeer) -> None:
    peer.let_go()


async def test_a_second_answer_while_the_next_message_is_on_its_way_never_accepts_it(kit: Kit, reactor: Any) -> None:
    """In HTTP whose answers two are cannot be known; in MLLP they say it, also when the senders' control ids do not."""
    both = Raw(kit.answer("M1", "AA") + kit.answer("M1", "AA"))
    async with kit.peer([Ack("AA"), both]) as peer, sender(kit, reactor, peer.port, connections=1) as s:
        assert isinstance(await s.send(1).outcome(), Accepted)
        assert isinstance(await s.send(kit.delivery(2, "M1")).outcome(), Ambiguous)
        assert isinstance(await s.send(3).outcome(), Accepted)
        assert peer.connections == 2


@pytest.mark.parametrize(("code", "kind"), [("AA", Ambiguous), ("AE", Rejected), ("AR", TryLater)])
async def test_an_answer_before_the_message_was_written_accepts_nothing(kit: Kit, reactor: Any, code: str, kind: type[Outcome]) -> None:
    async with hasty(kit.answer("M1", code)) as port, sender(kit, reactor, port, **kit.timeout(10)) as s:
        outcome = await s.send(kit.large()).outcome(10)
        assert type(outcome) is kind
        assert code != "AA" or outcome.code == "EARLY_ANSWER"


@asynccontextmanager
async def hasty(answer: bytes, reset: bool = False) -> AsyncIterator[int]:
    """A peer that reads the beginning of a message and answers; it reads no more, and then ends the connection where reset says so."""

    async def met(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(100)
        writer.transport.pause_reading()
        writer.write(answer)
        await writer.drain()
        writers.append(writer)
        if reset:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    writers: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(met, "127.0.0.1", 0, limit=1024)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()


# -- what a peer cannot have seen is not in doubt --------------------------------------------------------------------


@needs_linux
@pytest.mark.parametrize("reset", [False, True])
async def test_what_the_peer_ended_while_it_rested_is_not_written_on(kit: Kit, reactor: Any, reset: bool) -> None:
    peer = kit.peer()
    with Elsewhere(peer) as elsewhere:
        async with sender(kit, reactor, peer.port, connections=1) as s:
            for number in range(1, 11):
                assert isinstance(await s.send(number).outcome(), Accepted)
                elsewhere.call(peer.drop(reset))
                wait_until(lambda: all(state != ESTABLISHED for state, _ in connections(peer.port)))
            assert [seen.connection for seen in peer.seen] == list(range(1, 11))


@pytest.mark.parametrize("reset", [False, True])
async def test_a_message_that_was_not_written_whole_is_tried_again(kit: Kit, reactor: Any, reset: bool) -> None:
    """The connection is reset in its middle, or the peer reads no further until the time is over."""
    async with hasty(b"", reset) as port, sender(kit, reactor, port) as s:
        outcome = await s.send(kit.large()).outcome(10)
        assert isinstance(outcome, TryLater)
        assert outcome.code == "NOT_SENT"


async def test_a_peer_that_ends_each_connection_soon_after_its_answer(kit: Kit, reactor: Any) -> None:
    async with kit.peer(usual=Bye()) as peer, sender(kit, reactor, peer.port, messages_per_connection=1, connections=1) as s:
        for number in range(1, 9):
            assert isinstance(await s.send(number).outcome(), Accepted)
        assert [seen.connection for seen in peer.seen] == list(range(1, 9))


async def test_so_many_messages_and_no_more_go_over_a_connection(kit: Kit, reactor: Any) -> None:
    async with kit.peer() as peer, sender(kit, reactor, peer.port, messages_per_connection=3, connections=1) as s:
        outcomes = await s.outcomes(*range(1, 8))
        assert all(isinstance(outcome, Accepted) for outcome in outcomes)
        assert [seen.connection for seen in peer.seen] == [1, 1, 1, 2, 2, 2, 3]


async def test_what_is_cut_is_ambiguous_what_waits_is_refused_and_it_can_be_sent_to_again(kit: Kit, reactor: Any) -> None:
    async with kit.peer([Silence()] * CONNECTIONS) as peer, sender(kit, reactor, peer.port) as s:
        sent = [s.send(n) for n in range(1, CONNECTIONS + 3)]
        while len(peer.seen) < CONNECTIONS:
            await asyncio.sleep(0.01)
        s.destination.cut("STORE_LOST", "the store has not confirmed")
        kinds = [type(await one.outcome()) for one in sent]
        assert kinds == [Ambiguous] * CONNECTIONS + [Unavailable] * 2
        assert all(one.outcomes[0].code == "STORE_LOST" for one in sent)
        assert isinstance(await s.send(9).outcome(), Accepted)


async def test_nothing_is_written_without_leave(kit: Kit, reactor: Any) -> None:
    async with kit.peer([Late()] * CONNECTIONS) as peer, sender(kit, reactor, peer.port) as s:
        sent = [s.send(n) for n in range(1, CONNECTIONS + 2)]  # the last one waits for a connection
        while len(peer.seen) < CONNECTIONS:
            await asyncio.sleep(0.01)
        s.destination.may_send = lambda: False
        peer.let_go()
        kinds = [type(await one.outcome()) for one in [*sent, s.send(8)]]
        assert kinds == [Accepted] * CONNECTIONS + [Unavailable] * 2
        assert len(peer.seen) == CONNECTIONS, "nothing has left the house"
        s.destination.may_send = lambda: True
        assert isinstance(await s.send(9).outcome(), Accepted)
