"""The tables, the same on SQLite and PostgreSQL.

Hot tables have keys that grow, so that a commit touches the last pages only, and what goes through updates none of their
rows: what becomes of a message, or of a delivery, is a row of its own, and the views of store/views.py tell its state. Times
are UTC, integers, microseconds since 1970. Codes are text, states as in model/states.py. Their indexes are in store/indexes.py.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, MetaData, SmallInteger, String, Table, Text

metadata = MetaData()


def _id(name: str, **options: object) -> Column[int]:
    # SQLite makes only "INTEGER PRIMARY KEY" the row id; a BIGINT key there would be a second tree.
    return Column(name, BigInteger().with_variant(Integer(), "sqlite"), **options)  # type: ignore[arg-type]


received = Table(
    "received",
    metadata,
    _id("id", primary_key=True, autoincrement=False),
    Column("channel", String, nullable=False),
    Column("received_at_us", BigInteger, nullable=False),
    Column("processed_at_us", BigInteger),
    Column("state", String, nullable=False, comment="as of its receipt, or as a restore has left it: made.state comes before it"),
    Column("control_id", String, nullable=False, comment="MSH-10"),
    Column("type", String, nullable=False, comment="MSH-9, as DFT^P03"),
    Column("sender", String, nullable=False, comment="MSH-3 and MSH-4"),
    Column("peer", String, nullable=False, comment="host:port or file name it came from"),
    Column("size_bytes", Integer, nullable=False),
    Column("duplicate_of", BigInteger, comment="the message whose bytes came before"),
    Column("reason", String, nullable=False, server_default="", comment="why filtered, duplicate or parked"),
    Column(
        "revision",
        SmallInteger,
        nullable=False,
        server_default="0",
        comment="how often it was reprocessed before made had states",
    ),
)
"""Messages as they were received."""

message_body = Table(
    "message_body",
    metadata,
    _id("message_id", primary_key=True, autoincrement=False),
    Column("raw", LargeBinary, nullable=False),
    Column("coding", Integer, nullable=False, server_default="0", comment="how raw is kept: 0 as it is, 1 zstd, else by that dictionary"),
)

made = Table(
    "made",
    metadata,
    _id("message_id", primary_key=True, autoincrement=False),
    Column("revision", SmallInteger, primary_key=True, autoincrement=False, comment="0, and one more for each reprocessing"),
    Column("part", SmallInteger, primary_key=True, autoincrement=False, comment="0 the processing; more: a payload that was made later"),
    Column("events", String, nullable=False, comment="how many of each type and state: 3 charge.raised raised"),
    Column("coding", Integer, nullable=False, comment="how body is kept, as of message_body"),
    Column("body", LargeBinary, nullable=False, comment="events, notes and payloads in MessagePack; empty: nothing was made"),
    Column("state", String, comment="of the message from then on; NULL: received.state says it"),
    Column("at_us", BigInteger, comment="when it was processed"),
    Column("reason", String, comment="why filtered, duplicate or parked"),
    Column("hashes", LargeBinary, comment="what the message is found by: eight bytes of BLAKE2b each"),
    sqlite_with_rowid=False,
)

dictionary = Table(
    "dictionary",
    metadata,
    _id("id", primary_key=True, autoincrement=False),
    Column("channel", String, nullable=False),
    Column("kind", String, nullable=False, comment="raw | made"),
    Column("made_at_us", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False, comment="of zstd (RFC 8878, section 5)"),
)
"""What contents were compressed with. They cannot be read without it, and it holds pieces of them (PHI)."""

claim = Table(
    "claim",
    metadata,
    Column("key", String, primary_key=True, comment="business key of a line"),
    Column("message_id", BigInteger, nullable=False, comment="the message that holds it"),
    Column("claimed_at_us", BigInteger, nullable=False),
    Column("generation", Integer, nullable=False, server_default="0"),
    Column("digest", BigInteger, comment="of patient, account, item, quantity and day; NULL where none was kept"),
    sqlite_with_rowid=False,
)

queued = Table(
    "queued",
    metadata,
    _id("id", primary_key=True, autoincrement=False),
    Column("message_id", BigInteger, nullable=False),
    Column("channel", String, nullable=False),
    Column("destination", String, nullable=False),
    Column("lane", String, nullable=False, comment="order key; FIFO within channel, destination and lane"),
    Column("state", String, nullable=False, comment="when it was made, or as a person has ruled after so many attempts"),
    Column("attempts", Integer, nullable=False, server_default="0", comment="attempts of a higher number come after this state"),
    Column("next_at_us", BigInteger, nullable=False, server_default="0"),
    Column("idempotency_key", String, nullable=False),
    Column("control_id", String, nullable=False, server_default=""),
    Column("content_type", String, nullable=False, server_default=""),
    Column("events", String, nullable=False, server_default="", comment="numbers of the message's events inside: 0,1,4"),
    Column("created_at_us", BigInteger, nullable=False),
    Column("updated_at_us", BigInteger, nullable=False),
    Column("accepted_at_us", BigInteger),
    Column("posted_at_us", BigInteger),
    Column("document", String, comment="the business system's number for it"),
    Column("reason", String, nullable=False, server_default="", comment="last error, in plain words"),
    Column("original_id", BigInteger, comment="the delivery that this one resends"),
    Column("revision", SmallInteger, nullable=False, server_default="0", comment="with part: which row of made has its payload"),
    Column("part", SmallInteger, nullable=False, server_default="0"),
    Column("payload", SmallInteger, comment="which of that row's payloads; NULL: none could be made"),
    Column("size_bytes", Integer, nullable=False, server_default="0", comment="of the payload"),
)
"""Deliveries as they were put into the queue."""

attempt = Table(
    "attempt",
    metadata,
    _id("delivery_id", primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("started_at_us", BigInteger, nullable=False),
    Column("ended_at_us", BigInteger, nullable=False),
    Column("outcome", String, nullable=False, comment="accepted | try_later | rejected | held | ambiguous | unavailable"),
    Column("code", String, nullable=False, comment="HTTP status, MSA-1 or our own code"),
    Column("reason", String, nullable=False),
    Column("response", LargeBinary, comment="first bytes of the answer"),
    Column("state", String, comment="of the delivery from then on; NULL: queued.state says it"),
    Column("next_at_us", BigInteger),
    Column("document", String, comment="the business system's number for it"),
    sqlite_with_rowid=False,
)

sending = Table(
    "sending",
    metadata,
    _id("delivery_id", primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False, comment="of the attempt that has begun"),
    Column("at_us", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""Sends that were announced before they began: without an attempt of that number, nobody knows what came of it."""

