"""Client keys that the database keeps, the key of each request, and what each key has used."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_RowId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    found = sa.inspect(op.get_bind())
    if "key_id" not in {column["name"] for column in found.get_columns("requests")}:
        op.add_column("requests", sa.Column("key_id", sa.BigInteger))
    if "key_windows" in found.get_table_names():
        return
    op.create_table(
        "client_keys",
        sa.Column("id", _RowId, primary_key=True, autoincrement=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("beginning", sa.Text, nullable=False),
        sa.Column("previous_digest", sa.Text),
        sa.Column("previous_until", sa.BigInteger),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("tags", sa.Text, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("expires_at", sa.BigInteger),
        sa.Column("days_from_first_use", sa.Integer),
        sa.Column("first_used_at", sa.BigInteger),
        sa.Column("models", sa.Text, nullable=False),
        sa.Column("refused_models", sa.Text, nullable=False),
        sa.Column("providers", sa.Text, nullable=False),
        sa.Column("accounts", sa.Text, nullable=False),
        sa.Column("domain", sa.Text),
        sa.Column("may_choose_account", sa.Boolean, nullable=False),
        sa.Column("limits", sa.Text, nullable=False),
        sa.Column("declared", sa.Boolean, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("revoked_at", sa.BigInteger),
        sa.UniqueConstraint("digest", name="client_keys_digest"),
        sqlite_autoincrement=True,
    )
    rows = sa.text("revoked_at IS NULL")
    op.create_index(
        "client_keys_name", "client_keys", ["name"], unique=True, sqlite_where=rows, postgresql_where=rows
    )
    op.create_table(
        "key_days",
        sa.Column("key_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("day", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("requests", sa.BigInteger, nullable=False),
        sa.Column("tokens", sa.BigInteger, nullable=False),
        sa.Column("nano_usd", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "key_windows",
        sa.Column("key_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("began_at", sa.BigInteger, nullable=False),
        sa.Column("tokens", sa.BigInteger, nullable=False),
    )
