"""Rows of received messages, with the detection of a message that came before."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from sqlalchemy import Connection

from suture.model import states
from suture.model.fault import GIVEN_UP, Fault
from suture.model.message import Message
from suture.model.value import changed
from suture.ports import Received
from suture.store import rows, tables
from suture.store.codec import RAW, Codec
from suture.store.content import content
from suture.store.rows import Asked
from suture.store.sequences import Sequences

MESSAGE = ("id", "channel", "received_at_us", "state", "control_id", "type", "sender", "peer", "size_bytes", "duplicate_of", "reason")
BODY = ("message_id", "coding", "raw")
EXCEPTION = ("message_id", "channel", "stage", "code", "path", "reason", "opened_at_us")
SAME_ID_MANY = 1024
"""Stored messages with the control ids of one statement that are looked at; with more, a sender gives each id many times."""
SAME_ID_NEWEST = 32
"""Of a control id that is given so often, the newest messages of the sender that a repetition is looked for among."""
_EARLIER = "SELECT id, channel, control_id, sender, received_at_us, size_bytes FROM received"
_STATES = "SELECT id, state, reason FROM message WHERE id IN ({in})"
_NEWEST = f"{_EARLIER} WHERE control_id = {{}} AND sender = {{}} AND channel = {{}} ORDER BY id DESC LIMIT {{}}"
_KNOWN = "SELECT code, reason FROM exception WHERE message_id = {} AND stage = {}"
_GIVEN_UP = f"SELECT message_id FROM exception WHERE message_id IN ({{in}}) AND code IN {GIVEN_UP}"

Key = tuple[str, str, str]
Same = tuple[int, int, int, str]
"""A stored message that has the sender and control id of one that came: number, time of receipt, size and reason."""


def ask(connection: Connection, operations: list[Received]) -> Asked:
    """What `write` has to know: the stored messages that have a control id of these."""
    ids = {o.message.control_id for o in operations if o.message.control_id}
    return Asked(connection, f"{_EARLIER} WHERE control_id IN ({{in}}) LIMIT {SAME_ID_MANY}", ids)


def write(
    connection: Connection,
    operations: list[Received],
    sequences: Sequences,
    results: dict[int, Callable[[], None]],
    codec: Codec,
    asked: Asked,
) -> None:
    """Store the messages; an exact repetition within the window is stored as `duplicate`."""
    earlier = _earlier(connection, operations, asked.rows())
    batch: dict[Key, list[Message]] = {}
    messages: list[tuple[Any, ...]] = []
    bodies: list[tuple[int, int, bytes]] = []
    faults: list[tuple[Any, ...]] = []
    for operation in operations:
        m = changed(operation.message, id=sequences.next_message(connection))
        original = _original(connection, m, operation.window_us, earlier, batch)
        if original:
            m = changed(m, duplicate_of=original)
        state = states.DUPLICATE if original else states.PARKED if m.fault else states.RECEIVED
        reason = f"the same message as {original}" if original else _reason(m)
        messages.append((m.id, m.channel, m.received_at_us, state, m.control_id, m.type, m.sender, m.peer, len(m.raw), original, reason))
        bodies.append((m.id, *codec.coded(m.channel, RAW, m.raw)))
        if operation.faults:
            faults += _of_its_batch(connection, m, operation.faults)
        if state == states.PARKED and m.fault and m.fault.code not in [fault.code for fault in operation.faults]:
            faults.append(_exception(m, m.fault))
        results[id(operation)] = partial(operation.done, state, m)
    rows.insert(connection, tables.received, MESSAGE, messages)
    rows.insert_bodies(connection, tables.message_body, BODY, bodies)
    rows.insert(connection, tables.exception, EXCEPTION, faults)


def _of_its_batch(connection: Connection, m: Message, faults: Sequence[Fault]) -> Iterator[tuple[Any, ...]]:
    """The exceptions about the batch that a message came in; a batch that comes again as it was opens none a second time."""
    asked = rows.marked(connection, _KNOWN, 2)
    known = set(rows.query(connection, asked, (m.duplicate_of, states.BATCH_STAGE))) if m.duplicate_of else set()
    for fault in faults:
        if (fault.code, fault.reason) not in known:
            yield _exception(m, fault)


def _exception(m: Message, fault: Fault) -> tuple[Any, ...]:
    return m.id, m.channel, fault.stage, fault.code, fault.place, fault.reason, m.received_at_us


def _reason(m: Message) -> str:
    return str(m.fault) if m.fault else ""


def _key(m: Message) -> Key:
    return m.channel, m.sender, m.control_id


def _earlier(connection: Connection, operations: list[Received], stored: list[tuple[Any, ...]]) -> dict[Key, list[Same]]:
    """Stored messages that have the sender and control id of one of these, the oldest first."""
    if len(stored) >= SAME_ID_MANY:
        stored = [row for key in {_key(o.message) for o in operations if o.message.control_id} for row in _newest(connection, key)]
    now = {number: (state, reason) for number, state, reason in rows.select_in(connection, _STATES, [row[0] for row in stored])}
    parked = [number for number, (state, _) in now.items() if state == states.PARKED]
    given_up = set(rows.select_in(connection, _GIVEN_UP, parked)) if parked else ()
    found: dict[Key, list[Same]] = {}
    for number, channel, control_id, sender, at_us, size_bytes in sorted(stored):
        if (number,) not in given_up:
            found.setdefault((channel, sender, control_id), []).append((number, at_us, size_bytes, now[number][1]))
    return found


def _newest(connection: Connection, key: Key) -> list[tuple[Any, ...]]:
    channel, sender, control_id = key
    return rows.query(connection, rows.marked(connection, _NEWEST, 4), (control_id, sender, channel, SAME_ID_NEWEST))


def _original(
    connection: Connection, m: Message, window_us: int, earlier: dict[Key, list[Same]], batch: dict[Key, list[Message]]
) -> int | None:
    """The message that these very bytes came as before, if any."""
    if not m.control_id:
        return None
    key = _key(m)
    since_us = m.received_at_us - window_us
    for number, at_us, size_bytes, reason in earlier.get(key, ()):
        if m.fault and reason != _reason(m):
            continue  # of a message over the limit only the header is kept; what else is known of it stands in its fault
        if at_us >= since_us and size_bytes == len(m.raw) and _raw(connection, number) == m.raw:
            return number
    for other in batch.get(key, ()):
        if (other.raw, other.fault) == (m.raw, m.fault) and window_us:
            return other.id
    batch.setdefault(key, []).append(m)
    return None


def _raw(connection: Connection, number: int) -> bytes:
    found = rows.query(connection, rows.marked(connection, "SELECT coding, raw FROM message_body WHERE message_id = {}", 1), (number,))
    return content(connection, *found[0]) if found else b""
