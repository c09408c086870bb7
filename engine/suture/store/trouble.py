"""What becomes of the journal when the database refuses: it waits and tries again, or nothing is written any more; and of a
group that could not be written: tried again, or cut until the operation is found that cannot be.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from sqlalchemy import Connection, Engine

from suture.model.errors import StoreError
from suture.store import dialect, faults, fitness
from suture.store.checkpoint import Checkpoints

PROOF_AFTER = 10
"""Failures in a row from which on a new connection has to prove that it lasts, before the group is tried over it."""
PROOF_S = 1.0
"""How long it has to last, with small writes, while nothing else is asked of it."""
_PAUSE_S = 0.05


class Trouble:
    """tell(text): the database refuses ("" when it takes writes again). retry_s: pause before a refused group is tried again.

    lost: faults.DAMAGED or GONE when nothing is written any more, else "". ending: set when nobody waits any more.
    The failures in a row of the journal's first group are counted. Used on its thread, but for give_up.
    """

    def __init__(self, tell: Callable[[str], None], retry_s: float) -> None:
        self.tell, self._retry_s = tell, retry_s
        self.ending = threading.Event()
        self.lost = ""
        self._given_up: Exception | None = None
        self._fails = self._proven = 0
        self._lasts = self._at_once = self._troubled = False

    def give_up(self, error: Exception) -> None:
        """Write nothing more, for this error met elsewhere (on any thread), if it is one that waiting does not mend."""
        if faults.sort(error).kind in faults.FOR_GOOD:
            self._given_up = error

    def require_none(self) -> None:
        """Raise what was given up for."""
        if self._given_up:
            raise self._given_up

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
            self._fails = self._proven = 0
        return verdict == faults.CUT

    def wait(self, error: Exception, engine: Engine, checkpoints: Checkpoints | None) -> bool:
        """Tell of an error and wait before the next try; False when there is none."""
        if self._at_once:  # the store has just proven healthy: the next try needs no pause
            self._at_once = False
            return not self.ending.is_set()
        fault = faults.sort(error)
        text = self._lose(fault, engine, checkpoints) if fault.kind in faults.FOR_GOOD else fault.text
        self._troubled = True
        self.tell(text)
        return not self.ending.wait(None if self.lost else self._retry_s)

    def _lose(self, fault: faults.Fault, engine: Engine, checkpoints: Checkpoints | None) -> str:
        """Nothing more is written; what to tell of it."""
        text = fault.text
        if fault.kind == faults.DAMAGED:
            fitness.note_damage(engine, text)
        elif checkpoints:
            saved = checkpoints.save()
            text += "; what was acknowledged is in its file" if saved else "; what was acknowledged last may be in no file any more"
            engine.dispose()
        self.lost = fault.kind
        return text

    def over(self) -> None:
        """A group was written, or its operation was told that it cannot be."""
        self._fails = self._proven = 0
        if self._troubled:
            self._troubled = False
            self.tell("")
