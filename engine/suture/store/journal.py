"""The journal: one thread through which every durable write passes, in groups.

Whatever has gathered is committed as one transaction, and then called back on the reactor, in order. A database that
refuses (full disk, lost connection) makes the journal wait and try the same group again: nothing is lost, nothing is
acknowledged, and `trouble` says so. An operation that cannot be written for its own sake is told alone. Whose fault an
error is, `faults` and `refusals` say; what is damaged, or has lost its files, is written no more (`lost`).
"""

from __future__ import annotations

import itertools
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import nullcontext, suppress
from functools import partial
from typing import Any

from sqlalchemy import Connection, Engine

from suture.ports import Attempted, Held, Observer, Operation, Processed, Received, Sending, Work
from suture.store import dialect, faults, fitness, rows, tenure, write_attempts, write_messages, write_processed
from suture.store.ages import Ages
from suture.store.checkpoint import Checkpoints
from suture.store.identity import Files
from suture.store.pieces import GROUP_BYTES, Piece, forget_frames
from suture.store.refusals import Refusals
from suture.store.sequences import Sequences

PIECE = 256
"""Operations of a kind that are handed to the writer without waiting for more."""
A_TURN = 128
"""Results that are told in one turn of the reactor: each may answer a sender or begin a delivery."""
_PATIENCE_S: dict[type, float] = {Processed: 0.006, Attempted: 0.02}
"""Seconds that an operation may wait for others of its kind."""
TURNS = 4
"""Turns of the reactor in which the others are gathered: each is some microseconds when nothing else comes, and a commit is
a thousand; senders that were answered together have sent their next messages by then, and those are committed together."""
TURNS_S = 0.005
"""Seconds after which no more turns are waited for: they are long when messages are dear to map."""
_COMPANY_S = 0.003
"""Seconds more that they may wait for operations that are in a hurry, to be committed with them."""
_SIZED = frozenset({Received, Processed})
"""Kinds that keep messages and payloads in memory."""
_TOGETHER = (Work, Sending)
"""Kinds that take along everything handed over before them: what was done first is durable first."""
CallBack = Callable[[Callable[[], None]], None]
"""Run a function on the reactor's thread, soon (reactor.callFromThread)."""
Result = Callable[[], None]


