"""The journal: one thread through which every durable write passes, in groups.

Whatever has gathered (hatch.py) is committed as one transaction (transactions.py), and then called back on the reactor, in
order. A database that refuses (full disk, lost connection) makes the journal wait and try the same group again: nothing is
lost, nothing is acknowledged, and `trouble` says so (trouble.py). An operation that cannot be written for its own sake is told
alone. Whose fault an error is, `faults` and `trouble` say; what is damaged, or has lost its files, is written no more.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from sqlalchemy import Connection, Engine

from suture.ports import Observer
from suture.store.hatch import Hatch, Later, Piece, Result
from suture.store.tenure import Tenure, is_taken_over
from suture.store.transactions import Transactions, dispose
from suture.store.trouble import Trouble

CallBack = Callable[[Callable[[], None]], Any]
"""Run a function on the reactor's thread, soon (reactor.callFromThread)."""


class Journal(threading.Thread):
    """The writer.

    trouble(text): the database refuses ("" when it takes writes again); bug(error): a callback raised; both on the
    reactor. later(s, f): run f on the reactor after s seconds, 0 = in its next turn (None: at once).
    batch: about the most operations a transaction. retry_s: pause before a refused group is tried again. tenure: in whose name
    it writes; whoever has one gives it before the start. `write`, `held`, `oldest_s`, `telling` and `give_up` are as in hatch.py
    and trouble.py.
    When another engine has taken the store over, `trouble` is told a last time, and nothing more is written.
    """

    def __init__(
        self,
        engine: Engine,
        call_back: CallBack,
        observer: Observer,
        trouble: Callable[[str], None],
        bug: Callable[[Exception], None],
        later: Later | None = None,
        batch: int = 512,
        retry_s: float = 1.0,
    ) -> None:
        super().__init__(name="journal", daemon=True)
        self._engine, self._call_back, self._observer, self._bug, self._batch = engine, call_back, observer, bug, batch
        self._hatch = hatch = Hatch(later or (lambda seconds, flush: flush()), bug)
        self.write, self.held, self.oldest_s, self.telling = hatch.write, hatch.held, hatch.oldest_s, hatch.telling
        self._trouble = Trouble(lambda text: call_back(partial(trouble, text)), retry_s)
        self.give_up = self._trouble.give_up
        self.tenure = Tenure()
        self._store = Transactions(engine, self.give_up)
        self.sequences = self._store.sequences

    def pending(self) -> int:
        """Operations handed over and not yet called back."""
        return self._hatch.pending

    @property
    def lost(self) -> str:
        """faults.DAMAGED or GONE when nothing is written any more, else ""."""
        return self._trouble.lost

    @property
    def worry(self) -> str:
        """What is wrong with the store that keeps nothing from being stored yet, "" for nothing."""
        return self._store.checkpoints.worry if self._store.checkpoints else ""

    def stop(self) -> None:
        """Write what was handed over, then end. A database that refuses is given up on (what waits was not acknowledged)."""
        self._trouble.ending.set()
        self._hatch.end()

    def run(self) -> None:
        self._store.begin(self.tenure)
        self._run()
        self._store.end()

    def _run(self) -> None:
        connection: Connection | None = None
        while True:
            groups, last = self._hatch.taken(self._batch)
            while groups:
                try:
                    connection = connection or self._store.open(self._trouble.prove)
                    self._write(connection, groups)
                except Exception as e:
                    dispose(connection)
                    connection = None
                    if is_taken_over(e):
                        self._trouble.tell(f"{self._store.lose()} has taken it over")
                        return
                    if not self._trouble.wait(e, self._engine, self._store.checkpoints):
                        return
            if last:
                self._store.leave(connection)
                return

    def _write(self, connection: Connection, groups: deque[Piece]) -> None:
        """Write the first group and tell of it; one that cannot be written for its own sake is cut into its operations."""
        begin = time.perf_counter()
        self._trouble.require_none()
        self._tell_of(groups, self._tried(connection, groups[0]), begin)  # in no local of this frame, for an error's trace has it

    def _tell_of(self, groups: deque[Piece], results: list[Result] | Exception, begin: float) -> None:
        group = groups.popleft()
        if isinstance(results, Exception):
            _forget_frames(results)
            if len(group) > 1:
                groups.extendleft(reversed(group.cut()))
                return
            results = [partial(getattr(group[0], "failed", self._bug), results)]
        try:
            self._observer.batch(len(group), time.perf_counter() - begin)
        except Exception as e:
            self._call_back(partial(self._bug, e))
        self._trouble.over()
        self._call_back(partial(self._hatch.told, results, group.size_bytes))

    def _tried(self, connection: Connection, group: Piece) -> list[Result] | Exception:
        """The results of a group, or why it cannot be written. Raises when it is not the group's fault."""
        try:
            return self._store.durable(connection) or self._store.write(connection, group)
        except Exception as e:
            self.sequences.undone()
            if is_taken_over(e) or not self._trouble.is_own(e, len(group) == 1, connection):
                raise
            return self._store.durable(connection) or e


def _forget_frames(error: BaseException | None) -> None:
    """Let go of what an error's frames hold: the values of a statement are messages, and whoever is told may keep the error."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        traceback.clear_frames(error.__traceback__)
        error = getattr(error, "orig", None) or error.__cause__ or error.__context__
