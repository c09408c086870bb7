"""What becomes of a group that could not be written: tried again, or cut until the operation is found that cannot be."""

from __future__ import annotations

import time

from sqlalchemy import Connection

from suture.model.errors import StoreError
from suture.store import dialect, faults

PROOF_AFTER = 10
"""Failures in a row from which on a new connection has to prove that it lasts, before the group is tried over it."""
PROOF_S = 1.0
"""How long it has to last, with small writes, while nothing else is asked of it."""
_PAUSE_S = 0.05


class Refusals:
    """Counts the failures in a row of the journal's first group; used on its thread."""

    def __init__(self) -> None:
        self._fails = self._proven = 0
        self._lasts = self._at_once = False

    def over(self) -> None:
        """The group was written, or its operation was told that it cannot be."""
        self._fails = self._proven = 0

    def prove(self, connection: Connection) -> None:
        """To be asked of a new connection. Raises StoreError when the group has failed so often, and it does not last without it."""
        self._lasts = False
        if self._fails >= PROOF_AFTER:
            until_s = time.monotonic() + PROOF_S
            while time.monotonic() < until_s:
                if not dialect.is_healthy(connection):
                    raise StoreError("its connections do not last")
                time.sleep(_PAUSE_S)
            self._lasts = True

    def is_own(self, error: Exception, alone: bool, connection: Connection) -> bool:
        """Whether the group's own operations are to blame: it is cut then, and an operation that is alone is told.

        False: the store may be to blame, and the group stays. Whoever has failed unclearly is to blame only where the store
        takes a small write over the same connection; whoever has lost the connection, where that had just proven to last.
        """
        self._fails += 1
        self._proven += self._lasts
        kind = faults.sort(error).kind
        verdict = faults.verdict(kind, self._proven if kind == faults.LOST else self._fails, alone)
        if kind == faults.UNCLEAR and not dialect.is_healthy(connection):
            verdict = faults.WAIT
        self._at_once = verdict == faults.AGAIN
        if verdict == faults.CUT:
            self.over()
        return verdict == faults.CUT

    def at_once(self) -> bool:
        """Whether the next try needs no pause (asked once): the store has just proven healthy."""
        at_once, self._at_once = self._at_once, False
        return at_once
