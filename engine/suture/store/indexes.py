"""The indexes, for whoever makes a schema or compares one: to declare those that are partial loads the dialects of both databases."""

from __future__ import annotations

from sqlalchemy import Index, text

from suture.store.tables import OPEN_DELIVERY, OPEN_MESSAGE, command, delivery, exception, message

metadata = message.metadata

Index("message_control", message.c.control_id, message.c.sender)
Index("message_open", message.c.id, sqlite_where=OPEN_MESSAGE, postgresql_where=OPEN_MESSAGE)
Index("delivery_message", delivery.c.message_id)
Index(
    "delivery_open", delivery.c.channel, delivery.c.destination, delivery.c.id, sqlite_where=OPEN_DELIVERY, postgresql_where=OPEN_DELIVERY
)
Index("exception_message", exception.c.message_id)
Index("exception_open", exception.c.id, sqlite_where=text("resolved_at_us IS NULL"), postgresql_where=text("resolved_at_us IS NULL"))
Index("command_open", command.c.id, sqlite_where=text("done_at_us IS NULL"), postgresql_where=text("done_at_us IS NULL"))
