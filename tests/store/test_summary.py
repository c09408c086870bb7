"""Status and balance."""

from __future__ import annotations

import os
from typing import Any

import pytest
from sqlalchemy import Engine

from suture.model.views import Balance, Status
from suture.store import dialect, summary
from suture.store.standing import standing
from tests.at_work import AtWork
from tests.filling import NOW_US, SECOND_US, Store

LATER_US = NOW_US + 60 * SECOND_US


@pytest.fixture
def store(engine_db: Engine) -> Store:
    return Store(engine_db)


def status(store: Store, now_us: int = LATER_US, since_us: int | None = None) -> Status:
    with dialect.reading(store.engine) as connection:
        found = summary.begin(connection, now_us)
        summary.count(connection, found, since_us)
        return found


def balance(store: Store) -> Balance:
    with dialect.reading(store.engine) as connection:
        return summary.balance(connection, "or-supply")


def test_an_engine_that_has_never_run_is_said_to_be_none(store: Store) -> None:
    found = status(store)
    assert (found.running, found.state) == (False, "never")


def test_an_engine_runs_while_it_holds_the_store_and_its_heartbeat_is_fresh(store: Store) -> None:
    engine = AtWork(store.engine, NOW_US)
    found = status(store, NOW_US + 4 * SECOND_US)
    assert (found.running, found.state, found.heartbeat_us) == (True, "running", NOW_US)
    assert found.owner is not None and (found.owner.node, found.owner.epoch) == ("srv1", 1)
    assert found.engine == {"pid": str(os.getpid())}
    found = status(store, NOW_US + 6 * SECOND_US)
    assert (found.running, found.state) == (False, "silent")
    engine.die()


@pytest.mark.parametrize("ahead_us", [0, 3_600 * SECOND_US])
def test_an_engine_that_was_killed_does_not_run_whatever_its_clock_said(store: Store, ahead_us: int) -> None:
    AtWork(store.engine, NOW_US + ahead_us).die()
    found = status(store, NOW_US + SECOND_US)
    assert (found.running, found.state) == (False, "dead")


def test_a_heartbeat_in_the_future_is_no_sign_of_life_until_it_is_seen_to_change(store: Store) -> None:
    ahead_us = NOW_US + 3_600 * SECOND_US
    engine = AtWork(store.engine, ahead_us)
    assert status(store, NOW_US).state == "silent"
    with dialect.reading(store.engine) as connection:
        assert standing(connection, NOW_US, seen_us=ahead_us).state == "silent"
    engine.beat(ahead_us + SECOND_US)
    with dialect.reading(store.engine) as connection:
        assert standing(connection, NOW_US, seen_us=ahead_us).state == "running"
    engine.die()


def test_an_engine_that_said_goodbye_was_stopped_and_did_not_die(store: Store) -> None:
    AtWork(store.engine, NOW_US).leave()
    found = status(store, NOW_US + SECOND_US)
    assert (found.running, found.state) == (False, "stopped")


def test_an_engine_that_is_starting_is_at_work(store: Store) -> None:
    engine = AtWork(store.engine, NOW_US, phase="starting")
    found = status(store, NOW_US + SECOND_US)
    assert (found.running, found.state) == (True, "starting")
    engine.die()


