"""MLLP out: what acknowledgement codes mean, and whose acknowledgement an answer is."""

from __future__ import annotations

import asyncio
import itertools
import re
from typing import Any

import pytest
from pydantic import ValidationError
from twisted.internet.task import Clock

from suture.connectors import mllp_out
from suture.connectors.mllp.dialling import Backoff
from suture.connectors.mllp_out import Destination
from suture.model.message import Message
from suture.model.outcome import Accepted, Ambiguous, Held, Outcome, Rejected, TryLater, Unavailable
from suture.pipeline.process import process
from suture.ports import Delivery
from suture.wire.hl7v2.text.header import Header
from suture.wire.mllp import COMMIT_ACK, COMMIT_NAK, frame
from tests.conformance.kits import KITS, sender
from tests.faults.peer import Ack, Close, Late, Mllp, Raw, Reset, Seen, Silence
from tests.plans import Output, Plan

KIT = KITS["mllp_out"]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Destination, "SWEEP_S", 0.05)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("AA", Accepted),
        ("CA", Accepted),
        ("AE", Rejected),
        ("CE", Rejected),
        ("CR", Rejected),
        ("AR", TryLater),
        ("ZZ", Ambiguous),
        ("", Ambiguous),
    ],
)
async def test_what_a_code_means(reactor: Any, code: str, kind: type[Outcome]) -> None:
    async with KIT.peer([Ack(code)]) as peer, sender(KIT, reactor, peer.port) as s:
        assert type(await s.send(1).outcome()) is kind


@pytest.mark.parametrize(
    ("code", "word", "kind"), [("AE", "retry", TryLater), ("AR", "reject", Rejected), ("CE", "hold", Held), ("AE", "accept", Accepted)]
)
async def test_a_table_of_the_destination_goes_before_the_standard(reactor: Any, code: str, word: str, kind: type[Outcome]) -> None:
    async with KIT.peer([Ack(code)]) as peer, sender(KIT, reactor, peer.port, meaning={code: word}) as s:
        assert type(await s.send(1).outcome()) is kind


@pytest.mark.parametrize(
    "control_id", [b"M1", b"A^B", b"A&B", b"A~B", b"A\\T\\B", b"\xe9\xe8", "é".encode(), b" 1 ", b"1" * 199, b"x" * 500, b"\x00a"]
)
async def test_whatever_a_sender_puts_into_msh_10_is_recognised_when_it_comes_back(reactor: Any, control_id: bytes) -> None:
    raw = b"MSH|^~\\&|S|F|R|RF|20260301||ADT^A01|" + control_id + b"|P|2.5.1\rPID|1\r"
    plan = Plan("c", [Output("d", changes={})])
    work = process(plan, Message("c", raw, 0, id=1), 0)
    assert work.ready is not None
    (delivery,) = work.ready.deliveries
    async with KIT.peer() as peer, sender(KIT, reactor, peer.port) as s:
        assert isinstance(await s.send(delivery).outcome(), Accepted)
        assert peer.seen[0].body == raw


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
async def test_peers_that_end_segments_in_their_own_way_are_understood(reactor: Any, end: str) -> None:
    answer = end.join(["MSH|^~\\&|P|P|S|S|20260301||ACK|1|P|2.5.1", "MSA|AA|M1", ""])
    async with KIT.peer([Raw(b"\x0b" + answer.encode() + b"\x1c\r")]) as peer, sender(KIT, reactor, peer.port) as s:
        assert isinstance(await s.send(1).outcome(), Accepted)


async def test_an_answer_with_other_separators_is_understood(reactor: Any) -> None:
    async with (
        KIT.peer([Raw(b"\x0bMSH#*~\\&#P#P#S#S#20260301##ACK#1#P#2.5.1\rMSA#AE#M1\r\x1c\r")]) as peer,
        sender(KIT, reactor, peer.port) as s,
    ):
        assert isinstance(await s.send(1).outcome(), Rejected)


def answer(control_id: str, code: str = "AA") -> bytes:
    return Mllp.answer(Seen(0, b"", control_id), code)


M1, M11, M111 = "M1", "M11", "M111"
PIPELINED = {"connections": 1, "pipeline": 4}


