"""What the answers of real peers do to a delivery: in two steps, without an MSA, under an MSA-2 that is not the MSH-10, without a frame."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError
from twisted.internet.task import Clock

from suture.connectors import mllp_out
from suture.connectors.mllp_out import Destination
from suture.model.outcome import Accepted, Ambiguous, Held, Outcome, Rejected, TryLater
from suture.ports import Delivery
from suture.wire.mllp import COMMIT_ACK, frame
from tests.conformance.kits import KITS, Sender, sender
from tests.faults.peer import Ack, Bye, Close, Fault, FaultyPeer, Mllp, Raw, Seen, Silence, WrongId

KIT = KITS["mllp_out"]
M1, M11 = "M1", "M11"
ONE = {"connections": 1}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Destination, "SWEEP_S", 0.05)


def answer(control_id: str, code: str = "AA", more: str = "") -> bytes:
    return Mllp.answer(Seen(0, b"", control_id), code).replace(b"\x1c\r", f"{more}\x1c\r".encode())


def asking(number: int, accept: str, application: str) -> Delivery:
    """A message of its own, with these MSH-15 and MSH-16."""
    control_id = "M" + "1" * number
    body = f"MSH|^~\\&|S|F|R|RF|20260301||DFT^P03|{control_id}|P|2.5.1|||{accept}|{application}\rPID|1||{number}\r".encode()
    return Delivery(7, "c", "d", "lane", body, f"key-{number}", control_id, "application/hl7-v2", id=number)


async def passed(clock: Clock, seconds: float, true: Callable[[], Any]) -> None:
    """Let time pass until something is true, and at most so much of it."""
    for _ in range(int(seconds * 10)):
        if true():
            return
        clock.advance(0.1)
        await asyncio.sleep(0)
    assert true()


def timed(s: Sender) -> Clock:
    """The destination's time, moved by hand."""
    clock = Clock()
    s.destination.clock = clock
    return clock


# -- CA means stored ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "settings"), [(("AL", "AL"), {}), (("NE", "AL"), {}), (("AL", "SU"), {}), (("", ""), {"ack": "application"})]
)
@pytest.mark.parametrize(
    ("code", "kind"), [("AA", Accepted), ("AE", Rejected), ("AR", Rejected), ("CE", Rejected), ("CR", Rejected), ("ZZ", Ambiguous)]
)
async def test_after_a_ca_the_application_decides(
    reactor: Any, asked: tuple[str, str], settings: dict[str, Any], code: str, kind: type[Outcome]
) -> None:
    async with KIT.peer([Raw(answer(M1, "CA"))]) as peer, sender(KIT, reactor, peer.port, ack_timeout_s=10, **settings, **ONE) as s:
        one = s.send(asking(1, *asked))
        await peer.got(1)
        assert not one.outcomes
        await peer.say(answer(M1, code, "ERR||FT1^1^7|207^x|E||||account is closed\r"))
        outcome = await one.outcome()
        assert type(outcome) is kind
        assert b"MSA|CA" not in outcome.response
        assert outcome.words == ("" if code == "AA" else "account is closed")
        assert s.destination.counts()["quarantined"] == {}
        assert isinstance(await s.send(2).outcome(), Accepted)
        assert peer.connections == 1


async def test_both_answers_in_one_packet(reactor: Any) -> None:
    both = Raw(answer(M1, "CA") + answer(M1, "AE"))
    async with KIT.peer([both]) as peer, sender(KIT, reactor, peer.port) as s:
        assert isinstance(await s.send(asking(1, "AL", "AL")).outcome(), Rejected)


@pytest.mark.parametrize("code", ["AA", "AE"])
async def test_a_ca_moves_the_deadline(reactor: Any, code: str) -> None:
    async with KIT.peer([Raw(answer(M1, "CA"))]) as peer, sender(KIT, reactor, peer.port, ack_timeout_s=5, application_timeout_s=50) as s:
        clock = timed(s)
        one = s.send(asking(1, "AL", "AL"))
        await peer.got(1)
        waiting = next(iter(s.destination.pool.carrying)).waiting
        await passed(clock, 0.9, lambda: waiting[0].stored)
        for _ in range(400):
            clock.advance(0.1)
        assert not one.outcomes
        await peer.say(answer(M1, code))
        assert (await one.outcome()).code == code


async def test_a_ca_and_then_silence_is_an_outcome_of_its_own(reactor: Any) -> None:
    async with KIT.peer([Raw(answer(M1, "CA"))]) as peer, sender(KIT, reactor, peer.port, application_timeout_s=0.5, **ONE) as s:
        outcome = await s.send(asking(1, "AL", "AL")).outcome()
        assert isinstance(outcome, Ambiguous)
        assert outcome.code == "NO_APPLICATION_ACK"
        assert outcome.reason == "the peer has stored it, and its application did not answer in 0.5 s"
        assert b"MSA|CA|M1" in outcome.response
        assert isinstance(await s.send(2).outcome(), Accepted)


