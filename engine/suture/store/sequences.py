"""Numbers of messages and deliveries. They grow, none is given twice, and some are left out.

A writer takes a block of them for itself, in the transaction that needs it, so that several may write one store; within its
blocks the order of the numbers is the order of its commits.
"""

from __future__ import annotations

from sqlalchemy import Connection

from suture.store import rows

BLOCK = 1000
"""Numbers taken at a time, and lost by a writer that is killed: about a run of the search index (search.py), which looks at every run."""
KINDS = ("message", "delivery")
_LOAD = """INSERT INTO numbers (kind, free_from) VALUES ('{0}', (SELECT coalesce(max(id), 0) + 1 FROM "{0}" WHERE id > 0))
ON CONFLICT (kind) DO UPDATE SET free_from = excluded.free_from WHERE numbers.free_from < excluded.free_from"""
_TAKE = f"UPDATE numbers SET free_from = free_from + {BLOCK} WHERE kind = {{}}"
_TAKEN = "SELECT free_from FROM numbers WHERE kind = {}"
_GIVE_BACK = "UPDATE numbers SET free_from = {} WHERE kind = {} AND free_from = {}"


class Sequences:
    """One writer's numbers. message, delivery: those given last. fresh: a block was taken in a transaction that is not known to
    be committed."""

    def __init__(self) -> None:
        self.message = self.delivery = self._message_end = self._delivery_end = 0
        self.fresh = False

    def load(self, connection: Connection) -> None:
        """Before the first: no number that is in the store already is given."""
        for kind in KINDS:
            rows.execute(connection, _LOAD.format(kind))

    def next_message(self, connection: Connection) -> int:
        if self.message >= self._message_end:
            self.message, self._message_end = self._block(connection, "message")
        self.message += 1
        return self.message

    def next_delivery(self, connection: Connection) -> int:
        if self.delivery >= self._delivery_end:
            self.delivery, self._delivery_end = self._block(connection, "delivery")
        self.delivery += 1
        return self.delivery

    def _block(self, connection: Connection, kind: str) -> tuple[int, int]:
        self.fresh = True
        rows.execute(connection, rows.marked(connection, _TAKE, 1), (kind,))
        ((free_from,),) = rows.query(connection, rows.marked(connection, _TAKEN, 1), (kind,))
        return free_from - BLOCK - 1, free_from - 1

    def undone(self) -> None:
        """The transaction was not committed, or that is not known: a block that was taken in it may be another writer's."""
        if self.fresh:
            self.fresh, self._message_end, self._delivery_end = False, 0, 0

    def give_back(self, connection: Connection) -> None:
        """This writer gives no more: what is left of its blocks is free, unless somebody has taken another one since."""
        for kind, last, end in zip(KINDS, (self.message, self.delivery), (self._message_end, self._delivery_end), strict=True):
            rows.execute(connection, rows.marked(connection, _GIVE_BACK, 3), (last + 1, kind, end + 1))
