"""Accounts that sign in: their tokens' end and version, and who renews them."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_ACCOUNT_COLUMNS: dict[str, tuple[Any, dict[str, Any]]] = {
    "signed_in_at": (sa.BigInteger, {}),
    "expires_at": (sa.BigInteger, {}),
    "token_version": (sa.Integer, {"nullable": False, "server_default": sa.text("0")}),
    "source_digest": (sa.Text, {}),
}


def upgrade() -> None:
    found = sa.inspect(op.get_bind())
    known = {column["name"] for column in found.get_columns("accounts")}
    for name, (kind, options) in _ACCOUNT_COLUMNS.items():
        if name not in known:
            op.add_column("accounts", sa.Column(name, kind, **options))
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
