"""Accounts, their health, requests with attempts, objects, journal positions."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

_VIEW = """
CREATE VIEW api_requests AS
SELECT id AS request_id, {created_at} AS created_at, duration_ms AS response_time_ms,
       first_byte_ms, method, path, caller, account_id, account, provider, model, stream,
       status AS response_status, error, input_tokens, output_tokens,
       cache_read_tokens, cache_write_5m_tokens, cache_write_1h_tokens
FROM requests
"""

# The form that each database's own "now less an hour" compares with.
_CREATED_AT = {
    "sqlite": "datetime(timestamp / 1000, 'unixepoch')",
    "postgresql": "to_timestamp(timestamp / 1000.0)",
}


def upgrade() -> None:
    _create_accounts()
    _create_requests()
    _create_attempts()
    _create_positions()
    op.execute(_VIEW.format(created_at=_CREATED_AT[op.get_context().dialect.name]))


def _create_accounts() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", _ROW_ID, primary_key=True, autoincrement=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("secret", sa.Text, nullable=False),
        sa.Column("secret_digest", sa.Text, nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("weight", sa.Integer, nullable=False),
        sa.Column("account_tier", sa.Integer, nullable=False),
        sa.Column("base_url", sa.Text),
        sa.Column("proxy", sa.Text),
        sa.Column("email", sa.Text),
        sa.Column("domain", sa.Text),
        sa.Column("models", sa.Text, nullable=False),
        sa.Column("paused", sa.Boolean, nullable=False),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("name", name="accounts_name"),
        sa.UniqueConstraint("provider", "secret_digest", name="accounts_secret"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "account_health",
        sa.Column("account_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
    )
    op.create_table(
        "objects",
        sa.Column("object_id", sa.Text, primary_key=True),
        sa.Column("account_id", sa.BigInteger, nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
    )
    op.create_index("objects_newest", "objects", ["at_ms"])
    op.create_index("objects_account", "objects", ["account_id"])


def _create_requests() -> None:
    op.create_table(
        "requests",
        sa.Column("seq", _ROW_ID, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("timestamp", sa.BigInteger, nullable=False),
        sa.Column("dialect", sa.Text, nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("method", sa.Text, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("caller", sa.Text, nullable=False),
        sa.Column("client_address", sa.Text, nullable=False),
        sa.Column("user_agent", sa.Text, nullable=False),
        sa.Column("session", sa.Text),
        sa.Column("model", sa.Text),
        sa.Column("stream", sa.Boolean, nullable=False),
        sa.Column("account_id", sa.BigInteger),
        sa.Column("account", sa.Text),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("first_byte_ms", sa.Double),
        sa.Column("duration_ms", sa.Double, nullable=False),
        sa.Column("overhead_ms", sa.Double, nullable=False),
        sa.Column("request_bytes", sa.BigInteger, nullable=False),
        sa.Column("response_bytes", sa.BigInteger, nullable=False),
        sa.Column("input_tokens", sa.BigInteger),
        sa.Column("output_tokens", sa.BigInteger),
        sa.Column("cache_read_tokens", sa.BigInteger),
        sa.Column("cache_write_5m_tokens", sa.BigInteger),
        sa.Column("cache_write_1h_tokens", sa.BigInteger),
        sa.Column("provider_request_id", sa.Text),
        sa.UniqueConstraint("id", name="requests_id"),
    )
    failed = sa.text("status >= 400 OR error IS NOT NULL")
    op.create_index("requests_newest", "requests", ["timestamp", "id"])
    op.create_index("requests_status", "requests", ["status", "timestamp"])
    op.create_index("requests_account", "requests", ["account", "timestamp"])
    op.create_index(
        "requests_failed", "requests", ["timestamp", "id"], sqlite_where=failed, postgresql_where=failed
    )


def _create_attempts() -> None:
    op.create_table(
        "attempts",
        sa.Column(
            "request_id",
            sa.Text,
            sa.ForeignKey("requests.id", name="attempts_request", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("account_id", sa.BigInteger, nullable=False),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("started_ms", sa.Double, nullable=False),
        sa.Column("duration_ms", sa.Double, nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("error", sa.Text),
        sa.Column("reason", sa.Text),
        sa.Column("until_at", sa.Double),
    )


def _create_positions() -> None:
    op.create_table(
        "journal_positions",
        sa.Column("journal", sa.Text, primary_key=True),
        sa.Column("segment", sa.Text, primary_key=True),
        sa.Column("byte_offset", sa.BigInteger, nullable=False),
    )
