"""The journey of a message."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import Engine

from suture.cli.output import plain
from suture.model.views import Journey
from suture.store import dialect, journey
from tests.filling import NOW_US, SECOND_US, Store


@pytest.fixture
def store(engine_db: Engine) -> Store:
    return Store(engine_db)


def trace(store: Store, message_id: int) -> Journey:
    with dialect.reading(store.engine) as connection:
        found = journey.journey(connection, message_id)
    assert found is not None
    return found


def what(found: Journey) -> list[str]:
    return [step.what for step in found.steps]


def test_a_journey_tells_everything_in_order(store: Store) -> None:
    number = store.message()
    store.event(number, 0)
    sent = store.delivery(number, "erp", "posted", document="INV-9", posted_at_us=NOW_US + 200 * SECOND_US)
    store.attempt(sent, 1, "try_later", code="503", reason="the ERP is down")
    store.attempt(sent, 2, "accepted")
    dead = store.delivery(number, "billing", "dead")
    store.exception(
        number, delivery_id=dead, stage="deliver", code="AE", reason="unknown charge code", opened_at_us=NOW_US + 150 * SECOND_US
    )
    found = trace(store, number)
    assert what(found) == ["received", "processed", "event", "delivery", "delivery", "try_later", "accepted", "exception", "posted"]
    texts = {step.what: step.text for step in found.steps}
    assert "DFT^P03 from 127.0.0.1:40000" in texts["received"]
    assert texts["try_later"] == "1 to erp, attempt 1, 503 after 4.5 ms: the ERP is down"
    assert texts["posted"] == "1 by erp as INV-9"
    assert found.steps == sorted(found.steps, key=lambda step: step.at_us)


def test_a_journey_holds_no_content(store: Store) -> None:
    number = store.message()
    store.event(number)
    store.attempt(store.delivery(number, body=b"PAYLOAD-SECRET"))
    found = trace(store, number)
    assert "SECRET" not in json.dumps(plain(found), default=str) and "SECRET" not in repr(found)


def test_duplicates_are_linked_both_ways(store: Store) -> None:
    first = store.message(control_id="SAME")
    copy = store.message("duplicate", control_id="SAME", duplicate_of=first)
    original, repeated = trace(store, first), trace(store, copy)
    assert [row.id for row in original.duplicates] == [copy]
    assert f"the same bytes came again, as message {copy}" in [step.text for step in original.steps]
    assert repeated.original is not None and repeated.original.id == first


def test_a_charge_sent_again_names_the_message_that_raised_it(store: Store) -> None:
    first, again = store.message(), store.message("duplicate")
    store.claim("CAB|T-1", first)
    store.event(again, 0, "duplicate", key="CAB|T-1")
    found = trace(store, again)
    assert found.events[0].held_by == first
    assert any(f"message {first} raised it" in step.text for step in found.steps)


def test_reprocessing_shows_only_the_newest_events_as_steps(store: Store) -> None:
    number = store.message(revision=1)
    store.event(number, 0)
    store.event(number, 0, revision=1)
    store.exception(number, resolved_at_us=NOW_US + 5 * SECOND_US, resolution="reprocessed")
    found = trace(store, number)
    assert what(found).count("event") == 1
    assert len(found.events) == 2
    assert "resolved" in what(found)


def test_a_resend_is_linked_to_its_original(store: Store) -> None:
    number = store.message()
    old = store.delivery(number, "erp", "dead")
    new = store.delivery(number, "erp", "accepted", original_id=old)
    assert f"{new} for erp, events 0, again as delivery {old}" in [step.text for step in trace(store, number).steps]


def test_there_is_no_journey_of_a_message_that_is_not_there(store: Store) -> None:
    with dialect.reading(store.engine) as connection:
        assert journey.journey(connection, 1) is None


def test_what_the_answer_itself_posted_comes_after_the_attempt(store: Store) -> None:
    number = store.message()
    sent = store.delivery(number, "erp", "posted", document="INV-9", posted_at_us=NOW_US + 5 * SECOND_US)
    store.attempt(sent, 1, "accepted", ended_at_us=NOW_US + 5 * SECOND_US)
    assert what(trace(store, number))[-2:] == ["accepted", "posted"]
