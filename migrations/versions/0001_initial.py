"""The first schema: messages, events, deliveries and their attempts, exceptions, search keys, states and commands.

Before: nothing
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_OPEN = "state IN ('queued', 'in_flight', 'retrying', 'held')"


def _id(name: str, **options: Any) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger().with_variant(sa.Integer(), "sqlite"), **options)


def upgrade() -> None:
    _messages()
    _events()
    _deliveries()
    _exceptions()
    _search()
    _states()
    _orders()


def _messages() -> None:
    op.create_table(
        "message",
        _id("id", primary_key=True, autoincrement=False),
        sa.Column("channel", sa.String, nullable=False),
        sa.Column("received_at_us", sa.BigInteger, nullable=False),
        sa.Column("processed_at_us", sa.BigInteger),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("control_id", sa.String, nullable=False, comment="MSH-10"),
        sa.Column("type", sa.String, nullable=False, comment="MSH-9, as DFT^P03"),
        sa.Column("sender", sa.String, nullable=False, comment="MSH-3 and MSH-4"),
        sa.Column("peer", sa.String, nullable=False, comment="host:port or file name it came from"),
        sa.Column("size_bytes", sa.Integer, nullable=False),
        sa.Column("duplicate_of", sa.BigInteger, comment="the message whose bytes came before"),
        sa.Column("reason", sa.String, nullable=False, server_default="", comment="why filtered, duplicate or parked"),
        sa.Column(
            "revision",
            sa.SmallInteger,
            nullable=False,
            server_default="0",
            comment="how often it was reprocessed; its events carry the same number",
        ),
    )
    op.create_index("message_control", "message", ["control_id", "sender"])
    op.create_index(
        "message_open", "message", ["id"], sqlite_where=sa.text("state = 'received'"), postgresql_where=sa.text("state = 'received'")
    )

    op.create_table(
        "message_body", _id("message_id", primary_key=True, autoincrement=False), sa.Column("raw", sa.LargeBinary, nullable=False)
    )


def _events() -> None:
    op.create_table(
        "event",
        _id("message_id", primary_key=True, autoincrement=False),
        sa.Column("revision", sa.SmallInteger, primary_key=True, autoincrement=False, comment="0, and one more for each reprocessing"),
        sa.Column("number", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("event_id", sa.String, nullable=False, comment="UUIDv5 of type and business key"),
        sa.Column("type", sa.String, nullable=False),
        sa.Column("line", sa.SmallInteger, nullable=False, comment="the source segment, from 1"),
        sa.Column("state", sa.String, nullable=False, comment="raised | duplicate"),
        sa.Column("key", sa.String, nullable=False, comment="business key"),
        sa.Column("body", sa.LargeBinary, nullable=False, comment="canonical data as JSON"),
        sqlite_with_rowid=False,
    )

    op.create_table(
        "claim",
        sa.Column("key", sa.String, primary_key=True, comment="business key of a line"),
        sa.Column("message_id", sa.BigInteger, nullable=False, comment="the message that holds it"),
        sa.Column("claimed_at_us", sa.BigInteger, nullable=False),
        sa.Column("generation", sa.Integer, nullable=False, server_default="0"),
        sqlite_with_rowid=False,
    )


def _deliveries() -> None:
    op.create_table(
        "delivery",
        _id("id", primary_key=True, autoincrement=False),
        sa.Column("message_id", sa.BigInteger, nullable=False),
        sa.Column("channel", sa.String, nullable=False),
        sa.Column("destination", sa.String, nullable=False),
        sa.Column("lane", sa.String, nullable=False, comment="order key; FIFO within channel, destination and lane"),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("next_at_us", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("idempotency_key", sa.String, nullable=False),
        sa.Column("control_id", sa.String, nullable=False, server_default=""),
        sa.Column("content_type", sa.String, nullable=False, server_default=""),
        sa.Column("events", sa.String, nullable=False, server_default="", comment="numbers of the message's events inside: 0,1,4"),
        sa.Column("created_at_us", sa.BigInteger, nullable=False),
        sa.Column("updated_at_us", sa.BigInteger, nullable=False),
        sa.Column("accepted_at_us", sa.BigInteger),
        sa.Column("posted_at_us", sa.BigInteger),
        sa.Column("document", sa.String, comment="the business system's number for it"),
        sa.Column("reason", sa.String, nullable=False, server_default="", comment="last error, in plain words"),
        sa.Column("original_id", sa.BigInteger, comment="the delivery that this one resends"),
    )
    op.create_index("delivery_message", "delivery", ["message_id"])
    op.create_index(
        "delivery_open", "delivery", ["channel", "destination", "id"], sqlite_where=sa.text(_OPEN), postgresql_where=sa.text(_OPEN)
    )

    op.create_table(
        "delivery_body", _id("delivery_id", primary_key=True, autoincrement=False), sa.Column("body", sa.LargeBinary, nullable=False)
    )

    op.create_table(
        "attempt",
        _id("delivery_id", primary_key=True, autoincrement=False),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("started_at_us", sa.BigInteger, nullable=False),
        sa.Column("ended_at_us", sa.BigInteger, nullable=False),
        sa.Column("outcome", sa.String, nullable=False, comment="accepted | try_later | rejected | held | ambiguous | unavailable"),
        sa.Column("code", sa.String, nullable=False, comment="HTTP status, MSA-1 or our own code"),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("response", sa.LargeBinary, comment="first bytes of the answer"),
        sqlite_with_rowid=False,
    )


def _exceptions() -> None:
    op.create_table(
        "exception",
        _id("id", primary_key=True, autoincrement=True),
        sa.Column("message_id", sa.BigInteger, nullable=False),
        sa.Column("delivery_id", sa.BigInteger),
        sa.Column("channel", sa.String, nullable=False),
        sa.Column("stage", sa.String, nullable=False, comment="parse | map | deliver"),
        sa.Column("code", sa.String, nullable=False, comment="as in docs/errors.md"),
        sa.Column("line", sa.SmallInteger, nullable=False, server_default="0"),
        sa.Column("field", sa.String, nullable=False, server_default="", comment="canonical field"),
        sa.Column("path", sa.String, nullable=False, server_default="", comment="source path, FT1-7.1"),
        sa.Column("table_name", sa.String, nullable=False, server_default=""),
        sa.Column("value", sa.String, nullable=False, server_default="", comment="the code that no table knows"),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("opened_at_us", sa.BigInteger, nullable=False),
        sa.Column("resolved_at_us", sa.BigInteger),
        sa.Column("resolution", sa.String),
        sqlite_autoincrement=True,
    )
    op.create_index("exception_message", "exception", ["message_id"])
    op.create_index(
        "exception_open",
        "exception",
        ["id"],
        sqlite_where=sa.text("resolved_at_us IS NULL"),
        postgresql_where=sa.text("resolved_at_us IS NULL"),
    )


def _search() -> None:
    op.create_table(
        "search_key",
        # run is message_id >> 10: a commit touches the pages of one run, however large the store is.
        sa.Column("run", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.String, primary_key=True, comment="patient | account | item"),
        sa.Column("hash", sa.BigInteger, primary_key=True, autoincrement=False, comment="64-bit BLAKE2b of kind and value"),
        sa.Column("message_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sqlite_with_rowid=False,
    )


def _states() -> None:
    op.create_table(
        "stock",
        sa.Column("location", sa.String, primary_key=True),
        sa.Column("item", sa.String, primary_key=True),
        sa.Column("on_hand", sa.String, nullable=False, comment="decimal, in the item's stock unit"),
        sqlite_with_rowid=False,
    )

    op.create_table(
        "channel_state",
        sa.Column("channel", sa.String, primary_key=True),
        sa.Column("desired", sa.String, nullable=False, comment="running | stopped: what the operator wants"),
        sa.Column("actual", sa.String, nullable=False, comment="running | stopped | failed: what the engine says"),
        sa.Column("reason", sa.String, nullable=False, server_default=""),
        sa.Column("updated_at_us", sa.BigInteger, nullable=False),
    )

    op.create_table(
        "destination_state",
        sa.Column("channel", sa.String, primary_key=True),
        sa.Column("destination", sa.String, primary_key=True),
        sa.Column("state", sa.String, nullable=False, comment="ok | failing | stopped"),
        sa.Column("since_us", sa.BigInteger, nullable=False),
        sa.Column("next_try_us", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("reason", sa.String, nullable=False, server_default="", comment="last error in plain words"),
        sa.Column("updated_at_us", sa.BigInteger, nullable=False),
    )


def _orders() -> None:
    op.create_table(
        "command",
        _id("id", primary_key=True, autoincrement=True),
        sa.Column("verb", sa.String, nullable=False),
        sa.Column("arguments", sa.Text, nullable=False, comment="JSON object"),
        sa.Column("actor", sa.String, nullable=False),
        sa.Column("requested_at_us", sa.BigInteger, nullable=False),
        sa.Column("done_at_us", sa.BigInteger),
        sa.Column("ok", sa.SmallInteger),
        sa.Column("result", sa.Text, comment="JSON, or the error in plain words"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "command_open", "command", ["id"], sqlite_where=sa.text("done_at_us IS NULL"), postgresql_where=sa.text("done_at_us IS NULL")
    )

    op.create_table(
        "audit",
        _id("id", primary_key=True, autoincrement=True),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.Column("actor", sa.String, nullable=False),
        sa.Column("verb", sa.String, nullable=False),
        sa.Column("target", sa.String, nullable=False),
        sa.Column("reason", sa.String, nullable=False, server_default=""),
        sqlite_autoincrement=True,
    )

    op.create_table(
        "engine_state",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("value", sa.String, nullable=False),
        sa.Column("updated_at_us", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    """There is nothing before the first schema: restore a backup, or begin with an empty database."""
    raise NotImplementedError("the first schema cannot be taken back; restore a backup")
