"""How long an older store takes to be brought up, and how much room: messages as W1 leaves them, in the tables of schema 0001."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from bench import stored
from bench.child import BenchError
from bench.databases import Databases, scratch, size_bytes
from bench.report import number, table
from suture.model import states
from suture.model.events import Event
from suture.store import dialect, rows, schema
from suture.store.engine import open_engine

OLDEST = "0001"
SAMPLED_S = 0.02
"""How often it is looked how large the database is."""
_COLUMNS = {
    "message": "id channel received_at_us processed_at_us state control_id type sender peer size_bytes reason",
    "message_body": "message_id raw",
    "event": "message_id revision number event_id type line state key body",
    "claim": "key message_id claimed_at_us",
    "delivery": "id message_id channel destination lane state attempts idempotency_key content_type events created_at_us updated_at_us"
    " accepted_at_us",
    "delivery_body": "delivery_id body",
    "attempt": "delivery_id number started_at_us ended_at_us outcome code reason response",
    "exception": "message_id channel stage code field path table_name value reason opened_at_us",
    "search_key": "run kind hash message_id",
}
Say = Callable[[str], None]
Rows = dict[str, list[tuple[Any, ...]]]


def measure(kind: str, databases: Databases, count: int, say: Say) -> dict[str, Any]:
    """Fill a store of the oldest schema with so many messages, and bring it up."""
    result: dict[str, Any] = {"kind": "upgrade", "engine": "suture", "database": kind, "count": count}
    with ExitStack() as stack:
        url = stack.enter_context(databases.fresh(kind, Path(stack.enter_context(scratch()))))
        say(f"upgrade: {kind}, {count:,} messages of schema {OLDEST}")
        fill(url, count)
        say("  filled")
        return result | _upgraded(url, count)


def fill(url: str, count: int) -> None:
    """Make the oldest schema in an empty database, and put messages 1 to count into it."""
    database = open_engine(url, site=None)
    with dialect.writing(database) as connection:
        schema.make(connection, OLDEST)
    first_us = int(time.time() * 1e6) - count * stored.APART_US
    for first in range(1, count + 1, stored.BLOCK):
        with dialect.writing(database) as connection:
            _put(connection, range(first, min(first + stored.BLOCK, count + 1)), first_us)
    database.dispose()


def _put(connection: Connection, numbers: Iterable[int], first_us: int) -> None:
    block: Rows = {name: [] for name in _COLUMNS}
    for each in numbers:
        for name, row in _rows(each, first_us + each * stored.APART_US):
            block[name].append(row)
    for name, those in block.items():
        rows.fill(connection, name, _COLUMNS[name].split(), those)


def _rows(each: int, at_us: int) -> Iterable[tuple[str, tuple[Any, ...]]]:
    """All rows of a message, with the tables that they are of; its delivery has its number."""
    message = stored.message_of(each, at_us)
    settled = stored.settled_of(each, message)
    about = (message.channel, at_us, at_us + 2_000, settled.state, message.control_id, message.type, message.sender, message.peer)
    yield "message", (each, *about, len(message.raw), settled.reason)
    yield "message_body", (each, message.raw)
    yield from (("search_key", (each >> 10, kind, hash((kind, value)), each)) for kind, value in dict.fromkeys(stored.found_by(each)))
    for gap in settled.gaps:
        yield "exception", (each, message.channel, "map", "UNKNOWN_CODE", gap.field, gap.path, gap.table, gap.value, gap.reason, at_us)
    yield from (("event", (each, 0, *_of(event))) for event in settled.events)
    yield from (("claim", (key, each, at_us)) for key, *_ in settled.claims)
    for one in settled.deliveries:
        kept = (states.ACCEPTED, 1, f"{each:032x}", one.content_type, "0,1,2", at_us, at_us, at_us)
        yield "delivery", (each, each, one.channel, one.destination, one.lane, *kept)
        yield "delivery_body", (each, one.body)
        yield "attempt", (each, 1, at_us, at_us + 3_000, states.ACCEPTED, "200", "", b'{"status":"ok"}')


def _of(event: Event) -> Sequence[Any]:
    return event.number, event.id, event.type, event.line, "raised", event.key, event.json


def _upgraded(url: str, count: int) -> dict[str, Any]:
    database = open_engine(url, site=None, create=False)
    before, used = _taken_bytes(url), size_bytes(url)
    with _Largest(url) as largest:
        begin_s = time.monotonic()
        moved = schema.upgrade(database)
        seconds = time.monotonic() - begin_s
    database.dispose()
    if moved != count:
        raise BenchError(f"of {count} messages, {moved} were moved")
    facts = {"seconds": round(seconds, 1), "bytes_before": used, "bytes_after": size_bytes(url)}
    return facts | {"bytes_grown": largest.bytes - before, "bytes_taken_before": before, "bytes_taken_after": _taken_bytes(url)}


class _Largest:
    """The most that a database takes of the disk meanwhile, its log with it (PostgreSQL: without)."""

    def __init__(self, url: str) -> None:
        self._url, self.bytes, self._ending = url, 0, threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> _Largest:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ending.wait(SAMPLED_S):
            self.bytes = max(self.bytes, _taken_bytes(self._url))


def _taken_bytes(url: str) -> int:
    if not url.startswith("sqlite"):
        return size_bytes(url)
    size = 0
    for end in ("", "-wal"):
        with contextlib.suppress(FileNotFoundError):
            size += os.stat(url.removeprefix("sqlite:///") + end).st_size
    return size


def text(results: Sequence[dict[str, Any]]) -> str:
    """A row a database."""
    heads = ["database", "messages", "s", "messages/s", "MB before", "MB more at most", "MB after", "MB of that in use"]
    names = ("bytes_taken_before", "bytes_grown", "bytes_taken_after", "bytes_after")
    shown = (
        [
            r["database"],
            number(r["count"]),
            number(r["seconds"], 1),
            number(r["count"] / r["seconds"]),
            *(number(r[n] / 1e6) for n in names),
        ]
        for r in results
    )
    return table(heads, shown, left=1)