async def test_a_connection_that_ends_after_the_ca_says_what_is_known(reactor: Any) -> None:
    class Leaving(FaultyPeer):
        async def _do(self, fault: Fault, seen: Seen, writer: Any) -> None:
            writer.write(answer(seen.control_id, "CA"))
            await self._end(writer, b"", reset=False)

    async with Leaving("mllp") as peer, sender(KIT, reactor, peer.port) as s:
        outcome = await s.send(asking(1, "AL", "AL")).outcome()
        assert (type(outcome), outcome.code) == (Ambiguous, "NO_APPLICATION_ACK")
        assert "the connection closed before its application answered" in outcome.reason


async def test_silence_after_a_ca_is_success_where_errors_only_are_asked_for(reactor: Any) -> None:
    async with KIT.peer([Raw(answer(M1, "CA"))]) as peer, sender(KIT, reactor, peer.port, application_timeout_s=0.5, **ONE) as s:
        outcome = await s.send(asking(1, "AL", "ER")).outcome()
        assert outcome == Accepted(
            "CA", answer(M1, "CA")[1:-2], None, "stored, and no error came in 0.5 s; the message asks for errors only (MSH-16 ER)"
        )
        assert isinstance(await s.send(2).outcome(), Accepted)
        assert peer.connections == 1


@pytest.mark.parametrize("asks", ["ER", "SU", "AL"])
async def test_an_error_after_a_ca_is_an_error_whatever_was_asked_for(reactor: Any, asks: str) -> None:
    async with KIT.peer([Raw(answer(M1, "CA") + answer(M1, "AE"))]) as peer, sender(KIT, reactor, peer.port) as s:
        assert isinstance(await s.send(asking(1, "AL", asks)).outcome(), Rejected)


async def test_silence_is_no_success_after_an_answer_that_may_have_been_the_error(reactor: Any) -> None:
    said = Raw(answer("M11", "CA") + answer("M1", "AE"))
    async with KIT.peer([said]) as peer, sender(KIT, reactor, peer.port, application_timeout_s=0.3) as s:
        outcome = await s.send(asking(2, "AL", "ER")).outcome()
        assert (type(outcome), outcome.code) == (Ambiguous, "NO_APPLICATION_ACK")
        assert "cut to 2 of 3 characters" in outcome.reason
        assert b"MSA|AE|M1" in outcome.response


async def test_silence_where_success_only_is_answered_is_not_success(reactor: Any) -> None:
    async with KIT.peer([Raw(answer(M1, "CA"))]) as peer, sender(KIT, reactor, peer.port, application_timeout_s=0.3) as s:
        outcome = await s.send(asking(1, "AL", "SU")).outcome()
        assert (type(outcome), outcome.code) == (Ambiguous, "NO_APPLICATION_ACK")
        assert "MSH-16 SU" in outcome.reason


@pytest.mark.parametrize(
    ("asked", "settings", "told"),
    [
        (("AL", "NE"), {}, []),
        (("AL", ""), {}, []),
        (("AL", "AL"), {"ack": "commit"}, []),
        (("", ""), {}, ["COMMIT_UNASKED"]),
    ],
)
async def test_a_ca_accepts_where_no_answer_of_the_application_is_waited_for(
    reactor: Any, asked: tuple[str, str], settings: dict[str, Any], told: list[str]
) -> None:
    async with KIT.peer(usual=Ack("CA")) as peer, sender(KIT, reactor, peer.port, **settings, **ONE) as s:
        for number in (1, 2):
            assert (await s.send(asking(number, *asked)).outcome()).code == "CA"
        assert [code for code, _ in s.notes] == told
        assert peer.connections == 1


async def test_the_settings_meaning_of_a_code_holds_after_a_ca_too(reactor: Any) -> None:
    said = [Raw(answer(M1, "CA") + answer(M1, "AR")), Raw(answer(M11, "CA") + answer(M11, "AE"))]
    async with KIT.peer(said) as peer, sender(KIT, reactor, peer.port, meaning={"AR": "retry", "AE": "hold"}, **ONE) as s:
        assert isinstance(await s.send(asking(1, "AL", "AL")).outcome(), TryLater)
        assert isinstance(await s.send(asking(2, "AL", "AL")).outcome(), Held)


async def test_a_request_for_a_sequence_number_has_one_answer_of_whichever_kind(reactor: Any) -> None:
    """It is no delivery of the store; its number is 0."""
    probe = Delivery(7, "c", "d", "lane", asking(1, "AL", "AL").body, "key", M1, "application/hl7-v2")
    async with KIT.peer([Ack("CA")]) as peer, sender(KIT, reactor, peer.port, application_timeout_s=60) as s:
        assert (await s.send(probe).outcome()).code == "CA"


# -- what an application says after its delivery was accepted ----------------------------------------------------------


