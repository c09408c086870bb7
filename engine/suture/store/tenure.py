"""The tenure of a store: whose writes may be committed, and until when the one who commits them may send.

Each taking of the store has an epoch, one more than the last, and a mark of its own. Every transaction of the journal is
committed only while the mark in the store is its own (`Tenure.sign`), so that nothing of an earlier engine can be written
after a later one took over. What a transaction cannot hold back is what goes out over sockets: for that, each commit renews
a lease, which the owner measures by its own clock from the transaction's beginning. Its successor writes its mark first,
after which no commit renews the other's lease, and then waits that lease out, by its own clock too: no two machines' clocks
are ever compared.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from suture.model import views
from suture.model.errors import TakenOver
from suture.model.value import changed
from suture.store import dialect, ownership, process, rows, state, tables

try:
    from time import CLOCK_BOOTTIME as _LIFE
except ImportError:
    from time import CLOCK_MONOTONIC as _LIFE

LEASE_S = 10.0
FRESH_S = 2.5
"""No send begins when the last commit began longer ago: what it comes to could not be written down. The engine commits something
once a second, so that only a store that stalls is as old as that."""
MARGIN_S = 1.0
"""So much longer than the lease a successor waits: the owner looks at its clock before each send, and a few times a second."""
_NOBODY = "none"
_OWNER = "owner"

_VALUE = "SELECT value FROM engine_state WHERE name = {}"
_SIGN = """INSERT INTO signature (epoch, number) SELECT $2::bigint, CASE WHEN value LIKE $1 THEN $3::bigint END
FROM engine_state WHERE node = '' AND name = 'journal' FOR SHARE"""
"""No number where the mark is another's, which the table refuses: the transaction is undone, and no answer has to be waited for.
A row that is updated in each transaction would be found ever more slowly while somebody's open transaction keeps its old versions."""
_SIGNED = "SELECT 1 FROM signature WHERE epoch = $1 AND number = $2"
_FORGET = "DELETE FROM signature WHERE epoch = $1 AND number >= $2 AND number < $3"
KEPT_SIGNATURES = 1000
_IS_NOT_OURS = "SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM engine_state WHERE node = '' AND name = 'journal' AND value LIKE ?)"
"""No row as a rule: the interpreter lock changes hands once for a statement, and once more for a row."""
_FENCE = """CREATE TEMP TRIGGER fence BEFORE INSERT ON main.received
WHEN NOT EXISTS (SELECT 1 FROM main.engine_state WHERE node = '' AND name = 'journal' AND value LIKE '{mark}%')
BEGIN SELECT RAISE(ABORT, '{fenced}'); END"""
_FENCED = "the store is another engine's"
_NO_VALUE = "23502"
"""PostgreSQL's SQLSTATE of a column that has to have a value, and would have none."""


machine_s: Callable[[], float] = partial(time.clock_gettime, _LIFE)
"""Seconds of the machine's life. They go on while this process is stopped, and, where the system can tell, while it sleeps."""


class Owner(views.Owner, frozen=True):
    """As looking shows it, with what follows from it here."""

    @property
    def sends_for_s(self) -> float:
        """How long it may go on sending, as far as can be known from here, when nothing renews its lease any more."""
        return 0.0 if self.released or process.lives(self.process) is False else self.lease_s + MARGIN_S


def owner(connection: Connection) -> Owner | None:
    """Who took the store last; None for a store that was never taken under an epoch."""
    try:
        found = Owner(**json.loads(_row(connection, _OWNER)))
    except (ValueError, TypeError):
        return None
    mark = _row(connection, "journal")
    return changed(found, released=mark.endswith(_NOBODY)) if _epoch(mark) == found.epoch else None


def next_epoch(connection: Connection) -> int:
    """The epoch after the present one: whoever had the store before sees by it that the store is another's."""
    return _epoch(_row(connection, "journal")) + 1


