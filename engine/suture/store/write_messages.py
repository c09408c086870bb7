"""Rows of received messages, with the detection of a message that came before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection

from suture.model import states
from suture.model.message import Message
from suture.ports import Received
from suture.store import rows, tables
from suture.store.sequences import Sequences

MESSAGE = ("id", "channel", "received_at_us", "state", "control_id", "type", "sender", "peer", "size_bytes", "duplicate_of", "reason")
BODY = ("message_id", "raw")
EXCEPTION = ("message_id", "channel", "stage", "code", "path", "reason", "opened_at_us")
_SAME_ID = "SELECT id, channel, control_id, sender, received_at_us, state, reason FROM message WHERE control_id IN ({in})"
_GIVEN_UP = "CONTINUATION_"
"""The reason of a fragment that was given up begins so: it is to be sent again, and is gathered anew when it is."""

Key = tuple[str, str, str]


def write(connection: Connection, operations: list[Received], sequences: Sequences, results: dict[int, Callable[[], None]]) -> None:
    """Store the messages; an exact repetition within the window is stored as `duplicate`."""
    earlier = _earlier(connection, operations)
    batch: dict[Key, list[Message]] = {}
    messages: list[tuple[Any, ...]] = []
    bodies: list[tuple[int, bytes]] = []
    faults: list[tuple[Any, ...]] = []
    for operation in operations:
        m = operation.message
        m.id = sequences.next_message()
        original = _original(connection, operation, earlier, batch)
        m.duplicate_of = original or 0
        state = states.DUPLICATE if original else states.PARKED if m.fault else states.RECEIVED
        reason = f"the same message as {original}" if original else m.fault
        messages.append((m.id, m.channel, m.received_at_us, state, m.control_id, m.type, m.sender, m.peer, len(m.raw), original, reason))
        bodies.append((m.id, m.raw))
        if state == states.PARKED:
            faults.append((m.id, m.channel, "parse", "NOT_HL7", "MSH", m.fault, m.received_at_us))
        results[id(operation)] = _stored(operation, state)
    rows.insert(connection, tables.message, MESSAGE, messages)
    rows.insert(connection, tables.message_body, BODY, bodies)
    rows.insert(connection, tables.exception, EXCEPTION, faults)


def _stored(operation: Received, state: str) -> Callable[[], None]:
    return lambda: operation.done(state, operation.message)


def _key(m: Message) -> Key:
    return m.channel, m.sender, m.control_id


def _earlier(connection: Connection, operations: list[Received]) -> dict[Key, list[tuple[int, int]]]:
    """(id, received_at_us) of stored messages that have the sender and control id of one of these."""
    ids = {o.message.control_id for o in operations if o.message.control_id}
    found: dict[Key, list[tuple[int, int]]] = {}
    for number, channel, control_id, sender, at_us, state, reason in rows.select_in(connection, _SAME_ID, ids):
        if state != states.PARKED or not reason.startswith(_GIVEN_UP):
            found.setdefault((channel, sender, control_id), []).append((number, at_us))
    return found


def _original(
    connection: Connection, operation: Received, earlier: dict[Key, list[tuple[int, int]]], batch: dict[Key, list[Message]]
) -> int | None:
    """The message that these very bytes came as before, if any."""
    m = operation.message
    if not m.control_id:
        return None
    key = _key(m)
    since_us = m.received_at_us - operation.window_us
    for number, at_us in earlier.get(key, ()):
        if at_us >= since_us and _raw(connection, number) == m.raw:
            return number
    for other in batch.get(key, ()):
        if other.raw == m.raw and operation.window_us:
            return other.id
    batch.setdefault(key, []).append(m)
    return None


def _raw(connection: Connection, number: int) -> bytes:
    (mark,) = rows.marks(connection, 1)
    found = rows.query(connection, f"SELECT raw FROM message_body WHERE message_id = {mark}", (number,))
    return bytes(found[0][0]) if found else b""
