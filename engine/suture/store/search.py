"""Find messages by patient, account, item or what a mapping names.

What a message is found by is kept as hashes: with what was made of it (`made.hashes`), and, once numbers.open_from has gone past
its run of numbers, in the index too: `search_index` has a row for each bucket of hashes in each run, so that a search walks the rows
of one bucket, and a commit touches none of them. Messages whose run is not behind yet are few, and looked through.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select

from suture.store import rows
from suture.store.tables import made, numbers, search_index

RUN_BITS = 10
"""A run is the messages whose numbers have the same value >> RUN_BITS."""
BUCKETS = 64
HASH_BYTES, ENTRY_BYTES = 8, 10
"""An entry of the index: a hash, and the message's place in its run as two bytes."""
_FIRST_BATCH, _LARGEST_BATCH = 8, 1024
_RUNS_AT_A_TIME = 16
_ROWS = f"SELECT bucket, entries FROM search_index WHERE run = {{}} AND bucket IN ({', '.join(map(str, range(BUCKETS)))})"
_PUT = """INSERT INTO search_index (bucket, run, entries) VALUES ({}, {}, {})
ON CONFLICT (bucket, run) DO UPDATE SET entries = excluded.entries"""
_MADE = "SELECT message_id, hashes FROM made WHERE message_id >= {} AND message_id < {} AND part = 0 ORDER BY message_id, revision"
_NEXT = "SELECT min(message_id) FROM made WHERE message_id >= {} AND message_id < {}"

Entries = dict[int, dict[int, set[bytes]]]
"""run to bucket to entries"""


@lru_cache(maxsize=8192)
def search_hash(kind: str, value: str) -> bytes:
    """What a value is filed under: 64 bits of BLAKE2b, so that the index holds no identifier in clear."""
    return hashlib.blake2b(f"{kind}\x1f{value}".encode("utf-8", "surrogateescape"), digest_size=HASH_BYTES).digest()


def hashes_of(keys: Iterable[tuple[str, str]]) -> bytes | None:
    """What a message is found by, as it is kept with it: of (kind, value) pairs; None for nothing."""
    return b"".join(sorted({search_hash(*key) for key in keys})) or None


# -- writing -----------------------------------------------------------------------------------------------------------


def index(connection: Connection, since: int, until: int) -> None:
    """Put into the index all messages of the runs that end between two numbers, as their newest processings say."""
    first, last = since >> RUN_BITS << RUN_BITS, until >> RUN_BITS << RUN_BITS
    while first < last:
        ((found,),) = rows.query(connection, rows.marked(connection, _NEXT, 2), (first, last))
        if found is None:
            return
        first = found >> RUN_BITS << RUN_BITS
        end = min(last, first + (_RUNS_AT_A_TIME << RUN_BITS))
        add(connection, dict(rows.query(connection, rows.marked(connection, _MADE, 2), (first, end))).items())
        first = end


def add(connection: Connection, messages: Iterable[tuple[int, bytes | None]]) -> None:
    """Put (number, hashes) of messages into the index."""
    for run, buckets in _entries(messages).items():
        there = _rows(connection, run)
        for bucket, entries in buckets.items():
            _put(connection, bucket, run, entries | there.get(bucket, set()))


def forget(connection: Connection, number: int) -> None:
    """Take a message out of the index."""
    run, place = number >> RUN_BITS, _place(number)
    for bucket, entries in _rows(connection, run).items():
        left = {entry for entry in entries if entry[HASH_BYTES:] != place}
        if left != entries:
            _put(connection, bucket, run, left)


def _entries(messages: Iterable[tuple[int, bytes | None]]) -> Entries:
    found: Entries = defaultdict(lambda: defaultdict(set))
    for number, hashes in messages:
        if hashes:
            run, place = found[number >> RUN_BITS], _place(number)
            for start in range(0, len(hashes), HASH_BYTES):
                one = hashes[start : start + HASH_BYTES]
                run[_bucket(one)].add(one + place)
    return found


def _bucket(hashed: bytes) -> int:
    return hashed[-1] % BUCKETS


def _place(number: int) -> bytes:
    return (number & (1 << RUN_BITS) - 1).to_bytes(ENTRY_BYTES - HASH_BYTES, "big")


