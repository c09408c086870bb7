"""Rows of what messages came to: claims, events, deliveries, exceptions, search keys and stock, in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from functools import partial
from typing import Any

from sqlalchemy import Connection

from suture.model import made as makes
from suture.model.value import changed
from suture.ports import Claim, Delivery, Processed, Settled, StockKey
from suture.store import rows, search, tables, unrendered
from suture.store.claims import Claims
from suture.store.codec import MADE as KIND
from suture.store.codec import Codec, made_of
from suture.store.content import AS_IT_IS
from suture.store.rows import Asked
from suture.store.sequences import Sequences

MADE = ("message_id", "revision", "part", "state", "at_us", "reason", "hashes", "events", "coding", "body")
DELIVERY = (
    "id",
    "message_id",
    "channel",
    "destination",
    "lane",
    "state",
    "idempotency_key",
    "control_id",
    "content_type",
    "events",
    "created_at_us",
    "updated_at_us",
    "original_id",
    "revision",
    "part",
    "payload",
    "size_bytes",
)
EXCEPTION = ("message_id", "channel", "stage", "code", "line", "field", "path", "table_name", "value", "reason", "opened_at_us")
_RESOLVE = """UPDATE exception SET resolved_at_us = {}, resolution = 'reprocessed'
WHERE message_id = {} AND delivery_id IS NULL AND resolved_at_us IS NULL AND stage <> 'batch'"""
_ON_HAND = "SELECT on_hand FROM stock WHERE location = {} AND item = {}"
_PUT_STOCK = """INSERT INTO stock (location, item, on_hand) VALUES ({}, {}, {})
ON CONFLICT (location, item) DO UPDATE SET on_hand = excluded.on_hand"""

Where = tuple[int, int, int | None, int]
"""Of a payload: revision and part of its row in `made`, its place there (None: there is none), and its size in bytes."""
Done = list[tuple[Processed, Settled]]


def write(
    connection: Connection,
    operations: list[Processed],
    sequences: Sequences,
    results: dict[int, Callable[[], None]],
    codec: Codec,
    asked: Asked,
) -> None:
    """Settle each message against the business keys that are taken, and write its rows."""
    claims = Claims(connection, operations, asked)
    done = Done()
    for operation in operations:
        settled = _settle(connection, operation, claims.against(operation))
        claims.take(operation, settled)
        settled = _numbered(connection, operation, settled, sequences)
        _stock(connection, settled)
        if operation.revision:
            _begin_again(connection, operation, settled)
        done.append((operation, settled))
        results[id(operation)] = partial(operation.done, settled)
    claims.write()
    _write_messages(connection, done, codec)
    sequences.over(connection, "message", [(o.message.channel, "", o.message.id) for o, _ in done])
    search.add(connection, ((o.message.id, search.hashes_of(o.search)) for o, _ in done if sequences.is_behind(o.message.id)))
    _write_deliveries(connection, done)


def _settle(connection: Connection, operation: Processed, claims: dict[str, Claim]) -> Settled:
    """The settled message: as prepared when no key is taken and no stock moves, else asked for."""
    if operation.ready is not None and not claims:
        return operation.ready
    return operation.settle(claims, _positions(connection, operation.touches))


def _numbered(connection: Connection, operation: Processed, settled: Settled, sequences: Sequences) -> Settled:
    """The settled message with its deliveries as they are stored: under their numbers."""
    if not settled.deliveries and not settled.unrendered:
        return settled
    at_us = operation.at_us
    numbered = [changed(d, id=sequences.next_delivery(connection), created_at_us=at_us) for d in settled.deliveries]
    if not settled.unrendered:
        return changed(settled, deliveries=numbered)
    bare = [
        changed(u, delivery=changed(u.delivery, id=sequences.next_delivery(connection), created_at_us=at_us)) for u in settled.unrendered
    ]
    return changed(settled, deliveries=numbered, unrendered=bare)


def _write_messages(connection: Connection, done: Done, codec: Codec) -> None:
    """What is kept of the messages: what was made of them, exceptions, search keys and states."""
    rows.insert_bodies(connection, tables.made, MADE, [_made(o, s, codec) for o, s in done])
    rows.insert(connection, tables.exception, EXCEPTION, [row for o, s in done if s.gaps or s.fault for row in _exceptions(o, s)])


def _made(o: Processed, s: Settled, codec: Codec) -> tuple[Any, ...]:
    """What became of a message, and what was made of it, if anything was."""
    became = (o.message.id, o.revision, 0, s.state, o.at_us, s.reason, search.hashes_of(o.search))
    made = made_of(s, o.message.raw)
    if made is None:
        return *became, "", AS_IT_IS, b""
    return *became, makes.counted(made.events), *codec.coded(o.message.channel, KIND, makes.write(made))


def _write_deliveries(connection: Connection, done: Done) -> None:
    """The deliveries; those without a payload are rows that point at none, and exceptions that say why."""
    with_payload = [delivery_row(d, (o.revision, 0, place, len(d.body))) for o, s in done for place, d in enumerate(s.deliveries)]
    rows.insert(connection, tables.queued, DELIVERY, with_payload)
    bare = [(u, o) for o, s in done for u in s.unrendered]
    without = [(*delivery_row(u.delivery, (o.revision, 0, None, 0)), str(u)) for u, o in bare]
    rows.insert(connection, tables.queued, (*DELIVERY, "reason"), without)
    rows.insert(connection, tables.exception, unrendered.EXCEPTION, [unrendered.exception_of(u, o.at_us) for u, o in bare])


def _exceptions(operation: Processed, settled: Settled) -> Iterator[tuple[Any, ...]]:
    m, at_us = operation.message, operation.at_us
    for g in settled.gaps:
        yield m.id, m.channel, "map", g.code, g.line, g.field, g.path, g.table, g.value, g.reason, at_us
    if (fault := settled.fault) is not None:
        yield m.id, m.channel, fault.stage, fault.code[:40], 0, "", fault.place, "", "", fault.reason, at_us


def delivery_row(d: Delivery, payload: Where) -> tuple[Any, ...]:
    """The row of a new delivery, as DELIVERY names its places."""
    events, at_us = ",".join(map(str, d.events)), d.created_at_us
    key, sent = d.idempotency_key, (d.control_id, d.content_type, events)
    return (d.id, d.message_id, d.channel, d.destination, d.lane, d.state, key, *sent, at_us, at_us, d.original_id, *payload)


def _begin_again(connection: Connection, operation: Processed, settled: Settled) -> None:
    """Before a message is processed again: its exceptions are answered by it, its search keys are made anew."""
    number = operation.message.id
    _run(connection, _RESOLVE, (operation.at_us, number))
    search.forget(connection, number)
    unrendered.give_way(connection, number, settled, operation.at_us)


def _positions(connection: Connection, touches: Iterable[StockKey]) -> dict[StockKey, Decimal]:
    return {key: Decimal(on_hand) for key in touches for (on_hand,) in rows.query(connection, rows.marked(connection, _ON_HAND, 2), key)}


def _stock(connection: Connection, settled: Settled) -> None:
    for (location, item), on_hand in settled.stock.items():
        _run(connection, _PUT_STOCK, (location, item, str(on_hand)))


def _run(connection: Connection, sql: str, values: tuple[Any, ...]) -> None:
    rows.execute(connection, rows.marked(connection, sql, len(values)), values)
