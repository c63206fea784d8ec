"""The tables as they are now. How they came to be is in `migrations/`; a test compares the two.

Times are Unix milliseconds. History rows carry an account's id and its name of that day, so that
they outlive a rename and a removal.
"""

import json
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

from headgate.storage.body_tables import body_tables
from headgate.storage.conversation_tables import conversation_tables
from headgate.storage.rollup_tables import rollup_tables

metadata = sa.MetaData()

# SQLite grows a row id by itself only under the exact type INTEGER.
RowId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


class Json(TypeDecorator[Any]):
    """JSON in a text column: PostgreSQL's own type refuses `Infinity`, which a health may hold."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else json.dumps(value, separators=(",", ":"))

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        return None if value is None else json.loads(value)


accounts = sa.Table(
    "accounts",
    metadata,
    sa.Column("id", RowId, primary_key=True, autoincrement=True),
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
    sa.Column("models", Json, nullable=False),
    sa.Column("paused", sa.Boolean, nullable=False),
    sa.Column("origin", sa.Text, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("updated_at", sa.BigInteger, nullable=False),
    # Tries on the account, kept by the recorder; `headgate stats reset` makes them zero.
    sa.Column("request_count", sa.BigInteger, nullable=False, server_default=sa.text("0")),
    sa.Column("error_count", sa.BigInteger, nullable=False, server_default=sa.text("0")),
    sa.Column("last_used_at", sa.BigInteger),
    # Of an account that signed in; `secret` holds its tokens then.
    sa.Column("signed_in_at", sa.BigInteger),
    sa.Column("expires_at", sa.BigInteger),
    sa.Column("token_version", sa.Integer, nullable=False, server_default=sa.text("0")),
    # SHA-256 of the token that a settings or accounts file began with: what was refreshed since stays.
    sa.Column("source_digest", sa.Text),
    # Requests at one time; null: as many as come.
    sa.Column("concurrency", sa.Integer),
    sa.UniqueConstraint("name", name="accounts_name"),
    sa.UniqueConstraint("provider", "secret_digest", name="accounts_secret"),
    # An id is never given twice: history and late health records refer to it.
    sqlite_autoincrement=True,
)

# Who renews an account's tokens, until when nobody else may, and what came of the last time.
refreshes = sa.Table(
    "refreshes",
    metadata,
    sa.Column("account_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("holder", sa.Text),
    sa.Column("held_until", sa.BigInteger),
    sa.Column("began_at", sa.BigInteger),
    sa.Column("failed_at", sa.BigInteger),
    sa.Column("failure", sa.Text),
    # With a failure and without this: only a new sign-in helps.
    sa.Column("retry_at", sa.BigInteger),
)

# A key itself is never here: `digest` is its SHA-256 in hex, `beginning` its first characters.
client_keys = sa.Table(
    "client_keys",
    metadata,
    sa.Column("id", RowId, primary_key=True, autoincrement=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("beginning", sa.Text, nullable=False),
    # What a rotation has replaced, and until when it still opens.
    sa.Column("previous_digest", sa.Text),
    sa.Column("previous_until", sa.BigInteger),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("tags", Json, nullable=False),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("expires_at", sa.BigInteger),
    sa.Column("days_from_first_use", sa.Integer),
    sa.Column("first_used_at", sa.BigInteger),
    sa.Column("models", Json, nullable=False),
    sa.Column("refused_models", Json, nullable=False),
    sa.Column("providers", Json, nullable=False),
    sa.Column("accounts", Json, nullable=False),
    sa.Column("domain", sa.Text),
    sa.Column("may_choose_account", sa.Boolean, nullable=False),
    sa.Column("limits", Json, nullable=False),
    # What is said here of a key that stands in the settings; it opens only while it does.
    sa.Column("declared", sa.Boolean, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("updated_at", sa.BigInteger, nullable=False),
    sa.Column("revoked_at", sa.BigInteger),
    sa.UniqueConstraint("digest", name="client_keys_digest"),
    # An id is never given twice: history refers to it.
    sqlite_autoincrement=True,
)
# A revoked key keeps its name for who reads the history, and leaves it to another one.
sa.Index("client_keys_name", client_keys.c.name, unique=True, sqlite_where=client_keys.c.revoked_at.is_(None))

# What each key has used, by UTC's days (since 1970 began): the recorder adds, budgets read.
key_days = sa.Table(
    "key_days",
    metadata,
    sa.Column("key_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("day", sa.Integer, primary_key=True, autoincrement=False),
    # Those that used something: refused ones say nothing of what a request costs.
    sa.Column("requests", sa.BigInteger, nullable=False),
    sa.Column("tokens", sa.BigInteger, nullable=False),
    # Nano-USD: a billionth of one.
    sa.Column("nano_usd", sa.BigInteger, nullable=False),
)
# The five hours that run, or ran last.
key_windows = sa.Table(
    "key_windows",
    metadata,
    sa.Column("key_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("began_at", sa.BigInteger, nullable=False),
    sa.Column("tokens", sa.BigInteger, nullable=False),
)

# Which gateways live on this database (PostgreSQL), and until when without another word.
gateways = sa.Table(
    "gateways",
    metadata,
    sa.Column("holder", sa.Text, primary_key=True),
    sa.Column("ends_at", sa.BigInteger, nullable=False),
    # Among whom it divides limits, as far as they have been told: a list of holders.
    sa.Column("knows", sa.Text, nullable=False, server_default="[]"),
)
# What each of them holds of a limit, where they are not equal parts, and what it would like to.
key_slices = sa.Table(
    "key_slices",
    metadata,
    sa.Column("key_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("what", sa.Text, primary_key=True),
    sa.Column("holder", sa.Text, primary_key=True),
    sa.Column("granted", sa.BigInteger, nullable=False),
    # The limit that it was cut from.
    sa.Column("whole", sa.BigInteger, nullable=False),
    sa.Column("wanted", sa.BigInteger, nullable=False),
)

# What each provider was asked, by key (0: none that is known here) and by the status that the client saw:
# sums of all time, which outlive the history.
provider_sums = sa.Table(
    "provider_sums",
    metadata,
    sa.Column("provider", sa.Text, primary_key=True),
    sa.Column("key_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("status", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("requests", sa.BigInteger, nullable=False),
    sa.Column("failures", sa.BigInteger, nullable=False),
    sa.Column("input_tokens", sa.BigInteger, nullable=False),
    sa.Column("output_tokens", sa.BigInteger, nullable=False),
    sa.Column("cache_read_tokens", sa.BigInteger, nullable=False),
    sa.Column("cache_write_tokens", sa.BigInteger, nullable=False),
    sa.Column("nano_usd", sa.BigInteger, nullable=False),
    # Those of the requests that told usage and have no price: they are not in the sum.
    sa.Column("unpriced", sa.BigInteger, nullable=False, server_default=sa.text("0")),
)

rollups, rollup_failures, rollup_times = rollup_tables(metadata)
spans, conversations, turns, agent_calls, request_links = conversation_tables(metadata)
body_keys, bodies, body_parts, body_sums, body_words = body_tables(metadata, RowId)

# No foreign key: a health record may arrive after its account was removed, and must not stop a batch.
account_health = sa.Table(
    "account_health",
    metadata,
    sa.Column("account_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("at_ms", sa.BigInteger, nullable=False),
    sa.Column("state", Json, nullable=False),
)

requests = sa.Table(
    "requests",
    metadata,
    # The order of recording, which is not the order of beginning: a live view follows this one.
    sa.Column("seq", RowId, primary_key=True, autoincrement=True),
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
    # Why each account was passed by, where none could be asked.
    sa.Column("skipped", Json),
    # The client key; `caller` is its name of that day.
    sa.Column("key_id", sa.BigInteger),
    # What it cost by the prices of that day, in billionths of a USD. NULL: no price, or no usage told.
    sa.Column("nano_usd", sa.BigInteger),
    # Part of the output.
    sa.Column("reasoning_tokens", sa.BigInteger),
    sa.Column("service_tier", sa.Text),
    # What few answers say: counts and words by name.
    sa.Column("other_usage", Json),
    # The client's program, by a short name out of its user agent; NULL: it said none.
    sa.Column("client", sa.Text),
    # What the client says that it works on.
    sa.Column("project", sa.Text),
    # Tools that the answer called, the client's and the provider's own; NULL: none was seen.
    sa.Column("tool_calls", sa.Integer),
    sa.UniqueConstraint("id", name="requests_id"),
)

UNPRICED = requests.c.nano_usd.is_(None) & sa.or_(
    requests.c.input_tokens.is_not(None), requests.c.output_tokens.is_not(None)
)
"""A request that used something, and nobody knows what that cost."""

FAILED = sa.or_(requests.c.status >= sa.literal_column("400"), requests.c.error.is_not(None))
"""A request that went wrong: by its status, or after its first byte by an error event."""

# The conditions of indexes hold on PostgreSQL as well; the migrations say them. To name them for it here
# would load that database's driver for everybody.
sa.Index("requests_newest", requests.c.timestamp, requests.c.id)
sa.Index("requests_status", requests.c.status, requests.c.timestamp)
sa.Index("requests_account", requests.c.account, requests.c.timestamp)
sa.Index("requests_failed", requests.c.timestamp, requests.c.id, sqlite_where=FAILED)
_HAS_SESSION = requests.c.session.is_not(None)
sa.Index("requests_session", requests.c.session, requests.c.timestamp, sqlite_where=_HAS_SESSION)
_FAILED_ON_ONE = FAILED & requests.c.account.is_not(None)
sa.Index(
    "requests_account_failed",
    *(requests.c.account, requests.c.timestamp, requests.c.id),
    sqlite_where=_FAILED_ON_ONE,
)

attempts = sa.Table(
    "attempts",
    metadata,
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
    # Seconds, as the record has them; not a time column of ours but a provider's statement.
    sa.Column("until_at", sa.Double),
    # When its request began and whether that went wrong: of the first failed attempt of each account that
    # did not serve in the end. NULL in all others, which the index below then leaves out; but on PostgreSQL
    # `request_at` is in each, since it tells the month that the row lies in (`partitions.py`).
    sa.Column("request_at", sa.BigInteger),
    sa.Column("request_failed", sa.Boolean),
)

LEFT = attempts.c.request_at.is_not(None) & attempts.c.request_failed.is_not(None)
"""An account that was asked in vain; the others in a request's attempts served it. Both are said, for each
database's index goes by another one of them."""

