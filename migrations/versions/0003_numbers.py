"""Sequence numbers have a table with columns of their own, and writers take blocks of message and delivery numbers from a row.

Before: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_FACTS = sa.table("engine_state", sa.column("name"), sa.column("value"), sa.column("updated_at_us"))


def upgrade() -> None:
    number = op.create_table(
        "sequence_number",
        sa.Column("channel", sa.String, primary_key=True),
        sa.Column("direction", sa.String, primary_key=True, comment="in | out"),
        sa.Column("partner", sa.String, primary_key=True, comment="the sender (MSH-3 and MSH-4), or the destination"),
        sa.Column("number", sa.BigInteger, comment="in: the one that is expected next, NULL for any; out: the one given last"),
        sa.Column("delivery_id", sa.BigInteger, comment="out: the delivery that it was given to"),
        sa.Column("updated_at_us", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    taken = op.create_table(
        "numbers",
        sa.Column("kind", sa.String, primary_key=True, comment="message | delivery"),
        sa.Column("free_from", sa.BigInteger, nullable=False, comment="the first that no writer has taken"),
        sqlite_with_rowid=False,
    )
    connection = op.get_bind()
    for row in connection.execute(sa.select(_FACTS)).all():
        kind, _, rest = row.name.partition("/")
        channel, slash, partner = rest.partition("/")
        if row.name == "numbers_after":  # a restore has kept these free; who writes first looks for what is higher in the store
            rows = [{"kind": one, "free_from": int(row.value) + 1} for one in ("message", "delivery")]
            connection.execute(taken.insert(), rows)
        elif slash and kind in ("sequence", "sent"):
            first, _, delivery = row.value.partition(" ")
            values = {"number": int(first) if first else None, "delivery_id": int(delivery) if delivery else None}
            direction = "in" if kind == "sequence" else "out"
            keys = {"channel": channel, "direction": direction, "partner": partner}
            connection.execute(number.insert().values(**keys, **values, updated_at_us=row.updated_at_us))
        else:
            continue
        connection.execute(_FACTS.delete().where(_FACTS.c.name == row.name))