waiting = Table(
    "waiting",
    metadata,
    Column("kind", String, primary_key=True, comment="message | delivery"),
    Column("channel", String, primary_key=True),
    Column("destination", String, primary_key=True, comment="empty for a message"),
    _id("id", primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)
"""What was not at its end when numbers.open_from went past it; one that came to its end since may be there still."""

signature = Table(
    "signature",
    metadata,
    Column("epoch", BigInteger, primary_key=True, autoincrement=False),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)
"""The transactions that a writer on PostgreSQL has committed, the newest some thousand (tenure.py)."""

exception = Table(
    "exception",
    metadata,
    _id("id", primary_key=True, autoincrement=True),
    Column("message_id", BigInteger, nullable=False),
    Column("delivery_id", BigInteger),
    Column("channel", String, nullable=False),
    Column("stage", String, nullable=False, comment="parse | map | deliver"),
    Column("code", String, nullable=False, comment="as in docs/errors.md"),
    Column("line", SmallInteger, nullable=False, server_default="0"),
    Column("field", String, nullable=False, server_default="", comment="canonical field"),
    Column("path", String, nullable=False, server_default="", comment="source path, FT1-7.1"),
    Column("table_name", String, nullable=False, server_default=""),
    Column("value", String, nullable=False, server_default="", comment="the code that no table knows"),
    Column("reason", Text, nullable=False),
    Column("opened_at_us", BigInteger, nullable=False),
    Column("resolved_at_us", BigInteger),
    Column("resolution", String),
    sqlite_autoincrement=True,
)

search_index = Table(
    "search_index",
    metadata,
    # By bucket, then run: a search walks the rows of one bucket, the newest first.
    Column("bucket", SmallInteger, primary_key=True, autoincrement=False, comment="of the hashes"),
    Column("run", BigInteger, primary_key=True, autoincrement=False, comment="of the messages: their numbers >> 10"),
    Column("entries", LargeBinary, nullable=False, comment="ten bytes each: a hash, and the message's place in its run"),
    sqlite_with_rowid=False,
)

stock = Table(
    "stock",
    metadata,
    Column("location", String, primary_key=True),
    Column("item", String, primary_key=True),
    Column("on_hand", String, nullable=False, comment="decimal, in the item's stock unit"),
    sqlite_with_rowid=False,
)

channel_state = Table(
    "channel_state",
    metadata,
    Column("channel", String, primary_key=True),
    Column("desired", String, nullable=False, comment="running | stopped: what the operator wants"),
    Column("actual", String, nullable=False, comment="running | stopped | failed: what the engine says"),
    Column("reason", String, nullable=False, server_default=""),
    Column("updated_at_us", BigInteger, nullable=False),
)

destination_state = Table(
    "destination_state",
    metadata,
    Column("channel", String, primary_key=True),
    Column("destination", String, primary_key=True),
    Column("state", String, nullable=False, comment="ok | failing | stopped"),
    Column("since_us", BigInteger, nullable=False),
    Column("next_try_us", BigInteger, nullable=False, server_default="0"),
    Column("reason", String, nullable=False, server_default="", comment="last error in plain words"),
    Column("updated_at_us", BigInteger, nullable=False),
)

command = Table(
    "command",
    metadata,
    _id("id", primary_key=True, autoincrement=True),
    Column("verb", String, nullable=False),
    Column("arguments", Text, nullable=False, comment="JSON object"),
    Column("actor", String, nullable=False),
    Column("requested_at_us", BigInteger, nullable=False),
    Column("done_at_us", BigInteger),
    Column("ok", SmallInteger),
    Column("result", Text, comment="JSON, or the error in plain words"),
    sqlite_autoincrement=True,
)

audit = Table(
    "audit",
    metadata,
    _id("id", primary_key=True, autoincrement=True),
    Column("at_us", BigInteger, nullable=False),
    Column("actor", String, nullable=False),
    Column("verb", String, nullable=False),
    Column("target", String, nullable=False),
    Column("reason", String, nullable=False, server_default=""),
    sqlite_autoincrement=True,
)

numbers = Table(
    "numbers",
    metadata,
    Column("kind", String, primary_key=True, comment="message | delivery"),
    Column("free_from", BigInteger, nullable=False, comment="the first that no writer has taken"),
    Column("open_from", BigInteger, nullable=False, server_default="0", comment="of those before it, what is open stands in waiting"),
    sqlite_with_rowid=False,
)

sequence_number = Table(
    "sequence_number",
    metadata,
    Column("channel", String, primary_key=True),
    Column("direction", String, primary_key=True, comment="in | out"),
    Column("partner", String, primary_key=True, comment="the sender (MSH-3 and MSH-4), or the destination"),
    Column("number", BigInteger, comment="in: the one that is expected next, NULL for any; out: the one given last"),
    Column("delivery_id", BigInteger, comment="out: the delivery that it was given to"),
    Column("updated_at_us", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

engine_state = Table(
    "engine_state",
    metadata,
    Column("node", String, primary_key=True, server_default="", comment="whose engine it is about; empty: the store as a whole"),
    Column("name", String, primary_key=True),
    Column("value", String, nullable=False),
    Column("updated_at_us", BigInteger, nullable=False),
)
"""One row a fact about a running engine (pid, started_at, heartbeat, version, metrics port), or about the store."""
