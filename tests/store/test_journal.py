"""The journal: what was handed over is durable in order, groups are one transaction, and trouble loses nothing."""

from __future__ import annotations

import queue
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import OperationalError

from suture.model.events import Event, event_id
from suture.model.fault import Fault
from suture.model.message import Message
from suture.model.outcome import Accepted, Rejected, TryLater
from suture.ports import Attempted, Claim, Delivery, Processed, Received, Settled, Work
from suture.store import backlog, tables, views
from suture.store.journal import Journal
from tests import contents
from tests.doubles import Silent
from tests.store.desk import Kept

WINDOW_US = 1_000_000


@pytest.fixture(params=["by themselves", "beside other work"])
def journal(engine_db, request):
    """A journal whose callbacks are queued; `journal.settle()` waits for all writes and runs them here.

    What is written beside other work (a statement of SQLAlchemy's) takes another way to PostgreSQL.
    """
    calls, told = queue.SimpleQueue(), []
    writer = Journal(engine_db, calls.put, Silent(), told.append, told.append, retry_s=0.01)
    writer.told, writer.calls = told, calls
    writer.start()

    def settle():
        if request.param == "beside other work":
            writer.write(Work("settle", lambda c: c.execute(text("SELECT 1")).scalar(), lambda r: None, lambda e: None))
        while writer.pending():
            calls.get(timeout=10)()

    writer.settle = settle
    yield writer
    writer.stop()
    writer.join(10)
    assert not writer.is_alive()


def receive(journal, control_id, raw=None, at_us=1_000_000, sender="A|B", fault=None):
    results = []
    message = Message("c", raw or b"MSH " + control_id.encode(), at_us, control_id, "DFT^P03", sender, "peer", 0, fault)
    kept = Kept(message)

    def stored(state, m):
        kept.told(m)
        results.append(state)

    journal.write(Received(message, WINDOW_US, stored, results.append))
    return kept, results


def processed(journal, message, keys=(), settle=None, at_us=2_000_000, touches=(), revision=0, settled=None):
    results = []
    ready = None if settle else settled or Settled("processed", "", (), (), (), (), [(k, 0, 1) for k in keys])
    operation = Processed(
        message,
        at_us,
        WINDOW_US,
        keys,
        ready,
        settle or (lambda claims, stock: Settled("duplicate", repr(sorted(claims)), (), (), (), ())),
        touches,
        [("patient", "17")],
        revision,
        results.append,
        results.append,
    )
    journal.write(operation)
    return results


def rows(engine, table):
    with engine.connect() as c:
        return c.execute(select(table).order_by(*table.primary_key)).all()


def test_messages_get_growing_numbers_and_keep_their_bytes(journal, engine_db):
    given = [receive(journal, f"M{i}", bytes([0, 255, i])) for i in range(200)]
    journal.settle()
    assert [m.id for m, _ in given] == list(range(1, 201))
    with engine_db.connect() as c:
        assert list(contents.raws(c).values()) == [bytes([0, 255, i]) for i in range(200)]
    assert {r for _, results in given for r in results} == {"received"}


def test_a_message_parked_by_validation_is_one_exception_with_its_place(journal, engine_db):
    message, _ = receive(journal, "M1")
    journal.settle()
    fault = Fault("VALIDATION", "validate", "PID-3", "PID-3: a value is required; PV1: the segment is required")
    processed(journal, message, settled=Settled.parked(fault))
    journal.settle()
    (exception,) = rows(engine_db, tables.exception)
    assert (exception.stage, exception.code, exception.path) == ("validate", "VALIDATION", "PID-3")
    assert exception.reason == "PID-3: a value is required; PV1: the segment is required"


def test_the_same_bytes_with_the_same_control_id_are_a_duplicate(journal, engine_db):
    first, _ = receive(journal, "M1")
    journal.settle()
    _, again = receive(journal, "M1", at_us=1_500_000)
    _, other_bytes = receive(journal, "M1", b"MSH other")
    _, other_sender = receive(journal, "M1", sender="X|Y")
    _, much_later = receive(journal, "M1", at_us=9_000_000)
    journal.settle()
    assert (again, other_bytes, other_sender, much_later) == (["duplicate"], ["received"], ["received"], ["received"])
    assert [r.duplicate_of for r in rows(engine_db, views.message)] == [None, first.id, None, None, None]