class Tenure:
    """This process's. node: the machine's name. now: seconds of a clock that nobody sets.

    `begin`, `renew` and `end` are the journal's thread's; the others may be asked from any.
    epoch: 0 until the store is taken. shared: another engine can take the store while this process lives.
    taken_over: who has, in words; "" while nobody has.
    """

    def __init__(self, node: str = "", lease_s: float = LEASE_S, now: Callable[[], float] = machine_s) -> None:
        self.node, self.lease_s, self.now = node, lease_s, now
        self.pid = os.getpid()
        self.epoch = 0
        self.mark = ""
        self.shared = False
        self.taken_over = ""
        self._signer = uuid.uuid4().hex
        self._renewed_s = self._alone_s = float("-inf")
        self._sends_for_s = 0.0
        self._signed = self._forgotten = 0

    def may_send(self) -> bool:
        """Whether a send may begin: the store has just been this process's, and the last owner's lease is over."""
        now_s = self.now()
        return now_s - self._renewed_s < FRESH_S and now_s >= self._alone_s

    def is_over(self) -> bool:
        """Whether the lease is over: from now on another engine may be sending."""
        return self.now() - self._renewed_s >= self.lease_s

    def age_s(self) -> float:
        """Seconds since the beginning of the last transaction that was committed; 0 before the first."""
        return self.now() - self._renewed_s if self.epoch else 0.0

    def wait_s(self) -> float:
        """Seconds until the last owner, who did not say goodbye, cannot be sending any more."""
        return max(0.0, self._alone_s - self.now())

    def renew(self, began_s: float) -> None:
        """A transaction that began then was committed."""
        self._renewed_s = began_s
        self._signed = self._forgotten

    def begin(self, connection: Connection) -> None:
        """With each new connection: take the store, or see that it is still this process's.

        Raises OperationalError while another session holds the lock, and TakenOver when another engine has the store.
        """
        self.shared = not dialect.file_of(connection)
        locked, epoch = ownership.lock(connection), self.epoch
        with connection.begin():
            if epoch:
                self._require(connection)
            elif locked:
                epoch = self._take(connection)
        if not locked:
            raise OperationalError(None, None, Exception(ownership.TAKEN))
        if not self.epoch:
            self.epoch, self._alone_s = epoch, self.now() + self._sends_for_s
        if not self.shared:
            self._fence(connection)

    def _fence(self, connection: Connection) -> None:
        """SQLite: from now on this connection puts in messages only while the store bears the mark.

        Nearly every transaction of an engine at work puts in messages; to ask in each of them by a statement costs 4 % of what
        eight senders get through.
        """
        rows.execute(connection, "PRAGMA temp_store = MEMORY")
        rows.execute(connection, _FENCE.format(mark=self.mark, fenced=_FENCED.replace("'", "''")))

    def _require(self, connection: Connection) -> None:
        if not _row(connection, "journal").startswith(self.mark):
            raise TakenOver("it is another engine's")

    def _take(self, connection: Connection) -> int:
        before = owner(connection)
        epoch = next_epoch(connection)
        now_us = int(time.time() * 1e6)
        me = Owner(epoch, self.node, self.pid, process.identity(), self.lease_s, now_us)
        told = me.public()
        del told["released"]
        self.mark = f"{epoch}.{self._signer} "
        state.put_engine(connection, state.STORE, {"journal": self.mark, _OWNER: json.dumps(told)}, 0)
        state.forget_engines(connection, self.node)
        connection.execute(tables.signature.delete())
        state.put_engine(connection, self.node, {"pid": me.pid, state.PHASE: state.STARTING, state.HEARTBEAT: now_us}, now_us)
        if before is not None:  # a commit that was not answered leaves this process there: the one before it counts on
            self._sends_for_s = max(self._sends_for_s, before.sends_for_s)
        return epoch

    def sign(self, connection: Connection, signature: int, fenced: bool) -> bool:
        """Let this transaction be committed only while the store bears the mark, and leave the signature in it, to ask
        `was_committed` for when its commit was not answered. signature: one more for each transaction. fenced: it has put in
        messages, behind the fence.

        Raises TakenOver for another mark, on PostgreSQL in its own way and perhaps with the commit: ask `is_taken_over`. False on
        SQLite: a commit that fails there was not made. (The transaction's own number would not do: a server that was killed
        may give the number of a lost transaction to another one.)
        """
        if self.shared:
            rows.execute(connection, _SIGN, (f"{self.mark}%", self.epoch, signature))
            if signature >= self._signed + 2 * KEPT_SIGNATURES:
                self._forgotten = signature - KEPT_SIGNATURES
                rows.execute(connection, _FORGET, (self.epoch, self._signed, self._forgotten))
        elif not fenced and rows.query(connection, _IS_NOT_OURS, (f"{self.mark}%",)):
            raise TakenOver("it is another engine's")
        return self.shared

    def was_committed(self, connection: Connection, signature: int) -> bool:
        """Whether the transaction with this signature, the last of an earlier connection, was committed.

        That connection's session has ended: the journal's new one holds its lock (ownership.py).
        """
        with connection.begin():
            return bool(rows.query(connection, _SIGNED, (self.epoch, signature)))

    def end(self, connection: Connection) -> None:
        """Say goodbye: this process sends nothing any more, and a successor need not wait."""
        if self.epoch:
            with connection.begin():
                self._require(connection)
                state.put_engine(connection, state.STORE, {"journal": f"{self.epoch}.{_NOBODY}"}, 0)


def is_taken_over(error: Exception) -> bool:
    """Whether a transaction was refused because the store is another engine's."""
    if isinstance(error, TakenOver):
        return True
    original: Any = getattr(error, "orig", None)
    if str(original) == _FENCED:
        return True
    return getattr(original, "sqlstate", "") == _NO_VALUE and original.diag.table_name == "signature"


def _epoch(mark: str) -> int:
    number, dot, _ = mark.partition(".")
    return int(number) if dot and number.isdigit() else 0


def _row(connection: Connection, name: str) -> str:
    found = rows.query(connection, rows.marked(connection, _VALUE, 1), (name,))
    return str(found[0][0]) if found else ""
