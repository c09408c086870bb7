"""A commit that the database has made and could not tell of: what is in it is neither written twice nor forgotten."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.exc import OperationalError

from suture.model.events import Event, event_id
from suture.model.message import Message
from suture.model.outcome import Accepted
from suture.model.value import changed
from suture.ports import Attempted, Delivery, Processed, Received, Settled, Work
from suture.store import schema, tables, views
from suture.store.engine import open_engine
from suture.store.journal import Journal
from tests.doubles import Silent


class Desk:
    """A journal, and what it called back."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.told, self._calls = engine, [], threading.Semaphore(0)
        self.journal = Journal(engine, self._soon, Silent(), self.told.append, self.told.append, retry_s=0.01)
        self._todo: list[Callable[[], None]] = []

    def _soon(self, call: Callable[[], None]) -> None:
        self._todo.append(call)
        self._calls.release()

    def write(self, make: Callable[..., Any], *arguments: Any) -> list[Any]:
        """One operation that calls back with one thing; wait for that."""
        results: list[Any] = []
        self.journal.write(make(*arguments, results))
        while not results:
            assert self._calls.acquire(timeout=10), "the journal never called back"
            self._todo.pop(0)()
        return results

    def rows(self, table: Any) -> list[Any]:
        with self.engine.connect() as c:
            return list(c.execute(select(table).order_by(*table.primary_key)))


@pytest.fixture
def desk(postgres_database: str) -> Iterator[Desk]:
    """On PostgreSQL: a commit that fails on SQLite was not made."""
    engine = open_engine(postgres_database, site=None)
    schema.upgrade(engine)
    one = Desk(engine)
    one.journal.start()
    yield one
    one.journal.stop()
    one.journal.join(10)
    engine.dispose()


