"""What destinations have taken a second time, because a person insisted on sending it again."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, select, union

from suture.model import states
from suture.model.views import Doubled
from suture.store.tables import delivery, message

PART = 500
"""Messages that are asked about in one statement."""


def doubled(connection: Connection, channel: str) -> dict[str, Doubled]:
    """By destination, over the whole history of a channel: reads every row of its messages and deliveries.

    An event is told by its number, as where what a destination has is skipped; a message that is passed on goes by the number 0.
    """
    taken: dict[tuple[int, str], set[str]] = {}
    found: dict[str, Doubled] = {}
    for message_id, destination, events in _taken_again(connection, channel):
        before, numbers = taken.setdefault((message_id, destination), set()), set((events or "0").split(","))
        if before & numbers:
            one = found.setdefault(destination, Doubled())
            one.deliveries += 1
            if message_id not in one.messages[-1:]:
                one.messages.append(message_id)
        before |= numbers
    return dict(sorted(found.items()))


def _taken_again(connection: Connection, channel: str) -> Iterator[tuple[int, str, str]]:
    """What was taken of the messages that were sent or processed again, in the order in which it was made."""
    d, m = delivery.c, message.c
    resent = select(d.message_id).where(d.channel == channel, d.original_id.is_not(None), d.state.in_(states.DELIVERED))
    reprocessed = select(m.id).where(m.channel == channel, m.revision > 0)
    ids = sorted(connection.execute(union(resent, reprocessed)).scalars())
    for start in range(0, len(ids), PART):
        taken = (d.message_id.in_(ids[start : start + PART]), d.state.in_(states.DELIVERED))
        rows = connection.execute(select(d.message_id, d.destination, d.events).where(*taken).order_by(d.message_id, d.id))
        yield from ((row.message_id, row.destination, row.events) for row in rows)
