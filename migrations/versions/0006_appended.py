"""What becomes of a message or a delivery is a row of its own; `message` and `delivery` are views that tell their states.

Before: 0005. No row is copied: the rows that are there say their state themselves, as a person's ruling does from now on.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_OPEN = {"message": ("received", "'received'"), "delivery": ("queued", "'queued', 'in_flight', 'retrying', 'held'")}
_WAITING = {
    "message": "SELECT 'message', channel, '', id FROM received WHERE state IN ({0})",
    "delivery": "SELECT 'delivery', channel, destination, id FROM queued WHERE state IN ({0})",
}
_RUN = 1024
"""Messages a run of the search index; the numbers go on with a new one, so that all that is there is in the index."""


def upgrade() -> None:
    for index, table in (("message_open", "message"), ("delivery_open", "delivery")):
        op.drop_index(index, table)
    for kind, (table, _) in _OPEN.items():
        op.rename_table(kind, table)
    _columns()
    _comments()
    _tables()
    for kind, (table, open_states) in _OPEN.items():
        op.execute(f"INSERT INTO waiting (kind, channel, destination, id) {_WAITING[kind].format(open_states)}")
        _numbers(kind, table)
    _searched()
    for view in _VIEWS:
        op.execute(view)


def _numbers(kind: str, table: str) -> None:
    connection = op.get_bind()
    last = connection.execute(sa.text(f"SELECT max(id) FROM {table}")).scalar() or 0
    free = connection.execute(sa.text("SELECT free_from FROM numbers WHERE kind = :kind"), {"kind": kind}).scalar() or 0
    if not last and not free:
        return
    first = (max(last, free - 1, 0) // _RUN + 1) * _RUN if last else max(free, 1)
    connection.execute(sa.text("DELETE FROM numbers WHERE kind = :kind"), {"kind": kind})
    connection.execute(
        sa.text("INSERT INTO numbers (kind, free_from, open_from) VALUES (:kind, :first, :first)"), {"kind": kind, "first": first}
    )


def _searched() -> None:
    """The index as rows of many entries: see store/search.py of this revision's time."""
    connection = op.get_bind()
    run = connection.execute(sa.text("SELECT min(run) FROM search_key")).scalar()
    while run is not None:
        buckets: dict[int, set[bytes]] = {}
        for number, hashed in connection.execute(sa.text("SELECT message_id, hash FROM search_key WHERE run = :run"), {"run": run}):
            entry = hashed.to_bytes(8, "big", signed=True) + (number % _RUN).to_bytes(2, "big")
            buckets.setdefault(entry[7] % 64, set()).add(entry)
        put = [{"bucket": bucket, "run": run, "entries": b"".join(sorted(entries))} for bucket, entries in sorted(buckets.items())]
        connection.execute(sa.text("INSERT INTO search_index (bucket, run, entries) VALUES (:bucket, :run, :entries)"), put)
        run = connection.execute(sa.text("SELECT min(run) FROM search_key WHERE run > :run"), {"run": run}).scalar()
    op.drop_table("search_key")


def _columns() -> None:
    for table, column in (
        ("made", sa.Column("state", sa.String, comment="of the message from then on; NULL: received.state says it")),
        ("made", sa.Column("at_us", sa.BigInteger, comment="when it was processed")),
        ("made", sa.Column("reason", sa.String, comment="why filtered, duplicate or parked")),
        ("made", sa.Column("hashes", sa.LargeBinary, comment="what the message is found by: eight bytes of BLAKE2b each")),
        ("attempt", sa.Column("state", sa.String, comment="of the delivery from then on; NULL: queued.state says it")),
        ("attempt", sa.Column("next_at_us", sa.BigInteger)),
        ("attempt", sa.Column("document", sa.String, comment="the business system's number for it")),
        (
            "numbers",
            sa.Column(
                "open_from",
                sa.BigInteger,
                nullable=False,
                server_default="0",
                comment="of those before it, what is open stands in waiting",
            ),
        ),
    ):
        op.add_column(table, column)


def _comments() -> None:
    if op.get_bind().dialect.name == "sqlite":
        return
    for table, column, kind, comment in (
        ("received", "state", sa.String(), "as of its receipt, or as a restore has left it: made.state comes before it"),
        ("received", "revision", sa.SmallInteger(), "how often it was reprocessed before made had states"),
        ("made", "body", sa.LargeBinary(), "events, notes and payloads in MessagePack; empty: nothing was made"),
        ("queued", "state", sa.String(), "when it was made, or as a person has ruled after so many attempts"),
        ("queued", "attempts", sa.Integer(), "attempts of a higher number come after this state"),
    ):
        op.alter_column(table, column, existing_type=kind, comment=comment)


