"""Counters of each account, and which version of Headgate ran which migration."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_ZERO = sa.text("0")

_COUNT_THE_PAST = """
UPDATE accounts SET
  request_count = (SELECT COUNT(*) FROM attempts WHERE attempts.account_id = accounts.id),
  error_count = (SELECT COUNT(attempts.error) FROM attempts WHERE attempts.account_id = accounts.id),
  last_used_at = (SELECT MAX(requests.timestamp) FROM requests WHERE requests.account_id = accounts.id)
"""


def upgrade() -> None:
    found = sa.inspect(op.get_bind())
    known = {column["name"] for column in found.get_columns("accounts")}
    for name in ("request_count", "error_count"):
        if name not in known:
            op.add_column("accounts", sa.Column(name, sa.BigInteger, nullable=False, server_default=_ZERO))
    if "last_used_at" not in known:
        op.add_column("accounts", sa.Column("last_used_at", sa.BigInteger))
    op.execute(_COUNT_THE_PAST)
    if "schema_history" not in found.get_table_names():
        op.create_table(
            "schema_history",
            sa.Column("revision", sa.Text, primary_key=True),
            sa.Column("headgate_version", sa.Text, nullable=False),
            sa.Column("applied_at", sa.BigInteger, nullable=False),
        )