class Refusals:
    """What a destination told of refusals that came after an acceptance."""

    def __init__(self, s: Sender) -> None:
        self.told: list[tuple[int, int, Outcome]] = []
        s.destination.refused = lambda delivery, outcome: self.told.append((delivery.id, delivery.message_id, outcome))

    async def come(self, count: int) -> None:
        for _ in range(500):
            if len(self.told) >= count:
                return
            await asyncio.sleep(0.01)
        raise AssertionError(f"{count} refusals have not come")


@pytest.mark.parametrize(
    ("script", "settings"),
    [
        ([Raw(answer(M1, "CA")), Silence()], {}),
        ([Raw(answer(M1, "CA")), Silence()], {"ack": "commit"}),
        ([Raw(frame(COMMIT_ACK)), Silence()], {"ack": "commit", "release": 2}),
    ],
)
async def test_a_refusal_after_acceptance_names_its_delivery_and_no_other(
    reactor: Any, script: list[Fault], settings: dict[str, Any]
) -> None:
    async with KIT.peer(script) as peer, sender(KIT, reactor, peer.port, ack_timeout_s=5, **settings, **ONE) as s:
        refusals = Refusals(s)
        assert isinstance(await s.send(asking(1, "", "")).outcome(), Accepted)
        second = s.send(asking(2, "", ""))
        await peer.got(2)
        refusal = answer(M1, "AE", "ERR||PID^1^3|204^Unknown key identifier^HL70357|E||||no such account\r")
        await peer.say(refusal + refusal)
        await refusals.come(1)
        assert not second.outcomes
        ((number, message, outcome),) = refusals.told
        assert (number, message) == (1, 7)
        assert outcome == Rejected("AE", "the peer answered AE: Unknown key identifier (204) at PID-3", refusal[1:-2], "no such account")
        assert s.destination.counts()["quarantined"]["REFUSED_LATER"] == 1
        assert [text for code, text in s.notes if code == "REFUSED_LATER"] == [
            "delivery 1 was accepted by a commit acknowledgement, and is refused now (AE)"
        ]
        await peer.say(frame(COMMIT_ACK) if "release" in settings else answer(M11, "CA"))
        assert isinstance(await second.outcome(), Accepted)


async def test_each_refusal_is_said_and_what_the_application_accepts_is_counted(reactor: Any) -> None:
    async with KIT.peer(usual=Ack("CA")) as peer, sender(KIT, reactor, peer.port, **ONE) as s:
        refusals = Refusals(s)
        for number in (1, 2, 3):
            assert isinstance(await s.send(asking(number, "", "")).outcome(), Accepted)
        await peer.say(answer(M1, "AA") + answer("M111", "AE") + answer(M11, "AR"))
        await refusals.come(2)
        assert [(number, outcome.code) for number, _, outcome in refusals.told] == [(3, "AE"), (2, "AR")]
        assert s.destination.counts()["quarantined"] == {"AFTER_COMMIT": 1, "REFUSED_LATER": 2}
        assert [code for code, _ in s.notes].count("REFUSED_LATER") == 2


async def test_what_was_accepted_by_its_application_is_not_refused_by_a_second_answer(reactor: Any) -> None:
    async with KIT.peer([Ack("AA"), Silence()]) as peer, sender(KIT, reactor, peer.port, ack_timeout_s=5, **ONE) as s:
        refusals = Refusals(s)
        assert isinstance(await s.send(1).outcome(), Accepted)
        second = s.send(2)
        await peer.got(2)
        await peer.say(answer(M1, "AE") + answer(M11))
        assert isinstance(await second.outcome(), Accepted)
        assert refusals.told == []
        ((code, text),) = s.notes
        assert code == "LATE_ACK"
        assert "delivery 1," in text


# -- and where the connection would have ended, or was another one ------------------------------------------------------

EACH = {"messages_per_connection": 1, "application_timeout_s": 60, "ack_timeout_s": 5}
EACH_CLOSED = {"messages_per_connection": 1, "listening": 0, "connections": 1}


class Twofold(FaultyPeer):
    """Answers CA, and then this code; the second answer is held back until `let_go`. One message of a connection is enough."""

    def __init__(self, code: str, closes: bool = False, lone_end: bool = False) -> None:
        super().__init__("mllp")
        self.code, self.closes, self.lone_end = code, closes, lone_end

    async def _do(self, fault: Fault, seen: Seen, writer: Any) -> None:
        writer.write(answer(seen.control_id, "CA"))
        await self._go.wait()
        said = answer(seen.control_id, self.code)
        writer.write(said[:-1] if self.lone_end else said)
        if self.closes:
            await self._end(writer, b"", reset=False)


