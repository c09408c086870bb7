"""What was made of a message is kept once: its events, notes and payloads in one row, compressed; the tables that held them go.

Before: 0004. The bytes of messages stay as they are (coding 0); those that come from now on are compressed too.
"""

import json
import time
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter

import sqlalchemy as sa
from alembic import op

from suture.model import made as makes
from suture.store import rows
from suture.store.codec import MADE, Codec
from suture.store.tables import made

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_COLUMNS = ("message_id", "revision", "part", "events", "coding", "body")
_DELIVERY = sa.table(
    "delivery",
    sa.column("id", sa.BigInteger),
    sa.column("revision", sa.SmallInteger),
    sa.column("payload", sa.SmallInteger),
    sa.column("size_bytes", sa.Integer),
)
SEARCH_BYTES = 128
"""Of a message: what the revision after this one, which makes the search index anew in one transaction, leaves in the log meanwhile."""
AT_A_TIME, TOGETHER_BYTES = 500, 4_194_304
"""Messages that are in memory at a time, and in one transaction, with all that was made of them: so many, or fewer that are so large
together."""
_PLACE = "upgrade"
"""The row of engine_state that says how far it is: the last message that was moved, how many were, and how many there are."""


def upgrade() -> None:
    """What is left of it: all, where nothing was begun."""
    connection = op.get_bind()
    if not sa.inspect(connection).has_table("made"):
        begin(connection)
    for _ in portions(connection):
        pass
    connection.execute(sa.text("DELETE FROM engine_state WHERE name = :name"), {"name": _PLACE})
    for table in ("event", "note", "delivery_body"):
        op.drop_table(table)


def begin(connection: sa.Connection) -> None:
    """Make the new tables and columns, and write down that nothing is moved yet."""
    _make()
    total = connection.execute(sa.text("SELECT count(*) FROM message")).scalar_one()
    place = {"name": _PLACE, "value": f"{-(1 << 62)} 0 {total}"}
    connection.execute(sa.text("INSERT INTO engine_state (name, value, updated_at_us) VALUES (:name, :value, 0)"), place)


def portions(connection: sa.Connection) -> Iterator[tuple[int, int]]:
    """Move what is left, a portion each time; (how many messages are moved, how many there are), first as it is before.

    What each time does may be committed by itself.
    """
    place = connection.execute(sa.text("SELECT value FROM engine_state WHERE name = :name"), {"name": _PLACE}).scalar_one()
    after, done, total = map(int, place.split())
    yield done, total
    codec = Codec(lambda: int(time.time() * 1e6))
    codec.load(connection)
    while messages := _next(connection, after):
        _move(connection, messages, codec)
        codec.write(connection)
        _free(connection, messages)
        after, done = max(messages), done + len(messages)
        place = {"name": _PLACE, "value": f"{after} {done} {total}"}
        connection.execute(sa.text("UPDATE engine_state SET value = :value WHERE name = :name"), place)
        yield done, total
        codec.committed()


def room_bytes(connection: sa.Connection) -> int:
    """How much more room a database in a file may take meanwhile, its log with it."""
    largest, count = connection.execute(sa.text("SELECT max(size_bytes), count(*) FROM message")).one()
    return 64_000_000 + 8 * (largest or 0) + SEARCH_BYTES * count


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
    found = rows.query(connection, rows.marked(connection, query, 2), (min(messages), max(messages)))
    return {number: list(theirs) for number, theirs in groupby(found, key=itemgetter(0))}


_BETWEEN = "message_id BETWEEN {} AND {}"
_EVENTS = f"""SELECT message_id, revision, number, event_id, type, line, state, key, body FROM event
WHERE {_BETWEEN} ORDER BY message_id, revision, number"""
_NOTES = f"SELECT message_id, revision, notes FROM note WHERE {_BETWEEN} ORDER BY message_id, revision"
_PAYLOADS = f"""SELECT d.message_id, d.id, b.body FROM delivery d JOIN delivery_body b ON b.delivery_id = d.id
WHERE d.{_BETWEEN} ORDER BY d.message_id, d.id"""


def _move(connection: sa.Connection, messages: dict[int, str], codec: Codec) -> None:
    if connection.dialect.name != "sqlite":  # or a server that has counted nothing yet reads a whole table for each portion
        connection.execute(sa.text("SET LOCAL enable_seqscan = off"))
    events, notes, payloads = (_of(connection, query, messages) for query in (_EVENTS, _NOTES, _PAYLOADS))
    kept, places = [], []
    for number, channel in messages.items():
        theirs = events.get(number, []), notes.get(number, []), payloads.get(number, [])
        if any(theirs):
            kept += _kept(number, channel, theirs, codec)
            places += _places(theirs)
    rows.insert_bodies(connection, made, _COLUMNS, kept)
    rows.update(connection, _DELIVERY, ("revision", "payload", "size_bytes"), places)


def _kept(number: int, channel: str, theirs: tuple[list, list, list], codec: Codec) -> Iterator[tuple]:
    """The rows of `made` of a message: its events and notes, under their revisions; its payloads, under the first that there is."""
    events, notes, payloads = theirs
    bodies = _bodies(payloads)
    for revision in _revisions(theirs):
        one = makes.Made(
            [makes.KeptEvent(*row[2:8], bytes(row[8])) for row in events if row[1] == revision],
            [tuple(note) for row in notes if row[1] == revision for note in json.loads(row[2])],
            bodies if revision == _revisions(theirs)[0] else [],
        )
        yield (number, revision, 0, makes.counted(one.events), *codec.coded(channel, MADE, makes.write(one)))


def _places(theirs: tuple[list, list, list]) -> Iterator[tuple[int, int, int, int]]:
    """Where the payload of each delivery is: (delivery, revision, which of that row's, its size)."""
    payloads = theirs[2]
    places = {body: place for place, body in enumerate(_bodies(payloads))}
    for _, delivery, body in payloads:
        yield delivery, _revisions(theirs)[0], places[bytes(body)], len(body)


def _revisions(theirs: tuple[list, list, list]) -> list[int]:
    return sorted({row[1] for row in (*theirs[0], *theirs[1])}) or [0]


def _bodies(payloads: list) -> list[bytes]:
    return list(dict.fromkeys(bytes(row[2]) for row in payloads))


_OLD = (
    f"DELETE FROM event WHERE {_BETWEEN}",
    f"DELETE FROM note WHERE {_BETWEEN}",
    f"DELETE FROM delivery_body WHERE delivery_id IN (SELECT id FROM delivery WHERE {_BETWEEN})",
)


def _free(connection: sa.Connection, messages: dict[int, str]) -> None:
    """SQLite: take away what was moved, so that what is moved next finds its room. PostgreSQL has no use for that before the tables go."""
    if connection.dialect.name == "sqlite":
        for query in _OLD:
            rows.execute(connection, query.format("?", "?"), (min(messages), max(messages)))
