"""Every source, whatever its transport, keeps the same promises (docs/spec/connector.md). What it is able to do is in its kit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from suture.connectors.registry import DESTINATIONS, SOURCES
from suture.model.errors import SutureError
from suture.observe.facts import CountFact, Facts
from suture.observe.metrics import Metrics
from tests.conformance.compliance import KINDS
from tests.conformance.kits import KITS
from tests.conformance.stand import LIMIT_BYTES, MARKER, SOURCE_KITS, SourceKit, Stand, stand

BODIES = [b"MSH|1", b"MSH|2|" + MARKER + b"\r" + b"x" * 1000, b"MSH|\x1c\x0b\xff\x00|3", b"MSH|1"]


def sources(*needs: str) -> Any:
    """For each source that is able to do this; the registry says which there are."""
    kits = [SOURCE_KITS[name] for name in sorted(SOURCES) if name in SOURCE_KITS]  # of the others a test of its own speaks
    return pytest.mark.parametrize("kit", [kit for kit in kits if kit.can.issuperset(needs)], ids=lambda kit: kit.name)


async def turns(count: int = 50) -> None:
    """Let everybody who has something to do now do it."""
    for _ in range(count):
        await asyncio.sleep(0)


async def barrier(s: Stand) -> None:
    """What was said before this has been dealt with: another sender was heard, and answered where that is done."""
    one, before = await s.sender(), len(s.engine.received)
    one.say(s.kit.written(b"MSH|barrier"))
    await s.engine.until(lambda: len(s.engine.received) > before)
    await turns()


def test_every_connector_has_its_kit() -> None:
    assert set(SOURCE_KITS) == set(SOURCES) and set(KITS) == set(DESTINATIONS)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_what_connectors_count_is_a_metric(kind: str) -> None:
    counted = CountFact("adt", "erp", kind, "SOME_CODE", 7)
    assert 'code="SOME_CODE"' in Metrics(lambda: Facts(counts=(counted,))).page()().decode()


@sources()
async def test_each_message_is_handed_on_once_in_order_and_byte_for_byte(reactor: Any, kit: SourceKit) -> None:
    async with stand(reactor, kit) as s:
        one = await s.sender()
        for body in BODIES:
            one.say(kit.written(body))
        await s.engine.until(lambda: len(s.engine.received) >= len(BODIES))
        await barrier(s)
        assert s.engine.bodies == [*BODIES, b"MSH|barrier"]
        assert all(peer and MARKER.decode() not in peer for _, peer, _ in s.engine.received), "who said it, without content"


@sources("answers")
async def test_nothing_is_answered_before_the_engine_says_so_and_then_what_it_says(reactor: Any, kit: SourceKit) -> None:
    async with stand(reactor, kit) as s:
        s.engine.at_once = False
        one = await s.sender()
        one.say(kit.written(BODIES[0]) + kit.written(BODIES[1]) + kit.written(BODIES[2]))
        await s.engine.until(lambda: len(s.engine.received) == 3)
        heard = asyncio.ensure_future(one.answers(2))
        await barrier(s)
        assert not heard.done(), "an answer that nobody gave"
        (_, _, first), (_, _, second), (_, _, third), (_, _, last) = s.engine.received
        first(b"ACK one")
        second(None)
        third(b"ACK three")
        last(None)
        assert await heard == [b"ACK one", b"ACK three"], "each once, and none for what is not to be answered"


@sources("bytes")
async def test_a_message_at_the_limit_is_taken_and_one_over_it_is_refused_and_harms_no_other(reactor: Any, kit: SourceKit) -> None:
    fits, large = b"MSH|" + b"x" * (LIMIT_BYTES - 4), b"MSH|" + MARKER * LIMIT_BYTES
    async with stand(reactor, kit, **kit.having(bytes=LIMIT_BYTES)) as s:
        one = await s.sender()
        one.say(kit.written(fits) + kit.written(large) + kit.written(b"MSH|2"))
        await s.engine.until(lambda: b"MSH|2" in s.engine.bodies)
        assert s.engine.bodies == [fits, b"MSH|2"]
        assert [refused.size_bytes for refused in s.engine.refused] == [len(large)]


@sources("bytes", "answers")
async def test_whoever_sends_too_much_is_told(reactor: Any, kit: SourceKit) -> None:
    async with stand(reactor, kit, **kit.having(bytes=LIMIT_BYTES)) as s:
        one = await s.sender()
        one.say(kit.written(MARKER * LIMIT_BYTES))
        assert await one.answer() == b"AR"


@sources("senders")
async def test_senders_over_the_limit_are_turned_away_counted_and_told_once_until_there_is_room(reactor: Any, kit: SourceKit) -> None:
    async with stand(reactor, kit, **kit.having(senders=2)) as s:
        inside = [await s.sender(), await s.sender()]
        for _ in range(3):
            assert await (await s.sender()).is_closed()
        assert len(s.engine.notes) == 1, "a change of state is told once"
        assert sum(s.source.counts()["refused"].values()) == 3
        for number, one in enumerate(inside):
            one.say(kit.written(b"MSH|%d" % number))
        await s.engine.until(lambda: len(s.engine.received) == 2)


@sources("unanswered")
async def test_a_sender_with_too_much_in_work_is_read_no_further_until_some_of_it_is_answered(reactor: Any, kit: SourceKit) -> None:
    async with stand(reactor, kit, **kit.having(unanswered=2)) as s:
        s.engine.at_once = False
        one = await s.sender()
        for number in range(2):
            one.say(kit.written(b"MSH|%d" % number))
        await s.engine.until(lambda: len(s.engine.received) == 2)
        one.say(kit.written(b"MSH|2"))
        await barrier(s)
        assert s.engine.bodies == [b"MSH|0", b"MSH|1", b"MSH|barrier"]
        for _, _, answer in s.engine.received:
            answer(None)
        await s.engine.until(lambda: s.engine.bodies[3:] == [b"MSH|2"])
        s.engine.received[3][2](None)


@sources()
@pytest.mark.parametrize("before", [False, True])
async def test_a_full_engine_is_given_nothing_and_loses_nothing(reactor: Any, kit: SourceKit, before: bool) -> None:
    s = Stand(reactor, kit)
    s.source.set_full(before)  # also before it is open
    async with opened(s):
        one = await s.sender()
        s.source.set_full(True)
        s.source.set_full(True)
        one.say(kit.written(BODIES[0]) + kit.written(BODIES[1]))
        await turns(200)
        assert s.engine.received == []
        s.source.set_full(False)
        await s.engine.until(lambda: len(s.engine.received) == 2)
        assert s.engine.bodies == BODIES[:2]


@asynccontextmanager
async def opened(s: Stand) -> AsyncIterator[Stand]:
    """This source, open, and closed at the end."""
    s.source.open()
    try:
        yield s
    finally:
        for sender in s.senders:
            sender.writer.close()
        await s.close(0)


@sources()
async def test_what_goes_wrong_behind_it_harms_no_other_sender(reactor: Any, kit: SourceKit) -> None:
    async with stand(reactor, kit) as s:
        receive = s.engine.receive
        s.source.receive = lambda raw, *more: 1 / 0 if raw == b"bad" else receive(raw, *more)
        (await s.sender()).say(kit.written(b"bad"))
        (await s.sender()).say(kit.written(b"MSH|1"))
        await s.engine.until(lambda: s.engine.bodies == [b"MSH|1"])


@sources("answers")
async def test_a_stop_lets_what_was_taken_be_answered_and_takes_nothing_more(reactor: Any, kit: SourceKit) -> None:
    async with stand(reactor, kit) as s:
        s.engine.at_once = False
        one = await s.sender()
        one.say(kit.written(BODIES[0]))
        await s.engine.until(lambda: len(s.engine.received) == 1)
        closing = asyncio.ensure_future(s.close(10))
        await turns()
        one.say(kit.written(BODIES[1]))
        await turns()
        assert not closing.done(), "an answer is still to come"
        s.engine.received[0][2](b"ACK one")
        assert await one.answer() == b"ACK one"
        await closing
        assert await one.is_closed()
        assert s.engine.bodies == BODIES[:1]


@sources("answers")
async def test_a_stop_waits_for_answers_that_do_not_come_only_so_long(reactor: Any, kit: SourceKit) -> None:
    async with stand(reactor, kit) as s:
        s.engine.at_once = False
        one = await s.sender()
        one.say(kit.written(BODIES[0]))
        await s.engine.until(lambda: len(s.engine.received) == 1)
        closing = asyncio.ensure_future(s.close(10))
        await turns()
        s.pass_time(9)
        await turns()
        assert not closing.done()
        s.pass_time(2)
        await closing
        assert await one.is_closed()
        s.engine.received[0][2](b"ACK too late")  # nobody is there, and nobody is harmed


@sources()
async def test_it_may_be_closed_before_it_is_open_and_twice(reactor: Any, kit: SourceKit) -> None:
    s = Stand(reactor, kit)
    assert not s.source.listening
    await s.close()
    s.source.open()
    assert s.source.listening
    await s.close()
    await s.close()
    s.source.set_full(False)  # the engine says so to all that it has
    assert list(s.source.held()) == [] and s.clock.getDelayedCalls() == []


@sources()
async def test_another_may_begin_where_one_has_ended(reactor: Any, kit: SourceKit) -> None:
    async with stand(reactor, kit) as first:
        (await first.sender()).say(kit.written(b"MSH|1"))
        await first.engine.until(lambda: first.engine.bodies == [b"MSH|1"])
        there = kit.place(first.source)
    async with stand(reactor, kit, **there) as second:
        (await second.sender()).say(kit.written(b"MSH|2"))
        await second.engine.until(lambda: second.engine.bodies == [b"MSH|2"])
        assert first.engine.bodies == [b"MSH|1"]


@sources("listens")
async def test_a_port_in_use_is_told_in_words_and_may_be_had_later(reactor: Any, kit: SourceKit) -> None:
    async with stand(reactor, kit) as first:
        second = Stand(reactor, kit, **kit.place(first.source))
        host, port = second.source.config.listens_on
        with pytest.raises(SutureError, match=f"cannot listen on {host}:{port}: Address already in use"):
            second.source.open()
        assert not second.source.listening
        await second.close()
    async with opened(second):
        (await second.sender()).say(kit.written(b"MSH|1"))
        await second.engine.until(lambda: second.engine.bodies == [b"MSH|1"])


@sources("senders")
async def test_the_watchdog_can_end_its_connections(reactor: Any, kit: SourceKit) -> None:
    async with stand(reactor, kit) as s:
        one, other = await s.sender(), await s.sender()
        other.say(kit.written(b"MSH|1"))
        await s.engine.until(lambda: len(s.engine.received) == 1)
        mine = one.writer.get_extra_info("sockname")
        ((_, end),) = [(handle, end) for handle, end in s.source.held() if handle.getpeername() == mine]
        end()
        assert await one.is_closed()
        other.say(kit.written(b"MSH|2"))
        await s.engine.until(lambda: s.engine.bodies == [b"MSH|1", b"MSH|2"])
        assert len(list(s.source.held())) == 1
