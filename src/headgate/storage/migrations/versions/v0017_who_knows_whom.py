"""Of which gateways each one on the database is known to know."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    known = {column["name"] for column in sa.inspect(op.get_bind()).get_columns("gateways")}
    if "knows" not in known:
        op.add_column("gateways", sa.Column("knows", sa.Text, nullable=False, server_default="[]"))
