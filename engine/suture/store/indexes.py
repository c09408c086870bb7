"""The indexes, for whoever makes a schema or compares one: to declare those that are partial loads the dialects of both databases."""

from __future__ import annotations

from sqlalchemy import Column, Index, text

from suture.store.tables import OPEN, command, delivery, exception, message, metadata

__all__ = ["metadata"]


def _partial(name: str, *columns: Column[int], where: str) -> None:
    Index(name, *columns, sqlite_where=text(where), postgresql_where=text(where))


Index("message_control", message.c.control_id, message.c.sender)
Index("delivery_message", delivery.c.message_id)
Index("exception_message", exception.c.message_id)
_partial("message_open", message.c.id, where="state = 'received'")
_partial("delivery_open", delivery.c.channel, delivery.c.destination, delivery.c.id, where=OPEN)
_partial("exception_open", exception.c.id, where="resolved_at_us IS NULL")
_partial("command_open", command.c.id, where="done_at_us IS NULL")
