"""Looking from the reactor: what an awaited look finds is what the command finds, and is in the audit before anybody has it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Engine
from twisted.internet import defer

from suture.control import Control
from suture.looking import Looking
from suture.model.errors import NotFound
from suture.ports import Work
from suture.store import dialect, look, orders
from suture.store.backlog import Reader
from suture.store.journal import Journal
from suture.store.queries import AuditFilter, DeliveryFilter, ExceptionFilter, MessageFilter, ReleaseFilter
from tests.doubles import Silent
from tests.faults.driving import reactor
from tests.filling import NOW_US, Store

__all__ = ["reactor"]


class Stand:
    """A store with something of everything, a command line on it, and who looks from the reactor."""

    def __init__(self, engine: Engine, reactor: Any) -> None:
        self.engine, self.loop, store = engine, reactor._asyncioEventloop, Store(engine)
        store.channel()
        first = store.message(search={"patient": "MRN-SECRET"})
        store.event(first)
        sent = store.delivery(first, state="dead", reason="no; it says: not ours")
        store.attempt(sent)
        store.exception(first, delivery_id=sent, stage="deliver", code="AE")
        store.message("duplicate", duplicate_of=first)
        self.bugs: list[Exception] = []
        self.reader = Reader(engine, reactor.callFromThread, reactor.callLater, bug=self.bugs.append)
        self.journal = Journal(engine, reactor.callFromThread, Silent(), self.bugs.append, self.bugs.append)
        self.journal.start()
        self.looking = Looking(self.reader, self._write, "api:clerk", lambda: NOW_US / 1e6)
        self.control = Control(engine, "cli:nurse", lambda: NOW_US / 1e6)

    def awaited(self, look: Coroutine[Any, Any, Any]) -> Any:
        """What a look comes to when the reactor runs."""
        found = defer.Deferred.fromCoroutine(look).asFuture(self.loop)
        return self.loop.run_until_complete(asyncio.wait_for(found, 60))

    def _write(self, name: str, run: Any) -> defer.Deferred[None]:
        done: defer.Deferred[None] = defer.Deferred()
        self.journal.write(Work(name, run, done.callback, done.errback))
        return done

    def audit(self) -> list[tuple[int, str, str, str, str]]:
        with dialect.reading(self.engine) as connection:
            return [
                (row.at_us, row.actor, row.verb, row.target, row.reason) for row in orders.audited(connection, AuditFilter(limit=100))[::-1]
            ]

    def stop(self) -> None:
        self.reader.stop()
        self.journal.stop()
        self.journal.join(30)


@pytest.fixture
def stand(engine_db: Engine, reactor: Any) -> Iterator[Stand]:
    one = Stand(engine_db, reactor)
    yield one
    one.stop()


LOOKS = [
    partial(look.message, message_id=1),
    partial(look.journey, message_id=1),
    partial(look.deliveries, wanted=DeliveryFilter()),
    partial(look.delivery, delivery_id=1),
    partial(look.exceptions, wanted=ExceptionFilter(channel="or-supply")),
    partial(look.exception, exception_id=1),
    partial(look.releasable, wanted=ReleaseFilter()),
    partial(look.balance, channel="or-supply"),
    partial(look.resend, message_ids=[1], delivery_ids=[], destinations=["erp"], insist=False),
    partial(look.release, delivery_ids=[1]),
    partial(look.reprocess, message_ids=[1, 2], insist=True),
    partial(orders.audited, wanted=AuditFilter(limit=10)),
]
INSIDE = [
    partial(look.messages, wanted=MessageFilter(find=(("patient", "MRN-SECRET"),))),
    partial(look.raw, message_id=1),
    partial(look.events, message_id=1),
    partial(look.payload, delivery_id=1),
]


def name(query: Any) -> str:
    return str(query.func.__name__)


@pytest.mark.parametrize("query", LOOKS, ids=name)
def test_an_awaited_look_finds_what_a_blocking_one_finds(stand: Stand, query: Any) -> None:
    found = stand.awaited(stand.looking.look(query))
    assert found == stand.control.look(query)
    assert stand.audit() == []


@pytest.mark.parametrize("query", INSIDE, ids=name)
def test_a_look_at_content_is_in_the_audit_whoever_looks(stand: Stand, query: Any) -> None:
    found = stand.awaited(stand.looking.look_inside(query))
    ((at_us, actor, *line),) = stand.audit()
    assert (at_us, actor) == (NOW_US, "api:clerk")
    assert found == stand.control.look_inside(query)
    assert stand.audit()[1:] == [(NOW_US, "cli:nurse", *line)]


@pytest.mark.parametrize("query", [partial(look.message, message_id=42), partial(look.balance, channel="or-suply")], ids=name)
def test_what_is_not_there_is_told_at_once_and_is_no_bug(stand: Stand, query: Any) -> None:
    with pytest.raises(NotFound) as awaited:
        stand.awaited(stand.looking.look(query))
    with pytest.raises(NotFound) as blocking:
        stand.control.look(query)
    assert str(awaited.value) == str(blocking.value)
    assert stand.bugs == []
