"""One group of everything, with what cannot be written in the midst of it: that alone is told, the rest is written once."""

from __future__ import annotations

import random
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Engine, select, text
from sqlalchemy.exc import IntegrityError

from suture.model.events import Event, event_id
from suture.model.message import Message
from suture.model.outcome import Accepted
from suture.ports import Attempted, Delivery, Processed, Received, Settled, Work
from suture.store import dialect, rows, schema, tables, views
from suture.store.engine import open_engine
from tests import contents
from tests.store.desk import Desk

DAY_US = 86_400_000_000


@pytest.fixture
def desk(engine_db: Engine) -> Desk:
    return Desk(engine_db)


def received(name: str, results: dict[str, Any], at_us: int | None = 1_000) -> Received:
    """A message; at_us None breaks the rule of its column."""
    message = Message("c", name.encode(), at_us, name, "DFT^P03", "A|B", "peer")  # type: ignore[arg-type]
    note = results.__setitem__
    return Received(message, DAY_US if at_us is not None else 0, lambda state, m: note(name, m), lambda e: note(name, e))


def processed(message: Message, results: dict[str, Any], numbers: tuple[int, ...] = (0, 1)) -> Processed:
    """What a message came to: events under these numbers and a delivery; twice the same number, and it breaks the rule of a column."""
    name = f"processed {message.control_id}"
    events = [
        Event("charge.raised", n, 1, f"{message.control_id}/{n}", {"item": "X"}, id=event_id("charge.raised", str(n))) for n in numbers
    ]
    key: Any = message.control_id if len(set(numbers)) == len(numbers) else None
    delivery = Delivery(message.id, "c", "erp", "a", b"body", key, events=numbers)
    keys = [f"{message.control_id}/{n}" for n in set(numbers)]
    settled = Settled("processed", "", events, (), [delivery], (), [(key, 0, 1) for key in keys])
    told = lambda value: results.__setitem__(name, value)  # noqa: E731
    return Processed(message, 2_000, DAY_US, keys, settled, lambda c, s: settled, (), [("item", "X")], 0, told, told)


def attempted(delivery: Delivery, results: dict[str, Any]) -> Attempted:
    """The first attempt; recorded a second time it breaks the rule of its table."""
    tell = partial(results.__setitem__, f"attempt {delivery.id}")
    return Attempted(delivery, 1, 5, 6, Accepted("200"), "accepted", 0, "", partial(tell, "done"), tell)


def a_day(desk: Desk) -> tuple[list[Message], list[Delivery]]:
    """Messages to be processed, and deliveries that were."""
    results: dict[str, Any] = {}
    desk.written([received(f"M{i}", results) for i in range(20)])
    messages = [results[f"M{i}"] for i in range(20)]
    deliveries = [Delivery(m.id, "c", "erp", "", b"x", m.control_id) for m in messages[:8]]
    told: list[Settled] = []
    for m, d in zip(messages, deliveries, strict=False):
        settled = Settled("processed", "", (), (), [d], ())
        desk.written([Processed(m, 2_000, DAY_US, (), settled, lambda c, s, settled=settled: settled, (), (), 0, told.append, told.append)])
    return messages[8:], [d for settled in told for d in settled.deliveries]


@pytest.mark.parametrize("seed", range(12))
def test_what_cannot_be_written_is_told_and_the_rest_of_its_group_is_written_once(desk: Desk, seed: int) -> None:
    chance = random.Random(seed)
    messages, deliveries = a_day(desk)
    results: dict[str, Any] = {}
    bad: set[str] = set()

    def spoilt(name: str) -> bool:
        if chance.random() < 0.2:
            bad.add(name)
        return name in bad

    group: list[Any] = [received(f"N{i}", results, None if spoilt(f"N{i}") else 1_000) for i in range(10)]
    group += [processed(m, results, (0, 0) if spoilt(f"processed {m.control_id}") else (0, 1)) for m in messages]
    group += [attempted(d, results) for d in deliveries]
    chance.shuffle(group)
    if seed % 3 == 0:
        group.append(Work("w", lambda c: c.execute(select(views.message.c.id)).first(), lambda r: None, lambda e: None))
    desk.written(group)

    failed = {name for name, result in results.items() if isinstance(result, Exception)}
    assert failed == bad
    assert len(results) == 10 + len(messages) + len(deliveries)
    assert desk.bugs == []
    assert [n for n in desk.column(views.message.c.control_id) if n.startswith("N")] == sorted({f"N{i}" for i in range(10)} - bad)
    good = [m.id for m in messages if f"processed {m.control_id}" not in bad]
    with desk.engine.connect() as c:
        assert [number for number, _, _ in contents.events(c)] == sorted(good * 2)
    assert desk.column(views.delivery.c.message_id) == sorted(good + [d.message_id for d in deliveries])
    assert desk.column(tables.attempt.c.delivery_id) == [d.id for d in deliveries]
    assert desk.column(tables.claim.c.message_id) == sorted(good * 2)


def test_an_attempt_that_cannot_be_recorded_does_not_keep_the_others_from_it(desk: Desk) -> None:
    _, deliveries = a_day(desk)
    results: dict[str, Any] = {}
    desk.written([attempted(deliveries[0], results)])
    assert results == {"attempt 1": "done"}
    desk.written([attempted(d, results) for d in deliveries])
    assert isinstance(results.pop("attempt 1"), IntegrityError)
    assert results == {f"attempt {d.id}": "done" for d in deliveries[1:]}
    assert desk.column(tables.attempt.c.delivery_id) == [d.id for d in deliveries]


def test_on_postgresql_the_journal_asks_by_index_also_in_tables_that_were_small_when_they_were_analyzed(postgres_database: str) -> None:
    engine = open_engine(postgres_database, site=None)
    schema.upgrade(engine)
    Desk(engine).written([received("A", {})])
    with engine.begin() as other:
        other.execute(text("ANALYZE received"))
    connection = dialect.writer(engine)
    with pytest.raises(ZeroDivisionError), dialect.transaction(connection, mixed=False):
        raise ZeroDivisionError
    passed = "INSERT INTO waiting SELECT 'delivery', channel, destination, id FROM delivery WHERE id >= 1 AND id < 9 AND state = 'queued'"
    for statement in ("SELECT id, state FROM message WHERE control_id IN ('A', 'B')", passed):
        plan = "\n".join(row[0] for row in rows.query(connection, f"EXPLAIN {statement}"))
        assert "Seq Scan" not in plan
        assert "Index" in plan
    connection.invalidate()
    engine.dispose()
