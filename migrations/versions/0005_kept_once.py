"""What was made of a message is kept once: its events, notes and payloads in one row, compressed; the tables that held them go.

Before: 0004. The bytes of messages stay as they are (coding 0); those that come from now on are compressed too.
"""

import json
import time
from itertools import groupby
from operator import itemgetter

import sqlalchemy as sa
from alembic import op

from suture.model import made as makes
from suture.store.codec import MADE, Codec

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_PUT = "INSERT INTO made (message_id, revision, part, events, coding, body) VALUES (:number, :revision, 0, :events, :coding, :body)"
AT_A_TIME, TOGETHER_BYTES = 500, 4_194_304
"""Messages that are in memory at a time, with all that was made of them: so many, or fewer that are so large together."""


def upgrade() -> None:
    _make()
    connection = op.get_bind()
    after = -(1 << 62)
    codec = Codec(lambda: int(time.time() * 1e6))
    while messages := _next(connection, after):
        _move(connection, messages, codec)
        after = max(messages)
    codec.write(connection)
    for table in ("event", "note", "delivery_body"):
        op.drop_table(table)


def _id() -> sa.types.TypeEngine:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _make() -> None:
    op.create_table(
        "made",
        sa.Column("message_id", _id(), primary_key=True, autoincrement=False),
        sa.Column("revision", sa.SmallInteger, primary_key=True, autoincrement=False, comment="0, and one more for each reprocessing"),
        sa.Column(
            "part", sa.SmallInteger, primary_key=True, autoincrement=False, comment="0 the processing; more: a payload that was made later"
        ),
        sa.Column("events", sa.String, nullable=False, comment="how many of each type and state: 3 charge.raised raised"),
        sa.Column("coding", sa.Integer, nullable=False, comment="how body is kept, as of message_body"),
        sa.Column("body", sa.LargeBinary, nullable=False, comment="events, notes and payloads in MessagePack (store/content.py)"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "dictionary",
        sa.Column("id", _id(), primary_key=True, autoincrement=False),
        sa.Column("channel", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False, comment="raw | made"),
        sa.Column("made_at_us", sa.BigInteger, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False, comment="of zstd (RFC 8878, section 5)"),
    )
    coding = sa.Column(
        "coding", sa.Integer, nullable=False, server_default="0", comment="how raw is kept: 0 as it is, 1 zstd, else by that dictionary"
    )
    op.add_column("message_body", coding)
    for column in (
        sa.Column("revision", sa.SmallInteger, nullable=False, server_default="0", comment="with part: which row of made has its payload"),
        sa.Column("part", sa.SmallInteger, nullable=False, server_default="0"),
        sa.Column("payload", sa.SmallInteger, comment="which of that row's payloads; NULL: none could be made"),
        sa.Column("size_bytes", sa.Integer, nullable=False, server_default="0", comment="of the payload"),
    ):
        op.add_column("delivery", column)


def _next(connection: sa.Connection, after: int) -> dict[int, str]:
    """The next messages, with their channels: AT_A_TIME, or fewer that are so large together."""
    found = connection.execute(
        sa.text("SELECT id, channel, size_bytes FROM message WHERE id > :after ORDER BY id LIMIT :limit"),
        {"after": after, "limit": AT_A_TIME},
    )
    messages: dict[int, str] = {}
    total_bytes = 0
    for row in found.all():
        total_bytes += row.size_bytes
        if messages and total_bytes > TOGETHER_BYTES:
            break
        messages[row.id] = row.channel
    return messages


def _of(connection: sa.Connection, query: str, messages: dict[int, str]) -> dict[int, list]:
    """The rows of a query about these messages, whose first column is the message, by message."""
    found = connection.execute(sa.text(query), {"first": min(messages), "last": max(messages)})
    return {number: list(rows) for number, rows in groupby(found, key=itemgetter(0))}


def _move(connection: sa.Connection, messages: dict[int, str], codec: Codec) -> None:
    between = "BETWEEN :first AND :last ORDER BY"
    events = _of(
        connection,
        "SELECT message_id, revision, number, event_id, type, line, state, key, body FROM event "
        f"WHERE message_id {between} message_id, revision, number",
        messages,
    )
    notes = _of(connection, f"SELECT message_id, revision, notes FROM note WHERE message_id {between} message_id, revision", messages)
    payloads = _of(
        connection,
        "SELECT d.message_id, d.id, b.body FROM delivery d JOIN delivery_body b ON b.delivery_id = d.id "
        f"WHERE d.message_id {between} d.message_id, d.id",
        messages,
    )
    for number, channel in messages.items():
        theirs = events.get(number, []), notes.get(number, []), payloads.get(number, [])
        if any(theirs):
            _keep(connection, number, channel, theirs, codec)


def _keep(connection: sa.Connection, number: int, channel: str, theirs: tuple[list, list, list], codec: Codec) -> None:
    """A message's events and notes, under their revisions; its payloads, under the first revision that there is."""
    events, notes, payloads = theirs
    revisions = sorted({row[1] for row in (*events, *notes)}) or [0]
    bodies = list(dict.fromkeys(bytes(row[2]) for row in payloads))
    for revision in revisions:
        kept = makes.Made(
            [makes.KeptEvent(*row[2:8], bytes(row[8])) for row in events if row[1] == revision],
            [tuple(note) for row in notes if row[1] == revision for note in json.loads(row[2])],
            bodies if revision == revisions[0] else [],
        )
        coding, body = codec.coded(channel, MADE, makes.write(kept))
        counts = makes.counted(kept.events)
        connection.execute(sa.text(_PUT), {"number": number, "revision": revision, "events": counts, "coding": coding, "body": body})
    places = {body: place for place, body in enumerate(bodies)}
    where = [{"id": row[1], "revision": revisions[0], "payload": places[bytes(row[2])], "size_bytes": len(row[2])} for row in payloads]
    if where:
        connection.execute(
            sa.text("UPDATE delivery SET revision = :revision, payload = :payload, size_bytes = :size_bytes WHERE id = :id"), where
        )