def lose_the_next_answer(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next commit is made, and the connection breaks before its answer comes."""
    commit = engine.dialect.do_commit

    def lost(connection: Any) -> None:
        monkeypatch.undo()
        commit(connection)
        raise engine.dialect.loaded_dbapi.OperationalError("the connection is closed")

    monkeypatch.setattr(engine.dialect, "do_commit", lost)


def refuse_the_next_commit(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next commit is not made, and the connection breaks."""

    def refused(connection: Any) -> None:
        monkeypatch.undo()
        connection.rollback()
        raise engine.dialect.loaded_dbapi.OperationalError("the connection is closed")

    monkeypatch.setattr(engine.dialect, "do_commit", refused)


def received(message: Message, results: list[Any]) -> Received:
    return Received(message, 10**12, lambda state, m: results.append((state, m.id)), results.append)


def processed(message: Message, settled: Settled, results: list[Any]) -> Processed:
    return Processed(message, 2, 10**12, ["K1"], settled, lambda c, s: settled, (), (), 0, results.append, results.append)


def work(run: Callable[[Any], Any], results: list[Any]) -> Work:
    return Work("w", run, results.append, results.append)


def test_a_received_message_is_stored_once_and_goes_on_to_be_processed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.write(work, lambda c: None)
    lose_the_next_answer(desk.engine, monkeypatch)
    results = desk.write(received, Message("c", b"MSH|1", 1, "M1", "DFT^P03", "A|B"))
    assert results == [("received", 1)]
    assert [(r.id, r.state) for r in desk.rows(views.message)] == [(1, "received")]
    assert desk.told == ["the connection is closed", ""]


def test_what_a_message_came_to_is_written_once(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    message = Message("c", b"MSH|1", 1, "M1", "DFT^P03", "A|B")
    ((_, number),) = desk.write(received, message)
    message = changed(message, id=number)
    event = Event("charge.raised", 0, 1, "K1", {"item": "X"}, id=event_id("charge.raised", "K1"))
    delivery = Delivery(message.id, "c", "erp", "a", b"body", "key", events=(0,))
    lose_the_next_answer(desk.engine, monkeypatch)
    (settled,) = desk.write(processed, message, Settled("processed", "", [event], (), [delivery], (), [("K1", 0, 1)]))
    assert isinstance(settled, Settled)
    assert [r.state for r in desk.rows(views.message)] == ["processed"]
    assert [(r.id, r.state) for r in desk.rows(views.delivery)] == [(d.id, "queued") for d in settled.deliveries]


def test_an_attempt_is_recorded_once(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    message = Message("c", b"MSH|1", 1, "M1")
    desk.write(received, message)
    delivery = Delivery(message.id, "c", "erp", "a", b"body", "key")
    (settled,) = desk.write(processed, message, Settled("processed", "", (), (), [delivery], ()))
    (delivery,) = settled.deliveries
    lose_the_next_answer(desk.engine, monkeypatch)

    def attempted(results: list[Any]) -> Attempted:
        return Attempted(delivery, 1, 5, 6, Accepted("200"), "accepted", 0, "", lambda: results.append("told"), pytest.fail)

    assert desk.write(attempted) == ["told"]
    assert [(r.number, r.outcome) for r in desk.rows(tables.attempt)] == [(1, "accepted")]
    assert [r.state for r in desk.rows(views.delivery)] == ["accepted"]


def test_other_work_is_done_once_and_its_result_told(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.write(work, lambda c: None)
    lose_the_next_answer(desk.engine, monkeypatch)

    def insert(connection: Any) -> str:
        connection.execute(tables.audit.insert().values(at_us=1, actor="a", verb="v", target="t", reason="r"))
        return "done"

    assert desk.write(work, insert) == ["done"]
    assert len(desk.rows(tables.audit)) == 1


def test_what_was_not_committed_after_all_is_written_again(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.write(work, lambda c: None)
    refuse_the_next_commit(desk.engine, monkeypatch)
    ((state, number),) = desk.write(received, Message("c", b"MSH|1", 1, "M1", "DFT^P03", "A|B"))
    assert state == "received"
    assert [(r.id, r.state) for r in desk.rows(views.message)] == [(number, "received")]


def test_a_server_that_became_read_only_is_waited_for(desk: Desk) -> None:
    desk.write(work, lambda c: None)
    refusals = iter(["SET TRANSACTION READ ONLY"])

    def once_read_only(connection: Any) -> str:
        for statement in refusals:
            connection.exec_driver_sql(statement)
        connection.execute(tables.audit.insert().values(at_us=1, actor="a", verb="v", target="t", reason="r"))
        return "done"

    assert desk.write(work, once_read_only) == ["done"]
    assert len(desk.told) == 2


def test_a_group_that_has_to_be_cut_and_is_interrupted_is_written_once(desk: Desk) -> None:
    message = Message("c", b"MSH|1", 1, "M1", "DFT^P03", "A|B")
    desk.write(received, message)
    refusals = iter([True])

    def refuse_once(connection: Any) -> str:
        for _ in refusals:
            raise OperationalError("", None, Exception("full"))
        return "done"

    results: list[Any] = []
    held = threading.Event()
    desk.journal.write(Work("hold", lambda c: held.wait(10), lambda r: None, results.append))  # what follows is one group
    for n in (2, 3):
        desk.journal.write(received(Message("c", b"MSH|%d" % n, 1, f"M{n}", "DFT^P03", "A|B"), results))
    desk.journal.write(Work("bug", lambda c: 1 / 0, results.append, results.append))
    desk.journal.write(Work("refuse", refuse_once, results.append, results.append))
    held.set()
    desk.write(work, lambda c: "end")
    assert [state for state, _ in results[:2]] == ["received", "received"]
    assert isinstance(results[2], ZeroDivisionError)
    assert results[3] == "done"
    assert [r.control_id for r in desk.rows(views.message)] == ["M1", "M2", "M3"]


def test_a_lost_transaction_is_written_again_though_its_number_was_given_to_another(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a server's kill: it begins to count again before the number of what it never wrote."""
    desk.write(work, lambda c: None)

    def refused(connection: Any) -> None:
        monkeypatch.undo()
        connection.rollback()
        with desk.engine.connect() as other:
            for _ in range(3):  # somebody else's transactions are committed meanwhile
                with other.begin():
                    other.execute(tables.audit.insert().values(at_us=1, actor="a", verb="v", target="t", reason="r"))
        raise desk.engine.dialect.loaded_dbapi.OperationalError("the connection is closed")

    monkeypatch.setattr(desk.engine.dialect, "do_commit", refused)
    ((state, number),) = desk.write(received, Message("c", b"MSH|1", 1, "M1", "DFT^P03", "A|B"))
    assert state == "received"
    assert [r.id for r in desk.rows(views.message)] == [number]
