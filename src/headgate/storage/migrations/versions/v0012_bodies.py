"""What was said: keys, bodies and their parts, how much there is, words."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    found = sa.inspect(op.get_bind()).get_table_names()
    row_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    if "body_keys" not in found:
        op.create_table(
            "body_keys",
            sa.Column("id", row_id, primary_key=True, autoincrement=True),
            sa.Column("sealed", sa.Text, nullable=False),
            sa.Column("created_at", sa.BigInteger, nullable=False),
            sqlite_autoincrement=True,
        )
    if "bodies" not in found:
        belongs = sa.ForeignKey("requests.seq", name="bodies_request", ondelete="CASCADE")
        op.create_table(
            "bodies",
            sa.Column("seq", sa.BigInteger, belongs, primary_key=True, autoincrement=False),
            sa.Column("kind", sa.Text, primary_key=True),
            sa.Column("content_type", sa.Text, nullable=False),
            sa.Column("size", sa.BigInteger, nullable=False),
            sa.Column("kept", sa.BigInteger, nullable=False),
            sa.Column("stored", sa.BigInteger, nullable=False),
            sa.Column("redacted", sa.Integer, nullable=False),
            sa.Column("has_more_words", sa.Boolean, nullable=False),
            sa.Column("truncated", sa.Boolean, nullable=False),
            sa.Column("note", sa.Text),
            sa.Column("error", sa.Text),
            sa.Column("created_at", sa.BigInteger, nullable=False),
            sa.Column("key_id", sa.BigInteger),
            sa.Column("data", sa.LargeBinary),
        )
    if "body_parts" not in found:
        op.create_table(
            "body_parts",
            sa.Column("request_id", sa.Text, primary_key=True),
            sa.Column("kind", sa.Text, primary_key=True),
            sa.Column("part", sa.Integer, primary_key=True, autoincrement=False),
            sa.Column("created_at", sa.BigInteger, nullable=False),
            sa.Column("record", sa.LargeBinary, nullable=False),
        )
    if "body_sums" not in found:
        op.create_table(
            "body_sums",
            sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
            sa.Column("bodies", sa.BigInteger, nullable=False),
            sa.Column("bytes", sa.BigInteger, nullable=False),
        )
    if "body_words" not in found:
        op.create_table(
            "body_words",
            sa.Column("block", sa.BigInteger, primary_key=True, autoincrement=False),
            sa.Column("word", sa.BigInteger, primary_key=True, autoincrement=False),
            sa.Column("bits", sa.BigInteger, nullable=False),
            sqlite_with_rowid=False,
        )
