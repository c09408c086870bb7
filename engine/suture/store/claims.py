"""Business keys, each taken once: whoever puts its row in has it, also where another writer wants it at the same time.

What a message comes to where nobody has its keys is known before (`Processed.ready`). So its keys are taken by one statement that
says which of them were free; only what was not is looked at, and kept from others meanwhile, before the message is settled.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection

from suture.ports import Claim, Processed, Settled
from suture.store import dialect, rows, tables
from suture.store.rows import Asked

COLUMNS = ("key", "message_id", "claimed_at_us", "generation", "digest")
_TAKEN = "SELECT key, message_id, claimed_at_us, generation, digest FROM claim WHERE key IN ({in})"
_TAKE_OVER = "UPDATE claim SET message_id = {}, claimed_at_us = {}, generation = {}, digest = {} WHERE key = {}"
_LET_GO = "DELETE FROM claim WHERE key = {}"

Row = tuple[str, int, int, int, int | None]
Held = tuple[int, int, int, int | None]
"""message_id, claimed_at_us, generation, digest"""


def ask(connection: Connection, operations: list[Processed]) -> Asked:
    """Take the keys of these where nobody has them; answered by those that were free."""
    return Asked.inserted(connection, tables.claim, COLUMNS, sorted(_wanted(operations).values()), "key")


def _wanted(operations: list[Processed]) -> dict[str, Row]:
    """The rows that are put in before the messages are settled: of each key the first that may be settled as it is."""
    wanted: dict[str, Row] = {}
    for o in operations:
        if o.ready is not None and not o.revision:
            for key, generation, digest in o.ready.claims:
                wanted.setdefault(key, (key, o.message.id, o.at_us, generation, digest))
    return wanted


class Claims:
    """The keys of one group of messages, settled one after another."""

    def __init__(self, connection: Connection, operations: list[Processed], asked: Asked) -> None:
        self._connection = connection
        wanted = _wanted(operations)
        self._inserted = {key: wanted[key] for (key,) in asked.rows()}
        left = sorted({key for o in operations for key in o.keys} - self._inserted.keys())
        found = rows.select_in(connection, _TAKEN + dialect.for_update(connection), left) if left else ()
        self._taken: dict[str, Held] = {key: held for key, *held in found}  # type: ignore[misc]
        self._new: list[Row] = []
        self._changed: list[Row] = []

    def against(self, operation: Processed) -> dict[str, Claim]:
        """The keys of a message that are taken."""
        found: dict[str, Claim] = {}
        since_us = operation.at_us - operation.window_us
        for key in operation.keys:
            if key in self._taken:
                owner, at_us, generation, digest = self._taken[key]
                if owner != operation.message.id:
                    found[key] = Claim(owner, generation, at_us < since_us, digest)
                elif generation or operation.revision:
                    found[key] = Claim(owner, generation - 1, True, digest, own=True)
        return found

    def take(self, operation: Processed, settled: Settled) -> None:
        """Note the keys that a settled message has."""
        number = operation.message.id
        for key, generation, digest in settled.claims:
            old, at_us = self._taken.get(key), operation.at_us
            if old is not None and old[0] == number:
                if old[3] == digest:
                    continue
                at_us, generation = old[1], old[2]  # it stands for something else now that the message is processed again
            row = (key, number, at_us, generation, digest)
            self._taken[key] = row[1:]
            if old is None and self._inserted.get(key) == row:
                continue
            (self._new if old is None and key not in self._inserted else self._changed).append(row)

    def write(self) -> None:
        """Write what is not as it was put in."""
        rows.insert(self._connection, tables.claim, COLUMNS, self._new)
        for key, *values in self._changed:
            self._run(_TAKE_OVER, (*values, key))
        for key in self._left():
            self._run(_LET_GO, (key,))

    def _left(self) -> Iterator[str]:
        """Keys that were put in, and that the message does not use after all."""
        return (key for key in self._inserted if key not in self._taken)

    def _run(self, sql: str, values: tuple[Any, ...]) -> None:
        rows.execute(self._connection, rows.marked(self._connection, sql, len(values)), values)