@pytest.mark.parametrize("code", ["AE", "AR", "CE", "CR"])
@pytest.mark.parametrize(("closes", "lone_end"), [(False, False), (True, False), (True, True)])
async def test_a_refusal_is_heard_where_each_message_has_its_connection(reactor: Any, code: str, closes: bool, lone_end: bool) -> None:
    async with Twofold(code, closes, lone_end) as peer, sender(KIT, reactor, peer.port, **EACH, **ONE) as s:
        refusals = Refusals(s)
        for number in (1, 2, 3):
            assert isinstance(await s.send(asking(number, "", "")).outcome(), Accepted)
        assert [seen.connection for seen in peer.seen] == [1, 2, 3]
        peer.let_go()
        await refusals.come(3)
        assert sorted((number, outcome.code) for number, _, outcome in refusals.told) == [(1, code), (2, code), (3, code)]
        await peer.until(lambda: not peer.open)


async def test_a_refusal_is_heard_from_a_peer_that_was_found_to_close_early(reactor: Any) -> None:
    async with Twofold("AE") as peer, sender(KIT, reactor, peer.port, ack_timeout_s=5, **ONE) as s:
        refusals = Refusals(s)
        s.destination.habit.messages_per_connection = 1
        assert isinstance(await s.send(asking(1, "", "")).outcome(), Accepted)
        peer.let_go()
        await refusals.come(1)


async def test_an_application_that_accepts_ends_the_listening(reactor: Any) -> None:
    async with Twofold("AA") as peer, sender(KIT, reactor, peer.port, **EACH, **ONE) as s:
        refusals = Refusals(s)
        for number in (1, 2):
            assert isinstance(await s.send(asking(number, "", "")).outcome(), Accepted)
        assert peer.open == 2
        peer.let_go()
        await peer.until(lambda: not peer.open)
        assert s.destination.counts()["quarantined"] == {"AFTER_COMMIT": 2}
        assert refusals.told == []


@pytest.mark.parametrize("ends", ["quota", "idle", "closed"])
async def test_listening_ends_after_the_application_timeout_and_not_before(reactor: Any, ends: str) -> None:
    settings = {"messages_per_connection": 1 if ends == "quota" else 0, "idle_s": 1 if ends == "idle" else 300}
    async with KIT.peer(usual=Ack("CA")) as peer, sender(KIT, reactor, peer.port, application_timeout_s=20, **settings, **ONE) as s:
        clock = timed(s)
        one = s.send(asking(1, "", ""))
        await passed(clock, 1, lambda: one.outcomes)
        if ends == "closed":
            await s.close()
        for _ in range(100):
            clock.advance(0.1)
            await asyncio.sleep(0)
        assert peer.open == 1
        await passed(clock, 20, lambda: not s.destination.pool.all)
        await peer.until(lambda: not peer.open)
        if ends == "closed":
            await passed(clock, 1, lambda: not clock.getDelayedCalls())


@pytest.mark.parametrize("asked", [("AL", "NE"), ("", "")])
async def test_nothing_is_listened_to_where_the_ca_is_the_last_word(reactor: Any, asked: tuple[str, str]) -> None:
    settings: dict[str, Any] = {"messages_per_connection": 1} if asked[0] else {"messages_per_connection": 1, "ack": "commit"}
    async with KIT.peer(usual=Ack("CA")) as peer, sender(KIT, reactor, peer.port, ack_timeout_s=5, **settings, **ONE) as s:
        assert isinstance(await s.send(asking(1, *asked)).outcome(), Accepted)
        await peer.until(lambda: not peer.open)


async def test_so_many_connections_are_listened_to_and_the_oldest_ends_first(reactor: Any) -> None:
    async with Twofold("AE") as peer, sender(KIT, reactor, peer.port, listening=3, **EACH, **ONE) as s:
        refusals = Refusals(s)
        sent = [s.send(asking(number, "", "")) for number in range(1, 8)]
        for one in sent:
            assert isinstance(await one.outcome(), Accepted)
        peer.let_go()
        await refusals.come(3)
        await peer.until(lambda: not peer.open)
        assert [number for number, _, _ in refusals.told] == [5, 6, 7]
        assert [code for code, _ in s.notes].count("CLOSED_UNHEARD") == 1


async def test_a_closed_destination_hears_a_refusal_while_it_can(reactor: Any) -> None:
    async with Twofold("AE") as peer, sender(KIT, reactor, peer.port, ack_timeout_s=5, **ONE) as s:
        refusals = Refusals(s)
        assert isinstance(await s.send(asking(1, "", "")).outcome(), Accepted)
        await s.close()
        peer.let_go()
        await refusals.come(1)
        await peer.until(lambda: not peer.open)


async def test_a_refusal_is_heard_on_a_connection_where_another_message_was_given_up(reactor: Any) -> None:
    script = [Raw(answer(M1, "CA")), Silence()]
    async with KIT.peer(script) as peer, sender(KIT, reactor, peer.port, ack_timeout_s=0.3, **ONE) as s:
        refusals = Refusals(s)
        assert isinstance(await s.send(asking(1, "", "")).outcome(), Accepted)
        assert (await s.send(asking(2, "", "")).outcome()).code == "ACK_TIMEOUT"
        assert peer.open == 1
        await peer.say(answer(M1, "AE"))
        await refusals.come(1)
        await peer.until(lambda: not peer.open)
        assert [number for number, _, _ in refusals.told] == [1]


