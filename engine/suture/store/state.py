"""Small facts the engine keeps in the store, and the operator's requests to it."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, Table, func, select, text

from suture.model import states
from suture.model.value import Value
from suture.store.tables import channel_state, command, destination_state, engine_state
from suture.store.views import delivery_open

HEARTBEAT, PHASE = "heartbeat_us", "phase"
"""Facts about the engine: its last sign of life, by its own clock, and whether it is starting, running or stopping."""
STORE = ""
"""In the place of a node, for what is true of the store as a whole."""
STARTING, RUNNING, STOPPING = "starting", "running", "stopping"


def put(connection: Connection, table: Table, keys: dict[str, Any], values: dict[str, Any], **first: Any) -> None:
    """Update the row with these keys, or insert it. first: what only a new row gets."""
    where = [table.c[name] == value for name, value in keys.items()]
    if not connection.execute(table.update().where(*where).values(values)).rowcount:
        connection.execute(table.insert().values({**keys, **values, **first}))


def desired(connection: Connection) -> dict[str, str]:
    """Channel to what the operator wants of it."""
    return {row.channel: row.desired for row in connection.execute(select(channel_state))}


def forget_destinations(connection: Connection, channel: str, but: Collection[str]) -> None:
    """A channel has only these destinations any more."""
    d = destination_state.c
    connection.execute(destination_state.delete().where(d.channel == channel, d.destination.not_in(list(but))))


def failing(connection: Connection, channel: str) -> dict[str, tuple[float, str]]:
    """Destinations of a channel that took nothing since they began to fail: UNIX time of that in seconds, and the last error."""
    d = destination_state.c
    found = connection.execute(select(d.destination, d.since_us, d.reason).where(d.channel == channel, d.state == "failing"))
    return {row.destination: (row.since_us / 1e6, row.reason) for row in found}


def put_engine(connection: Connection, node: str, facts: dict[str, Any], now_us: int) -> None:
    """Facts about this node's engine (STORE: about the store as a whole), one row each."""
    for name, value in facts.items():
        put(connection, engine_state, {"node": node, "name": name}, {"value": str(value), "updated_at_us": now_us})


def forget_engines(connection: Connection, but: str) -> None:
    """Of the engines that had the store before, only this node's is remembered."""
    connection.execute(engine_state.delete().where(engine_state.c.node.not_in((STORE, but))))


def engine_facts(connection: Connection, node: str) -> dict[str, str]:
    """What is known of the store, and what this node's engine says of itself."""
    rows = connection.execute(select(engine_state).where(engine_state.c.node.in_((STORE, node)))).all()
    return {row.name: row.value for row in sorted(rows, key=lambda row: row.node != STORE)}


def depths(connection: Connection, channel: str) -> dict[str, int]:
    """Destination to deliveries that wait for it."""
    d = delivery_open.c
    waits = (d.channel == channel, d.state.in_(states.WAITING))
    rows = connection.execute(select(d.destination, func.count()).where(*waits).group_by(d.destination))
    return {row[0]: row[1] for row in rows}


class Request(Value, frozen=True):
    """One row of `command`."""

    id: int
    verb: str
    arguments: dict[str, Any]
    actor: str


def requests(connection: Connection) -> list[Request]:
    """The operator's requests that wait, in order."""
    rows = connection.execute(select(command).where(text("done_at_us IS NULL")).order_by(command.c.id).limit(100))
    return [Request(row.id, row.verb, _object(row.arguments), row.actor) for row in rows]


def _object(document: str) -> dict[str, Any]:
    try:
        value = json.loads(document)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def answer(connection: Connection, request: int, ok: bool, result: Any, now_us: int) -> None:
    """Say what became of a request."""
    change = command.update().where(command.c.id == request)
    connection.execute(change.values(done_at_us=now_us, ok=int(ok), result=json.dumps(result)))
