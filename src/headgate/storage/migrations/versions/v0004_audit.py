"""What the owner changed."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    found = sa.inspect(op.get_bind())
    if "audit" not in found.get_table_names():
        op.create_table(
            "audit",
            sa.Column("id", _ROW_ID, primary_key=True, autoincrement=True),
            sa.Column("at_ms", sa.BigInteger, nullable=False),
            sa.Column("who", sa.Text, nullable=False),
            sa.Column("address", sa.Text),
            sa.Column("action", sa.Text, nullable=False),
            sa.Column("object", sa.Text, nullable=False),
            sa.Column("before", sa.Text),
            sa.Column("after", sa.Text),
            sa.Column("error", sa.Text),
            sqlite_autoincrement=True,
        )
    if "audit_at" not in {index["name"] for index in sa.inspect(op.get_bind()).get_indexes("audit")}:
        op.create_index("audit_at", "audit", ["at_ms"])
