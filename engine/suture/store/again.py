"""Sending again and processing again, as rows: old records are kept and linked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, func, literal, select

from suture.model import states
from suture.model.message import Message
from suture.model.value import changed
from suture.ports import STOCK_UNIT, Delivery
from suture.store import rows, unrendered
from suture.store.backlog import READ_BYTES, deliveries_by_id, stored_message
from suture.store.preview import NO_PAYLOAD, left_alone
from suture.store.queries import without_payload
from suture.store.sequences import Sequences
from suture.store.tables import delivery, delivery_body, event, exception, message, message_body
from suture.store.write_processed import BODY, DELIVERY, delivery_row

Payload = tuple[int, str]
PART = 100
"""What is sent or processed again in one transaction, at most: while it lasts nothing else is written, or acknowledged."""
ASKED = 1000
"""Numbers that one statement names, at most."""
TAKEN = "the destination has taken it already, or it waits under another number"


@dataclass(slots=True)
class Again:
    """What a resend came to. skipped: (id, why) of what was left alone."""

    deliveries: list[Delivery] = field(default_factory=list)
    skipped: list[tuple[int, str]] = field(default_factory=list)


def parts(ids: Sequence[int], sizes: Mapping[int, int]) -> Iterator[list[int]]:
    """Cut a request into parts of at most PART, and of so many bytes as one read may bring into memory (one may be larger)."""
    part: list[int] = []
    total = 0
    for number in dict.fromkeys(ids):
        size = sizes.get(number, 0)
        if part and (len(part) >= PART or total + size > READ_BYTES):
            yield part
            part, total = [], 0
        part.append(number)
        total += size
    if part:
        yield part


def delivery_sizes(connection: Connection, ids: Sequence[int]) -> dict[int, int]:
    """How large the bodies of these deliveries are."""
    return _sizes(connection, ids, delivery_body.c.delivery_id, func.length(delivery_body.c.body))


def message_sizes(connection: Connection, ids: Sequence[int]) -> dict[int, int]:
    """How large these messages are."""
    return _sizes(connection, ids, message.c.id, message.c.size_bytes)


def _sizes(connection: Connection, ids: Sequence[int], number: Any, size: Any) -> dict[int, int]:
    found: dict[int, int] = {}
    for begin in range(0, len(ids), ASKED):
        rows_found = connection.execute(select(number, size).where(number.in_(list(ids[begin : begin + ASKED]))))
        found.update({row[0]: row[1] for row in rows_found})
    return found


def resend(
    connection: Connection, numbers: Sequences, ids: Sequence[int], insist: bool, now_us: int, going: dict[Payload, int] | None = None
) -> Again:
    """New deliveries with the payloads and idempotency keys of old ones; told without their bodies.

    What waits already, what never had a payload, and (unless insist) what was accepted, is skipped; of each payload one is
    sent. Exceptions of the old ones are resolved. going: the payloads that earlier parts of the same request send.
    """
    found, bare = deliveries_by_id(connection, ids, bodies=False), unrendered.by_id(connection, ids)
    again = Again(skipped=[*_missing(ids, [*found, *bare]), *((old.id, NO_PAYLOAD) for old in bare)])
    going = {} if going is None else going
    for old in found:
        if old.state in states.WAITING:
            again.skipped.append((old.id, f"it is {old.state} and will be sent"))
        elif _taken(connection, old) and not insist:
            again.skipped.append((old.id, TAKEN))
        elif (same := going.setdefault(_payload(old), old.id)) != old.id:
            again.skipped.append((old.id, f"it holds the same as delivery {same}, which is sent again"))
        else:
            again.deliveries.append(changed(old, attempts=0, state=states.QUEUED, next_at_us=0, original_id=old.id, id=0))
    again.deliveries = _insert(connection, numbers, again.deliveries, now_us)
    _resolve(connection, [d.original_id for d in again.deliveries], "resent", now_us)
    _close(connection, [d.original_id for d in again.deliveries], now_us)
    return again


def _missing(ids: Sequence[int], found: Sequence[Delivery]) -> list[tuple[int, str]]:
    there = {d.id for d in found}
    return [(i, "there is no such delivery") for i in ids if i not in there]


def _payload(d: Delivery) -> Payload:
    """What is the same for a delivery and all its resends."""
    return d.message_id, d.idempotency_key


def _taken(connection: Connection, old: Delivery) -> bool:
    same = (delivery.c.message_id == old.message_id, delivery.c.idempotency_key == old.idempotency_key)
    taken = delivery.c.state.in_((*states.DELIVERED, *states.WAITING))
    return connection.execute(select(delivery.c.id).where(*same, taken).limit(1)).first() is not None


def _insert(connection: Connection, numbers: Sequences, deliveries: Sequence[Delivery], now_us: int) -> list[Delivery]:
    numbered = [changed(d, id=numbers.next_delivery(), created_at_us=now_us) for d in deliveries]
    rows.insert(connection, delivery, DELIVERY, [delivery_row(d) for d in numbered])
    for d in numbered:  # the body goes from row to row, without a way through this process
        body = select(literal(d.id), delivery_body.c.body).where(delivery_body.c.delivery_id == d.original_id)
        connection.execute(delivery_body.insert().from_select(BODY, body))
    return numbered


def release(connection: Connection, ids: Sequence[int], now_us: int, render: unrendered.Render) -> Again:
    """Held and dead deliveries go back to their lanes, with the attempts they have had; a payload that is missing is made.

    What was sent again under another number, and waits or was taken there, is skipped; of each payload one is let go.
    """
    bare = {d.id: d for d in unrendered.by_id(connection, ids)}
    found = sorted([*deliveries_by_id(connection, ids), *bare.values()], key=lambda d: d.id)
    again = Again(skipped=_missing(ids, found))
    going: dict[Payload, int] = {}
    for old in found:
        if old.state not in (states.HELD, states.DEAD):
            again.skipped.append((old.id, f"it is {old.state}, neither held nor dead"))
        elif _taken(connection, old):
            again.skipped.append((old.id, TAKEN))
        elif (same := going.setdefault(_payload(old), old.id)) != old.id:
            again.skipped.append((old.id, f"it holds the same as delivery {same}, which goes out"))
        else:
            made = unrendered.filled(connection, old, render, now_us) if old.id in bare else old
            if isinstance(made, str):
                again.skipped.append((old.id, made))
            else:
                again.deliveries.append(changed(made, state=states.QUEUED, created_at_us=now_us))
    rows.update(connection, delivery, ("state", "updated_at_us"), [(d.id, states.QUEUED, now_us) for d in again.deliveries])
    _resolve(connection, [d.id for d in again.deliveries], "released", now_us)
    return again


def _resolve(connection: Connection, ids: Sequence[int | None], resolution: str, now_us: int) -> None:
    opened = exception.update().where(exception.c.delivery_id.in_(list(ids)), exception.c.resolved_at_us.is_(None))
    connection.execute(opened.values(resolved_at_us=now_us, resolution=resolution))


def _close(connection: Connection, ids: Sequence[int | None], now_us: int) -> None:
    """A held delivery that was sent again under a new number no longer waits."""
    held = delivery.update().where(delivery.c.id.in_(list(ids)), delivery.c.state == states.HELD)
    connection.execute(held.values(state=states.SKIPPED, updated_at_us=now_us, reason="sent again under a new number"))


@dataclass(slots=True)
class Stored:
    """A message as it is needed to process it again. taken: destination to event numbers it has, or will get.

    left_alone: why it is not to be processed again, "" where it is.
    """

    message: Message
    revision: int
    taken: dict[str, frozenset[int]]
    left_alone: str = ""


def stored(connection: Connection, ids: Sequence[int], insist: bool) -> list[Stored]:
    """Messages with what their destinations have already; with insist, as if they had nothing.

    What the stock has counted is told in either case, under the destination "".
    """
    query = select(message, message_body.c.raw).join(message_body, message_body.c.message_id == message.c.id)
    found = connection.execute(query.where(message.c.id.in_(list(ids))).order_by(message.c.id)).all()
    return [
        Stored(
            stored_message(row),
            row.revision,
            _taken_by_all(connection, row.id, insist),
            left_alone(row.state, row.duplicate_of, row.reason),
        )
        for row in found
    ]


def _taken_by_all(connection: Connection, number: int, insist: bool) -> dict[str, frozenset[int]]:
    uncounted = select(exception.c.line).where(*_open_of(number), exception.c.code == STOCK_UNIT)
    raised = select(event.c.number).where(event.c.message_id == number, event.c.state == "raised", event.c.line.not_in(uncounted))
    taken = {} if insist else _taken_events(connection, number)
    return {**taken, "": frozenset(connection.execute(raised).scalars())}


def _open_of(number: int) -> tuple[Any, ...]:
    """Open exceptions of a message's lines."""
    return exception.c.message_id == number, exception.c.delivery_id.is_(None), exception.c.resolved_at_us.is_(None)


def _taken_events(connection: Connection, number: int) -> dict[str, frozenset[int]]:
    going = delivery.c.state.in_((*states.DELIVERED, *states.WAITING, states.HELD))
    made = (delivery.c.message_id == number, going, ~without_payload())
    taken: dict[str, set[int]] = {}
    for row in connection.execute(select(delivery.c.destination, delivery.c.events).where(*made)):
        # A delivery without events is the message itself, which goes by the number 0.
        taken.setdefault(row.destination, set()).update(int(n) for n in (row.events or "0").split(","))
    return {name: frozenset(numbers) for name, numbers in taken.items()}
