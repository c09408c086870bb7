"""The indexes, for whoever makes a schema or compares one: to declare those that are partial loads the dialects of both databases."""

from __future__ import annotations

from sqlalchemy import Index, text

from suture.store import views
from suture.store.tables import command, exception, metadata, queued, received

__all__ = ["metadata", "views"]

Index("message_control", received.c.control_id, received.c.sender)
Index("delivery_message", queued.c.message_id)
Index("exception_message", exception.c.message_id)
Index("exception_open", exception.c.id, sqlite_where=text("resolved_at_us IS NULL"), postgresql_where=text("resolved_at_us IS NULL"))
Index("command_open", command.c.id, sqlite_where=text("done_at_us IS NULL"), postgresql_where=text("done_at_us IS NULL"))