def test_a_duplicate_in_the_same_group_is_seen(journal):
    results = [receive(journal, "M1")[1] for _ in range(3)]
    journal.settle()
    assert results == [["received"], ["duplicate"], ["duplicate"]]


def test_a_message_with_a_fault_is_parked_with_an_exception(journal, engine_db):
    _, results = receive(journal, "", b"junk", fault=Fault("NOT_HL7", "parse", "MSH", "not HL7"))
    journal.settle()
    assert results == ["parked"]
    assert [(r.stage, r.code) for r in rows(engine_db, tables.exception)] == [("parse", "NOT_HL7")]


def test_messages_of_which_only_the_header_is_kept_are_the_same_when_the_same_is_said_of_them(journal):
    faults = [Fault("FRAME_TOO_LARGE", "parse", "MSH", f"a message of {size} bytes, over the limit") for size in (1, 2, 1)]
    results = [receive(journal, "M1", fault=fault)[1] for fault in faults]
    journal.settle()
    assert results == [["parked"], ["parked"], ["duplicate"]]


def test_what_a_message_comes_to_is_one_transaction(journal, engine_db):
    message, _ = receive(journal, "M1")
    journal.settle()
    event = Event("charge.raised", 0, 1, "K1", {"amount": Decimal("4200.00")}, id=event_id("charge.raised", "K1"))
    delivery = Delivery(message.id, "c", "erp", "acc", b"body", "key", events=(0,))
    done = processed(journal, message, ["K1"], settled=Settled("processed", "", [event], (), [delivery], (), [("K1", 0, 1)]))
    journal.settle()
    assert done[0].state == "processed"
    assert [d.id for d in done[0].deliveries] == [1]
    assert rows(engine_db, views.message)[0].state == "processed"
    with engine_db.connect() as c:
        ((_, _, stored),) = contents.events(c)
        assert stored.body == b'{"amount":"4200.00"}'
        assert [d.body for d in backlog._waiting_part(c, ("c", "erp", 0), (), 10)[0]] == [b"body"]


def test_a_business_key_is_taken_once(journal, engine_db):
    (first, _), (second, _), (third, _) = (receive(journal, f"M{i}") for i in range(3))
    journal.settle()
    results = [processed(journal, m, ["K1"]) for m in (first, second)]
    journal.settle()
    results.append(processed(journal, third, ["K0", "K1"]))
    journal.settle()
    assert [r[0].state for r in results] == ["processed", "duplicate", "duplicate"]
    assert [r.message_id for r in rows(engine_db, tables.claim)] == [first.id]


def test_a_key_is_free_again_after_the_window(journal, engine_db):
    (first, _), (second, _) = (receive(journal, f"M{i}") for i in range(2))
    journal.settle()
    processed(journal, first, ["K1"], at_us=1)
    journal.settle()
    seen = []

    def settle(claims, stock):
        seen.append(claims["K1"])
        return Settled("processed", "", (), (), (), (), [("K1", claims["K1"].generation + 1, 2)])

    results = processed(journal, second, ["K1"], settle, at_us=5_000_000)
    journal.settle()
    assert results[0].state == "processed"
    assert seen[0].expired
    assert [(r.message_id, r.generation, r.digest) for r in rows(engine_db, tables.claim)] == [(second.id, 1, 2)]


def test_a_message_does_not_stand_in_its_own_way_when_it_is_processed_again(journal, engine_db):
    message, _ = receive(journal, "M1")
    journal.settle()
    processed(journal, message, ["K1"])
    journal.settle()
    told = []

    def settle(claims, stock):
        told.append(claims["K1"])
        return Settled("processed", "", (), (), (), (), [("K1", 0, 1)])

    results = processed(journal, message, ["K1"], settle, revision=1)
    journal.settle()
    assert results[0].state == "processed"
    assert told == [Claim(message.id, -1, True, 1, own=True)]
    assert rows(engine_db, views.message)[0].revision == 1