async def test_answers_that_come_in_any_order_go_to_their_messages(reactor: Any) -> None:
    said = answer(M111, "AE") + answer("M2") + answer(M1) + answer(M11, "AR")
    async with KIT.peer([Silence(), Silence(), Raw(said)]) as peer, sender(KIT, reactor, peer.port, **PIPELINED) as s:
        outcomes = await s.outcomes(1, 2, 3)
        assert [type(o) for o in outcomes] == [Accepted, TryLater, Rejected]
        assert (peer.connections, s.destination.complaints.codes) == (1, {"FOREIGN_ACK": 1})
        assert isinstance(await s.send(4).outcome(), Accepted)  # the connection is still good


async def test_no_more_messages_in_flight_than_configured(reactor: Any) -> None:
    async with (
        KIT.peer([Silence(), Late("AA")]) as peer,
        sender(KIT, reactor, peer.port, connections=1, pipeline=2, ack_timeout_s=5) as s,
    ):
        sent = [s.send(n) for n in (1, 2, 3)]
        await peer.got(2)
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(peer.seen) == 2
        peer.let_go()  # the answer of the second makes room for the third
        assert isinstance(await sent[1].outcome(), Accepted)
        assert isinstance(await sent[2].outcome(), Accepted)
        await peer.stop()
        assert isinstance(await sent[0].outcome(), Ambiguous)


async def test_a_connection_is_opened_before_another_is_shared(reactor: Any) -> None:
    async with KIT.peer(usual=Silence()) as peer, sender(KIT, reactor, peer.port, connections=2, pipeline=2) as s:
        sent = [s.send(n) for n in (1, 2, 3, 4)]
        await peer.got(4)
        assert sorted(seen.connection for seen in peer.seen) == [1, 1, 2, 2]
        for one in sent:
            assert isinstance(await one.outcome(), Ambiguous)


@pytest.mark.parametrize("end", [Reset(), Close(), Reset(3), Close(10)])
async def test_a_connection_that_breaks_with_three_in_flight_gives_each_one_outcome(reactor: Any, end: Any) -> None:
    async with KIT.peer([Silence(), Silence(), end]) as peer, sender(KIT, reactor, peer.port, **PIPELINED) as s:
        outcomes = await s.outcomes(1, 2, 3)
        assert {(type(o), o.code) for o in outcomes} == {(Ambiguous, "CONNECTION_LOST")}
        assert isinstance(await s.send(4).outcome(), Accepted)


async def test_a_connection_that_breaks_after_one_of_three_answers(reactor: Any) -> None:
    script = [Silence(), Raw(answer(M11) + b"\x0bMSH|half"), Reset()]
    async with KIT.peer(script) as peer, sender(KIT, reactor, peer.port, **PIPELINED) as s:
        outcomes = await s.outcomes(1, 2, 3)
        assert [type(o) for o in outcomes] == [Ambiguous, Accepted, Ambiguous]


async def test_an_unreadable_answer_leaves_all_that_are_in_flight_in_doubt(reactor: Any) -> None:
    async with KIT.peer([Silence(), Raw(frame(b"MSH|^~\\&|no MSA\r"))]) as peer, sender(KIT, reactor, peer.port, **PIPELINED) as s:
        assert {o.code for o in await s.outcomes(1, 2)} == {"ACK_UNREADABLE"}
        assert isinstance(await s.send(3).outcome(), Accepted)
        assert peer.connections == 2


async def test_a_late_one_of_several_does_not_take_the_others_with_it(reactor: Any) -> None:
    clock = Clock()
    async with KIT.peer([Silence(), Late("AE")]) as peer, sender(KIT, reactor, peer.port, **PIPELINED, ack_timeout_s=10) as s:
        s.destination.clock = clock
        first = s.send(1)
        await peer.got(1)
        clock.advance(5)
        second = s.send(2)
        await peer.got(2)
        for _ in range(60):
            clock.advance(0.1)
        assert (await first.outcome()).code == "ACK_TIMEOUT"
        third = s.send(3)  # not on the connection that owes an answer; there may be no other until it is over
        peer.let_go()
        assert isinstance(await second.outcome(), Rejected)
        assert isinstance(await third.outcome(), Accepted)
        assert peer.connections == 2


async def test_two_messages_of_one_control_id_are_never_in_flight_together(reactor: Any) -> None:
    async with KIT.peer([Late("AA"), Ack("AE")]) as peer, sender(KIT, reactor, peer.port, **PIPELINED, ack_timeout_s=5) as s:
        sent = [s.send(1), s.send(1)]
        await peer.got(1)
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(peer.seen) == 1
        peer.let_go()
        assert [type(await one.outcome()) for one in sent] == [Accepted, Rejected]


