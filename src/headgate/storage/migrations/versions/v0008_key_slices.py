"""Which gateways live on the database, and what each holds of the limits of client keys."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    if "key_slices" in sa.inspect(op.get_bind()).get_table_names():
        return
    op.create_table(
        "gateways",
        sa.Column("holder", sa.Text, primary_key=True),
        sa.Column("ends_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "key_slices",
        sa.Column("key_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("what", sa.Text, primary_key=True),
        sa.Column("holder", sa.Text, primary_key=True),
        sa.Column("granted", sa.BigInteger, nullable=False),
        sa.Column("whole", sa.BigInteger, nullable=False),
        sa.Column("wanted", sa.BigInteger, nullable=False),
    )
