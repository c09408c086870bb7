"""Stores of older schemas, filled by rows, and all that a store tells of its messages, whatever its schema is."""

from __future__ import annotations

import json
import lzma
from itertools import product
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, inspect, text

from suture.model import states
from suture.store import content, copying, dialect, rows, schema
from suture.store.engine import open_file
from tests import contents

KEPT = {
    "message": "id channel received_at_us processed_at_us state control_id type sender peer size_bytes duplicate_of reason revision",
    "delivery": "id message_id channel destination lane state attempts next_at_us idempotency_key control_id content_type events"
    " created_at_us updated_at_us accepted_at_us posted_at_us document reason original_id",
    "attempt": "delivery_id number started_at_us ended_at_us outcome code reason response",
    "exception": "id message_id delivery_id channel stage code line field path table_name value reason opened_at_us resolved_at_us"
    " resolution",
    "claim": "key message_id claimed_at_us generation",
    "search_key": "run kind hash message_id",
    "stock": "location item on_hand",
    "audit": "id at_us actor verb target reason",
}
"""Tables, or views in their place, that are in every schema, with the columns that the first one had."""
_MOVED = {
    "message_body": "message_id raw",
    "event": "message_id revision number event_id type line state key body",
    "note": "message_id revision notes",
    "delivery_body": "delivery_id body",
}
LANES = ("", "account 7", "konto-Ä")


WRITTEN = Path(__file__).parent / "of_3771862.db.xz"
"""The database that `suture demo --keep --messages 60` of Suture's commit 3771862 has left: a simulated day of a made-up hospital."""


def fill_as_written(engine: Engine, directory: Path) -> None:
    """Put into an empty database what an engine of schema 0001 has written. directory: for a file of its own."""
    written = directory / "written.db"
    written.write_bytes(lzma.decompress(WRITTEN.read_bytes()))
    source = open_file(written)
    with dialect.reading(source) as old, dialect.writing(engine) as connection:
        schema.make(connection, "0001")
        for shape in copying.shapes(old):
            rows.fill(connection, shape.name, shape.columns, copying.unload(old, shape))
        rows.count_on(connection, ("exception", "command", "audit"))
    source.dispose()


def fill(engine: Engine, revision: str, count: int, size_bytes: int = 300, payload_bytes: int = 200) -> None:
    """Make an older schema in an empty database, with so many messages. size_bytes: what each is said to have."""
    with dialect.writing(engine) as connection:
        schema.make(connection, revision)
        there = set(inspect(connection).get_table_names())
        block: dict[str, list[Any]] = {name: [] for name in (*KEPT, *_MOVED) if name in there}
        for index in range(count):
            for name, row in _message(index, size_bytes, payload_bytes):
                if name in block:
                    block[name].append(row)
        block["stock"].append(("OR", "screw", "4"))
        block["audit"].append((1, 5, "cli:nurse", "resend", "delivery 7", "asked for"))
        for name, those in block.items():
            columns = (KEPT | _MOVED)[name].split()
            if name == "exception":  # their ids are the database's own to count
                those, columns = [row[1:] for row in those], columns[1:]
            rows.fill(connection, name, columns, those)


def _message(index: int, size_bytes: int, payload_bytes: int) -> Any:
    """The rows of a message: each state in turn, reprocessed or not, with deliveries or not."""
    number, state = 10 + 3 * index, states.MESSAGE_STATES[index % len(states.MESSAGE_STATES)]
    channel, revision = "b" if index % 3 == 0 else "a", index % 2
    processed = None if state == states.RECEIVED else 1_000 + index
    about = (f"C{index}", "DFT^P03", "S|F", "peer:1", size_bytes, 10 if state == states.DUPLICATE else None, f"why {index}", revision)
    yield "message", (number, channel, 900 + index, processed, state, *about)
    yield "message_body", (number, b"MSH|^~\\&|%d\r\xff\x00" % index)
    yield "search_key", (number >> 10, "patient", index * 7_919 - 3, number)
    if index % 10 == 9:
        return  # it came to nothing
    if index % 10 != 8:  # or to payloads without an event
        for each, event in product(range(revision + 1), range(3)):
            about = ("supply.used", event + 1, "duplicate" if event == 2 else "raised", f"k{index}-{event}")
            yield "event", (number, each, event, f"e{index}-{each}-{event}", *about, b'{"item":"IMP-%d","of":%d}' % (index, each))
        yield "claim", (f"k{index}", number, 1_000 + index, index % 4)
    if index % 4:
        yield "note", (number, revision, json.dumps([[1, "CODE", "FT1-8", f"why {index}"], [0, "OTHER", "", "and more"]]))
    yield "exception", (0, number, None, channel, "map", "UNKNOWN_CODE", 1, "item", "FT1-7", "items", "X", "none", 7, None, None)
    yield from _deliveries(index, number, channel, payload_bytes)


