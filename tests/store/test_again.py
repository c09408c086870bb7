"""Sending again, letting go and processing again, as rows: what a destination has, or will get, does not go out twice."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, select

from suture.model.verbs import LeftDelivery
from suture.store import again, dialect, look, views
from suture.store.sequences import Sequences
from tests.filling import NOW_US, Store


@pytest.fixture
def store(engine_db: Engine) -> Store:
    return Store(engine_db)


def resent(store: Store, ids: list[int], insist: bool = False) -> again.Again:
    with dialect.writing(store.engine) as connection:
        numbers = Sequences()
        numbers.load(connection)
        return again.resend(connection, numbers, ids, insist, NOW_US)


def released(store: Store, ids: list[int]) -> again.Again:
    with dialect.writing(store.engine) as connection:
        return again.release(connection, ids, NOW_US, lambda *wanted: "nothing is rendered here")


def states_of(store: Store) -> list[tuple[int, str]]:
    t = views.delivery.c
    with dialect.reading(store.engine) as connection:
        return [(row.id, row.state) for row in connection.execute(select(t.id, t.state).order_by(t.id))]


def previewed(store: Store, ids: list[int], insist: bool = False) -> list[int | None]:
    with dialect.reading(store.engine) as connection:
        return [item.delivery_id for item in look.resend(connection, [], ids, [], insist) if item.action == "send"]


@pytest.mark.parametrize("later", ["accepted", "posted", "queued", "retrying"])
def test_a_dead_letter_that_was_sent_again_is_not_let_go_as_well(store: Store, later: str) -> None:
    message = store.message()
    dead = store.delivery(message, state="dead")
    store.delivery(message, state=later, original_id=dead)
    before = states_of(store)
    found = released(store, [dead])
    assert found.deliveries == []
    assert found.skipped == [LeftDelivery(dead, "the destination has taken it already, or it waits under another number")]
    assert states_of(store) == before


def test_of_one_payload_one_is_let_go(store: Store) -> None:
    message = store.message()
    dead = store.delivery(message, state="dead")
    again_dead = store.delivery(message, state="dead", original_id=dead)
    found = released(store, [dead, again_dead])
    assert [d.id for d in found.deliveries] == [dead]
    assert [left.delivery for left in found.skipped] == [again_dead]


@pytest.mark.parametrize("insist", [False, True])
def test_of_one_payload_one_copy_is_sent_again(store: Store, insist: bool) -> None:
    message = store.message()
    dead = store.delivery(message, state="dead")
    again_dead = store.delivery(message, state="dead", original_id=dead)
    assert previewed(store, [dead, again_dead], insist) == [dead]
    found = resent(store, [dead, again_dead], insist)
    assert [d.original_id for d in found.deliveries] == [dead]
    assert [left.delivery for left in found.skipped] == [again_dead]


def test_what_is_still_to_be_processed_or_repeats_another_is_not_processed_again(store: Store) -> None:
    waits, first = store.message("received"), store.message("processed")
    copy = store.message("duplicate", duplicate_of=first)
    same_charge = store.message("duplicate")
    with dialect.reading(store.engine) as connection:
        found = again.stored(connection, [waits, first, copy, same_charge], insist=True)
    assert [(one.message.id, one.left_alone) for one in found] == [
        (waits, "it waits to be processed"),
        (first, ""),
        (copy, f"it has the bytes of message {first}; reprocess that one"),
        (same_charge, ""),
    ]