def test_status_counts_by_channel_destination_and_state(store: Store) -> None:
    store.channel("or-supply")
    store.channel("adt", desired="stopped", actual="stopped")
    store.destination("erp", "failing", reason="connection refused", next_try_us=LATER_US)
    for state in ("processed", "processed", "parked", "received"):
        store.message(state)
    store.exception(3)
    for number, state in ((1, "accepted"), (2, "retrying"), (2, "queued"), (3, "held"), (3, "dead")):
        store.delivery(number, "erp", state)
    store.delivery(1, "billing", "posted")
    found = status(store)
    channel = found.channels["or-supply"]
    assert list(found.channels) == ["adt", "or-supply"]
    assert channel.messages == {"processed": 2, "parked": 1, "received": 1}
    assert (channel.exceptions, channel.last_received_us) == (1, NOW_US + 4 * SECOND_US)
    erp, billing = channel.destinations["erp"], channel.destinations["billing"]
    assert erp.deliveries == {"accepted": 1, "retrying": 1, "queued": 1, "held": 1, "dead": 1}
    assert (erp.state, erp.reason, erp.next_try_us) == ("failing", "connection refused", LATER_US)
    assert erp.oldest_waiting_us == NOW_US + 2 * SECOND_US + 3000
    assert (billing.deliveries, billing.oldest_waiting_us) == ({"posted": 1}, None)


def test_finished_work_is_counted_since_and_waiting_work_always(store: Store) -> None:
    for state in ("processed", "processed", "received"):
        store.message(state)
    store.delivery(1, "erp", "retrying")
    store.delivery(1, "erp", "accepted")
    store.delivery(2, "erp", "accepted")
    found = status(store, since_us=NOW_US + 2 * SECOND_US).channels["or-supply"]
    assert found.messages == {"processed": 1, "received": 1}
    assert found.destinations["erp"].deliveries == {"retrying": 1, "accepted": 1}


def test_a_large_store_is_counted_over_its_newest_messages(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(6):
        store.message()
    with dialect.reading(store.engine) as connection:
        assert summary.recently(connection, LATER_US) == LATER_US - summary.DAY_US
        monkeypatch.setattr(summary, "RECENT_MESSAGES", 4)
        assert summary.recently(connection, LATER_US) == NOW_US + 3 * SECOND_US


def test_books_that_balance(store: Store) -> None:
    good, parked, filtered = store.message(), store.message("parked"), store.message("filtered")
    copy = store.message("duplicate", duplicate_of=good)
    again = store.message("duplicate")
    store.event(good, 0)
    store.event(again, 0, "duplicate")
    store.delivery(good, "erp", "posted")
    dead = store.delivery(good, "billing", "dead")
    store.exception(parked)
    store.exception(good, delivery_id=dead, stage="deliver", code="AE")
    books = balance(store)
    assert {good, parked, filtered, copy, again} == {1, 2, 3, 4, 5}
    assert (books.received, books.messages) == (5, {"processed": 1, "parked": 1, "filtered": 1, "duplicate": 2})
    assert books.events == {"supply.used": {"raised": 1, "duplicate": 1}}
    assert books.deliveries == {"billing": {"dead": 1}, "erp": {"posted": 1}}
    assert books.exceptions == {"deliver AE": {"open": 1}, "map UNKNOWN_CODE": {"open": 1}}
    assert (books.unsettled, books.wrong) == (0, [])


def test_only_the_newest_processing_counts(store: Store) -> None:
    number = store.message(revision=1)
    store.event(number, 0)
    store.event(number, 0, revision=1)
    assert balance(store).events == {"supply.used": {"raised": 1}}


def test_what_is_in_work_is_unsettled(store: Store) -> None:
    store.message("received")
    for state in ("queued", "in_flight", "retrying", "accepted"):
        store.delivery(store.message(), "erp", state)
    assert balance(store).unsettled == 4


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (lambda s: s.message("parked"), "1 messages are parked and without an exception (the first is 1)"),
        (lambda s: s.message("processed"), "1 messages are processed and without an event"),
        (lambda s: s.message("duplicate", duplicate_of=99), "1 messages are a duplicate and without its original"),
        (lambda s: s.message("lost"), "1 messages are in a state there is none of"),
        (lambda s: s.delivery(s.message("filtered"), "erp", "dead"), "1 deliveries are held, dead or refused without an exception"),
    ],
)
def test_what_does_not_add_up_is_said(store: Store, build: Any, says: str) -> None:
    build(store)
    assert [sentence for sentence in balance(store).wrong if says in sentence], balance(store).wrong
