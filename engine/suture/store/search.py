"""Find messages by patient, account, item or what a mapping names: a hash a value, filed under the run of message ids it was seen in."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, exists, func, select

from suture.store.tables import search_key

RUN_BITS = 10
"""search_key.run is message_id >> RUN_BITS."""
_FIRST_BATCH, _LARGEST_BATCH = 8, 1024


@lru_cache(maxsize=8192)
def search_hash(kind: str, value: str) -> int:
    """What a value is filed under: signed 64 bits of BLAKE2b, so that the index holds no identifier in clear."""
    digest = hashlib.blake2b(f"{kind}\x1f{value}".encode("utf-8", "surrogateescape"), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def find(connection: Connection, keys: list[tuple[str, str]], low_id: int, high_id: int) -> Iterator[list[int]]:
    """Ids of messages that have all of the (kind, value) keys, newest first, a list for each batch of runs.

    low_id, high_id: the ids to look among, both included. A run costs one probe of an index (a store of a million
    messages has a thousand runs), and the caller may stop early, so the newest answers come at once.
    """
    first, last = ends(connection, search_key.c.run)
    low, high = max(first, low_id >> RUN_BITS), min(last, high_id >> RUN_BITS)
    size = _FIRST_BATCH
    while high >= low:
        runs = range(max(low, high - size + 1), high + 1)
        found = connection.execute(_in_runs(runs, keys, low_id, high_id)).scalars().all()
        if found:
            yield [int(number) for number in found]
        high, size = runs.start - 1, min(size * 2, _LARGEST_BATCH)


def ends(connection: Connection, number: ColumnElement[int]) -> tuple[int, int]:
    """The least and the greatest that there are; (0, -1) for none."""
    # Two statements: SQLite reads one end of an index for a min or a max alone, and all of it for both.
    least = connection.execute(select(func.min(number))).scalar()
    greatest = connection.execute(select(func.max(number))).scalar()
    return (0, -1) if least is None or greatest is None else (least, greatest)


def _in_runs(runs: range, keys: list[tuple[str, str]], low_id: int, high_id: int) -> Select[Any]:
    (kind, value), *others = keys
    t = search_key
    statement = select(t.c.message_id).where(t.c.run.in_(list(runs)), t.c.kind == kind, t.c.hash == search_hash(kind, value))
    for other_kind, other_value in others:
        o = search_key.alias()
        same = and_(o.c.run == t.c.run, o.c.kind == other_kind, o.c.hash == search_hash(other_kind, other_value))
        statement = statement.where(exists().where(same, o.c.message_id == t.c.message_id))
    return statement.where(t.c.message_id.between(low_id, high_id)).order_by(t.c.message_id.desc())
