"""A store of schema 0004 is brought up: each message's events, notes and payloads come to be kept once, and are what they were."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, text

from suture.store import content, dialect, journey, schema, soundness
from suture.store.codec import Codec
from tests import contents

ITEM = b'{"item":"IMP-%d"}'


@pytest.fixture
def before(empty_db: Engine) -> Engine:
    """600 messages of two channels: with events of two revisions, a note, two deliveries, one resent, one without a payload."""
    with dialect.writing(empty_db) as connection:
        schema.make(connection, "0004")
        for number in range(1, 601):
            _message(connection, number)
    return empty_db


def _put(connection: Connection, table: str, **values: Any) -> None:
    names = ", ".join(values)
    connection.execute(text(f"INSERT INTO {table} ({names}) VALUES ({', '.join(f':{name}' for name in values)})"), values)


def _message(connection: Connection, number: int) -> None:
    of = {"channel": "a" if number % 3 else "b", "received_at_us": number, "state": "processed", "control_id": f"C{number}"}
    revision = number % 2
    _put(connection, "message", id=number, **of, type="DFT^P03", sender="S|F", peer="p", size_bytes=3, processed_at_us=9, revision=revision)
    _put(connection, "message_body", message_id=number, raw=b"MSH%d" % number)
    if number % 10 == 0:
        return  # it came to nothing
    for each in range(revision + 1):
        for event in range(2):
            about = {"type": "supply.used", "line": event + 1, "state": "duplicate" if event else "raised", "key": f"k{number}-{event}"}
            about |= {"event_id": f"e{number}-{event}", "body": ITEM % (number + each)}
            _put(connection, "event", message_id=number, revision=each, number=event, **about)
    _put(connection, "note", message_id=number, revision=revision, notes=json.dumps([[1, "CODE", "FT1-8", f"why {number}"]]))
    for place, original in enumerate((None, None, number * 4, None)):
        delivery = number * 4 + place
        key = {"destination": "d", "lane": "l", "state": "held" if place == 3 else "accepted", "idempotency_key": f"i{number}"}
        rest = {"original_id": original, "created_at_us": 1, "updated_at_us": 1, "events": "0,1"}
        _put(connection, "delivery", id=delivery, message_id=number, channel=of["channel"], **key, **rest)
        if place != 3:
            _put(connection, "delivery_body", delivery_id=delivery, body=b"payload %d of %d" % (place % 2, number))


def test_every_message_is_what_it_was(before: Engine) -> None:
    schema.upgrade(before)
    with before.connect() as connection:
        assert contents.raws(connection) == {number: b"MSH%d" % number for number in range(1, 601)}
        assert contents.payloads(connection) == {
            number * 4 + place: b"payload %d of %d" % (place % 2, number) for number in range(1, 601) if number % 10 for place in range(3)
        }
        found = {(m, r, e.number): (e.event_id, e.line, e.state, e.key, e.body) for m, r, e in contents.events(connection)}
        assert found == {
            (n, r, e): (f"e{n}-{e}", e + 1, ("raised", "duplicate")[e], f"k{n}-{e}", ITEM % (n + r))
            for n in range(1, 601)
            if n % 10
            for r in range(n % 2 + 1)
            for e in range(2)
        }
        story = journey.journey(connection, 7)
        assert story is not None
        assert [(n.line, n.code, n.place, n.reason) for n in story.notes] == [(1, "CODE", "FT1-8", "why 7")]
        sizes = connection.execute(text("SELECT id, size_bytes, payload FROM delivery WHERE message_id = 7 ORDER BY id")).all()
        assert [tuple(row) for row in sizes] == [(28, 14, 0), (29, 14, 1), (30, 14, 0), (31, 0, None)]
    assert list(soundness.problems(before, False, lambda said: None)) == []


def test_large_messages_are_taken_a_few_at_a_time_and_none_is_left_out(before: Engine) -> None:
    with dialect.writing(before) as connection:
        connection.execute(text("UPDATE message SET size_bytes = 3000000 WHERE id % 2 = 0"))
    schema.upgrade(before)
    with before.connect() as connection:
        assert len(contents.payloads(connection)) == 540 * 3
        assert len({number for number, _, _ in contents.events(connection)}) == 540


def test_a_portion_that_cannot_be_written_leaves_what_was_there_and_is_moved_the_next_time(before: Engine, monkeypatch: Any) -> None:
    def full(codec: Codec, connection: Connection) -> None:
        raise OSError("no room")

    with monkeypatch.context() as patched, pytest.raises(OSError, match="no room"):
        patched.setattr(Codec, "write", full)
        schema.upgrade(before)
    assert schema.current(before) == "0005 begun"
    with before.connect() as connection:
        counts = [
            connection.execute(text(f"SELECT count(*) FROM {table}")).scalar() for table in ("event", "note", "delivery_body", "made")
        ]
    assert counts == [540 * 2 + 300 * 2, 540, 540 * 3, 0]
    schema.upgrade(before)
    with before.connect() as connection:
        assert len(contents.payloads(connection)) == 540 * 3


def test_what_repeats_itself_is_compressed_with_a_dictionary(before: Engine) -> None:
    schema.upgrade(before)
    with before.connect() as connection:
        numbers = set(connection.execute(text("SELECT id FROM dictionary")).scalars())
        codings = set(connection.execute(text("SELECT coding FROM made WHERE message_id > 500 AND message_id % 3 > 0")).scalars())
    assert codings <= numbers and content.ZSTD not in codings


def test_a_store_without_messages_is_brought_up_too(empty_db: Engine) -> None:
    with dialect.writing(empty_db) as connection:
        schema.make(connection, "0004")
    schema.upgrade(empty_db)
    assert list(soundness.problems(empty_db, False, lambda said: None)) == []