async def test_a_connection_that_rested_too_long_is_replaced_before_it_is_used(reactor: Any) -> None:
    clock = Clock()
    async with KIT.peer() as peer, sender(KIT, reactor, peer.port, connections=1, idle_s=60) as s:
        s.destination.clock = clock
        assert isinstance(await s.send(1).outcome(), Accepted)
        clock.advance(50)
        assert isinstance(await s.send(2).outcome(), Accepted)
        assert peer.connections == 1
        for _ in range(700):
            clock.advance(0.1)
        await peer.until(lambda: peer.open == 0)
        assert isinstance(await s.send(3).outcome(), Accepted)
        assert peer.connections == 2


async def test_a_dead_peer_is_not_hammered_and_each_attempt_tells_what_waits(reactor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, attempts = Clock(), []
    peer = await KIT.peer().start()
    await peer.stop()
    async with sender(KIT, reactor, peer.port, reconnect_max_s=4) as s:
        s.destination.clock = s.destination.dialling.clock = clock
        s.destination.dialling.backoff = Backoff(4, lambda: 0.5)
        real = s.destination.dialling.connect
        monkeypatch.setattr(s.destination.dialling, "connect", lambda: (attempts.append(clock.seconds()), real()))
        for n in range(1, 8):
            one = s.send(n)
            while not one.outcomes:
                clock.advance(0.01)
                await asyncio.sleep(0)
            assert "connection refused" in one.outcomes[0].reason
        waits = [b - a for a, b in itertools.pairwise(attempts)]
        assert waits == pytest.approx([0.18, 0.36, 0.72, 1.44, 2.88, 3.6], abs=0.04)  # twice as long each time, less a tenth here
        await peer.start()
        one = s.send(9)
        while not one.outcomes:
            clock.advance(0.01)
            await asyncio.sleep(0)
        assert isinstance(one.outcomes[0], Accepted)
        assert s.destination.dialling.backoff.wait_s(clock.seconds()) == 0
        await peer.stop()


def test_a_clock_that_is_set_back_does_not_keep_us_away() -> None:
    backoff = Backoff(5, lambda: 0.0)
    for _ in range(100):
        backoff.failed(1e9)
    assert backoff.wait_s(0) == 5


async def test_closing_while_a_connection_is_waited_for_tells_what_waits(reactor: Any) -> None:
    peer = await KIT.peer().start()
    await peer.stop()
    async with sender(KIT, reactor, peer.port, reconnect_max_s=60) as s:
        assert isinstance(await s.send(1).outcome(), Unavailable)
        s.destination.dialling.backoff._next_s = reactor.seconds() + 50
        one = s.send(2)
        await s.close()
        assert isinstance(await one.outcome(), Unavailable)


async def test_the_own_address_is_chosen(reactor: Any) -> None:
    seen = []
    server = await asyncio.start_server(lambda r, w: (seen.append(w.get_extra_info("peername")[0]), w.close()), "127.0.0.1", 0)
    async with sender(KIT, reactor, server.sockets[0].getsockname()[1], source_host="127.0.0.9") as s:
        await s.send(1).outcome()
    assert seen == ["127.0.0.9"]
    server.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # Twisted leaves the closing of that socket to Python
async def test_an_own_address_that_is_not_ours_is_nobodys_fault(reactor: Any) -> None:
    async with sender(KIT, reactor, 9, source_host="203.0.113.7") as s:
        outcome = await s.send(1).outcome()
        assert isinstance(outcome, Unavailable)
        assert "source_host" in outcome.reason


async def test_an_answer_without_the_last_byte_of_its_end_is_an_answer(reactor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("suture.connectors.mllp.peer.END_WAIT_S", 0.05)
    async with KIT.peer([Raw(answer(M1)[:-1])]) as peer, sender(KIT, reactor, peer.port) as s:
        assert isinstance(await s.send(1).outcome(), Accepted)
        assert [code for code, _ in s.notes] == ["NO_CR_AFTER_END"]


@pytest.mark.parametrize("odd", [b"MSH", b"\r\n\x0bMSH", b"\x0b\x0bMSH"])
async def test_oddly_framed_answers_are_answers(reactor: Any, odd: bytes) -> None:
    async with KIT.peer([Raw(answer(M1).replace(b"\x0bMSH", odd) + b"\n")]) as peer, sender(KIT, reactor, peer.port) as s:
        assert isinstance(await s.send(1).outcome(), Accepted)


async def test_answers_that_complete_nothing_are_counted_and_said_once_in_a_while(reactor: Any) -> None:
    async with KIT.peer([Raw(answer("X") * 50 + answer(M1))]) as peer, sender(KIT, reactor, peer.port) as s:
        assert isinstance(await s.send(1).outcome(), Accepted)
        assert s.destination.complaints.codes.total() == 50
        assert s.destination.counts() == {"framing": {}, "quarantined": {"FOREIGN_ACK": 50}}
        assert [code for code, _ in s.notes] == ["FOREIGN_ACK"]


COMMIT = {"release": 2, "ack": "commit", "connections": 1}


@pytest.mark.parametrize(("byte", "kind", "code"), [(COMMIT_ACK, Accepted, "COMMIT_ACK"), (COMMIT_NAK, TryLater, "COMMIT_NAK")])
async def test_a_commit_acknowledgement_is_enough_where_it_is_said_so(reactor: Any, byte: bytes, kind: type[Outcome], code: str) -> None:
    async with KIT.peer([Raw(frame(byte))] * 2) as peer, sender(KIT, reactor, peer.port, **COMMIT) as s:
        for n in (1, 2):
            outcome = await s.send(n).outcome()
            assert (type(outcome), outcome.code) == (kind, code)
        assert peer.connections == 1


async def test_an_hl7_answer_where_a_commit_is_waited_for_completes_nothing(reactor: Any) -> None:
    async with KIT.peer([Raw(answer(M1)), Raw(frame(COMMIT_ACK))]) as peer, sender(KIT, reactor, peer.port, **COMMIT) as s:
        assert (await s.send(1).outcome()).code == "ACK_TIMEOUT"
        assert s.destination.complaints.codes == {"UNASKED_ACK": 1}
        assert isinstance(await s.send(2).outcome(), Accepted)


async def test_both_acknowledgements_of_release_2_are_waited_for(reactor: Any) -> None:
    script = [
        Raw(frame(COMMIT_ACK) + answer(M1)),
        Raw(frame(COMMIT_ACK) + answer(M11, "AE")),
        Raw(frame(COMMIT_NAK)),
        Raw(frame(COMMIT_ACK)),
    ]
    async with KIT.peer(script) as peer, sender(KIT, reactor, peer.port, release=2, connections=1, application_timeout_s=0.4) as s:
        outcomes = [await s.send(n).outcome() for n in (1, 2, 3, 4)]
        assert [o.code for o in outcomes] == ["AA", "AE", "COMMIT_NAK", "NO_APPLICATION_ACK"]
        assert "its application did not answer in 0.4 s" in outcomes[3].reason
        assert peer.connections == 1


async def test_a_commit_that_may_still_come_never_completes_the_next_message(reactor: Any) -> None:
    script = [Raw(answer(M1)), Raw(frame(COMMIT_ACK) * 2 + answer(M11)), Raw(frame(COMMIT_ACK) + answer(M111))]
    async with KIT.peer(script) as peer, sender(KIT, reactor, peer.port, release=2, connections=1) as s:
        for n in (1, 2, 3):
            assert isinstance(await s.send(n).outcome(), Accepted)
        assert peer.connections == 3  # an answer without its commit, and a commit too many, end a connection
        assert s.destination.complaints.codes == {"LATE_ACK": 1}


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"release": 2, "pipeline": 2}, "pipeline: 1"),
        ({"tls": {"certificate": "x"}}, "go together"),
        ({"end_bytes": "0b"}, "begins a message and cannot stand in its end"),
    ],
)
def test_settings_that_do_not_fit_are_refused_in_words(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        mllp_out.Config(host="h", port=1, **settings)


# -- whose answer it is, where the senders' control ids do not say it --------------------------------------------------


HEAD = "MSH|^~\\&|S|F|R|RF|20260301||ADT^A01|{}|P|2.5.1"


def message(number: int, control_id: str, head: str = HEAD, codec: str = "utf-8", **more: Any) -> Delivery:
    """A message of its own, with this MSH-10."""
    body = f"{head.format(control_id)}\rPID|1||{number}||é\r".encode(codec)
    return Delivery(number, "c", "d", "lane", body, f"key-{number}", control_id, "application/hl7-v2", id=number, **more)


async def test_messages_without_a_control_id_go_out_under_one_of_ours(reactor: Any) -> None:
    async with KIT.peer() as peer, sender(KIT, reactor, peer.port, **PIPELINED) as s:
        sent = [s.send(message(number, "")) for number in range(1, 9)]
        for one in sent:
            outcome = await one.outcome()
            assert isinstance(outcome, Accepted)
            assert outcome.reason == f"sent under the control id {peer.seen[one.delivery.id - 1].control_id}"
        names = [seen.control_id for seen in peer.seen]
        assert len(set(names)) == 8
        assert all(re.fullmatch("[A-Z0-9]{1,20}", name) for name in names)
        assert [seen.body.replace(name.encode(), b"") for seen, name in zip(peer.seen, names, strict=True)] == [
            one.delivery.body for one in sent
        ]
        assert [code for code, _ in s.notes] == ["OWN_CONTROL_ID"]


async def test_a_control_id_that_comes_again_is_used_for_one_message_only(reactor: Any) -> None:
    script = [Ack("AA"), Raw(answer("7")), Raw(answer("7", "AE"))]
    async with KIT.peer(script) as peer, sender(KIT, reactor, peer.port, connections=1) as s:
        assert isinstance(await s.send(message(1, "7")).outcome(), Accepted)
        outcome = await s.send(message(2, "7")).outcome()  # the peer answers the first one again
        assert isinstance(outcome, Ambiguous)
        assert outcome.reason.endswith(f"; sent under the control id {peer.seen[1].control_id}")
        assert s.destination.complaints.codes == {"LATE_ACK": 1}
        assert isinstance(await s.send(message(3, "7")).outcome(), Rejected)  # on a new connection it is the first
        assert [seen.control_id == "7" for seen in peer.seen] == [True, False, True]


async def test_messages_of_one_control_id_share_a_connection(reactor: Any) -> None:
    async with KIT.peer([Silence(), Silence(), Silence(), Silence()]) as peer, sender(KIT, reactor, peer.port, **PIPELINED) as s:
        sent = [s.send(message(number, "7")) for number in (1, 2, 3)]
        seen = await peer.got(3)
        assert len({one.control_id for one in seen}) == 3
        last = s.send(message(4, "8"))
        await peer.got(4)
        said = b"".join(answer(one.control_id, code) for one, code in zip(reversed(seen[:3]), ("AA", "AE", "AR"), strict=True))
        await peer.say(said + answer("8"))
        outcomes = [await one.outcome() for one in (*sent, last)]
        assert [type(outcome) for outcome in outcomes] == [TryLater, Rejected, Accepted, Accepted]
        assert peer.connections == 1


@pytest.mark.parametrize("code", ["AR", "ZZ"])
async def test_the_repetition_of_a_message_keeps_its_control_id_on_another_connection(reactor: Any, code: str) -> None:
    """An answer to the first attempt may still come; and a peer knows a repetition by its control id."""
    async with KIT.peer([Ack(code), Ack("AE")]) as peer, sender(KIT, reactor, peer.port, connections=1) as s:
        assert not isinstance(await s.send(message(1, "7")).outcome(), Accepted)
        assert isinstance(await s.send(message(1, "7")).outcome(), Rejected)
        assert [(seen.connection, seen.control_id) for seen in peer.seen] == [(1, "7"), (2, "7")]


async def test_a_repetition_keeps_its_control_id_where_another_message_has_used_it(reactor: Any) -> None:
    """It went out under its own before; where that is taken, it goes elsewhere."""
    async with KIT.peer([Reset(), Ack("AA"), Ack("AE")]) as peer, sender(KIT, reactor, peer.port, connections=1) as s:
        assert isinstance(await s.send(message(1, "7")).outcome(), Ambiguous)
        assert isinstance(await s.send(message(2, "7")).outcome(), Accepted)
        assert isinstance(await s.send(message(1, "7", attempts=1)).outcome(), Rejected)
        assert isinstance(await s.send(message(2, "7", original_id=2)).outcome(), Accepted)
        assert [(seen.connection, seen.control_id) for seen in peer.seen] == [(1, "7"), (2, "7"), (3, "7"), (4, "7")]


async def test_what_went_out_under_an_id_of_ours_is_repeated_under_it(reactor: Any) -> None:
    async with KIT.peer([Ack("AA"), Reset(), Ack("AR")]) as peer, sender(KIT, reactor, peer.port, connections=1) as s:
        assert isinstance(await s.send(message(1, "7")).outcome(), Accepted)
        for attempts, kind in enumerate((Ambiguous, TryLater, Accepted)):
            outcome = await s.send(message(2, "7", attempts=attempts)).outcome()
            assert isinstance(outcome, kind)
            assert outcome.reason.endswith(f"sent under the control id {peer.seen[-1].control_id}")
        assert [seen.connection for seen in peer.seen] == [1, 1, 2, 3]
        assert peer.seen[0].control_id == "7"
        assert len({seen.control_id for seen in peer.seen[1:]}) == 1


@pytest.mark.parametrize(
    ("head", "codec"),
    [
        (HEAD, "utf-16"),
        (f"{HEAD}||||||8859/1", "latin-1"),
        ("MSH#!@%$#S#F#R#RF#20260301##ADT!A01#{}#P#2.5.1", "utf-8"),
        ("MSH|^~\\&|S|F|R|RF|20260301||ADT^A01", "utf-8"),
    ],
)
async def test_our_control_id_fits_whatever_message_it_stands_in(reactor: Any, head: str, codec: str) -> None:
    class Wide(Mllp):
        @staticmethod
        async def read(reader: asyncio.StreamReader, connection: int) -> Seen:
            body = (await reader.readuntil(b"\x1c\r"))[1:-2]
            header = Header.read(body)
            assert header is not None
            return Seen(connection, body, header.text(10))

    async with KIT.peer() as peer, sender(KIT, reactor, peer.port) as s:
        peer._wire = Wide
        assert isinstance(await s.send(message(1, "", head, codec)).outcome(), Accepted)
        assert re.fullmatch("[A-Z0-9]{20}", peer.seen[0].control_id)


async def test_what_is_no_hl7_goes_out_once_on_a_connection(reactor: Any) -> None:
    """Its answers can be told apart by nothing else."""
    async with KIT.peer([Raw(answer("")), Raw(answer("", "AE"))]) as peer, sender(KIT, reactor, peer.port, connections=1) as s:
        for number, kind in ((1, Accepted), (2, Rejected)):
            body = b'{"event": %d}' % number
            assert isinstance(await s.send(Delivery(number, "c", "d", "lane", body, f"key-{number}")).outcome(), kind)
            assert peer.seen[-1].body == body
        assert peer.connections == 2


async def test_an_answer_to_what_is_answered_is_late_and_to_what_was_never_sent_foreign(reactor: Any) -> None:
    script = [Ack("AA"), Raw(answer(M1) + answer("M9") + answer(M11))]
    async with KIT.peer(script) as peer, sender(KIT, reactor, peer.port, connections=1) as s:
        assert isinstance(await s.send(1).outcome(), Accepted)
        assert isinstance(await s.send(2).outcome(), Accepted)
        assert s.destination.complaints.codes == {"LATE_ACK": 1, "FOREIGN_ACK": 1}


async def test_a_peer_that_ends_connections_after_its_answer_is_found_out(reactor: Any) -> None:
    """From the second time on each message has a connection of its own."""
    script = [Ack(), Close(), Ack(), Close()]
    async with KIT.peer(script) as peer, sender(KIT, reactor, peer.port, connections=1) as s:
        outcomes = [await s.send(number).outcome() for number in range(1, 9)]
        assert [type(outcome) for outcome in outcomes] == [Accepted, Ambiguous, Accepted, Ambiguous, *[Accepted] * 4]
        assert [seen.connection for seen in peer.seen] == [1, 1, 2, 2, 3, 4, 5, 6]
        assert [code for code, _ in s.notes] == ["CLOSES_EARLY"]


async def test_a_peer_that_breaks_down_now_and_then_keeps_its_connections(reactor: Any) -> None:
    script = [Ack(), Reset(), Ack(), Ack(), Reset(), Ack(), Reset()]
    async with KIT.peer(script) as peer, sender(KIT, reactor, peer.port, connections=1) as s:
        for number in range(1, 11):
            await s.send(number).outcome()
        assert s.notes == []
        assert peer.connections == 4
