"""What was counted of the results of a batch."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0014"


def upgrade() -> None:
    found = sa.inspect(op.get_bind())
    if "counted" not in {column["name"] for column in found.get_columns("objects")}:
        op.add_column("objects", sa.Column("counted", sa.Text))
