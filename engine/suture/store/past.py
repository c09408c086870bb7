"""What became of a message, for the answer to its repetition."""

from __future__ import annotations

from sqlalchemy import Connection, select

from suture.model import states
from suture.ports import Fault, Past
from suture.store.tables import delivery, exception, message

CHAIN_MAX = 100
"""Repetitions of repetitions that are followed back to the message that was processed."""


def recall(connection: Connection, number: int) -> Past:
    """The message that was stored first with these bytes: its state, what is open against it, and its deliveries.

    A delivery that was sent again counts by its last resend.
    """
    number, state = _first(connection, number)
    e, d = exception.c, delivery.c
    open_ones = (e.message_id == number, e.delivery_id.is_(None), e.resolved_at_us.is_(None))
    faults = [Fault(*row) for row in connection.execute(select(e.code, e.path, e.line, e.reason).where(*open_ones).order_by(e.id))]
    rows = connection.execute(select(d.id, d.destination, d.state, d.original_id).where(d.message_id == number).order_by(d.id)).all()
    replaced = {row.original_id for row in rows if row.original_id}
    return Past(number, state, faults, [(row.id, row.destination, row.state) for row in rows if row.id not in replaced])


def _first(connection: Connection, number: int) -> tuple[int, str]:
    m = message.c
    for _ in range(CHAIN_MAX):
        row = connection.execute(select(m.state, m.duplicate_of).where(m.id == number)).first()
        if row is None:
            return number, states.PROCESSED  # it was purged since: it had come to its end
        if row.state != states.DUPLICATE or not row.duplicate_of:
            return number, row.state
        number = row.duplicate_of
    return number, states.PROCESSED
