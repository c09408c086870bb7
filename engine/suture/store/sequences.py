"""Numbers of messages and deliveries, given by the one writer, so that their order is the order of the commits."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from suture.store.tables import delivery, engine_state, message

NUMBERS_AFTER = "numbers_after"
"""The fact that says up to which number messages and deliveries may have been numbered by a store that is gone."""


class Sequences:
    """The next numbers; loaded when the writer opens its connection."""

    def __init__(self) -> None:
        self.message = 0
        self.delivery = 0

    def load(self, connection: Connection) -> None:
        """Go on after the highest numbers in the store (and after those already given, or kept free by a restore)."""
        first = select(engine_state.c.value).where(engine_state.c.name == NUMBERS_AFTER)
        free = int(connection.execute(first).scalar() or 0)
        self.message = max(self.message, free, connection.execute(select(func.max(message.c.id))).scalar() or 0)
        self.delivery = max(self.delivery, free, connection.execute(select(func.max(delivery.c.id))).scalar() or 0)

    def next_message(self) -> int:
        self.message += 1
        return self.message

    def next_delivery(self) -> int:
        self.delivery += 1
        return self.delivery
