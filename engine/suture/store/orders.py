"""What operators ask of the engine, and the record of what they did: rows in command, audit and channel_state."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, insert, or_, select, update

from suture.model.views import AuditView
from suture.store.queries import AuditFilter, before, between, in_parts
from suture.store.state import put
from suture.store.tables import audit, channel_state, command, exception


def order(connection: Connection, verb: str, arguments: dict[str, Any], actor: str, now_us: int) -> int:
    """Leave a command for the engine; returns its id."""
    values = {"verb": verb, "arguments": json.dumps(arguments), "actor": actor, "requested_at_us": now_us}
    return int(connection.execute(insert(command).values(**values).returning(command.c.id)).scalar_one())


def answer(connection: Connection, command_id: int) -> tuple[bool, Any] | None:
    """What the engine answered: (ok, result), or None while it has not."""
    row = connection.execute(select(command).where(command.c.id == command_id)).first()
    if row is None or row.done_at_us is None:
        return None
    try:
        return bool(row.ok), json.loads(row.result or "null")
    except ValueError:
        return bool(row.ok), row.result


def record(connection: Connection, actor: str, verb: str, target: str, reason: str, now_us: int) -> None:
    """Write one line of the audit."""
    connection.execute(insert(audit).values(at_us=now_us, actor=actor, verb=verb, target=target, reason=reason))


def audited(connection: Connection, wanted: AuditFilter) -> list[AuditView]:
    """Lines of the audit, the newest first."""
    a = audit.c
    conditions = [*between(a.at_us, wanted), *before(a.id, wanted)]
    if wanted.verb is not None:
        conditions.append(a.verb == wanted.verb)
    if wanted.actor is not None:
        conditions.append(or_(a.actor == wanted.actor, a.actor.endswith(f":{wanted.actor}", autoescape=True)))
    if wanted.target is not None:
        conditions.append(a.target.contains(wanted.target, autoescape=True))
    statement = select(a.id, a.at_us, a.actor, a.verb, a.target, a.reason).where(*conditions)
    return [AuditView(*row) for row in connection.execute(statement.order_by(a.id.desc()).limit(wanted.limit))]


def desire(connection: Connection, channel: str, desired: str, now_us: int) -> None:
    """Keep what the operator wants of a channel over restarts."""
    put(connection, channel_state, {"channel": channel}, {"desired": desired, "updated_at_us": now_us}, actual="stopped")


def channels(connection: Connection) -> set[str]:
    """The channels the engine has ever run."""
    return set(connection.execute(select(channel_state.c.channel)).scalars())


def resolve(connection: Connection, exception_ids: Sequence[int], resolution: str, now_us: int) -> list[int]:
    """Close exceptions; returns the ids of those that were open."""
    e = exception.c
    closing = update(exception).where(e.resolved_at_us.is_(None)).values(resolved_at_us=now_us, resolution=resolution)
    return sorted(row.id for row in in_parts(connection, closing.returning(e.id), e.id, exception_ids))
