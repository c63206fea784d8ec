"""Accounts that sign in: their tokens' end and version, and who renews them. Requests found by the accounts
that failed in them, and why nobody served.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_COLUMNS: dict[str, dict[str, tuple[Any, dict[str, Any]]]] = {
    "accounts": {
        "signed_in_at": (sa.BigInteger, {}),
        "expires_at": (sa.BigInteger, {}),
        "token_version": (sa.Integer, {"nullable": False, "server_default": sa.text("0")}),
        "source_digest": (sa.Text, {}),
    },
    "requests": {"skipped": (sa.Text, {})},
    "attempts": {"request_at": (sa.BigInteger, {}), "request_failed": (sa.Boolean, {})},
}

_INDEXES: dict[str, tuple[str, list[str], str]] = {
    "attempts_left": (
        "attempts",
        ["account", "request_failed", "request_at", "request_id"],
        "request_at IS NOT NULL",
    ),
    "requests_account_failed": (
        "requests",
        ["account", "timestamp", "id"],
        "(status >= 400 OR error IS NOT NULL) AND account IS NOT NULL",
    ),
}

# The first failed attempt of each account that did not serve in the end.
_MARK_THE_PAST = """
UPDATE attempts SET
  request_at = (SELECT requests.timestamp FROM requests WHERE requests.id = attempts.request_id),
  request_failed = (
    SELECT requests.status >= 400 OR requests.error IS NOT NULL FROM requests
    WHERE requests.id = attempts.request_id
  )
WHERE error IS NOT NULL AND request_at IS NULL
  AND NOT EXISTS (
    SELECT 1 FROM requests
    WHERE requests.id = attempts.request_id AND requests.account_id = attempts.account_id
  )
  AND NOT EXISTS (
    SELECT 1 FROM attempts AS earlier
    WHERE earlier.request_id = attempts.request_id AND earlier.account_id = attempts.account_id
      AND earlier.position < attempts.position AND earlier.error IS NOT NULL
  )
"""


def upgrade() -> None:
    found = sa.inspect(op.get_bind())
    for table, its in _COLUMNS.items():
        known = {column["name"] for column in found.get_columns(table)}
        for name, (kind, options) in its.items():
            if name not in known:
                op.add_column(table, sa.Column(name, kind, **options))
    op.execute(_MARK_THE_PAST)
    for name, (table, columns, where) in _INDEXES.items():
        if name not in {index["name"] for index in found.get_indexes(table)}:
            rows = sa.text(where)
            op.create_index(name, table, columns, sqlite_where=rows, postgresql_where=rows)
    if "refreshes" not in found.get_table_names():
        op.create_table(
            "refreshes",
            sa.Column("account_id", sa.BigInteger, primary_key=True, autoincrement=False),
            sa.Column("holder", sa.Text),
            sa.Column("held_until", sa.BigInteger),
            sa.Column("began_at", sa.BigInteger),
            sa.Column("failed_at", sa.BigInteger),
            sa.Column("failure", sa.Text),
            sa.Column("retry_at", sa.BigInteger),
        )
