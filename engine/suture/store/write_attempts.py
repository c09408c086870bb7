"""Rows of attempts, and the state each left its delivery in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection

from suture.model import states
from suture.model.outcome import UNSTORABLE, Accepted
from suture.ports import Attempted, Sending
from suture.store import rows, tables, views
from suture.store.sequences import Sequences

ATTEMPT = (
    *("delivery_id", "number", "started_at_us", "ended_at_us", "outcome", "code"),
    *("reason", "state", "next_at_us", "document", "response"),
)
EXCEPTION = ("message_id", "delivery_id", "channel", "stage", "code", "field", "reason", "opened_at_us")
KEPT_RESPONSE_BYTES = 4096
_BEGUN = """INSERT INTO sending (delivery_id, number, at_us) SELECT id, attempts + 1, CAST({first} AS BIGINT) FROM delivery
WHERE id IN ({in}) AND state <> 'in_flight'"""
_NUMBERS = "SELECT delivery_id, number FROM attempt WHERE delivery_id IN ({in})"


def write(connection: Connection, operations: list[Attempted], sequences: Sequences, results: dict[int, Callable[[], None]]) -> None:
    """Record the attempts. One that is salvaged comes late: it keeps its number where that is free, so that a later one decides."""
    taken = _taken(connection, [a.delivery.id for a in operations if a.salvaged])
    over: list[tuple[str, str, int]] = []
    attempts: list[tuple[Any, ...]] = []
    exceptions: list[tuple[Any, ...]] = []
    for a in operations:
        d, o, at_us, number = a.delivery, a.outcome, a.ended_at_us, a.number
        if a.salvaged:
            number = number if number not in taken[d.id] else max(taken[d.id]) + 1
            taken[d.id].add(number)
        if a.state not in views.OPEN_STATES["delivery"] and number == max(taken.get(d.id, (number,))):
            over.append((d.channel, d.destination, d.id))
        response = o.response[:KEPT_RESPONSE_BYTES] or None
        document = o.document if isinstance(o, Accepted) else None
        told = (o.name, o.code, a.reason, a.state, a.next_at_us, document)
        attempts.append((d.id, number, a.started_at_us, at_us, *told, response))
        if a.state in (states.DEAD, states.HELD, states.REFUSED):
            exceptions.append((d.message_id, d.id, d.channel, "deliver", o.code, d.destination, a.reason, at_us))
        if a.salvaged:
            exceptions.append((d.message_id, d.id, d.channel, "deliver", UNSTORABLE, d.destination, a.salvaged, at_us))
        results[id(a)] = a.done or _nothing
    rows.insert(connection, tables.attempt, ATTEMPT, attempts)
    sequences.over(connection, "delivery", over)
    rows.insert(connection, tables.exception, EXCEPTION, exceptions)


def _taken(connection: Connection, ids: list[int]) -> dict[int, set[int]]:
    """The numbers of the attempts that there are of these deliveries."""
    taken: dict[int, set[int]] = {number: set() for number in ids}
    for delivery_id, number in rows.select_in(connection, _NUMBERS, ids):
        taken[delivery_id].add(number)
    return taken


def write_sending(connection: Connection, operations: list[Sending], sequences: Sequences, results: dict[int, Callable[[], None]]) -> None:
    """Record that deliveries are in flight."""
    rows.execute_in(connection, _BEGUN, max(o.at_us for o in operations), [o.delivery.id for o in operations])
    for o in operations:
        results[id(o)] = o.done


def _nothing() -> None:
    pass