sa.Index(
    "attempts_left",
    *(attempts.c.account, attempts.c.request_failed, attempts.c.request_at, attempts.c.request_id),
    sqlite_where=attempts.c.request_at.is_not(None),
)

# What models cost and when: a price that changes is ended, and another begins.
prices = sa.Table(
    "prices",
    metadata,
    sa.Column("id", RowId, primary_key=True, autoincrement=True),
    # `shipped` with the program or `fetched`.
    sa.Column("origin", sa.Text, nullable=False),
    sa.Column("provider", sa.Text, nullable=False),
    # A name, or with `*` behind it all that begin so.
    sa.Column("model", sa.Text, nullable=False),
    # USD for a million tokens, by name.
    sa.Column("rates", Json, nullable=False),
    # Where it was read.
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("valid_from", sa.BigInteger, nullable=False),
    # NULL: it holds.
    sa.Column("valid_until", sa.BigInteger),
    sa.Index("prices_model", "model"),
)
sa.Index(
    "prices_in_force",
    *(prices.c.origin, prices.c.provider, prices.c.model),
    unique=True,
    sqlite_where=prices.c.valid_until.is_(None),
)
# When each list of prices was asked for last, and what came of it.
price_lists = sa.Table(
    "price_lists",
    metadata,
    sa.Column("url", sa.Text, primary_key=True),
    sa.Column("tried_at", sa.BigInteger, nullable=False),
    sa.Column("taken_at", sa.BigInteger),
    sa.Column("models", sa.Integer),
    sa.Column("failure", sa.Text),
)

