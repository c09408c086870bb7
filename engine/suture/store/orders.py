"""What operators ask of the engine, and the record of what they did: rows in command, audit and channel_state."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, insert, or_, select, update

from suture.model.value import Value
from suture.model.views import AuditView
from suture.store.tables import audit, channel_state, command, exception

STOPPED, RUNNING = "stopped", "running"
ASKED = 500
"""Numbers that one statement names, at most."""


def order(connection: Connection, verb: str, arguments: dict[str, Any], actor: str, now_us: int) -> int:
    """Leave a command for the engine; returns its id."""
    values = {"verb": verb, "arguments": json.dumps(arguments), "actor": actor, "requested_at_us": now_us}
    return int(connection.execute(insert(command).values(**values).returning(command.c.id)).scalar_one())


def answer(connection: Connection, command_id: int) -> tuple[bool, Any] | None:
    """What the engine answered: (ok, result), or None while it has not."""
    row = connection.execute(select(command).where(command.c.id == command_id)).first()
    if row is None or row.done_at_us is None:
        return None
    return bool(row.ok), _result(row.result)


def _result(text: str | None) -> Any:
    try:
        return json.loads(text or "null")
    except ValueError:
        return text


def record(connection: Connection, actor: str, verb: str, target: str, reason: str, now_us: int) -> None:
    """Write one line of the audit."""
    connection.execute(insert(audit).values(at_us=now_us, actor=actor, verb=verb, target=target, reason=reason))


class AuditFilter(Value, frozen=True):
    """Which lines of the audit: every field that is set must fit. actor: with or without what comes before its colon.

    target: a part of it. before_id: only older ones.
    """

    actor: str | None = None
    verb: str | None = None
    target: str | None = None
    since_us: int | None = None
    until_us: int | None = None
    before_id: int | None = None


ANY_LINE = AuditFilter()


def audited(connection: Connection, limit: int, wanted: AuditFilter = ANY_LINE) -> list[AuditView]:
    """Lines of the audit, the newest first."""
    a = audit.c
    conditions = [] if wanted.verb is None else [a.verb == wanted.verb]
    if wanted.actor is not None:
        conditions.append(or_(a.actor == wanted.actor, a.actor.endswith(f":{wanted.actor}", autoescape=True)))
    if wanted.target is not None:
        conditions.append(a.target.contains(wanted.target, autoescape=True))
    conditions += [a.at_us >= wanted.since_us] if wanted.since_us is not None else []
    conditions += [a.at_us < wanted.until_us] if wanted.until_us is not None else []
    conditions += [a.id < wanted.before_id] if wanted.before_id is not None else []
    statement = select(a.id, a.at_us, a.actor, a.verb, a.target, a.reason).where(*conditions)
    return [AuditView(*row) for row in connection.execute(statement.order_by(a.id.desc()).limit(limit))]


def desire(connection: Connection, channel: str, desired: str, now_us: int) -> None:
    """Keep what the operator wants of a channel over restarts."""
    t = channel_state
    changed = connection.execute(update(t).where(t.c.channel == channel).values(desired=desired, updated_at_us=now_us))
    if not changed.rowcount:
        connection.execute(insert(t).values(channel=channel, desired=desired, actual=STOPPED, updated_at_us=now_us))


def channels(connection: Connection) -> set[str]:
    """The channels the engine has ever run."""
    return set(connection.execute(select(channel_state.c.channel)).scalars())


def resolve(connection: Connection, exception_ids: Sequence[int], resolution: str, now_us: int) -> list[int]:
    """Close exceptions; returns the ids of those that were open."""
    t, wanted, closed = exception, sorted(set(exception_ids)), list[int]()
    for start in range(0, len(wanted), ASKED):
        statement = update(t).where(t.c.id.in_(wanted[start : start + ASKED]), t.c.resolved_at_us.is_(None))
        closed += connection.execute(statement.values(resolved_at_us=now_us, resolution=resolution).returning(t.c.id)).scalars()
    return sorted(closed)
