"""The views: what messages and deliveries are now, and which of them are not at their end. For readers, and for whoever reports by SQL.

A message is in the state of its newest processing, and before the first in the one that it was received in. A delivery is in
the state of its newest attempt, in flight where a send was announced that no attempt has followed, and as it was made, or as a
person has ruled, where no attempt came after that.
"""

from __future__ import annotations

from sqlalchemy import DDL, MetaData, Table, event

from suture.model import states
from suture.store import tables

metadata = MetaData()


def _view_of(base: Table, name: str) -> Table:
    """What is read from a view as from a table; it has the columns of its base."""
    return base.to_metadata(metadata, name=name)


message = _view_of(tables.received, "message")
delivery = _view_of(tables.queued, "delivery")
message_open = _view_of(tables.received, "message_open")
delivery_open = _view_of(tables.queued, "delivery_open")
"""Those that are not at their end: a received message, a waiting or held delivery."""

OPEN_STATES = {"message": (states.RECEIVED,), "delivery": (*states.WAITING, states.HELD)}
_DELIVERED = ", ".join(f"'{state}'" for state in states.DELIVERED)

_MESSAGE = """CREATE VIEW message AS SELECT r.id, r.channel, r.received_at_us,
CASE WHEN n.state IS NULL THEN r.processed_at_us ELSE n.at_us END AS processed_at_us,
CASE WHEN n.state IS NULL THEN r.state ELSE n.state END AS state,
r.control_id, r.type, r.sender, r.peer, r.size_bytes, r.duplicate_of,
CASE WHEN n.state IS NULL THEN r.reason ELSE n.reason END AS reason,
CASE WHEN n.state IS NULL THEN r.revision ELSE n.revision END AS revision
FROM received r LEFT JOIN made n ON n.message_id = r.id AND n.part = 0 AND n.state IS NOT NULL
AND n.revision = (SELECT max(o.revision) FROM made o WHERE o.message_id = r.id AND o.part = 0)"""

_NEWER = "a.number > q.attempts"
_DELIVERY = f"""CREATE VIEW delivery AS SELECT q.id, q.message_id, q.channel, q.destination, q.lane,
CASE WHEN s.number IS NOT NULL THEN '{states.IN_FLIGHT}' WHEN {_NEWER} THEN a.state ELSE q.state END AS state,
CASE WHEN {_NEWER} THEN a.number ELSE q.attempts END AS attempts,
CASE WHEN {_NEWER} THEN a.next_at_us ELSE q.next_at_us END AS next_at_us,
q.idempotency_key, q.control_id, q.content_type, q.events, q.created_at_us,
CASE WHEN s.number IS NOT NULL THEN s.at_us WHEN {_NEWER} THEN a.ended_at_us ELSE q.updated_at_us END AS updated_at_us,
CASE WHEN {_NEWER} THEN CASE WHEN a.state IN ({_DELIVERED}) THEN a.ended_at_us END
ELSE q.accepted_at_us END AS accepted_at_us,
CASE WHEN {_NEWER} THEN CASE WHEN a.state = '{states.POSTED}' THEN a.ended_at_us END ELSE q.posted_at_us END AS posted_at_us,
CASE WHEN {_NEWER} THEN a.document ELSE q.document END AS document,
CASE WHEN {_NEWER} THEN a.reason ELSE q.reason END AS reason,
q.original_id, q.revision, q.part, q.payload, q.size_bytes
FROM queued q
LEFT JOIN attempt a ON a.delivery_id = q.id AND a.state IS NOT NULL
AND a.number = (SELECT max(o.number) FROM attempt o WHERE o.delivery_id = q.id)
LEFT JOIN sending s ON s.delivery_id = q.id AND s.number > q.attempts AND (a.number IS NULL OR s.number > a.number)
AND s.number = (SELECT max(o.number) FROM sending o WHERE o.delivery_id = q.id)"""

_OPEN = """CREATE VIEW {0}_open AS
SELECT v.* FROM waiting w JOIN {0} v ON v.id = w.id
WHERE w.kind = '{0}' AND w.id < (SELECT open_from FROM numbers WHERE kind = '{0}')
AND v.state IN ({1})
UNION ALL SELECT v.* FROM {0} v
WHERE v.id >= coalesce((SELECT open_from FROM numbers WHERE kind = '{0}'), {2})
AND v.state IN ({1})"""
_LEAST = -(1 << 62)


def _open(kind: str) -> str:
    return _OPEN.format(kind, ", ".join(f"'{state}'" for state in OPEN_STATES[kind]), _LEAST)


STATEMENTS = (_MESSAGE, _DELIVERY, _open("message"), _open("delivery"))


for _statement in STATEMENTS:
    event.listen(tables.metadata, "after_create", DDL(_statement.replace("%", "%%")))
