"""Which request continues which: conversations, the blocks they are known by, and where each request belongs.

Nothing that was said is here but titles: hashes of 16 bytes, sizes, times. What the columns mean is said in
`conversation/past.py`, whose `Talk`, `Place`, `WaitingCall` and `Link` they keep.
"""

from typing import NamedTuple

import sqlalchemy as sa


class ConversationTables(NamedTuple):
    spans: sa.Table
    conversations: sa.Table
    turns: sa.Table
    agent_calls: sa.Table
    request_links: sa.Table


def conversation_tables(metadata: sa.MetaData) -> ConversationTables:
    # Messages that gateways have handed over, by the hash they name them with.
    spans = sa.Table(
        "spans",
        metadata,
        sa.Column("hash", sa.LargeBinary, primary_key=True),
        # `conversation.facts.Facts` as msgpack.
        sa.Column("facts", sa.LargeBinary, nullable=False),
        sa.Column("seen_at", sa.BigInteger, nullable=False),
    )
    sa.Index("spans_seen", spans.c.seen_at)
    conversations = sa.Table(
        "conversations",
        metadata,
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("key_id", sa.BigInteger),
        sa.Column("caller", sa.Text, nullable=False),
        sa.Column("domain", sa.Text),
        sa.Column("session", sa.Text),
        sa.Column("title", sa.Text),
        sa.Column("model", sa.Text),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("parent_id", sa.Text),
        sa.Column("parent_request_id", sa.Text),
        sa.Column("parent_tool_id", sa.Text),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("last_at", sa.BigInteger, nullable=False),
        sa.Column("branches", sa.Integer, nullable=False),
        sa.Column("last_request", sa.Text, nullable=False),
        sa.Column("last_branch", sa.Integer, nullable=False),
        sa.Column("scope", sa.LargeBinary, nullable=False),
        sa.Column("opening", sa.LargeBinary, nullable=False),
        sa.Column("session_hash", sa.LargeBinary, nullable=False),
        # Sums over its own requests.
        sa.Column("requests", sa.BigInteger, nullable=False),
        sa.Column("failed", sa.BigInteger, nullable=False),
        sa.Column("input_tokens", sa.BigInteger, nullable=False),
        sa.Column("output_tokens", sa.BigInteger, nullable=False),
        sa.Column("cache_read_tokens", sa.BigInteger, nullable=False),
        sa.Column("cache_write_tokens", sa.BigInteger, nullable=False),
        sa.Column("nano_usd", sa.BigInteger, nullable=False),
        sa.Column("unpriced", sa.BigInteger, nullable=False),
    )
    sa.Index("conversations_newest", conversations.c.last_at, conversations.c.id)
    sa.Index("conversations_parent", conversations.c.parent_id)
    sa.Index("conversations_session", conversations.c.session_hash)
    sa.Index("conversations_opening", conversations.c.opening, conversations.c.started_at)
    turns = sa.Table(
        "turns",
        metadata,
        sa.Column("prefix", sa.LargeBinary, primary_key=True),
        sa.Column(
            "conversation_id",
            sa.Text,
            sa.ForeignKey("conversations.id", name="turns_conversation", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("before", sa.LargeBinary, nullable=False),
        sa.Column("place", sa.Integer, nullable=False),
        sa.Column("side", sa.Text, nullable=False),
        sa.Column("branch", sa.Integer, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("session_hash", sa.LargeBinary, nullable=False),
        sa.Column("is_continued", sa.Boolean, nullable=False),
        sa.Column("request_id", sa.Text),
        sa.Column("began_at", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger, nullable=False),
        sa.Column("went_well", sa.Boolean, nullable=False),
        sa.Column("output_tokens", sa.BigInteger),
        sa.Column("system", sa.LargeBinary, nullable=False),
        sa.Column("summary_scope", sa.LargeBinary),
    )
    sa.Index("turns_conversation", turns.c.conversation_id)
    sa.Index("turns_summary", turns.c.summary_scope, turns.c.began_at)
    agent_calls = sa.Table(
        "agent_calls",
        metadata,
        sa.Column("prompt", sa.LargeBinary, primary_key=True),
        sa.Column("tool_id", sa.Text, primary_key=True),
        sa.Column(
            "conversation_id",
            sa.Text,
            sa.ForeignKey("conversations.id", name="agent_calls_conversation", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("session_hash", sa.LargeBinary, nullable=False),
        sa.Column("prefix", sa.LargeBinary, nullable=False),
        sa.Column("is_answered", sa.Boolean, nullable=False),
    )
    sa.Index("agent_calls_conversation", agent_calls.c.conversation_id)
    request_links = sa.Table(
        "request_links",
        metadata,
        sa.Column(
            "request_id",
            sa.Text,
            sa.ForeignKey("requests.id", name="request_links_request", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column(
            "conversation_id",
            sa.Text,
            sa.ForeignKey("conversations.id", name="request_links_conversation", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("branch", sa.Integer, nullable=False),
        sa.Column("relation", sa.Text, nullable=False),
        sa.Column("parent_request_id", sa.Text),
        sa.Column("prefix", sa.LargeBinary, nullable=False),
        sa.Column("place", sa.Integer, nullable=False),
        sa.Column("messages", sa.Integer, nullable=False),
        sa.Column("session_hash", sa.LargeBinary, nullable=False),
        sa.Column("opening", sa.LargeBinary, nullable=False),
        # What it opens with is a summary of another one.
        sa.Column("continues", sa.Boolean, nullable=False),
    )
    sa.Index("request_links_conversation", request_links.c.conversation_id)
    return ConversationTables(spans, conversations, turns, agent_calls, request_links)
