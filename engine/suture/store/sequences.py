"""Numbers of messages and deliveries. They grow, none is given twice, and some are left out.

A writer takes a block of them for itself, in the transaction that needs it, so that several may write one store; within its
blocks the order of the numbers is the order of its commits.

What is open is found without an index that every message would have to go into and out of again: with each block
numbers.open_from follows the numbers, LAG behind; what it goes past and is still open gets a row in `waiting`, so that all that
is open stands there or has a number that is not behind.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from suture.store import rows, search
from suture.store.views import OPEN_STATES

BLOCK = 1000
"""Numbers taken at a time, and lost by a writer that is killed."""
LAG = 3 * BLOCK
"""So far behind the end of the newest block is open_from: as a rule nothing is open there any more."""
KINDS = {"message": "received", "delivery": "queued"}
"""And the table of each."""
_LOAD = """INSERT INTO numbers (kind, free_from) VALUES ('{0}', (SELECT coalesce(max(id), 0) + 1 FROM {1} WHERE id > 0))
ON CONFLICT (kind) DO UPDATE SET free_from = excluded.free_from WHERE numbers.free_from < excluded.free_from"""
_PLACES = {"message": "channel, ''", "delivery": "channel, destination"}
_PASSED = """INSERT INTO waiting (kind, channel, destination, id) SELECT '{0}', {1}, id FROM {0}
WHERE id >= {{}} AND id < {{}} AND state IN ({2}) ON CONFLICT DO NOTHING"""
_PASS = "UPDATE numbers SET open_from = {} WHERE kind = {}"
_OVER = "DELETE FROM waiting WHERE kind = {} AND channel = {} AND destination = {} AND id = {}"
_TAKE = f"UPDATE numbers SET free_from = free_from + {BLOCK} WHERE kind = {{}}"
_TAKEN = "SELECT free_from, open_from FROM numbers WHERE kind = {}"
_GIVE_BACK = "UPDATE numbers SET free_from = {} WHERE kind = {} AND free_from = {}"


class Sequences:
    """One writer's numbers. message, delivery: those given last. fresh: a block was taken in a transaction that is not known to
    be committed. open_from: as in the store, or further on where that transaction was not committed."""

    def __init__(self) -> None:
        self.open_from = dict.fromkeys(KINDS, 0)
        self._passing: dict[str, tuple[int, int]] = {}
        self.message = self.delivery = self._message_end = self._delivery_end = 0
        self.fresh = False

    def load(self, connection: Connection) -> None:
        """Before the first: no number that is in the store already is given."""
        for kind, table in KINDS.items():
            rows.execute(connection, _LOAD.format(kind, table))
            ((_, self.open_from[kind]),) = rows.query(connection, rows.marked(connection, _TAKEN, 1), (kind,))

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
        ((free_from, open_from),) = rows.query(connection, rows.marked(connection, _TAKEN, 1), (kind,))
        since, _ = self._passing.get(kind, (open_from, 0))
        self._passing[kind] = since, free_from - LAG
        return free_from - BLOCK - 1, free_from - 1

    def follow(self, connection: Connection) -> None:
        """At the end of a transaction, when all of its rows are written: open_from follows the numbers that it has taken."""
        while self._passing:
            kind, (since, until) = self._passing.popitem()
            self._pass(connection, kind, since, until)

    def _pass(self, connection: Connection, kind: str, since: int, until: int) -> None:
        """What is open between the two waits from now on."""
        self.open_from[kind] = max(since, until)
        if until > since:
            if kind == "message":
                search.index(connection, since, until)
            open_states = ", ".join(f"'{state}'" for state in OPEN_STATES[kind])
            passed = _PASSED.format(kind, _PLACES[kind], open_states)
            rows.execute(connection, rows.marked(connection, passed, 2), (since, until))
            rows.execute(connection, rows.marked(connection, _PASS, 2), (until, kind))

    def is_behind(self, message: int) -> bool:
        """Whether the messages of its run are in the search index already."""
        return message >> search.RUN_BITS < self.open_from["message"] >> search.RUN_BITS

    def over(self, connection: Connection, kind: str, those: Sequence[tuple[str, str, int]]) -> None:
        """These (channel, destination, number) have come to their end."""
        open_from = self.open_from[kind]
        for place in those:
            if place[2] < open_from:
                rows.execute(connection, rows.marked(connection, _OVER, 4), (kind, *place))

    def undone(self) -> None:
        """The transaction was not committed, or that is not known: a block that was taken in it may be another writer's."""
        if self.fresh:
            self.fresh, self._message_end, self._delivery_end = False, 0, 0
            self._passing.clear()

    def give_back(self, connection: Connection) -> None:
        """This writer gives no more: what is left of its blocks is free, unless somebody has taken another one since."""
        for kind, last, end in zip(KINDS, (self.message, self.delivery), (self._message_end, self._delivery_end), strict=True):
            rows.execute(connection, rows.marked(connection, _GIVE_BACK, 3), (last + 1, kind, end + 1))
