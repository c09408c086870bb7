"""Deliveries that are held because no payload could be made for them: a row of `delivery` that points at none.

They are the only such rows, so that nothing can be sent of them by accident. A release makes the payload anew, and so
does a reprocessing of their message, which puts new deliveries in their place.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from suture.mapping.fields import typed
from suture.model import made as makes
from suture.model import states
from suture.model.events import Event, idempotency_key
from suture.model.made import KeptEvent, Made
from suture.model.message import Message
from suture.model.payload import Payload
from suture.model.value import changed
from suture.ports import Delivery, Settled, Unrendered
from suture.store import content, rows, rulings, tables
from suture.store.backlog import delivery_of, whole
from suture.store.queries import without_payload
from suture.store.tables import exception, queued
from suture.store.views import delivery, message

EXCEPTION = (
    *("message_id", "delivery_id", "channel", "stage", "code", "field"),
    *("path", "table_name", "value", "reason", "opened_at_us"),
)
STAGE = "render"
_WITHOUT_BODY = """SELECT id, destination, events FROM delivery
WHERE message_id = {} AND state = 'held' AND payload IS NULL"""
_RESOLVE = """UPDATE exception SET resolved_at_us = {}, resolution = 'reprocessed'
WHERE message_id = {} AND delivery_id = {} AND resolved_at_us IS NULL"""

Render = Callable[[Delivery, Message, Sequence[Event]], Payload | Unrendered | str]
"""Makes the payload of a delivery of this message and these events; or says why there is none: the text is for the person
who asked, an Unrendered is kept too."""


def exception_of(u: Unrendered, at_us: int) -> tuple[Any, ...]:
    """The exception that says why, a row of EXCEPTION."""
    d = u.delivery
    return d.message_id, d.id, d.channel, STAGE, u.code[:40], d.destination, u.place, u.table, u.value, u.reason, at_us


def give_way(connection: Connection, number: int, settled: Settled, at_us: int) -> None:
    """A message was processed again: what is made for the same destination and events takes the place of what had no payload."""
    made: dict[str, set[str]] = {}
    for d in (*settled.deliveries, *(u.delivery for u in settled.unrendered)):
        made.setdefault(d.destination, set()).update(map(str, d.events or (0,)))
    if not made:
        return
    for delivery_id, destination, events in rows.query(connection, rows.marked(connection, _WITHOUT_BODY, 1), (number,)):
        if made.get(destination, set()).issuperset((events or "0").split(",")):
            rulings.rule(connection, [delivery_id], states.SKIPPED, at_us, "made anew when its message was reprocessed")
            rows.execute(connection, rows.marked(connection, _RESOLVE, 3), (at_us, number, delivery_id))


def resolve(connection: Connection, deliveries: Sequence[Delivery], resolution: str, now_us: int) -> None:
    """Close the exceptions that are open about these deliveries."""
    e, messages = exception.c, {d.message_id for d in deliveries}
    opened = update(exception).where(e.message_id.in_(messages), e.delivery_id.in_([d.id for d in deliveries]), e.resolved_at_us.is_(None))
    connection.execute(opened.values(resolved_at_us=now_us, resolution=resolution))


def by_id(connection: Connection, ids: Sequence[int]) -> list[Delivery]:
    """Those of these deliveries that have no payload, in order of their numbers."""
    found = connection.execute(select(delivery).where(delivery.c.id.in_(list(ids)), without_payload()).order_by(delivery.c.id))
    return [delivery_of(row, b"") for row in found]


def filled(connection: Connection, old: Delivery, render: Render, now_us: int) -> Delivery | str:
    """The delivery with its payload, made and written down; or the reason why there is none, which is kept."""
    about = whole(connection, message.c.id == old.message_id)
    events = _events(connection, old)
    if not about or events is None:
        return "its message or its events are not there any more"
    ((m, _),) = about
    made = render(old, m, events)
    if isinstance(made, Unrendered):
        _keep_reason(connection, made, now_us)
        return str(made)
    if isinstance(made, str):
        return made
    values = {
        "control_id": made.control_id,
        "content_type": made.content_type,
        "reason": "",
        **_kept(connection, old.message_id, made.body),
    }
    connection.execute(update(queued).where(queued.c.id == old.id).values(values))
    return changed(old, body=made.body, control_id=made.control_id, content_type=made.content_type)


def _kept(connection: Connection, message_id: int, body: bytes) -> dict[str, int]:
    """Keep a payload that was made later, as a part of its own of what was made of the message; where it is, as columns of `delivery`."""
    t = tables.made
    revision, part = connection.execute(
        select(t.c.revision, func.max(t.c.part)).where(t.c.message_id == message_id).group_by(t.c.revision).order_by(t.c.revision.desc())
    ).first() or (0, 0)
    coding, kept = content.plain(makes.write(Made(payloads=[body])))
    connection.execute(insert(t).values(message_id=message_id, revision=revision, part=part + 1, events="", coding=coding, body=kept))
    return {"revision": revision, "part": part + 1, "payload": 0, "size_bytes": len(body)}


def _events(connection: Connection, old: Delivery) -> list[Event] | None:
    """The events of a delivery, as of the newest processing that made those; [] for the message itself."""
    if not old.events:
        return []
    for made in reversed(content.makings(connection, old.message_id).values()):
        found = {e.number: _event(e) for e in made.events if e.number in old.events and e.state == "raised"}
        mine = [found[number] for number in old.events if number in found]
        if idempotency_key(old.destination, [one.id for one in mine]) == old.idempotency_key:
            return mine
    return None


def _event(e: KeptEvent) -> Event:
    return Event(e.type, e.number, e.line, e.key, typed(e.type, json.loads(e.body)), 0, e.event_id, json=e.body)


def _keep_reason(connection: Connection, u: Unrendered, now_us: int) -> None:
    """What is missing now, in place of what was missing before."""
    resolve(connection, [u.delivery], "released, in vain", now_us)
    rows.insert(connection, exception, EXCEPTION, [exception_of(u, now_us)])
    connection.execute(update(queued).where(queued.c.id == u.delivery.id).values(reason=str(u), updated_at_us=now_us))
