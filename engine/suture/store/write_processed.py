"""Rows of what messages came to: claims, events, deliveries, exceptions, search keys and stock, in one transaction."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection

from suture.mapping.payload import data_json
from suture.model.message import Note
from suture.model.value import Draft, changed, fresh
from suture.ports import Claim, Delivery, Processed, Settled, StockKey, Unrendered
from suture.store import rows, tables, unrendered
from suture.store.search import RUN_BITS, search_hash
from suture.store.sequences import Sequences

CLAIM = ("key", "message_id", "claimed_at_us", "generation", "digest")
EVENT = ("message_id", "revision", "number", "event_id", "type", "line", "state", "key", "body")
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
)
BODY = ("delivery_id", "body")
EXCEPTION = ("message_id", "channel", "stage", "code", "line", "field", "path", "table_name", "value", "reason", "opened_at_us")
SEARCH = ("run", "kind", "hash", "message_id")
NOTE = ("message_id", "revision", "notes")
NOTES_MAX = 1000
"""Notes of one message that are kept."""
MESSAGE = ("state", "processed_at_us", "reason", "revision")
_TAKEN = "SELECT key, message_id, claimed_at_us, generation, digest FROM claim WHERE key IN ({in})"
_TAKE_OVER = "UPDATE claim SET message_id = {}, claimed_at_us = {}, generation = {}, digest = {} WHERE key = {}"
_RESOLVE = """UPDATE exception SET resolved_at_us = {}, resolution = 'reprocessed'
WHERE message_id = {} AND delivery_id IS NULL AND resolved_at_us IS NULL AND stage <> 'batch'"""
_FORGET = "DELETE FROM search_key WHERE run = {} AND message_id = {}"
_ON_HAND = "SELECT on_hand FROM stock WHERE location = {} AND item = {}"
_PUT_STOCK = """INSERT INTO stock (location, item, on_hand) VALUES ({}, {}, {})
ON CONFLICT (location, item) DO UPDATE SET on_hand = excluded.on_hand"""

Taken = dict[str, tuple[int, int, int, int | None]]


class _Batch(Draft):
    claims: list[tuple[Any, ...]] = fresh(list)
    taken_over: list[tuple[Any, ...]] = fresh(list)
    events: list[tuple[Any, ...]] = fresh(list)
    deliveries: list[tuple[Any, ...]] = fresh(list)
    bodies: list[tuple[int, bytes]] = fresh(list)
    unrendered: list[tuple[Any, ...]] = fresh(list)
    exceptions: list[tuple[Any, ...]] = fresh(list)
    told: list[tuple[Any, ...]] = fresh(list)
    search: set[tuple[Any, ...]] = fresh(set)
    messages: list[tuple[Any, ...]] = fresh(list)
    notes: list[tuple[Any, ...]] = fresh(list)


def write(connection: Connection, operations: list[Processed], sequences: Sequences, results: dict[int, Callable[[], None]]) -> None:
    """Settle each message against the business keys that are taken, and write its rows."""
    taken: Taken = {key: rest for key, *rest in rows.select_in(connection, _TAKEN, _keys(operations))}  # type: ignore[misc]
    batch = _Batch()
    for operation in operations:
        settled = _settle(connection, operation, taken)
        _claims(operation, settled, taken, batch)
        settled = _numbered(connection, operation, settled, sequences, batch)
        _rows(operation, settled, batch)
        _stock(connection, settled)
        if operation.revision:
            _begin_again(connection, operation, settled)
        results[id(operation)] = _done(operation, settled)
    _flush(connection, batch)


def _done(operation: Processed, settled: Settled) -> Callable[[], None]:
    return lambda: operation.done(settled)


def _keys(operations: list[Processed]) -> Iterable[str]:
    return {key for operation in operations for key in operation.keys}


def _settle(connection: Connection, operation: Processed, taken: Taken) -> Settled:
    """The settled message: as prepared when no key is taken and no stock moves, else asked for."""
    claims: dict[str, Claim] = {}
    since_us = operation.at_us - operation.window_us
    for key in operation.keys:
        if key in taken:
            owner, at_us, generation, digest = taken[key]
            if owner != operation.message.id:
                claims[key] = Claim(owner, generation, at_us < since_us, digest)
            elif generation or operation.revision:
                claims[key] = Claim(owner, generation - 1, True, digest, own=True)
    if operation.ready is not None and not claims:
        return operation.ready
    return operation.settle(claims, _positions(connection, operation.touches))


def _claims(operation: Processed, settled: Settled, taken: Taken, batch: _Batch) -> None:
    number = operation.message.id
    for key, generation, digest in settled.claims:
        old = taken.get(key)
        at_us = operation.at_us
        if old is not None and old[0] == number:
            if old[3] == digest:
                continue
            at_us, generation = old[1], old[2]  # it stands for something else now that the message is processed again
        taken[key] = (number, at_us, generation, digest)
        row = (key, number, at_us, generation, digest)
        (batch.claims if old is None else batch.taken_over).append(row)


def _numbered(connection: Connection, operation: Processed, settled: Settled, sequences: Sequences, batch: _Batch) -> Settled:
    """The settled message with its deliveries as they are stored: under their numbers."""
    if settled.deliveries:
        numbered = list[Delivery]()
        for made in settled.deliveries:
            d = changed(made, id=sequences.next_delivery(connection), created_at_us=operation.at_us)
            numbered.append(d)
            batch.deliveries.append(delivery_row(d))
            batch.bodies.append((d.id, d.body))
        settled = changed(settled, deliveries=numbered)
    return _unrendered(connection, operation, settled, sequences, batch) if settled.unrendered else settled


def _unrendered(connection: Connection, operation: Processed, settled: Settled, sequences: Sequences, batch: _Batch) -> Settled:
    """The same for deliveries without a payload: rows without a body, and exceptions that say why."""
    at_us, numbered = operation.at_us, list[Unrendered]()
    for u in settled.unrendered:
        numbered.append(changed(u, delivery=changed(u.delivery, id=sequences.next_delivery(connection), created_at_us=at_us)))
    batch.unrendered.extend([(*delivery_row(u.delivery), str(u)) for u in numbered])
    batch.told.extend([unrendered.exception_of(u, at_us) for u in numbered])
    return changed(settled, unrendered=numbered)


def _rows(operation: Processed, settled: Settled, batch: _Batch) -> None:
    m, at_us = operation.message, operation.at_us
    for state, events in (("raised", settled.events), ("duplicate", settled.duplicates)):
        for e in events:
            batch.events.append((m.id, operation.revision, e.number, e.id, e.type, e.line, state, e.key, data_json(e)))
    for g in settled.gaps:
        batch.exceptions.append((m.id, m.channel, "map", g.code, g.line, g.field, g.path, g.table, g.value, g.reason, at_us))
    if (fault := settled.fault) is not None:
        where = (fault.stage, fault.code[:40], 0, "", fault.place)
        batch.exceptions.append((m.id, m.channel, *where, "", "", fault.reason, at_us))
    if settled.notes:
        batch.notes.append((m.id, operation.revision, _json(settled.notes)))
    run = m.id >> RUN_BITS
    for kind, value in operation.search:
        batch.search.add((run, kind, search_hash(kind, value), m.id))
    batch.messages.append((m.id, settled.state, at_us, settled.reason, operation.revision))


def _json(notes: Sequence[Note]) -> str:
    return json.dumps([(n.line, n.code, n.place, n.reason) for n in notes[:NOTES_MAX]], ensure_ascii=False, separators=(",", ":"))


def delivery_row(d: Delivery) -> tuple[Any, ...]:
    """The row of a new delivery, as DELIVERY names its places."""
    events, at_us = ",".join(map(str, d.events)), d.created_at_us
    key, payload = d.idempotency_key, (d.control_id, d.content_type, events)
    return (d.id, d.message_id, d.channel, d.destination, d.lane, d.state, key, *payload, at_us, at_us, d.original_id)


def _flush(connection: Connection, batch: _Batch) -> None:
    rows.insert(connection, tables.claim, CLAIM, batch.claims)
    for key, *values in batch.taken_over:
        _run(connection, _TAKE_OVER, (*values, key))
    rows.insert(connection, tables.event, EVENT, batch.events)
    rows.insert(connection, tables.delivery, DELIVERY, batch.deliveries)
    rows.insert_bodies(connection, tables.delivery_body, BODY, batch.bodies)
    rows.insert(connection, tables.delivery, (*DELIVERY, "reason"), batch.unrendered)
    rows.insert(connection, tables.exception, EXCEPTION, batch.exceptions)
    rows.insert(connection, tables.exception, unrendered.EXCEPTION, batch.told)
    rows.insert(connection, tables.search_key, SEARCH, sorted(batch.search))
    rows.insert(connection, tables.note, NOTE, batch.notes)
    rows.update(connection, tables.message, MESSAGE, batch.messages)


def _begin_again(connection: Connection, operation: Processed, settled: Settled) -> None:
    """Before a message is processed again: its exceptions are answered by it, its search keys are made anew."""
    number = operation.message.id
    _run(connection, _RESOLVE, (operation.at_us, number))
    _run(connection, _FORGET, (number >> RUN_BITS, number))
    unrendered.give_way(connection, number, settled, operation.at_us)


def _positions(connection: Connection, touches: Iterable[StockKey]) -> dict[StockKey, Decimal]:
    found: dict[StockKey, Decimal] = {}
    for key in touches:
        for (on_hand,) in rows.query(connection, rows.marked(connection, _ON_HAND, 2), key):
            found[key] = Decimal(on_hand)
    return found


def _stock(connection: Connection, settled: Settled) -> None:
    for (location, item), on_hand in settled.stock.items():
        _run(connection, _PUT_STOCK, (location, item, str(on_hand)))


def _run(connection: Connection, sql: str, values: tuple[Any, ...]) -> None:
    rows.execute(connection, rows.marked(connection, sql, len(values)), values)
