"""What an engine says of itself is kept under its node.

Before: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.rename_table("engine_state", "engine_state_before")
    op.create_table(
        "engine_state",
        sa.Column(
            "node",
            sa.String,
            primary_key=True,
            server_default="",
            comment="whose engine it is about; empty: the store as a whole",
        ),
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("value", sa.String, nullable=False),
        sa.Column("updated_at_us", sa.BigInteger, nullable=False),
    )
    op.execute("INSERT INTO engine_state (name, value, updated_at_us) SELECT name, value, updated_at_us FROM engine_state_before")
    op.drop_table("engine_state_before")
