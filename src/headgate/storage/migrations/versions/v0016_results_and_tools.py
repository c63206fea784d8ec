"""What was counted of the results of a batch; how many tools answers called."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    found = sa.inspect(op.get_bind())
    for table, column in (
        ("objects", sa.Column("counted", sa.Text)),
        ("requests", sa.Column("tool_calls", sa.Integer)),
        ("rollups", sa.Column("tool_calls", sa.BigInteger, nullable=False, server_default=sa.text("0"))),
    ):
        if column.name not in {known["name"] for known in found.get_columns(table)}:
            op.add_column(table, column)
