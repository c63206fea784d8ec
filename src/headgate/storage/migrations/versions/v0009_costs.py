"""What each request cost and what else its usage said; prices, and the time in which they hold."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

_COLUMNS: dict[str, dict[str, tuple[Any, dict[str, Any]]]] = {
    "requests": {
        "nano_usd": (sa.BigInteger, {}),
        "reasoning_tokens": (sa.BigInteger, {}),
        "service_tier": (sa.Text, {}),
        "other_usage": (sa.Text, {}),
    },
    "provider_sums": {"unpriced": (sa.BigInteger, {"nullable": False, "server_default": sa.text("0")})},
}


def upgrade() -> None:
    found = sa.inspect(op.get_bind())
    for table, its in _COLUMNS.items():
        known = {column["name"] for column in found.get_columns(table)}
        for name, (kind, options) in its.items():
            if name not in known:
                op.add_column(table, sa.Column(name, kind, **options))
    tables = found.get_table_names()
    if "prices" not in tables:
        op.create_table(
            "prices",
            sa.Column(
                "id",
                sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
                primary_key=True,
                autoincrement=True,
            ),
            sa.Column("origin", sa.Text, nullable=False),
            sa.Column("provider", sa.Text, nullable=False),
            sa.Column("model", sa.Text, nullable=False),
            sa.Column("rates", sa.Text, nullable=False),
            sa.Column("source", sa.Text, nullable=False),
            sa.Column("valid_from", sa.BigInteger, nullable=False),
            sa.Column("valid_until", sa.BigInteger),
        )
        in_force = sa.text("valid_until IS NULL")
        op.create_index(
            "prices_in_force",
            "prices",
            ["origin", "provider", "model"],
            unique=True,
            sqlite_where=in_force,
            postgresql_where=in_force,
        )
        op.create_index("prices_model", "prices", ["model"])
    if "price_lists" not in tables:
        op.create_table(
            "price_lists",
            sa.Column("url", sa.Text, primary_key=True),
            sa.Column("tried_at", sa.BigInteger, nullable=False),
            sa.Column("taken_at", sa.BigInteger),
            sa.Column("models", sa.Integer),
            sa.Column("failure", sa.Text),
        )