@pytest.mark.parametrize("settings", [{}, {"ack": "commit"}])
@pytest.mark.parametrize("gone", [False, True])
async def test_a_refusal_over_another_connection_is_that_of_the_delivery_it_names(
    reactor: Any, settings: dict[str, Any], gone: bool
) -> None:
    more = {**settings, "connections": 1 if gone else 2}
    first: Fault = Raw(answer(M1, "CA"))
    async with KIT.peer([first, Silence(), Silence()]) as peer, sender(KIT, reactor, peer.port, ack_timeout_s=5, **more) as s:
        refusals = Refusals(s)
        assert isinstance(await s.send(asking(1, "", "")).outcome(), Accepted)
        if gone:
            await peer.drop()
            second = s.send(asking(2, "", ""))
            await peer.got(2)
            await peer.say(answer(M1, "AE"))
        else:
            s.send(asking(2, "", ""))
            second = s.send(asking(3, "", ""))
            await peer.got(3)
            assert peer.seen[-1].connection == 2
            (writer,) = [writer for writer in peer._writers if writer.get_extra_info("peername") == _name(s, second)]
            writer.write(answer(M1, "AE"))
        await refusals.come(1)
        assert [(number, outcome.code) for number, _, outcome in refusals.told] == [(1, "AE")]
        assert not second.outcomes
        await peer.say(answer("M11") + answer("M111"))
        assert isinstance(await second.outcome(), Accepted)


def _name(s: Sender, one: Any) -> Any:
    """The address of our side of the connection on which this is in flight."""
    (peer,) = [p for p in s.destination.pool.carrying if any(f.delivery.id == one.delivery.id for f in p.waiting)]
    return peer.transport.getHost().host, peer.transport.getHost().port


async def test_a_refusal_that_names_two_deliveries_is_that_of_neither(reactor: Any) -> None:
    async with KIT.peer(usual=Ack("CA")) as peer, sender(KIT, reactor, peer.port, ack_timeout_s=5, **EACH_CLOSED) as s:
        refusals = Refusals(s)
        for number in (1, 2):
            assert isinstance(await s.send(KIT.delivery(number, "SAME")).outcome(), Accepted)
        peer.usual = Silence()
        third = s.send(asking(3, "", ""))
        await peer.got(3)
        await peer.say(answer("SAME", "AE") + answer("M111"))
        assert isinstance(await third.outcome(), Accepted)
        assert refusals.told == []


# -- answers without an MSA, and codes in any writing ------------------------------------------------------------------

NO_MSA = frame(b"MSH|^~\\&|P|P|S|S|20260301||ACK|1|P|2.5.1\r")
EMPTY = frame(b"")


@pytest.mark.parametrize("said", ["aa", "AA ", " aA", "Ca"])
async def test_codes_are_read_without_blanks_and_in_any_case(reactor: Any, said: str) -> None:
    async with KIT.peer([Raw(answer(M1, said))]) as peer, sender(KIT, reactor, peer.port) as s:
        outcome = await s.send(1).outcome()
        assert isinstance(outcome, Accepted)
        assert outcome.code == said.strip().upper()


@pytest.mark.parametrize("written", ["ae", " AE ", "Ae"])
async def test_codes_in_the_settings_are_read_so_too(reactor: Any, written: str) -> None:
    async with KIT.peer([Raw(answer(M1, "Ae"))]) as peer, sender(KIT, reactor, peer.port, meaning={written: "hold"}) as s:
        assert isinstance(await s.send(1).outcome(), Held)


async def test_a_code_that_hl7_does_not_have_can_be_given_a_meaning(reactor: Any) -> None:
    async with KIT.peer([Raw(answer(M1, "OK"))]) as peer, sender(KIT, reactor, peer.port, meaning={"other": "accept"}) as s:
        assert (await s.send(1).outcome()).code == "OK"


@pytest.mark.parametrize(
    ("data", "key", "code", "says"),
    [
        (NO_MSA, "no_msa", "NO_MSA", "without an MSA segment"),
        (frame(b"thank you"), "no_msa", "NO_MSA", "without an MSA segment"),
        (EMPTY, "empty", "EMPTY_ANSWER", "with an empty frame"),
        (frame(b" \r\n"), "empty", "EMPTY_ANSWER", "with an empty frame"),
    ],
)
@pytest.mark.parametrize(
    ("word", "kind"), [("accept", Accepted), ("reject", Rejected), ("retry", TryLater), ("hold", Held), ("", Ambiguous)]
)
async def test_an_answer_without_an_msa_means_what_the_settings_say(
    reactor: Any, data: bytes, key: str, code: str, says: str, word: str, kind: type[Outcome]
) -> None:
    meaning = {key: word} if word else {}
    async with KIT.peer([Raw(data), Ack("AE")]) as peer, sender(KIT, reactor, peer.port, meaning=meaning, **ONE) as s:
        outcome = await s.send(1).outcome()
        assert type(outcome) is kind
        assert outcome.code == (code if word else "ACK_UNREADABLE")
        if kind is not Accepted:
            assert says in outcome.reason
        if not word:
            assert f"`meaning` ({key})" in outcome.reason
        assert isinstance(await s.send(2).outcome(), Rejected)
        assert peer.connections == (1 if word else 2)