def _id() -> sa.types.TypeEngine:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _tables() -> None:
    op.create_table(
        "search_index",
        sa.Column("bucket", sa.SmallInteger, primary_key=True, autoincrement=False, comment="of the hashes"),
        sa.Column("run", sa.BigInteger, primary_key=True, autoincrement=False, comment="of the messages: their numbers >> 10"),
        sa.Column("entries", sa.LargeBinary, nullable=False, comment="ten bytes each: a hash, and the message's place in its run"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "sending",
        sa.Column("delivery_id", _id(), primary_key=True, autoincrement=False),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False, comment="of the attempt that has begun"),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "waiting",
        sa.Column("kind", sa.String, primary_key=True, comment="message | delivery"),
        sa.Column("channel", sa.String, primary_key=True),
        sa.Column("destination", sa.String, primary_key=True, comment="empty for a message"),
        sa.Column("id", _id(), primary_key=True, autoincrement=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "signature",
        sa.Column("epoch", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sqlite_with_rowid=False,
    )


_VIEWS = (
    """CREATE VIEW message AS SELECT r.id, r.channel, r.received_at_us,
CASE WHEN n.state IS NULL THEN r.processed_at_us ELSE n.at_us END AS processed_at_us,
CASE WHEN n.state IS NULL THEN r.state ELSE n.state END AS state,
r.control_id, r.type, r.sender, r.peer, r.size_bytes, r.duplicate_of,
CASE WHEN n.state IS NULL THEN r.reason ELSE n.reason END AS reason,
CASE WHEN n.state IS NULL THEN r.revision ELSE n.revision END AS revision
FROM received r LEFT JOIN made n ON n.message_id = r.id AND n.part = 0 AND n.state IS NOT NULL
AND n.revision = (SELECT max(o.revision) FROM made o WHERE o.message_id = r.id AND o.part = 0)""",
    """CREATE VIEW delivery AS SELECT q.id, q.message_id, q.channel, q.destination, q.lane,
CASE WHEN s.number IS NOT NULL THEN 'in_flight' WHEN a.number > q.attempts THEN a.state ELSE q.state END AS state,
CASE WHEN a.number > q.attempts THEN a.number ELSE q.attempts END AS attempts,
CASE WHEN a.number > q.attempts THEN a.next_at_us ELSE q.next_at_us END AS next_at_us,
q.idempotency_key, q.control_id, q.content_type, q.events, q.created_at_us,
CASE WHEN s.number IS NOT NULL THEN s.at_us WHEN a.number > q.attempts THEN a.ended_at_us ELSE q.updated_at_us END AS updated_at_us,
CASE WHEN a.number > q.attempts THEN CASE WHEN a.state IN ('accepted', 'posted') THEN a.ended_at_us END
ELSE q.accepted_at_us END AS accepted_at_us,
CASE WHEN a.number > q.attempts THEN CASE WHEN a.state = 'posted' THEN a.ended_at_us END ELSE q.posted_at_us END AS posted_at_us,
CASE WHEN a.number > q.attempts THEN a.document ELSE q.document END AS document,
CASE WHEN a.number > q.attempts THEN a.reason ELSE q.reason END AS reason,
q.original_id, q.revision, q.part, q.payload, q.size_bytes
FROM queued q
LEFT JOIN attempt a ON a.delivery_id = q.id AND a.state IS NOT NULL
AND a.number = (SELECT max(o.number) FROM attempt o WHERE o.delivery_id = q.id)
LEFT JOIN sending s ON s.delivery_id = q.id AND s.number > q.attempts AND (a.number IS NULL OR s.number > a.number)
AND s.number = (SELECT max(o.number) FROM sending o WHERE o.delivery_id = q.id)""",
    """CREATE VIEW message_open AS
SELECT v.* FROM waiting w JOIN message v ON v.id = w.id
WHERE w.kind = 'message' AND w.id < (SELECT open_from FROM numbers WHERE kind = 'message')
AND v.state IN ('received')
UNION ALL SELECT v.* FROM message v
WHERE v.id >= coalesce((SELECT open_from FROM numbers WHERE kind = 'message'), -4611686018427387904)
AND v.state IN ('received')""",
    """CREATE VIEW delivery_open AS
SELECT v.* FROM waiting w JOIN delivery v ON v.id = w.id
WHERE w.kind = 'delivery' AND w.id < (SELECT open_from FROM numbers WHERE kind = 'delivery')
AND v.state IN ('queued', 'in_flight', 'retrying', 'held')
UNION ALL SELECT v.* FROM delivery v
WHERE v.id >= coalesce((SELECT open_from FROM numbers WHERE kind = 'delivery'), -4611686018427387904)
AND v.state IN ('queued', 'in_flight', 'retrying', 'held')""",
)
