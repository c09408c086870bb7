"""What becomes of a group that could not be written: tried again, or cut until the operation is found that cannot be."""

from __future__ import annotations

from sqlalchemy import Connection

from suture.store import dialect, faults


class Refusals:
    """Counts the failures in a row of the journal's first group; used on its thread."""

    def __init__(self) -> None:
        self._fails = 0
        self._at_once = False

    def over(self) -> None:
        """The group was written, or its operation was told that it cannot be."""
        self._fails = 0

    def is_own(self, error: Exception, alone: bool, connection: Connection) -> bool:
        """Whether the group's own operations are to blame: it is cut then, and an operation that is alone is told.

        False: the store may be to blame, and the group stays. Whoever has failed unclearly is to blame only where the store
        takes a small write over the same connection.
        """
        self._fails += 1
        kind = faults.sort(error).kind
        verdict = faults.verdict(kind, self._fails, alone)
        if kind == faults.UNCLEAR and not dialect.is_healthy(connection):
            verdict = faults.WAIT
        self._at_once = verdict == faults.AGAIN
        if verdict == faults.CUT:
            self._fails = 0
        return verdict == faults.CUT

    def at_once(self) -> bool:
        """Whether the next try needs no pause (asked once): the store has just proven healthy."""
        at_once, self._at_once = self._at_once, False
        return at_once
