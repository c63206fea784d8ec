"""How many requests an account may have at one time."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    found = sa.inspect(op.get_bind())
    if "concurrency" not in {column["name"] for column in found.get_columns("accounts")}:
        op.add_column("accounts", sa.Column("concurrency", sa.Integer))