class Journal(threading.Thread):
    """The writer.

    trouble(text): the database refuses ("" when it takes writes again); bug(error): a callback raised; both on the
    reactor. later(s, f): run f on the reactor after s seconds, 0 = in its next turn (None: at once).
    batch: about the most operations a transaction. retry_s: pause before a refused group is tried again. lost: faults.DAMAGED or
    GONE when nothing is written any more, else "". tenure: in whose name it writes; whoever has one gives it before the start.
    When another engine has taken the store over, `trouble` is told a last time, and nothing more is written. held: where what
    the pending operations keep in memory is counted, with what others add.
    """

    def __init__(
        self,
        engine: Engine,
        call_back: CallBack,
        observer: Observer,
        trouble: Callable[[str], None],
        bug: Callable[[Exception], None],
        later: Callable[[float, Callable[[], None]], object] | None = None,
        batch: int = 512,
        retry_s: float = 1.0,
    ) -> None:
        super().__init__(name="journal", daemon=True)
        self._engine, self._call_back, self._observer, self._trouble = engine, call_back, observer, trouble
        self._later = later or (lambda seconds, flush: flush())
        self._bug, self._batch, self._retry_s = bug, batch, retry_s
        self._operations: queue.SimpleQueue[Piece | None] = queue.SimpleQueue()
        self._gathered: dict[type, Piece] = {}
        self._results: deque[Result] = deque()
        self.held = Held()
        self._waited: list[type] = []
        self.sequences = Sequences()
        self._ending = threading.Event()
        self._files = Files(engine)
        self._refusals = Refusals()
        self._checkpoints = Checkpoints(engine, self.give_up) if rows.is_sqlite(engine) else None
        self._given_up: Exception | None = None
        self.lost = ""
        self._pending = 0
        self._troubled = False
        self.tenure = tenure.Tenure()
        self._ages = Ages()
        self._groups = itertools.count()
        self._in_doubt: tuple[str, list[Result]] | None = None

    _now = staticmethod(time.perf_counter)

    def write(self, operation: Operation) -> None:
        """Hand over one operation (on the reactor's thread); never blocks.

        Each kind is gathered by itself. Somebody waits for an acknowledgement, so received messages go after a
        few turns of the reactor; what nobody waits for goes some milliseconds later, more of it at a time: its
        statements then cost once for many messages, and do not hold up the acknowledgements.
        """
        self._pending += 1
        kind = type(operation)
        mine = self._gathered.get(kind)
        if begins := mine is None:
            mine = self._gathered[kind] = Piece((operation,))
            self._ages.handed(self._pending, self._now())
        else:
            mine.append(operation)
        if kind in _SIZED:
            added_bytes = operation.size_bytes  # type: ignore[union-attr]
            self.held.bytes += added_bytes
            mine.size_bytes += added_bytes
        if len(mine) >= PIECE or mine.size_bytes >= GROUP_BYTES:
            self._due(kind, mine)
        elif begins:
            self._begun(kind, mine)

    def _begun(self, kind: type, mine: Piece) -> None:
        """A new piece waits for others of its kind."""
        patience_s = _PATIENCE_S.get(kind)
        if patience_s is None:
            self._later(0.0, partial(self._turned, TURNS, self._now() + TURNS_S, kind, mine))
        else:
            self._later(patience_s, partial(self._ripe, kind, mine))

    def _turned(self, turns: int, until_s: float, kind: type, mine: Piece) -> None:
        """One more turn of the reactor is over, of so many."""
        if turns > 1 and self._now() < until_s and self._gathered.get(kind) is mine:
            self._later(0.0, partial(self._turned, turns - 1, until_s, kind, mine))
        else:
            self._due(kind, mine)

    def _ripe(self, kind: type, mine: Piece) -> None:
        """These have waited long enough: they go with the next that are in a hurry, or soon by themselves."""
        if self._gathered.get(kind) is mine:
            self._waited.append(kind)
            self._later(_COMPANY_S, partial(self._due, kind, mine))

    def _due(self, kind: type, mine: Piece) -> None:
        if self._gathered.get(kind) is not mine:
            return  # they have gone with others
        if kind in _TOGETHER:
            self._flush()
            return
        del self._gathered[kind]
        for other in self._waited:
            if other in self._gathered:
                mine.join(self._gathered.pop(other))
        self._waited.clear()
        self._operations.put(mine)

    def _flush(self) -> None:
        if self._gathered:
            everything = Piece()
            for mine in self._gathered.values():
                everything.join(mine)
            self._operations.put(everything)
            self._gathered = {}
            self._waited.clear()

    def pending(self) -> int:
        """Operations handed over and not yet called back."""
        return self._pending

    def oldest_s(self) -> float:
        """Seconds that the oldest of them has been waiting for, to within `ages.APART_S`."""
        return self._ages.oldest_s(self._now())

    def stop(self) -> None:
        """Write what was handed over, then end. A database that refuses is given up on (what waits was not acknowledged)."""
        self._flush()
        self._ending.set()
        self._operations.put(None)

    def run(self) -> None:
        if self._checkpoints:
            self._checkpoints.start()
        self._run()
        if self._checkpoints:
            self._checkpoints.stop()
            self._checkpoints.join(1)
        self._files.let_go()

    def _run(self) -> None:
        connection: Connection | None = None
        while True:
            groups, last = self._gather()
            while groups:
                try:
                    connection = connection or self._open()
                    self._write(connection, groups)
                except Exception as e:
                    _dispose(connection)
                    connection = None
                    if dialect.is_taken_over(e):
                        self._yield()
                        return
                    if not self._wait(e):
                        return
            if last:
                self._leave(connection)
                return

    def _yield(self) -> None:
        """Another engine has the store: this one's writes are over."""
        with suppress(Exception), self._engine.connect() as connection:
            self.tenure.lost(connection)
        self.tenure.lost(None)
        self._call_back(lambda: self._trouble(f"{self.tenure.taken_over} has taken it over"))

    def _leave(self, connection: Connection | None) -> None:
        """All is written: say goodbye, so that a successor need not wait."""
        if connection is not None:
            with suppress(Exception):
                self.tenure.end(connection)
        _dispose(connection)

    def _open(self) -> Connection:
        self._files.check()
        if self._checkpoints:
            self._checkpoints.open()
        connection = dialect.writer(self._engine)
        try:
            self.tenure.begin(connection)
            dialect.fence(connection, self.tenure.mark)
            with connection.begin():
                self.sequences.load(connection)
            self._refusals.prove(connection)
        except BaseException:
            _dispose(connection)  # back in the pool, its session would hold the lock, and nobody would know
            raise
        self._files.settle()
        return connection

    def _gather(self) -> tuple[deque[Piece], bool]:
        """What has been handed over, as one group or none, and whether it is the last."""
        operations = Piece()
        piece = self._operations.get()
        try:
            while piece is not None:
                operations.join(piece)
                if len(operations) >= self._batch or operations.size_bytes >= GROUP_BYTES:
                    return deque((operations,)), False
                piece = self._operations.get_nowait()
        except queue.Empty:
            return deque((operations,)), False
        return deque((operations,) if operations else ()), True

    def _write(self, connection: Connection, groups: deque[Piece]) -> None:
        """Write the first group and tell of it; one that cannot be written for its own sake is cut into its operations."""
        begin = time.perf_counter()
        if self._given_up:
            raise self._given_up
        self._tell_of(groups, self._tried(connection, groups[0]), begin)  # in no local of this frame, for an error's trace has it

    def _tell_of(self, groups: deque[Piece], results: list[Result] | Exception, begin: float) -> None:
        group = groups.popleft()
        if isinstance(results, Exception):
            forget_frames(results)
            if len(group) > 1:
                groups.extendleft(reversed(group.cut()))
                return
            results = [_bind(getattr(group[0], "failed", self._bug), results)]
        self._refusals.over()
        self._written(group, results, time.perf_counter() - begin)

    def _tried(self, connection: Connection, group: Piece) -> list[Result] | Exception:
        """The results of a group, or why it cannot be written. Raises when it is not the group's fault."""
        try:
            return self._durable(connection) or self._transaction(connection, group)
        except Exception as e:
            if dialect.is_taken_over(e) or not self._refusals.is_own(e, len(group) == 1, connection):
                raise
            return self._durable(connection) or e

    def _written(self, group: Piece, results: list[Result], seconds: float) -> None:
        try:
            self._observer.batch(len(group), seconds)
        except Exception as e:
            self._call_back(_bind(self._bug, e))
        self._recovered()
        done_bytes = group.size_bytes
        self._call_back(lambda: self._deliver(results, done_bytes))

    def _transaction(self, connection: Connection, group: list[Operation]) -> list[Result]:
        kinds = set(map(type, group))
        around = self._checkpoints.transaction(connection, len(group)) if self._checkpoints else nullcontext()
        began_s = self.tenure.now()
        with around, dialect.transaction(connection, Work in kinds):
            results = self._apply(connection, group)
            signature = str(next(self._groups))
            if dialect.sign(connection, self.tenure.mark, signature, Received in kinds):
                self._in_doubt = signature, results
        self._in_doubt = "", results  # it is committed, and is told when the store is known to be where it was
        self._files.check()
        self._in_doubt = None
        self.tenure.renew(began_s)
        return results

    def _durable(self, connection: Connection) -> list[Result] | None:
        """The results of the first group, if it was committed and that could not be told yet."""
        if self._in_doubt is None:
            return None
        signature, results = self._in_doubt
        if not signature:
            self._files.check()
        committed = not signature or dialect.was_committed(connection, self.tenure.mark, signature)
        self._in_doubt = None
        return results if committed else None

    def _apply(self, connection: Connection, operations: list[Operation]) -> list[Result]:
        """The rows of a group, by kind; the results in the order of the operations."""
        kinds: dict[type, list[Any]] = {}
        for operation in operations:
            kinds.setdefault(type(operation), []).append(operation)
        results: dict[int, Result] = {}
        for kind, write in _WRITERS:
            if kind in kinds:
                write(connection, kinds[kind], self.sequences, results)
        for work in kinds.get(Work, ()):
            results[id(work)] = _bind(work.done, work.run(connection))
        return [results[id(operation)] for operation in operations]

    def _deliver(self, results: list[Result], done_bytes: int) -> None:
        """Tell of a group, behind the groups before it."""
        self.held.bytes -= done_bytes
        telling = bool(self._results)
        self._results.extend(results)
        if not telling:
            self._tell()

    def _tell(self) -> None:
        count = min(A_TURN, len(self._results))
        self._pending -= count
        self._ages.done(count)
        for _ in range(count):
            try:
                self._results.popleft()()
            except Exception as e:  # one listener's bug must not keep the others from being told
                self._bug(e)
        if self._results:
            self._later(0.0, self._tell)

    @property
    def telling(self) -> bool:
        """Is there anything durable that has not been called back yet?"""
        return bool(self._results)

    @property
    def worry(self) -> str:
        """What is wrong with the store that keeps nothing from being stored yet, "" for nothing."""
        return self._checkpoints.worry if self._checkpoints else ""

    def give_up(self, error: Exception) -> None:
        """Write nothing more, for this error met elsewhere (on any thread), if it is one that waiting does not mend."""
        if faults.sort(error).kind in faults.FOR_GOOD:
            self._given_up = error

    def _wait(self, error: Exception) -> bool:
        """Tell of an error and wait before the next try; False when there is none."""
        if self._refusals.at_once():
            return not self._ending.is_set()
        fault = faults.sort(error)
        text = self._lose(fault) if fault.kind in faults.FOR_GOOD else fault.text
        self._troubled = True
        self._call_back(lambda: self._trouble(text))
        return not self._ending.wait(None if self.lost else self._retry_s)

    def _lose(self, fault: faults.Fault) -> str:
        """Nothing more is written; what to tell of it."""
        text = fault.text
        if fault.kind == faults.DAMAGED:
            fitness.note_damage(self._engine, text)
        elif self._checkpoints:
            saved = self._checkpoints.save()
            text += "; what was acknowledged is in its file" if saved else "; what was acknowledged last may be in no file any more"
            self._engine.dispose()
        self.lost = fault.kind
        return text

    def _recovered(self) -> None:
        if self._troubled:
            self._troubled = False
            self._call_back(lambda: self._trouble(""))


_WRITERS: tuple[tuple[type, Callable[[Connection, list[Any], Sequences, dict[int, Result]], None]], ...] = (
    (Received, write_messages.write),
    (Processed, write_processed.write),
    (Attempted, write_attempts.write),
    (Sending, write_attempts.write_sending),
)


def _dispose(connection: Connection | None) -> None:
    if connection is not None:
        with suppress(Exception):  # it is in whatever state an error has left it in
            connection.invalidate()
        with suppress(Exception):
            connection.close()


def _bind(function: Callable[[Any], None], value: Any) -> Result:
    return lambda: function(value)
