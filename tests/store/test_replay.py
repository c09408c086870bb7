"""What a preview says and what is done are the same, whatever the store holds: both ask the rules of store/replay.py."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, delete

from suture.model import states
from suture.model.oversize import FRAME_TOO_LARGE
from suture.model.views import SEND, SKIP, Item
from suture.store import again, dialect, look, tables
from suture.store.sequences import Sequences
from tests.filling import NOW_US, Store

DESTINATIONS = ("erp", "billing")
PARKED_FOR = (
    ("map", "UNKNOWN_CODE"),
    (states.BATCH_STAGE, "BATCH_COUNT"),
    (states.BATCH_STAGE, "STRAY_SEGMENT"),
    ("parse", FRAME_TOO_LARGE),
)
payloads = st.sampled_from(["a", "b"])
deliveries = st.tuples(st.sampled_from(DESTINATIONS), payloads, st.sampled_from(states.DELIVERY_STATES), st.booleans())
messages = st.tuples(
    st.sampled_from(states.MESSAGE_STATES),
    st.sampled_from(PARKED_FOR),
    st.sampled_from([None, states.BATCH_STAGE, "map"]),
    st.lists(deliveries, max_size=6),
)
stores = st.lists(messages, min_size=1, max_size=3)


def fill(engine: Engine, wanted: list[Any]) -> tuple[list[int], list[int]]:
    """The numbers of messages and deliveries of a store that holds just these."""
    with dialect.writing(engine) as connection:
        for table in (tables.made, tables.queued, tables.exception, tables.message_body, tables.received):
            connection.execute(delete(table))
    store, numbers, made = Store(engine), list[int](), list[int]()
    for state, (stage, code), other, legs in wanted:
        parked = state == states.PARKED
        number = store.message(state, reason=f"{code}: why" if parked else "", duplicate_of=1 if state == states.DUPLICATE else None)
        if parked:
            store.exception(number, stage=stage, code=code, reason="why")
        if other:
            store.exception(number, stage=other, code="BATCH_COUNT", reason="about the batch it came in")
        numbers.append(number)
        for destination, key, condition, bare in legs:
            of_it = {"idempotency_key": f"{number}-{destination}-{key}", "events": {"a": "0", "b": "1"}[key]}
            made.append(store.delivery(number, destination, condition, **of_it))
            if bare and condition in (states.HELD, states.SKIPPED):
                with dialect.writing(engine) as connection:
                    connection.execute(tables.queued.update().where(tables.queued.c.id == made[-1]).values(payload=None))
    return numbers, made


@pytest.fixture
def undone(engine_db: Engine) -> Iterator[Any]:
    """Runs what is done in a transaction that comes to nothing."""

    def run(act: Any) -> Any:
        with engine_db.connect() as connection:
            found = act(connection)
            connection.rollback()
            return found

    yield run


def split(items: list[Item]) -> tuple[list[int | None], dict[int | None, str]]:
    return [item.delivery_id for item in items if item.action == SEND], {i.delivery_id: i.why for i in items if i.action == SKIP}


property_of_a_store = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@property_of_a_store
@given(wanted=stores, insist=st.booleans(), chosen=st.sets(st.integers(1, 18)))
def test_a_resend_does_what_its_preview_says(engine_db: Engine, undone: Any, wanted: list[Any], insist: bool, chosen: set[int]) -> None:
    _, made = fill(engine_db, wanted)
    ids = sorted(chosen & set(made)) or made

    def act(connection: Connection) -> again.Again:
        numbers = Sequences()
        numbers.load(connection)
        return again.resend(connection, numbers, ids, insist, NOW_US)

    sent, skipped = split(undone(lambda connection: look.resend(connection, [], ids, [], insist)))
    done = undone(act)
    assert [d.original_id for d in done.deliveries] == sent
    assert {left.delivery: left.reason for left in done.skipped} == skipped


@property_of_a_store
@given(wanted=stores, chosen=st.sets(st.integers(1, 18)))
def test_a_release_does_what_its_preview_says(engine_db: Engine, undone: Any, wanted: list[Any], chosen: set[int]) -> None:
    _, made = fill(engine_db, wanted)
    ids = sorted(chosen & set(made)) or made
    sent, skipped = split(undone(lambda connection: look.release(connection, ids)))
    done = undone(lambda connection: again.release(connection, ids, NOW_US, lambda *about: "not today"))
    skips = {left.delivery: left.reason for left in done.skipped}
    unmade = [number for number, why in skips.items() if why in ("not today", "its message or its events are not there any more")]
    assert sorted([*(d.id for d in done.deliveries), *unmade]) == sent
    assert {number: why for number, why in skips.items() if number not in unmade} == skipped


@property_of_a_store
@given(wanted=stores, insist=st.booleans())
def test_a_reprocessing_does_what_its_preview_says(engine_db: Engine, undone: Any, wanted: list[Any], insist: bool) -> None:
    numbers, _ = fill(engine_db, wanted)
    items: list[Item] = undone(lambda connection: look.reprocess(connection, numbers, insist))
    done: list[again.Stored] = undone(lambda connection: again.stored(connection, numbers, insist))
    assert [(one.message.id, one.left_alone) for one in done] == [(i.message_id, i.why if i.action == SKIP else "") for i in items]
    for one, item in zip(done, items, strict=True):
        if item.action == SEND:
            kept = [name for name in one.taken if name]
            assert bool(kept) == ("without the events" in item.why) and all(name in item.why for name in kept)
            assert not (insist and kept)


@pytest.mark.parametrize("insist", [False, True])
def test_what_was_made_anew_under_another_number_and_never_had_a_payload_is_not_promised(engine_db: Engine, insist: bool) -> None:
    """A delivery without a payload is skipped once its message was reprocessed: there is nothing that could be sent again."""
    _, (number,) = fill(engine_db, [("processed", PARKED_FOR[0], None, [("erp", "a", states.SKIPPED, True)])])
    with dialect.reading(engine_db) as connection:
        (item,) = look.resend(connection, [1], [number], [], insist)
    assert item.action == SKIP and "no payload could be made for it" in item.why


def test_a_message_that_waits_for_itself_is_processed_again_whatever_was_wrong_with_its_batch(engine_db: Engine) -> None:
    (one,), _ = fill(engine_db, [("parked", PARKED_FOR[0], states.BATCH_STAGE, [])])
    with dialect.reading(engine_db) as connection:
        (item,) = look.reprocess(connection, [one], False)
        (stored,) = again.stored(connection, [one], False)
    assert (item.action, stored.left_alone) == (SEND, "")


@pytest.mark.parametrize("reason", ["BATCH_OF_ITEMS is no table", "FRAME_TOO_LARGE: said the partner"])
def test_it_is_the_code_of_the_fault_that_counts_and_not_how_its_reason_begins(engine_db: Engine, reason: str) -> None:
    store = Store(engine_db)
    one = store.message("parked", reason=reason)
    store.exception(one, stage="map", code="UNEXPECTED", reason="why")
    with dialect.reading(engine_db) as connection:
        (item,) = look.reprocess(connection, [one], False)
    assert item.action == SEND
