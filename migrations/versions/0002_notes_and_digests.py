"""What is remarked about a message is kept with it, and a claim knows what its business key stood for.

Before: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "note",
        sa.Column("message_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=False),
        sa.Column("revision", sa.SmallInteger, primary_key=True, autoincrement=False, comment="as of the message's events"),
        sa.Column("notes", sa.Text, nullable=False, comment="a list of [line, code, place, reason], as JSON; no content"),
        sqlite_with_rowid=False,
    )
    digest = sa.Column("digest", sa.BigInteger, comment="of patient, account, item, quantity and day; NULL where none was kept")
    op.add_column("claim", digest)