async def test_one_meaning_does_not_stand_for_the_other(reactor: Any) -> None:
    async with KIT.peer([Raw(EMPTY), Raw(NO_MSA)]) as peer, sender(KIT, reactor, peer.port, meaning={"no_msa": "accept"}, **ONE) as s:
        assert isinstance(await s.send(1).outcome(), Ambiguous)
        assert isinstance(await s.send(2).outcome(), Accepted)


async def test_an_answer_too_many_that_names_nothing_never_completes_the_next_message(reactor: Any) -> None:
    script = [Raw(EMPTY * 2), Raw(EMPTY)]
    async with KIT.peer(script) as peer, sender(KIT, reactor, peer.port, meaning={"empty": "accept"}, **ONE) as s:
        assert isinstance(await s.send(1).outcome(), Accepted)
        assert isinstance(await s.send(2).outcome(), Accepted)
        assert [seen.connection for seen in peer.seen] == [1, 2]
        assert s.destination.counts()["quarantined"] == {"LATE_ACK": 1}


# -- an MSA-2 that is not the MSH-10 -----------------------------------------------------------------------------------

LONG = "Abc0012345678901234567890"

MISTAKES = [
    (lambda right: f" {right} ", "the control id with blanks around it"),
    (lambda right: right[:20], "the control id cut to 20 of 25 characters"),
    (str.lower, "the control id in another case"),
    (lambda right: right[:20].upper(), "the control id cut to 20 of 25 characters and in another case"),
    (lambda right: f"{right}01", "the control id with 2 more characters behind it"),
    (lambda right: "", "empty"),
    (lambda right: "ZZ9", "of no message that was sent here"),
]


@pytest.mark.parametrize(("other", "what"), MISTAKES)
async def test_a_mismatch_is_named_in_the_outcome_and_in_the_log(reactor: Any, other: Callable[[str], str], what: str) -> None:
    async with KIT.peer([WrongId(other)]) as peer, sender(KIT, reactor, peer.port) as s:
        outcome = await s.send(KIT.delivery(5, LONG)).outcome()
        assert (type(outcome), outcome.code) == (Ambiguous, "ACK_MISMATCH")
        assert outcome.reason == f"an answer came whose MSA-2 is {what}; no acknowledgement in 0.4 s"
        assert b"MSA|AA|" in outcome.response
        assert s.notes == [("FOREIGN_ACK", f"an answer came whose MSA-2 is {what}; delivery 5 was in flight")]
        assert LONG not in repr(s.notes)


async def test_a_number_without_its_zeros_and_blanks_that_were_cut(reactor: Any) -> None:
    script = [WrongId(lambda right: right.lstrip("0")), WrongId(str.strip)]
    async with KIT.peer(script) as peer, sender(KIT, reactor, peer.port, **ONE) as s:
        assert "the control id with other leading zeros" in (await s.send(KIT.delivery(1, "000417")).outcome()).reason
        assert "the control id without its blanks" in (await s.send(KIT.delivery(2, "418 ")).outcome()).reason


async def test_the_right_answer_after_a_wrong_one_is_taken(reactor: Any) -> None:
    async with KIT.peer([Raw(answer("m1") + answer(M1, "AE"))]) as peer, sender(KIT, reactor, peer.port) as s:
        assert isinstance(await s.send(1).outcome(), Rejected)


async def test_the_answer_of_a_message_on_another_connection_is_named(reactor: Any) -> None:
    async with KIT.peer([Silence(), Raw(answer(M1))]) as peer, sender(KIT, reactor, peer.port, connections=2, ack_timeout_s=1) as s:
        first = s.send(1)
        await peer.got(1)
        outcome = await s.send(2).outcome()
        assert outcome.code == "ACK_MISMATCH"
        assert "the control id of delivery 1, which went over another connection" in outcome.reason
        assert (await first.outcome()).code == "ACK_TIMEOUT"


@pytest.mark.parametrize("ends", [False, True])
async def test_a_connection_that_ends_after_a_mismatch_names_it(reactor: Any, ends: bool) -> None:
    class Leaving(FaultyPeer):
        async def _do(self, fault: Fault, seen: Seen, writer: Any) -> None:
            writer.write(answer(seen.control_id.lower()))
            await self._end(writer, b"", reset=ends)

    async with Leaving("mllp") as peer, sender(KIT, reactor, peer.port) as s:
        outcome = await s.send(1).outcome()
        assert outcome.code in ("ACK_MISMATCH", "CONNECTION_LOST" if ends else "")  # a reset may take the answer with it


