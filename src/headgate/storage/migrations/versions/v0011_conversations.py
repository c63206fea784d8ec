"""Which request continues which: messages by their hashes, conversations, blocks, calls, links."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

_B, _I, _L, _T, _F = sa.LargeBinary, sa.Integer, sa.BigInteger, sa.Text, sa.Boolean

_SUMS = (
    *("requests", "failed", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens"),
    *("nano_usd", "unpriced"),
)

_REQUIRED: dict[str, dict[str, Any]] = {
    "spans": {"hash": _B, "facts": _B, "seen_at": _L},
    "conversations": {
        "id": _T,
        "caller": _T,
        "kind": _T,
        "started_at": _L,
        "last_at": _L,
        "branches": _I,
        "last_request": _T,
        "last_branch": _I,
        "scope": _B,
        "opening": _B,
        "session_hash": _B,
        **dict.fromkeys(_SUMS, _L),
    },
    "turns": {
        "prefix": _B,
        "conversation_id": _T,
        "before": _B,
        "place": _I,
        "side": _T,
        "branch": _I,
        "size": _L,
        "session_hash": _B,
        "is_continued": _F,
        "began_at": _L,
        "ended_at": _L,
        "went_well": _F,
        "system": _B,
    },
    "agent_calls": {
        "prompt": _B,
        "tool_id": _T,
        "conversation_id": _T,
        "request_id": _T,
        "at": _L,
        "session_hash": _B,
        "prefix": _B,
        "is_answered": _F,
    },
    "request_links": {
        "request_id": _T,
        "conversation_id": _T,
        "branch": _I,
        "relation": _T,
        "prefix": _B,
        "place": _I,
        "messages": _I,
        "session_hash": _B,
        "opening": _B,
        "continues": _F,
    },
}
_OPTIONAL: dict[str, dict[str, Any]] = {
    "conversations": {
        "key_id": _L,
        "domain": _T,
        "session": _T,
        "title": _T,
        "model": _T,
        "parent_id": _T,
        "parent_request_id": _T,
        "parent_tool_id": _T,
    },
    "turns": {"request_id": _T, "output_tokens": _L, "summary_scope": _B},
    "request_links": {"parent_request_id": _T},
}
_KEYS = {
    "spans": ("hash",),
    "conversations": ("id",),
    "turns": ("prefix", "conversation_id"),
    "agent_calls": ("prompt", "tool_id", "conversation_id"),
    "request_links": ("request_id",),
}
_BELONG = {
    "turns": {"conversation_id": ("turns_conversation", "conversations.id")},
    "agent_calls": {"conversation_id": ("agent_calls_conversation", "conversations.id")},
    "request_links": {
        "request_id": ("request_links_request", "requests.id"),
        "conversation_id": ("request_links_conversation", "conversations.id"),
    },
}
_INDEXES = {
    "spans_seen": ("spans", ["seen_at"]),
    "conversations_newest": ("conversations", ["last_at", "id"]),
    "conversations_parent": ("conversations", ["parent_id"]),
    "conversations_session": ("conversations", ["session_hash"]),
    "conversations_opening": ("conversations", ["opening", "started_at"]),
    "turns_conversation": ("turns", ["conversation_id"]),
    "turns_summary": ("turns", ["summary_scope", "began_at"]),
    "agent_calls_conversation": ("agent_calls", ["conversation_id"]),
    "request_links_conversation": ("request_links", ["conversation_id"]),
}


def upgrade() -> None:
    found = sa.inspect(op.get_bind()).get_table_names()
    for table in _REQUIRED:
        if table not in found:
            op.create_table(table, *_columns(table))
            for name, (its, columns) in _INDEXES.items():
                if its == table:
                    op.create_index(name, table, columns)


def _columns(table: str) -> list[sa.Column[Any]]:
    columns = []
    for names, is_required in ((_REQUIRED[table], True), (_OPTIONAL.get(table, {}), False)):
        for name, kind in names.items():
            belongs = _BELONG.get(table, {}).get(name)
            keys = [] if belongs is None else [sa.ForeignKey(belongs[1], name=belongs[0], ondelete="CASCADE")]
            is_key = name in _KEYS[table]
            columns.append(sa.Column(name, kind, *keys, primary_key=is_key, nullable=not is_required))
    return columns
