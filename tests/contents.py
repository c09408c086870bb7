"""What a store keeps of messages, as it was before it was compressed: for tests that look at all of it."""

from __future__ import annotations

from sqlalchemy import Connection, select

from suture.model.made import KeptEvent
from suture.store import content, tables, views


def raws(connection: Connection) -> dict[int, bytes]:
    """The bytes of every message, in the order of their numbers."""
    b = tables.message_body.c
    found = connection.execute(select(b.message_id, b.coding, b.raw).order_by(b.message_id)).all()
    return {number: content.content(connection, *kept) for number, *kept in found}


def events(connection: Connection) -> list[tuple[int, int, KeptEvent]]:
    """(message, revision, event) of every event, in that order."""
    m = tables.made.c
    found = connection.execute(select(m.message_id, m.revision, m.coding, m.body).order_by(m.message_id, m.revision, m.part)).all()
    return [(number, revision, event) for number, revision, *kept in found for event in content.opened(connection, *kept).events]


def payloads(connection: Connection) -> dict[int, bytes]:
    """Of every delivery that has one, in the order of their numbers."""
    numbers = list(connection.execute(select(views.delivery.c.id).order_by(views.delivery.c.id)).scalars())
    found = {number: content.payload(connection, number) for number in numbers}
    return {number: payload for number, payload in found.items() if payload is not None}
