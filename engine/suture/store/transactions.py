"""The journal's connection, and its transactions: each group is written whole or not at all, and which of both is always known."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from functools import partial
from typing import Any

from sqlalchemy import Connection, Engine

from suture.ports import Attempted, Operation, Processed, Received, Sending, Work
from suture.store import claims, dialect, write_attempts, write_messages, write_processed
from suture.store.checkpoint import Checkpoints
from suture.store.codec import Codec
from suture.store.hatch import Result
from suture.store.identity import Files
from suture.store.rows import Asked
from suture.store.sequences import Sequences
from suture.store.tenure import Tenure, owner

Writers = tuple[tuple[type, Callable[..., None]], ...]
"""write(connection, operations, sequences, results), for each kind of operation."""


Questions = tuple[tuple[type, Callable[[Connection, list[Any]], Asked]], ...]


class Transactions:
    """Used on the journal's thread. damaged(error): a checkpoint has met damage. tenure: in whose name it writes."""

    def __init__(self, engine: Engine, damaged: Callable[[Exception], None]) -> None:
        self._engine = engine
        self.sequences = Sequences()
        self.codec = codec = Codec(lambda: int(time.time() * 1e6))
        self._questions: Questions = ((Received, write_messages.ask), (Processed, claims.ask))
        self._writers: Writers = (
            (Attempted, write_attempts.write),
            (Sending, write_attempts.write_sending),
            (Received, partial(write_messages.write, codec=codec)),
            (Processed, partial(write_processed.write, codec=codec)),
        )
        self.checkpoints = Checkpoints(engine, damaged) if dialect.file_of(engine) else None
        self._files = Files(engine)
        self._groups = itertools.count(1)
        self._in_doubt: tuple[int, list[Result]] | None = None

    def begin(self, tenure: Tenure) -> None:
        """Before the first connection."""
        self.tenure = tenure
        if self.checkpoints:
            self.checkpoints.start()

    def end(self) -> None:
        """After the last."""
        if self.checkpoints:
            self.checkpoints.stop()
            self.checkpoints.join(1)
        self._files.let_go()

    def open(self, prove: Callable[[Connection], None]) -> Connection:
        """A connection that has the store. prove(connection): raises where it is not good enough yet."""
        self._files.check()
        if self.checkpoints:
            self.checkpoints.open()
        connection = dialect.writer(self._engine)
        try:
            self.tenure.begin(connection)
            with connection.begin():
                self.sequences.load(connection)
                self.codec.load(connection)
            prove(connection)
        except BaseException:
            dispose(connection)  # back in the pool, its session would hold the lock, and nobody would know
            raise
        self._files.settle()
        return connection

    def leave(self, connection: Connection | None) -> None:
        """All is written: say goodbye, so that a successor need not wait."""
        if connection is not None:
            with suppress(Exception), connection.begin():
                self.sequences.give_back(connection)
            with suppress(Exception):
                self.tenure.end(connection)
        dispose(connection)

    def lose(self) -> str:
        """Another engine has the store: this one's writes are over. Says which."""
        found = None
        with suppress(Exception), self._engine.connect() as connection:
            found = owner(connection)
        self.tenure.taken_over = str(found or "another engine")
        return self.tenure.taken_over

    def write(self, connection: Connection, group: list[Operation]) -> list[Result]:
        """Write a group as one transaction; what to call back when it is told. Raises, and then ask whether it is `durable`."""
        kinds = set(map(type, group))
        around = self.checkpoints.transaction(connection, len(group)) if self.checkpoints else nullcontext()
        began_s = self.tenure.now()
        with around, dialect.transaction(connection, Work in kinds):
            results = self._apply(connection, group)
            signature = next(self._groups)
            if self.tenure.sign(connection, signature, Received in kinds):
                self._in_doubt = signature, results
        self.sequences.fresh = False
        self.codec.committed()
        self._in_doubt = 0, results  # it is committed, and is told when the store is known to be where it was
        self._files.check()
        self._in_doubt = None
        self.tenure.renew(began_s)
        return results

    def durable(self, connection: Connection) -> list[Result] | None:
        """The results of the first group, if it was committed and that could not be told yet."""
        if self._in_doubt is None:
            return None
        signature, results = self._in_doubt
        if not signature:
            self._files.check()
        committed = not signature or self.tenure.was_committed(connection, signature)
        self._in_doubt = None
        return results if committed else None

    def _apply(self, connection: Connection, operations: list[Operation]) -> list[Result]:
        """The rows of a group, by kind; the results in the order of the operations.

        What has to be known is asked first, and what needs no answer is sent before the answers are waited for: on PostgreSQL a
        group waits for them once, and for its commit.
        """
        kinds: dict[type, list[Any]] = {}
        for operation in operations:
            kinds.setdefault(type(operation), []).append(operation)
        asked = {kind: {"asked": ask(connection, kinds[kind])} for kind, ask in self._questions if kind in kinds}
        results: dict[int, Result] = {}
        for kind, write in self._writers:
            if kind in kinds:
                write(connection, kinds[kind], self.sequences, results, **asked.get(kind, {}))
        self.codec.write(connection)  # before any work, which may read what was written just now
        for work in kinds.get(Work, ()):
            results[id(work)] = partial(work.done, work.run(connection))
        self.sequences.follow(connection)
        return [results[id(operation)] for operation in operations]


def dispose(connection: Connection | None) -> None:
    """Close a connection, whatever state an error has left it in."""
    if connection is not None:
        with suppress(Exception):
            connection.invalidate()
        with suppress(Exception):
            connection.close()
