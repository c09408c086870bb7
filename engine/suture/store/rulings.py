"""What a person, or a restore, rules about deliveries: their rows in `queued` say it, after the attempts that they have had.

And what that means for `waiting`: whatever is open and behind numbers.open_from stands there.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import ColumnElement, Connection, insert, literal, select, update

from suture.model import states
from suture.store import rows
from suture.store.tables import numbers, queued, sending, waiting
from suture.store.views import OPEN_STATES, delivery

_RULE = """UPDATE queued SET state = {}, reason = coalesce({}, v.reason), updated_at_us = {},
attempts = v.attempts, next_at_us = v.next_at_us
FROM delivery v WHERE v.id = queued.id AND queued.id = {}"""
_NOT_SENDING = "DELETE FROM sending WHERE delivery_id = {}"
_OPENED = """INSERT INTO waiting (kind, channel, destination, id) SELECT 'delivery', channel, destination, id FROM queued
WHERE id = {} AND id < (SELECT open_from FROM numbers WHERE kind = 'delivery') ON CONFLICT DO NOTHING"""
_OVER = """DELETE FROM waiting WHERE kind = 'delivery'
AND (channel, destination, id) IN (SELECT channel, destination, id FROM queued WHERE id = {})"""


def rule(connection: Connection, ids: Iterable[int], state: str, at_us: int, reason: str | None = None) -> None:
    """These deliveries are in this state now. reason: None leaves the last one. It may be part of a pipeline (dialect.Pipelined)."""
    for number in ids:
        rows.execute(connection, rows.marked(connection, _RULE, 4), (state, reason, at_us, number))
        rows.execute(connection, rows.marked(connection, _NOT_SENDING, 1), (number,))
        rows.execute(connection, rows.marked(connection, _OPENED if state in OPEN_STATES["delivery"] else _OVER, 1), (number,))


def hold(connection: Connection, which: ColumnElement[bool], at_us: int, reason: str) -> int:
    """All deliveries that fit are held; how many there are. which: a condition on the view `delivery`."""
    d, q = delivery.c, queued.c
    ids = select(d.id).where(which)
    there = select(waiting.c.id).where(waiting.c.kind == "delivery")
    mark = select(numbers.c.open_from).where(numbers.c.kind == "delivery").scalar_subquery()
    opened = select(literal("delivery"), q.channel, q.destination, q.id).where(q.id.in_(ids), q.id < mark, q.id.not_in(there))
    connection.execute(insert(waiting).from_select(["kind", "channel", "destination", "id"], opened))
    values = {"state": states.HELD, "reason": reason, "updated_at_us": at_us, "attempts": d.attempts, "next_at_us": 0}
    held: int = connection.execute(update(queued).where(q.id == d.id, which).values(values)).rowcount
    connection.execute(sending.delete().where(sending.c.delivery_id.in_(select(q.id).where(q.state == states.HELD))))
    return held
