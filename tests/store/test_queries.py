"""Reading messages, deliveries and exceptions."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event

from suture.model.views import AttemptView, MessageView
from suture.store import backlog, content, dialect, journey, queries, schema, summary, tables, views
from suture.store.engine import open_engine
from suture.store.queries import DeliveryFilter, ExceptionFilter, MessageFilter
from suture.store.sequences import Sequences
from tests.filling import NOW_US, SECOND_US, Store


@pytest.fixture
def store(engine_db: Engine) -> Store:
    return Store(engine_db)


def ask(store: Store, query: Callable[..., Any], *arguments: Any) -> Any:
    with dialect.reading(store.engine) as connection:
        return query(connection, *arguments)


def ids(rows: list[Any]) -> list[int]:
    return [row.id for row in rows]


def test_messages_come_newest_first_in_pages(store: Store) -> None:
    for _ in range(5):
        store.message()
    first = ask(store, queries.messages, MessageFilter(limit=2))
    assert ids(first) == [5, 4]
    assert ids(ask(store, queries.messages, MessageFilter(limit=2, before_id=4))) == [3, 2]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"channel": "adt"}, [2]),
        ({"state": "received"}, [3]),
        ({"state": "parked"}, [4]),
        ({"control_id": "CAB000001"}, [1]),
        ({"control_id": "CAB00000"}, []),
        ({"since_us": NOW_US + 3 * SECOND_US}, [4, 3]),
        ({"until_us": NOW_US + 3 * SECOND_US}, [2, 1]),
        ({"since_us": NOW_US + 2 * SECOND_US, "until_us": NOW_US + 3 * SECOND_US}, [2]),
        ({"channel": "or-supply", "state": "processed"}, [1]),
    ],
)
def test_each_filter_narrows(store: Store, wanted: dict[str, Any], expected: list[int]) -> None:
    store.message()
    store.message(channel="adt")
    store.message("received")
    store.message("parked")
    assert ids(ask(store, queries.messages, MessageFilter(**wanted))) == expected


def test_time_filters_survive_a_clock_that_was_set_back(store: Store) -> None:
    for number, second in enumerate([100, 200, 300, 250, 260, 400], 1):
        store.message(id=number, received_at_us=NOW_US + second * SECOND_US)
    since, until = NOW_US + 255 * SECOND_US, NOW_US + 301 * SECOND_US
    assert ids(ask(store, queries.messages, MessageFilter(since_us=since, until_us=until))) == [5, 3]


def test_the_first_id_of_a_time_is_found_in_gaps(store: Store) -> None:
    for number in (10, 500, 501, 90_000):
        store.message(id=number, received_at_us=NOW_US + number * 3600 * SECOND_US)
    table = views.message
    for hour, expected in ((0, 10), (11, 500), (500, 500), (501, 501), (502, 90_000), (90_001, None)):
        at_us = NOW_US + hour * 3600 * SECOND_US + queries.CLOCK_SLACK_US
        low = ask(store, queries.first_id, table, table.c.received_at_us, at_us)
        assert next((number for number in (10, 500, 501, 90_000) if number >= low), None) == expected


def test_bodies_are_read_apart(store: Store) -> None:
    number = store.message(raw=b"MSH|bytes \xff\r")
    assert "raw" not in ask(store, queries.one, MessageView, views.message.c.id == number).public()
    assert ask(store, content.raw, number) == b"MSH|bytes \xff\r"
    assert ask(store, content.raw, 99) is None
    assert ask(store, queries.one, MessageView, views.message.c.id == 99) is None


def test_deliveries_by_state_destination_and_message(store: Store) -> None:
    one, two = store.message(), store.message()
    accepted = store.delivery(one, "erp", "accepted")
    retrying = store.delivery(one, "billing", "retrying")
    held = store.delivery(two, "erp", "held")
    dead = store.delivery(two, "billing", "dead")
    for wanted, expected in (
        ({}, [dead, held, retrying, accepted]),
        ({"state": "held"}, [held]),
        ({"state": "retrying", "destination": "billing"}, [retrying]),
        ({"state": "retrying", "destination": "erp"}, []),
        ({"state": "dead"}, [dead]),
        ({"message_id": one}, [retrying, accepted]),
        ({"message_id": two, "state": "held"}, [held]),
        ({"state": "held", "before_id": held}, []),
        ({"limit": 1}, [dead]),
    ):
        assert ids(ask(store, queries.deliveries, DeliveryFilter(**wanted))) == expected, wanted


def test_exceptions_open_resolved_and_both(store: Store) -> None:
    one = store.message("parked")
    store.exception(one)
    store.exception(one, resolved_at_us=NOW_US, resolution="fixed")
    store.exception(one, channel="adt", stage="deliver", code="409")
    assert ids(ask(store, queries.exceptions, ExceptionFilter())) == [3, 1]
    assert ids(ask(store, queries.exceptions, ExceptionFilter(open=False))) == [2]
    assert ids(ask(store, queries.exceptions, ExceptionFilter(open=None, channel="or-supply"))) == [2, 1]
    assert ids(ask(store, queries.exceptions, ExceptionFilter(stage="deliver"))) == [3]
    assert ids(ask(store, queries.exceptions, ExceptionFilter(message_id=one, code="409"))) == [3]


def test_attempts_and_payload(store: Store) -> None:
    number = store.delivery(store.message(), body=b"payload")
    store.attempt(number, 2)
    store.attempt(number, 1, "try_later")
    tried = ask(store, queries.shown, AttemptView, tables.attempt.c.delivery_id == number)
    assert [row.outcome for row in tried] == ["try_later", "accepted"]
    assert ask(store, content.payload, number) == b"payload"


def _plans(connection: Connection, query: Callable[[Connection], Any]) -> list[str]:
    """How SQLite carries out the statements of a query."""
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: Any) -> None:
        asked.append((statement, parameters))

    connection.exec_driver_sql("SELECT 1")
    event.listen(connection, "before_cursor_execute", note)
    query(connection)
    event.remove(connection, "before_cursor_execute", note)
    return [row[3] for sql, values in asked for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values)]


@pytest.mark.parametrize(
    ("index", "query"),
    [
        ("delivery_message", lambda c: queries.deliveries(c, DeliveryFilter(message_id=1))),
        ("message_control", lambda c: queries.messages(c, MessageFilter(control_id="X"))),
        ("message_control", lambda c: journey.copies(c, MessageView(1, "c", 0, None, "", "X", "", "Y", "", 0, None, "", 0))),
        ("exception_open", lambda c: queries.exceptions(c, ExceptionFilter())),
        ("exception_open", lambda c: c.execute(summary._open_exceptions()).all()),
        ("exception_message", lambda c: queries.exceptions(c, ExceptionFilter(message_id=1))),
    ],
)
def test_what_must_be_quick_uses_its_index(tmp_path: Path, index: str, query: Callable[[Connection], Any]) -> None:
    engine = open_engine("sqlite:///a.db", site=tmp_path)
    schema.upgrade(engine)
    with dialect.reading(engine) as connection:
        plans = _plans(connection, query)
    assert any(index in plan for plan in plans), plans
    assert not [plan for plan in plans if plan.startswith("SCAN") and index not in plan], plans
    engine.dispose()


@pytest.mark.parametrize(
    "query",
    [
        lambda c: queries.deliveries(c, DeliveryFilter(state="retrying")),
        lambda c: queries.deliveries(c, DeliveryFilter(state="held", channel="a", destination="b")),
        lambda c: summary._waiting(c, {}),
        lambda c: queries.messages(c, MessageFilter(state="received")),
        lambda c: backlog._first(c, views.delivery, ("a", "b", 0), (), 10),
        lambda c: backlog._first(c, views.message, ("a", "", 0), (), 10),
    ],
)
def test_what_is_open_is_found_without_looking_at_what_is_over(tmp_path: Path, query: Callable[[Connection], Any]) -> None:
    engine = open_engine("sqlite:///a.db", site=tmp_path)
    schema.upgrade(engine)
    with dialect.writing(engine) as connection:
        Sequences().load(connection)
    with dialect.reading(engine) as connection:
        plans = _plans(connection, query)
    assert any(re.match(r"SEARCH (w|waiting) USING PRIMARY KEY \(kind=\?", plan) for plan in plans), plans
    assert any(re.match(r"SEARCH [qr] USING INTEGER PRIMARY KEY \(rowid>\?", plan) for plan in plans), plans
    assert not [plan for plan in plans if plan.startswith("SCAN") and not plan.endswith("_open")], plans
    engine.dispose()


@pytest.mark.parametrize("query", [queries.known, queries.known_with, queries.wholes])
def test_what_the_rules_of_sending_again_look_at_reads_no_table_through(tmp_path: Path, query: Callable[..., Any]) -> None:
    engine = open_engine("sqlite:///a.db", site=tmp_path)
    schema.upgrade(engine)
    Store(engine).delivery(Store(engine).message())
    with dialect.reading(engine) as connection:
        plans = _plans(connection, lambda c: query(c, [1]))
    assert plans and not [plan for plan in plans if plan.startswith("SCAN")], plans
    engine.dispose()


def test_a_search_probes_one_index(tmp_path: Path) -> None:
    engine = open_engine("sqlite:///a.db", site=tmp_path)
    schema.upgrade(engine)
    Store(engine).message(search={"patient": "P", "item": "I"})
    with dialect.reading(engine) as connection:
        plans = _plans(connection, lambda c: queries.messages(c, MessageFilter(find=(("item", "I"), ("patient", "P")))))
    assert any("search_index USING PRIMARY KEY (bucket=? AND run>? AND run<?)" in plan for plan in plans), plans
    assert not any(plan.startswith("SCAN") for plan in plans), plans
    engine.dispose()
