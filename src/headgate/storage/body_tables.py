"""What was said, where it is kept: sealed, beside the record of its request, and an index of its words.

A body belongs to a request by `seq`, which is also the order of time and of the index. Nothing here can be
read without the key of the accounts.
"""

from typing import NamedTuple

import sqlalchemy as sa

WORD_BITS = 62
"""Requests that share a row of the index: the bits of a signed 64-bit number that both databases shift
without a thought for the sign."""
WORD_BYTES = 8
"""What a word of a body counts in the sum beside its data: most rows stand for many requests."""


class BodyTables(NamedTuple):
    body_keys: sa.Table
    bodies: sa.Table
    body_parts: sa.Table
    body_sums: sa.Table
    body_words: sa.Table


def body_tables(metadata: sa.MetaData, row_id: sa.types.TypeEngine[int]) -> BodyTables:
    body_keys = sa.Table(
        "body_keys",
        metadata,
        sa.Column("id", row_id, primary_key=True, autoincrement=True),
        # Of 32 random bytes, sealed like an account's secret.
        sa.Column("sealed", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        # An id is never given twice: bodies refer to it.
        sqlite_autoincrement=True,
    )
    bodies = sa.Table(
        "bodies",
        metadata,
        sa.Column(
            "seq",
            sa.BigInteger,
            sa.ForeignKey("requests.seq", name="bodies_request", ondelete="CASCADE"),
            primary_key=True,
            autoincrement=False,
        ),
        # `request` or `response`.
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("content_type", sa.Text, nullable=False),
        # Bytes that passed, in the content coding that they had.
        sa.Column("size", sa.BigInteger, nullable=False),
        # Bytes that are kept, without it.
        sa.Column("kept", sa.BigInteger, nullable=False),
        # Bytes that it takes here.
        sa.Column("stored", sa.BigInteger, nullable=False),
        # Secrets that were blacked out.
        sa.Column("redacted", sa.Integer, nullable=False),
        # More words than the index takes of one body.
        sa.Column("has_more_words", sa.Boolean, nullable=False),
        sa.Column("truncated", sa.Boolean, nullable=False),
        sa.Column("note", sa.Text),
        sa.Column("error", sa.Text),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("key_id", sa.BigInteger),
        # zstd, then AES-256-GCM. NULL: it could not be captured.
        sa.Column("data", sa.LargeBinary),
    )
    body_parts = sa.Table(
        "body_parts",
        metadata,
        # Parts of a body whose last one is still to come, as they lay in the journal.
        sa.Column("request_id", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("part", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("record", sa.LargeBinary, nullable=False),
    )
    body_sums = sa.Table(
        "body_sums",
        metadata,
        # There is one row.
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("bodies", sa.BigInteger, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
    )
    body_words = sa.Table(
        "body_words",
        metadata,
        # `seq` of its requests by WORD_BITS; which of them have the word is in `bits`.
        sa.Column("block", sa.BigInteger, primary_key=True, autoincrement=False),
        # Its keyed hash.
        sa.Column("word", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("bits", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    return BodyTables(body_keys, bodies, body_parts, body_sums, body_words)