objects = sa.Table(
    "objects",
    metadata,
    sa.Column("object_id", sa.Text, primary_key=True),
    sa.Column("account_id", sa.BigInteger, nullable=False),
    sa.Column("at_ms", sa.BigInteger, nullable=False),
    # Of a batch: what was counted of its results, by model (`batch_usage.py`).
    sa.Column("counted", Json),
    sa.Index("objects_newest", "at_ms"),
    sa.Index("objects_account", "account_id"),
)

# One row per segment file: a segment's name is unique for all times and machines, so no row of an
# earlier life can be mistaken for it. The row goes when the file is gone.
journal_positions = sa.Table(
    "journal_positions",
    metadata,
    sa.Column("journal", sa.Text, primary_key=True),
    sa.Column("segment", sa.Text, primary_key=True),
    sa.Column("byte_offset", sa.BigInteger, nullable=False),
)

# What the owner changed. `who` and `action` are stable words; no secret is in a row, not even sealed.
audit = sa.Table(
    "audit",
    metadata,
    sa.Column("id", RowId, primary_key=True, autoincrement=True),
    sa.Column("at_ms", sa.BigInteger, nullable=False),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("address", sa.Text),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("object", sa.Text, nullable=False),
    sa.Column("before", Json),
    sa.Column("after", Json),
    # The code of what kept the change from being made; NULL: it was made.
    sa.Column("error", sa.Text),
    sa.Index("audit_at", "at_ms"),
    # An id is never given twice: a page goes on behind one.
    sqlite_autoincrement=True,
)

# For whoever finds a schema that is newer than the program: the version that made it.
schema_history = sa.Table(
    "schema_history",
    metadata,
    sa.Column("revision", sa.Text, primary_key=True),
    sa.Column("headgate_version", sa.Text, nullable=False),
    sa.Column("applied_at", sa.BigInteger, nullable=False),
)