ORDER = {"match": "order", "connections": 1}


@pytest.mark.parametrize(("other", "what"), MISTAKES)
@pytest.mark.parametrize(("code", "kind"), [("AA", Accepted), ("AE", Rejected)])
async def test_by_order_the_answer_is_that_of_the_message_in_flight(
    reactor: Any, other: Callable[[str], str], what: str, code: str, kind: type[Outcome]
) -> None:
    script = [Raw(answer(other(LONG), code)), Ack("AE")]
    async with KIT.peer(script) as peer, sender(KIT, reactor, peer.port, **ORDER) as s:
        outcome = await s.send(KIT.delivery(5, LONG)).outcome()
        assert type(outcome) is kind
        assert outcome.reason.endswith(f"matched by its order, for its MSA-2 is {what}")
        assert isinstance(await s.send(6).outcome(), Rejected)
        assert (peer.connections, s.destination.counts()["quarantined"]) == (1, {})


async def test_by_order_a_right_msa_2_is_matched_as_ever(reactor: Any) -> None:
    async with KIT.peer() as peer, sender(KIT, reactor, peer.port, **ORDER) as s:
        assert (await s.send(1).outcome()).reason == ""


@pytest.mark.parametrize("again", ["AB1", "ab1", " AB1"])
async def test_by_order_a_second_answer_to_an_earlier_message_is_not_that_of_the_next(reactor: Any, again: str) -> None:
    script = [Raw(answer("AB1")), Raw(answer(again) + answer("XY2", "AE"))]
    async with KIT.peer(script) as peer, sender(KIT, reactor, peer.port, **ORDER) as s:
        assert isinstance(await s.send(KIT.delivery(1, "AB1")).outcome(), Accepted)
        assert isinstance(await s.send(KIT.delivery(2, "XY2")).outcome(), Rejected)
        assert s.destination.counts()["quarantined"] == {"LATE_ACK": 1}


async def test_by_order_an_answer_too_many_never_completes_the_next_message(reactor: Any) -> None:
    async with KIT.peer([Raw(answer("ACK") * 2), Raw(answer("ACK", "AE"))]) as peer, sender(KIT, reactor, peer.port, **ORDER) as s:
        assert isinstance(await s.send(KIT.delivery(1, "AB1")).outcome(), Accepted)
        assert isinstance(await s.send(KIT.delivery(2, "XY2")).outcome(), Rejected)
        assert [seen.connection for seen in peer.seen] == [1, 2]


@pytest.mark.parametrize("refusing", ["ab1", "ACK", ""])
async def test_by_order_a_refusal_after_acceptance_is_that_of_the_accepted(reactor: Any, refusing: str) -> None:
    async with KIT.peer([Raw(answer("ab1", "CA"))]) as peer, sender(KIT, reactor, peer.port, **ORDER) as s:
        refusals = Refusals(s)
        assert (await s.send(KIT.delivery(1, "AB1")).outcome()).code == "CA"
        await peer.say(answer(refusing, "AE"))
        await refusals.come(1)
        assert refusals.told[0][0] == 1


async def test_by_order_two_answers_are_two_steps(reactor: Any) -> None:
    script = [Raw(answer("ACK", "CA") + answer("ACK", "AE")), Raw(answer("ACK", "CA") + answer("ACK", "AA"))]
    async with KIT.peer(script) as peer, sender(KIT, reactor, peer.port, **ORDER, ack="application") as s:
        assert isinstance(await s.send(KIT.delivery(1, "AB1")).outcome(), Rejected)
        assert isinstance(await s.send(KIT.delivery(2, "XY2")).outcome(), Accepted)


# -- answers without a frame -------------------------------------------------------------------------------------------

BARE = answer(M1)[1:-2]


@pytest.mark.parametrize(
    ("data", "code", "says"),
    [
        (BARE, "ACK_UNFRAMED", "an acknowledgement came without an MLLP frame around it"),
        (b"\r\n" + BARE, "ACK_UNFRAMED", "an acknowledgement came without an MLLP frame around it"),
        (b"OK\r\n", "ACK_UNFRAMED", "something came without an MLLP frame around it"),
        (b'{"status": "accepted"}', "ACK_UNFRAMED", "something came without an MLLP frame around it"),
        (answer(M1)[:-2], "ACK_TIMEOUT", "an answer began and did not end as an MLLP frame does"),
    ],
)
async def test_an_answer_without_a_whole_frame_is_named(reactor: Any, data: bytes, code: str, says: str) -> None:
    async with KIT.peer([Raw(data)]) as peer, sender(KIT, reactor, peer.port, **ONE) as s:
        outcome = await s.send(1).outcome()
        assert (type(outcome), outcome.code) == (Ambiguous, code)
        assert outcome.reason == f"{says}; no acknowledgement in 0.4 s"
        assert outcome.response == data
        assert isinstance(await s.send(2).outcome(), Accepted)


