"""What a restored store must not do as if nothing had happened between its backup and now.

What waited then may have been sent since, and messages that were not processed yet may have been processed: both wait for
a person. Numbers that were given since are at the partners, so none of them is given again: a message that is passed on
has an idempotency key made of its number.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, Connection, func, insert, inspect, literal, select, update

from suture.model import states
from suture.model.value import Value
from suture.store import again, orders
from suture.store.sequences import KINDS
from suture.store.state import STORE, put, put_engine
from suture.store.tables import command, engine_state, exception, numbers, queued, received, sequence_number, waiting
from suture.store.views import delivery, message

CODE, STAGE = "RESTORED", "restore"
ROUND = 1_000_000_000
A_SECOND = 100_000
"""Numbers that are kept free for each second since the backup: several times what an engine can give."""
LIVELY = ("heartbeat_us", "stopped_at_us", "pid", "phase", "owner", "journal", "probe")
"""Facts of the engine that ran when the backup was made."""


class Restoring(Value, frozen=True):
    """Who restores what. made_us: when the backup was begun; now_us: now. send: what waits goes out by itself.

    What is known of the store that gives way: epoch: of its next owner. given: no message or delivery had a higher number.
    """

    made_us: int
    now_us: int
    actor: str
    reason: str
    source: str
    send: bool = False
    epoch: int = 1
    given: int = 0


class Held(Value, frozen=True):
    """What waits for a person after a restore, and the number after which new ones are counted."""

    deliveries: int
    messages: int
    numbers_after: int


def settle(connection: Connection, what: Restoring) -> Held:
    """Bring the rows of a backup to what may be true now, in the restore's own transaction."""
    since_s = max(0, what.now_us - what.made_us) // 1_000_000
    numbers_after = max(given(connection) + A_SECOND * since_s, what.given) // ROUND * ROUND + ROUND
    _forget_engine(connection, what, numbers_after)
    _answer_commands(connection, what)
    why = f"restored from the backup of {_shown(what.made_us)}"
    waits = delivery.c.state.in_(states.WAITING)
    held = (0, 0)
    if not what.send:
        deliveries = again.hold(connection, waits, STAGE, CODE, f"{why}; it may have been sent since", what.now_us)
        held = deliveries, _park(connection, what, f"{why}; it may have been processed since")
    orders.record(connection, what.actor, "db_restore", what.source, what.reason, what.now_us)
    return Held(*held, numbers_after)


def _shown(at_us: int) -> str:
    return datetime.fromtimestamp(at_us // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def given(connection: Connection) -> int:
    """No message or delivery of this store, of whatever schema it is, has a higher number, or can have been sent under one."""
    there = set(inspect(connection).get_table_names())
    highest: list[Any] = [func.max(table.c.id) for table in (message, delivery, received, queued) if table.name in there]
    highest += [func.max(numbers.c.free_from) - 1] if numbers.name in there else []
    return max((connection.execute(select(one)).scalar() or 0 for one in highest), default=0)


def _forget_engine(connection: Connection, what: Restoring, numbers_after: int) -> None:
    """The engine of that time is gone; and which number a sender gives next is not known any more."""
    name = engine_state.c.name
    connection.execute(engine_state.delete().where(name.in_(LIVELY) | (engine_state.c.node != STORE)))
    connection.execute(update(sequence_number).where(sequence_number.c.direction == "in").values(number=None))
    for kind in KINDS:
        put(connection, numbers, {"kind": kind}, {"free_from": numbers_after + 1})
    put_engine(connection, STORE, {"restored": _shown(what.made_us), "journal": f"{what.epoch}.restored"}, what.now_us)


def _answer_commands(connection: Connection, what: Restoring) -> None:
    """Requests that were not carried out then are not carried out now: nobody waits for them, and they may have been since."""
    result = '"not carried out: the store was restored from a backup; ask again"'
    values = {"done_at_us": what.now_us, "ok": 0, "result": result}
    connection.execute(update(command).where(command.c.done_at_us.is_(None)).values(values))


def _park(connection: Connection, what: Restoring, why: str) -> int:
    m = message.c
    waits = m.state == states.RECEIVED
    told = select(m.id, m.channel, literal(STAGE), literal(CODE), literal(why), literal(what.now_us, BigInteger)).where(waits)
    columns = ["message_id", "channel", "stage", "code", "reason", "opened_at_us"]
    connection.execute(insert(exception).from_select(columns, told.order_by(m.id)))
    values = {"state": states.PARKED, "processed_at_us": what.now_us, "reason": f"{CODE}: {why}"}
    connection.execute(waiting.delete().where(waiting.c.kind == "message"))
    return connection.execute(update(received).where(received.c.id.in_(select(m.id).where(waits))).values(values)).rowcount