def test_stock_is_read_and_written_in_the_same_transaction(journal, engine_db):
    (first, _), (second, _) = (receive(journal, f"M{i}") for i in range(2))
    journal.settle()
    key = ("OR1", "IMP")

    def take_one(claims, stock):
        return Settled("processed", "", (), (), (), (), (), {key: stock.get(key, Decimal(10)) - 1})

    for message in (first, second):
        processed(journal, message, (), take_one, touches=[key])
    journal.settle()
    assert [r.on_hand for r in rows(engine_db, tables.stock)] == ["8"]


def test_attempts_leave_the_delivery_in_its_state(journal, engine_db):
    message, _ = receive(journal, "M1")
    journal.settle()
    deliveries = [Delivery(message.id, "c", "erp", "", b"x", str(i)) for i in range(3)]
    done = processed(journal, message, settled=Settled("processed", "", (), (), deliveries, ()))
    journal.settle()
    deliveries = done[0].deliveries
    for delivery, outcome, state in zip(
        deliveries,
        (Accepted("201", b"ok", "DOC1"), TryLater("503", "busy"), Rejected("422", "no")),
        ("posted", "retrying", "dead"),
        strict=True,
    ):
        journal.write(Attempted(delivery, 1, 5, 6, outcome, state, 0, getattr(outcome, "reason", ""), None, pytest.fail))
    journal.settle()
    found = [(r.state, r.attempts, r.document, r.reason) for r in rows(engine_db, views.delivery)]
    assert found == [("posted", 1, "DOC1", ""), ("retrying", 1, None, "busy"), ("dead", 1, None, "no")]
    assert [r.outcome for r in rows(engine_db, tables.attempt)] == ["accepted", "try_later", "rejected"]
    assert [r.delivery_id for r in rows(engine_db, tables.exception)] == [deliveries[2].id]


def test_one_operation_that_cannot_be_written_is_told_alone(journal):
    message, _ = receive(journal, "M1")
    journal.settle()

    def bug(claims, stock):
        raise ZeroDivisionError

    bad = processed(journal, message, (), bug)
    good = [receive(journal, f"N{i}")[1] for i in range(5)]
    journal.settle()
    assert isinstance(bad[0], ZeroDivisionError)
    assert good == [["received"]] * 5


def test_a_database_that_refuses_is_waited_for(journal, engine_db):
    refusals = iter([True, True])

    def refuse_twice(connection):
        if next(refusals, False):
            raise OperationalError("x", None, Exception("disk full"))
        return connection.execute(text("SELECT 42")).scalar()

    results = []
    _, received = receive(journal, "M1")
    journal.write(Work("w", refuse_twice, results.append, results.append))
    journal.settle()
    assert results == [42]
    assert received == ["received"]
    assert journal.told == ["disk full", "disk full", ""]


def test_numbers_go_on_after_a_restart(journal, engine_db):
    receive(journal, "M1")
    journal.settle()
    journal.stop()
    journal.join(10)
    second = Journal(engine_db, lambda f: f(), Silent(), lambda t: None, lambda e: None)
    message, results = receive(second, "M2")
    second.start()
    second.stop()
    second.join(10)
    assert message.id == 2


def test_a_database_file_that_is_gone_takes_nothing_until_it_is_back(journal, engine_db):
    if engine_db.dialect.name != "sqlite":
        pytest.skip("a file is SQLite's")
    journal.settle()
    path, done = Path(engine_db.url.database), []
    path.rename(away := path.with_suffix(".away"))
    journal.write(Work("late", lambda c: c.execute(text("SELECT 42")).scalar(), done.append, done.append))
    while not journal.told:
        journal.calls.get(timeout=10)()
    assert not done
    assert "deleted or replaced" in journal.told[0]
    away.rename(path)
    journal.settle()
    assert done == [42]
    assert journal.told[-1] == ""