def _deliveries(index: int, number: int, channel: str, payload_bytes: int) -> Any:
    """Three deliveries, the last of them made much later, as a resend; a held one has no payload where its turn comes."""
    for place in range(3):
        delivery = 5 + index * 2 + place if place < 2 else 100_000 + index
        state = states.DELIVERY_STATES[(index + place) % len(states.DELIVERY_STATES)]
        lane, original = LANES[index % 3], 5 + index * 2 if place == 2 else None
        ends = (5_000, 6_000 if state == states.POSTED else None, f"D{index}") if state in states.DELIVERED else (None, None, None)
        times = ("0,1", 2_000, 3_000 + place, *ends, f"because {place}", original)
        about = ("d", lane, state, place, 77, f"i{index}-{place}", f"O{index}", "application/json")
        yield "delivery", (delivery, number, channel, *about, *times)
        for attempt in range(place):
            yield "attempt", (delivery, attempt + 1, 3_000, 3_001, "try_later", "503", "busy", b"\x00later" if attempt else None)
        if state == states.HELD:
            times = ("RENDER", 0, "", "", "", "", "could not be made", 9, 10, "resent")
            yield "exception", (0, number, delivery, channel, "deliver", *times)
        else:
            yield "delivery_body", (delivery, b'{"n":%d,"of":%d,%s}' % (place % 2, index, _filling(index, payload_bytes)))


def _filling(index: int, size_bytes: int) -> bytes:
    words = b",".join(b'"row%d":"%x"' % (n, (index + 3) * (n + 7) * 2_654_435_761) for n in range(size_bytes // 16))
    return words or b'"row":0'


def told(engine: Engine) -> dict[str, list[Any]]:
    """All that a store tells of its messages, also while it is being upgraded: what is there twice is twice in it."""
    with dialect.reading(engine) as connection:
        there = set(inspect(connection).get_table_names())
        there_now = {name: columns.split() for name, columns in KEPT.items() if name != "search_key"}
        found = {name: _plain(connection, f'SELECT {", ".join(columns)} FROM "{name}"') for name, columns in there_now.items()}
        found["search_key"] = _search_keys(connection, there)
        after = _moved_until(connection, there)
        found |= {"event": [], "note": [], "delivery_body": []}
        if "made" in there:
            found["event"] += [(m, r, *e) for m, r, e in _new_events(connection)]
            found["note"] += _new_notes(connection)
            found["delivery_body"] += list(contents.payloads(connection).items())
            found["raw"] = list(contents.raws(connection).items())
        else:
            found["raw"] = _plain(connection, "SELECT message_id, raw FROM message_body")
        if "event" in there:
            found["event"] += _plain(connection, f"SELECT {', '.join(_MOVED['event'].split())} FROM event WHERE message_id > {after}")
            query = f"""SELECT b.delivery_id, b.body FROM delivery_body b JOIN delivery d ON d.id = b.delivery_id
            WHERE d.message_id > {after}"""
            found["delivery_body"] += _plain(connection, query)
        if "note" in there:
            notes = _plain(connection, f"SELECT message_id, revision, notes FROM note WHERE message_id > {after}")
            found["note"] += [(m, r, *map(str, note)) for m, r, kept in notes for note in json.loads(kept)]
    return {name: sorted(those, key=repr) for name, those in found.items()}


def _search_keys(connection: Connection, there: set[str]) -> list[tuple[int, int]]:
    """(message, hash) of all that messages are found by."""
    if "search_key" in there:
        return _plain(connection, "SELECT message_id, hash FROM search_key")
    kept = _plain(connection, "SELECT run, entries FROM search_index")
    entries = [(run, entries[start : start + 10]) for run, entries in kept for start in range(0, len(entries), 10)]
    return [((run << 10) + int.from_bytes(one[8:], "big"), int.from_bytes(one[:8], "big", signed=True)) for run, one in entries]


def _plain(connection: Connection, query: str) -> list[tuple[Any, ...]]:
    return [tuple(bytes(v) if isinstance(v, memoryview) else v for v in row) for row in connection.execute(text(query))]


def _moved_until(connection: Connection, there: set[str]) -> int:
    """The last message that an upgrade which has not ended has moved."""
    if "engine_state" not in there:
        return -(1 << 62)
    place = connection.execute(text("SELECT value FROM engine_state WHERE name = 'upgrade'")).scalar()
    return int(place.split()[0]) if place else -(1 << 62)


def _new_events(connection: Connection) -> list[Any]:
    return [(m, r, (e.number, e.event_id, e.type, e.line, e.state, e.key, e.body)) for m, r, e in contents.events(connection)]


def _new_notes(connection: Connection) -> list[Any]:
    found = connection.execute(text("SELECT message_id, revision, coding, body FROM made")).all()
    return [
        (row.message_id, row.revision, *map(str, note)) for row in found for note in content.opened(connection, row.coding, row.body).notes
    ]
