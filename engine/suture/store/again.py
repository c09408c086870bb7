"""Sending again and processing again, as rows: old records are kept and linked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from sqlalchemy import BigInteger, ColumnElement, Connection, literal, select

from suture.model import states
from suture.model.message import Message
from suture.model.value import Draft, changed, fresh
from suture.model.verbs import LeftDelivery
from suture.model.views import SEND, SKIP, Item
from suture.ports import STOCK_UNIT, Delivery
from suture.store import queries, replay, rows, rulings, unrendered
from suture.store.backlog import READ_BYTES, deliveries_by_id, whole
from suture.store.content import makings
from suture.store.replay import Payload
from suture.store.sequences import Sequences
from suture.store.tables import exception, queued
from suture.store.views import delivery, message
from suture.store.write_processed import DELIVERY, delivery_row

PART = 100
"""What is sent or processed again in one transaction, at most: while it lasts nothing else is written, or acknowledged."""


class Again(Draft):
    """What a resend or a release came to. skipped: what was left alone."""

    deliveries: list[Delivery] = fresh(list)
    skipped: list[LeftDelivery] = fresh(list)


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
    d = delivery.c
    return dict(queries.in_parts(connection, select(d.id, d.size_bytes), d.id, ids))


def message_sizes(connection: Connection, ids: Sequence[int]) -> dict[int, int]:
    """How large these messages are."""
    m = message.c
    return dict(queries.in_parts(connection, select(m.id, m.size_bytes), m.id, ids))


def resend(
    connection: Connection, numbers: Sequences, ids: Sequence[int], insist: bool, now_us: int, going: dict[Payload, int] | None = None
) -> Again:
    """New deliveries with the payloads and idempotency keys of old ones, as far as the rule lets them (replay.resend); told
    without their bodies. Exceptions of the old ones are resolved. going: the payloads that earlier parts of the same request send.
    """
    again, wanted = _asked(ids, replay.resend(ids, queries.known_with(connection, ids), insist, going))
    found = deliveries_by_id(connection, wanted, bodies=False)
    fresh = [changed(old, attempts=0, state=states.QUEUED, next_at_us=0, original_id=old.id, id=0) for old in found]
    again.deliveries = _insert(connection, numbers, fresh, now_us)
    unrendered.resolve(connection, found, "resent", now_us)
    # A held delivery that was sent again under a new number no longer waits.
    held = [d.id for d in found if d.state == states.HELD]
    rulings.rule(connection, held, states.SKIPPED, now_us, "sent again under a new number")
    return again


def _asked(ids: Sequence[int], items: Sequence[Item]) -> tuple[Again, list[int]]:
    """What is left alone, and why, first what is not there; and what goes out."""
    there = {item.delivery_id: item for item in items if item.delivery_id}
    missing = [LeftDelivery(number, "there is no such delivery") for number in ids if number not in there]
    left = [LeftDelivery(number, item.why) for number, item in there.items() if item.action == SKIP]
    return Again(skipped=[*missing, *left]), [number for number, item in there.items() if item.action == SEND]


def _insert(connection: Connection, numbers: Sequences, deliveries: Sequence[Delivery], now_us: int) -> list[Delivery]:
    numbered = [changed(d, id=numbers.next_delivery(connection), created_at_us=now_us) for d in deliveries]
    d = delivery.c
    asked = select(d.id, d.revision, d.part, d.payload, d.size_bytes).where(d.id.in_([d.original_id for d in deliveries]))
    payloads = {number: tuple(where) for number, *where in connection.execute(asked)}
    rows.insert(connection, queued, DELIVERY, [delivery_row(d, payloads[d.original_id]) for d in numbered])
    return numbered


def release(connection: Connection, ids: Sequence[int], now_us: int, render: unrendered.Render) -> Again:
    """Held and dead deliveries go back to their lanes, as far as the rule lets them (replay.release), with the attempts they
    have had; a payload that is missing is made.
    """
    again, wanted = _asked(ids, replay.release(ids, queries.known_with(connection, ids)))
    bare = {d.id: d for d in unrendered.by_id(connection, wanted)}
    for old in sorted([*deliveries_by_id(connection, wanted), *bare.values()], key=lambda d: d.id):
        made = unrendered.filled(connection, old, render, now_us) if old.id in bare else old
        if isinstance(made, str):
            again.skipped.append(LeftDelivery(old.id, made))
        else:
            again.deliveries.append(changed(made, state=states.QUEUED, created_at_us=now_us))
    rulings.rule(connection, [d.id for d in again.deliveries], states.QUEUED, now_us)
    unrendered.resolve(connection, again.deliveries, "released", now_us)
    return again


def hold(connection: Connection, which: ColumnElement[bool], stage: str, code: str, why: str, now_us: int) -> int:
    """Deliveries wait for a person, who is told why by an exception each; how many there are. which: a condition on the table."""
    d = delivery.c
    told = select(d.message_id, d.id, d.channel, literal(stage), literal(code), d.destination, literal(why), literal(now_us, BigInteger))
    columns = ["message_id", "delivery_id", "channel", "stage", "code", "field", "reason", "opened_at_us"]
    connection.execute(exception.insert().from_select(columns, told.where(which).order_by(d.id)))
    return rulings.hold(connection, which, now_us, why)


class Stored(Draft):
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
    found = whole(connection, message.c.id.in_(list(ids)))
    known = queries.known(connection, ids)
    items = {item.message_id: item for item in replay.reprocess(queries.wholes(connection, ids), known, insist)}
    again = []
    for m, revision in found:
        item = items[m.id]
        taken = {} if insist else replay.taken(d for d in known if d.message_id == m.id)
        taken[""] = _counted(connection, m.id)
        again.append(Stored(m, revision, taken, item.why if item.action == SKIP else ""))
    return again


def _counted(connection: Connection, number: int) -> frozenset[int]:
    """The events of a message that the stock has counted."""
    e = exception.c
    asked = select(e.line).where(e.message_id == number, e.delivery_id.is_(None), e.resolved_at_us.is_(None), e.code == STOCK_UNIT)
    uncounted = set(connection.execute(asked).scalars())
    every = (each for made in makings(connection, number).values() for each in made.events)
    return frozenset(each.number for each in every if each.state == "raised" and each.line not in uncounted)
