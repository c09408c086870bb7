"""What becomes of the journal when the database refuses: it waits and tries again, or nothing is written any more."""

from __future__ import annotations

import threading
from collections.abc import Callable

from sqlalchemy import Engine

from suture.store import faults, fitness
from suture.store.checkpoint import Checkpoints
from suture.store.refusals import Refusals


class Trouble:
    """tell(text): the database refuses ("" when it takes writes again). retry_s: pause before a refused group is tried again.

    lost: faults.DAMAGED or GONE when nothing is written any more, else "". ending: set when nobody waits any more.
    """

    def __init__(self, tell: Callable[[str], None], retry_s: float) -> None:
        self.tell, self._retry_s = tell, retry_s
        self.ending = threading.Event()
        self.refusals = Refusals()
        self.lost = ""
        self._given_up: Exception | None = None
        self._troubled = False

    def give_up(self, error: Exception) -> None:
        """Write nothing more, for this error met elsewhere (on any thread), if it is one that waiting does not mend."""
        if faults.sort(error).kind in faults.FOR_GOOD:
            self._given_up = error

    def require_none(self) -> None:
        """Raise what was given up for."""
        if self._given_up:
            raise self._given_up

    def wait(self, error: Exception, engine: Engine, checkpoints: Checkpoints | None) -> bool:
        """Tell of an error and wait before the next try; False when there is none."""
        if self.refusals.at_once():
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
        """A group was written."""
        if self._troubled:
            self._troubled = False
            self.tell("")