def _rows(connection: Connection, run: int) -> dict[int, set[bytes]]:
    found = rows.query(connection, rows.marked(connection, _ROWS, 1), (run,))
    return {
        bucket: {bytes(entries[start : start + ENTRY_BYTES]) for start in range(0, len(entries), ENTRY_BYTES)} for bucket, entries in found
    }


def _put(connection: Connection, bucket: int, run: int, entries: set[bytes]) -> None:
    rows.execute(connection, rows.marked(connection, _PUT, 3), (bucket, run, b"".join(sorted(entries))))


# -- looking -----------------------------------------------------------------------------------------------------------


def find(connection: Connection, keys: list[tuple[str, str]], low_id: int, high_id: int) -> Iterator[list[int]]:
    """Ids of messages that have all of the (kind, value) keys, newest first, a list for each batch of runs.

    low_id, high_id: the ids to look among, both included. The caller may stop early, so the newest answers come at once.
    """
    hashes = [search_hash(*key) for key in keys]
    asked = select(numbers.c.open_from).where(numbers.c.kind == "message")
    behind = (connection.execute(asked).scalar() or 0) >> RUN_BITS << RUN_BITS
    newest = _newest(connection, hashes, max(low_id, behind), high_id)
    if newest:
        yield newest
    seen = set(newest)
    for found in _indexed(connection, hashes, low_id, high_id):
        if new := [number for number in found if number not in seen]:
            yield new


def _newest(connection: Connection, hashes: Sequence[bytes], low_id: int, high_id: int) -> list[int]:
    """Messages whose runs are not in the index yet."""
    m = made.c
    asked = select(m.message_id, m.hashes).where(m.message_id.between(low_id, high_id), m.part == 0).order_by(m.message_id, m.revision)
    latest = {number: kept for number, kept in connection.execute(asked)}  # noqa: C416 a row is no pair for dict()
    return [number for number, kept in reversed(latest.items()) if kept and all(_holds(kept, one) for one in hashes)]


def _holds(kept: bytes, hashed: bytes) -> bool:
    return hashed in {kept[start : start + HASH_BYTES] for start in range(0, len(kept), HASH_BYTES)}


def _indexed(connection: Connection, hashes: Sequence[bytes], low_id: int, high_id: int) -> Iterator[list[int]]:
    t, first = search_index.c, hashes[0]
    low, high, size = low_id >> RUN_BITS, high_id >> RUN_BITS, _FIRST_BATCH
    while True:
        asked = select(t.run, t.entries).where(t.bucket == _bucket(first), t.run.between(low, high)).order_by(t.run.desc()).limit(size)
        batch = connection.execute(asked).all()
        found = {number for run, entries in batch for number in _numbers(run, entries, first)}
        for other in hashes[1:]:
            found &= _among(connection, other, {number >> RUN_BITS for number in found})
        if fit := sorted((number for number in found if low_id <= number <= high_id), reverse=True):
            yield fit
        if len(batch) < size:
            return
        high, size = batch[-1].run - 1, min(size * 2, _LARGEST_BATCH)


def _among(connection: Connection, hashed: bytes, runs: set[int]) -> set[int]:
    """The messages of these runs that have it."""
    t = search_index.c
    asked = select(t.run, t.entries).where(t.bucket == _bucket(hashed), t.run.in_(runs))
    return {number for run, entries in connection.execute(asked) for number in _numbers(run, entries, hashed)} if runs else set()


def _numbers(run: int, entries: bytes, hashed: bytes) -> Iterator[int]:
    start = entries.find(hashed)
    while start >= 0:
        if start % ENTRY_BYTES == 0:
            end = start + ENTRY_BYTES
            yield (run << RUN_BITS) + int.from_bytes(entries[start + HASH_BYTES : end], "big")
        start = entries.find(hashed, start + 1)


def ends(connection: Connection, number: ColumnElement[Any]) -> tuple[int, int]:
    """The least and the greatest that there are; (0, -1) for none."""
    # Two statements: SQLite reads one end of an index for a min or a max alone, and all of it for both.
    least = connection.execute(select(func.min(number))).scalar()
    greatest = connection.execute(select(func.max(number))).scalar()
    return (0, -1) if least is None or greatest is None else (least, greatest)