async def test_an_answer_without_a_frame_and_then_the_end_of_the_connection(reactor: Any) -> None:
    class Bare(FaultyPeer):
        async def _do(self, fault: Fault, seen: Seen, writer: Any) -> None:
            await self._end(writer, BARE, reset=False)

    async with Bare("mllp") as peer, sender(KIT, reactor, peer.port) as s:
        outcome = await s.send(1).outcome()
        assert (type(outcome), outcome.code) == (Ambiguous, "ACK_UNFRAMED")
        assert outcome.reason.endswith("the connection closed before the acknowledgement came")


async def test_what_came_before_an_answer_is_not_held_against_the_next_message(reactor: Any) -> None:
    async with KIT.peer([Raw(b"hello\r\n" + answer(M1)), Silence()]) as peer, sender(KIT, reactor, peer.port, **ONE) as s:
        assert isinstance(await s.send(1).outcome(), Accepted)
        assert (await s.send(2).outcome()).code == "ACK_TIMEOUT"


# -- peers that take one message a connection --------------------------------------------------------------------------


class Rerunning(FaultyPeer):
    """Runs its handler again, with each new message of a connection, for all earlier ones of it, and answers each time."""

    def __init__(self) -> None:
        super().__init__("mllp")
        self.earlier: dict[int, list[Seen]] = {}
        self.runs: list[str] = []

    async def _do(self, fault: Fault, seen: Seen, writer: Any) -> None:
        came = self.earlier.setdefault(seen.connection, [])
        came.append(seen)
        for one in came:
            self.runs.append(one.control_id)
            writer.write(answer(one.control_id))
        await writer.drain()


@pytest.mark.parametrize(("messages", "runs"), [(1, 4), (0, 10), (2, 6)])
async def test_a_peer_that_runs_its_handler_again_for_earlier_messages(reactor: Any, messages: int, runs: int) -> None:
    async with Rerunning() as peer, sender(KIT, reactor, peer.port, messages_per_connection=messages, **ONE) as s:
        for number in range(1, 5):
            assert isinstance(await s.send(number).outcome(), Accepted)
        assert len(peer.runs) == runs
        assert s.destination.counts()["quarantined"] == ({"LATE_ACK": runs - 4} if runs > 4 else {})


@pytest.mark.parametrize("settings", [{}, {"match": "order"}, {"ack": "application"}])
async def test_a_peer_that_closes_60_ms_after_each_answer(reactor: Any, settings: dict[str, Any]) -> None:
    async with KIT.peer(usual=Bye(0.06)) as peer, sender(KIT, reactor, peer.port, messages_per_connection=1, **settings, **ONE) as s:
        outcomes = await s.outcomes(*range(1, 7))
        assert all(isinstance(outcome, Accepted) for outcome in outcomes)
        assert sorted(seen.connection for seen in peer.seen) == list(range(1, 7))


async def test_a_message_of_two_answers_keeps_its_connection_until_the_second(reactor: Any) -> None:
    async with KIT.peer(usual=Ack("CA")) as peer, sender(KIT, reactor, peer.port, messages_per_connection=1, **ONE) as s:
        first = s.send(asking(1, "AL", "AL"))
        await peer.got(1)
        second = s.send(asking(2, "AL", "AL"))
        await peer.say(answer(M1))
        assert isinstance(await first.outcome(), Accepted)
        await peer.got(2)
        await peer.say(answer(M11, "AE"))
        assert isinstance(await second.outcome(), Rejected)
        assert [seen.connection for seen in peer.seen] == [1, 2]


async def test_a_peer_that_closes_in_the_middle_of_an_answer_is_named(reactor: Any) -> None:
    async with KIT.peer([Close(20)]) as peer, sender(KIT, reactor, peer.port) as s:
        outcome = await s.send(1).outcome()
        assert outcome.code == "CONNECTION_LOST"
        assert outcome.reason.startswith("an answer began and did not end")


# -- settings ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"meaning": {"XX": "accept"}}, "'XX' is no code of an acknowledgement; write one of AA, AE, AR, CA, CE, CR, or no_msa, empty or"),
        ({"meaning": {"aa": "accept", " AA": "reject"}}, "AA is written twice"),
        ({"match": "order", "pipeline": 2}, "match: order needs pipeline: 1"),
        ({"meaning": {"No_MSA": "accept"}, "pipeline": 2}, "meaning of no_msa and empty needs pipeline: 1"),
        ({"meaning": {"empty": "accept"}, "pipeline": 2}, "meaning of no_msa and empty needs pipeline: 1"),
        ({"ack": "commit", "application_timeout_s": 5}, "application_timeout_s has no effect"),
        ({"ack": "commit", "release": 2, "match": "order"}, "match: order has no effect"),
        ({"ack": "commit", "release": 2, "sequence": True}, "another ack than commit"),
        ({"ack": "hl7"}, "as_asked"),
    ],
)
def test_settings_that_cannot_hold_are_refused_in_words(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        mllp_out.Config(host="h", port=1, **settings)
