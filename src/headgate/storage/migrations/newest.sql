-- Generated from the migrations by `make docs`: all that they make of an empty SQLite file.
CREATE TABLE accounts (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	name TEXT NOT NULL,
	provider TEXT NOT NULL,
	kind TEXT NOT NULL,
	secret TEXT NOT NULL,
	secret_digest TEXT NOT NULL,
	priority INTEGER NOT NULL,
	weight INTEGER NOT NULL,
	account_tier INTEGER NOT NULL,
	base_url TEXT,
	proxy TEXT,
	email TEXT,
	domain TEXT,
	models TEXT NOT NULL,
	paused BOOLEAN NOT NULL,
	origin TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL, request_count BIGINT DEFAULT 0 NOT NULL, error_count BIGINT DEFAULT 0 NOT NULL, last_used_at BIGINT, signed_in_at BIGINT, expires_at BIGINT, token_version INTEGER DEFAULT 0 NOT NULL, source_digest TEXT, concurrency INTEGER,
	CONSTRAINT accounts_name UNIQUE (name),
	CONSTRAINT accounts_secret UNIQUE (provider, secret_digest)
)

CREATE TABLE account_health (
	account_id BIGINT NOT NULL,
	at_ms BIGINT NOT NULL,
	state TEXT NOT NULL,
	PRIMARY KEY (account_id)
)

CREATE TABLE objects (
	object_id TEXT NOT NULL,
	account_id BIGINT NOT NULL,
	at_ms BIGINT NOT NULL, counted TEXT,
	PRIMARY KEY (object_id)
)

CREATE TABLE requests (
	seq INTEGER NOT NULL,
	id TEXT NOT NULL,
	timestamp BIGINT NOT NULL,
	dialect TEXT NOT NULL,
	provider TEXT NOT NULL,
	method TEXT NOT NULL,
	path TEXT NOT NULL,
	caller TEXT NOT NULL,
	client_address TEXT NOT NULL,
	user_agent TEXT NOT NULL,
	session TEXT,
	model TEXT,
	stream BOOLEAN NOT NULL,
	account_id BIGINT,
	account TEXT,
	status INTEGER NOT NULL,
	error TEXT,
	first_byte_ms DOUBLE,
	duration_ms DOUBLE NOT NULL,
	overhead_ms DOUBLE NOT NULL,
	request_bytes BIGINT NOT NULL,
	response_bytes BIGINT NOT NULL,
	input_tokens BIGINT,
	output_tokens BIGINT,
	cache_read_tokens BIGINT,
	cache_write_5m_tokens BIGINT,
	cache_write_1h_tokens BIGINT,
	provider_request_id TEXT, skipped TEXT, key_id BIGINT, nano_usd BIGINT, reasoning_tokens BIGINT, service_tier TEXT, other_usage TEXT, client TEXT, project TEXT, tool_calls INTEGER,
	PRIMARY KEY (seq),
	CONSTRAINT requests_id UNIQUE (id)
)

CREATE TABLE attempts (
	request_id TEXT NOT NULL,
	position INTEGER NOT NULL,
	account_id BIGINT NOT NULL,
	account TEXT NOT NULL,
	started_ms DOUBLE NOT NULL,
	duration_ms DOUBLE NOT NULL,
	status INTEGER,
	error TEXT,
	reason TEXT,
	until_at DOUBLE, request_at BIGINT, request_failed BOOLEAN,
	PRIMARY KEY (request_id, position),
	CONSTRAINT attempts_request FOREIGN KEY(request_id) REFERENCES requests (id) ON DELETE CASCADE
)

CREATE TABLE journal_positions (
	journal TEXT NOT NULL,
	segment TEXT NOT NULL,
	byte_offset BIGINT NOT NULL,
	PRIMARY KEY (journal, segment)
)

CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL,
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
)

CREATE TABLE schema_history (
	revision TEXT NOT NULL,
	headgate_version TEXT NOT NULL,
	applied_at BIGINT NOT NULL,
	PRIMARY KEY (revision)
)

CREATE TABLE refreshes (
	account_id BIGINT NOT NULL,
	holder TEXT,
	held_until BIGINT,
	began_at BIGINT,
	failed_at BIGINT,
	failure TEXT,
	retry_at BIGINT,
	PRIMARY KEY (account_id)
)

CREATE TABLE audit (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	at_ms BIGINT NOT NULL,
	who TEXT NOT NULL,
	address TEXT,
	action TEXT NOT NULL,
	object TEXT NOT NULL,
	"before" TEXT,
	"after" TEXT,
	error TEXT
)

CREATE TABLE client_keys (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	name TEXT NOT NULL,
	digest TEXT NOT NULL,
	beginning TEXT NOT NULL,
	previous_digest TEXT,
	previous_until BIGINT,
	note TEXT NOT NULL,
	owner TEXT NOT NULL,
	tags TEXT NOT NULL,
	enabled BOOLEAN NOT NULL,
	expires_at BIGINT,
	days_from_first_use INTEGER,
	first_used_at BIGINT,
	models TEXT NOT NULL,
	refused_models TEXT NOT NULL,
	providers TEXT NOT NULL,
	accounts TEXT NOT NULL,
	domain TEXT,
	may_choose_account BOOLEAN NOT NULL,
	limits TEXT NOT NULL,
	declared BOOLEAN NOT NULL,
	version INTEGER NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL,
	revoked_at BIGINT,
	CONSTRAINT client_keys_digest UNIQUE (digest)
)

CREATE TABLE key_days (
	key_id BIGINT NOT NULL,
	day INTEGER NOT NULL,
	requests BIGINT NOT NULL,
	tokens BIGINT NOT NULL,
	nano_usd BIGINT NOT NULL,
	PRIMARY KEY (key_id, day)
)

CREATE TABLE key_windows (
	key_id BIGINT NOT NULL,
	began_at BIGINT NOT NULL,
	tokens BIGINT NOT NULL,
	PRIMARY KEY (key_id)
)

CREATE TABLE provider_sums (
	provider TEXT NOT NULL,
	key_id BIGINT NOT NULL,
	status INTEGER NOT NULL,
	requests BIGINT NOT NULL,
	failures BIGINT NOT NULL,
	input_tokens BIGINT NOT NULL,
	output_tokens BIGINT NOT NULL,
	cache_read_tokens BIGINT NOT NULL,
	cache_write_tokens BIGINT NOT NULL,
	nano_usd BIGINT NOT NULL, unpriced BIGINT DEFAULT 0 NOT NULL,
	PRIMARY KEY (provider, key_id, status)
)

CREATE TABLE gateways (
	holder TEXT NOT NULL,
	ends_at BIGINT NOT NULL, knows TEXT DEFAULT '[]' NOT NULL,
	PRIMARY KEY (holder)
)

CREATE TABLE key_slices (
	key_id BIGINT NOT NULL,
	what TEXT NOT NULL,
	holder TEXT NOT NULL,
	granted BIGINT NOT NULL,
	whole BIGINT NOT NULL,
	wanted BIGINT NOT NULL,
	PRIMARY KEY (key_id, what, holder)
)

CREATE TABLE prices (
	id INTEGER NOT NULL,
	origin TEXT NOT NULL,
	provider TEXT NOT NULL,
	model TEXT NOT NULL,
	rates TEXT NOT NULL,
	source TEXT NOT NULL,
	valid_from BIGINT NOT NULL,
	valid_until BIGINT,
	PRIMARY KEY (id)
)

CREATE TABLE price_lists (
	url TEXT NOT NULL,
	tried_at BIGINT NOT NULL,
	taken_at BIGINT,
	models INTEGER,
	failure TEXT,
	PRIMARY KEY (url)
)

CREATE TABLE spans (
	hash BLOB NOT NULL,
	facts BLOB NOT NULL,
	seen_at BIGINT NOT NULL,
	PRIMARY KEY (hash)
)

CREATE TABLE conversations (
	id TEXT NOT NULL,
	caller TEXT NOT NULL,
	kind TEXT NOT NULL,
	started_at BIGINT NOT NULL,
	last_at BIGINT NOT NULL,
	branches INTEGER NOT NULL,
	last_request TEXT NOT NULL,
	last_branch INTEGER NOT NULL,
	scope BLOB NOT NULL,
	opening BLOB NOT NULL,
	session_hash BLOB NOT NULL,
	requests BIGINT NOT NULL,
	failed BIGINT NOT NULL,
	input_tokens BIGINT NOT NULL,
	output_tokens BIGINT NOT NULL,
	cache_read_tokens BIGINT NOT NULL,
	cache_write_tokens BIGINT NOT NULL,
	nano_usd BIGINT NOT NULL,
	unpriced BIGINT NOT NULL,
	key_id BIGINT,
	domain TEXT,
	session TEXT,
	title TEXT,
	model TEXT,
	parent_id TEXT,
	parent_request_id TEXT,
	parent_tool_id TEXT,
	PRIMARY KEY (id)
)

CREATE TABLE turns (
	prefix BLOB NOT NULL,
	conversation_id TEXT NOT NULL,
	"before" BLOB NOT NULL,
	place INTEGER NOT NULL,
	side TEXT NOT NULL,
	branch INTEGER NOT NULL,
	size BIGINT NOT NULL,
	session_hash BLOB NOT NULL,
	is_continued BOOLEAN NOT NULL,
	began_at BIGINT NOT NULL,
	ended_at BIGINT NOT NULL,
	went_well BOOLEAN NOT NULL,
	system BLOB NOT NULL,
	request_id TEXT,
	output_tokens BIGINT,
	summary_scope BLOB,
	PRIMARY KEY (prefix, conversation_id),
	CONSTRAINT turns_conversation FOREIGN KEY(conversation_id) REFERENCES conversations (id) ON DELETE CASCADE
)

CREATE TABLE agent_calls (
	prompt BLOB NOT NULL,
	tool_id TEXT NOT NULL,
	conversation_id TEXT NOT NULL,
	request_id TEXT NOT NULL,
	at BIGINT NOT NULL,
	session_hash BLOB NOT NULL,
	prefix BLOB NOT NULL,
	is_answered BOOLEAN NOT NULL,
	PRIMARY KEY (prompt, tool_id, conversation_id),
	CONSTRAINT agent_calls_conversation FOREIGN KEY(conversation_id) REFERENCES conversations (id) ON DELETE CASCADE
)

CREATE TABLE request_links (
	request_id TEXT NOT NULL,
	conversation_id TEXT NOT NULL,
	branch INTEGER NOT NULL,
	relation TEXT NOT NULL,
	prefix BLOB NOT NULL,
	place INTEGER NOT NULL,
	messages INTEGER NOT NULL,
	session_hash BLOB NOT NULL,
	opening BLOB NOT NULL,
	continues BOOLEAN NOT NULL,
	parent_request_id TEXT,
	PRIMARY KEY (request_id),
	CONSTRAINT request_links_request FOREIGN KEY(request_id) REFERENCES requests (id) ON DELETE CASCADE,
	CONSTRAINT request_links_conversation FOREIGN KEY(conversation_id) REFERENCES conversations (id) ON DELETE CASCADE
)

CREATE TABLE body_keys (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	sealed TEXT NOT NULL,
	created_at BIGINT NOT NULL
)

CREATE TABLE bodies (
	seq BIGINT NOT NULL,
	kind TEXT NOT NULL,
	content_type TEXT NOT NULL,
	size BIGINT NOT NULL,
	kept BIGINT NOT NULL,
	stored BIGINT NOT NULL,
	redacted INTEGER NOT NULL,
	has_more_words BOOLEAN NOT NULL,
	truncated BOOLEAN NOT NULL,
	note TEXT,
	error TEXT,
	created_at BIGINT NOT NULL,
	key_id BIGINT,
	data BLOB,
	PRIMARY KEY (seq, kind),
	CONSTRAINT bodies_request FOREIGN KEY(seq) REFERENCES requests (seq) ON DELETE CASCADE
)

CREATE TABLE body_parts (
	request_id TEXT NOT NULL,
	kind TEXT NOT NULL,
	part INTEGER NOT NULL,
	created_at BIGINT NOT NULL,
	record BLOB NOT NULL,
	PRIMARY KEY (request_id, kind, part)
)

CREATE TABLE body_sums (
	id INTEGER NOT NULL,
	bodies BIGINT NOT NULL,
	bytes BIGINT NOT NULL,
	PRIMARY KEY (id)
)

CREATE TABLE body_words (
	block BIGINT NOT NULL,
	word BIGINT NOT NULL,
	bits BIGINT NOT NULL,
	PRIMARY KEY (block, word)
)
 WITHOUT ROWID

CREATE TABLE rollups (
	resolution INTEGER NOT NULL,
	by_key INTEGER NOT NULL,
	at BIGINT NOT NULL,
	account_id BIGINT NOT NULL,
	account TEXT NOT NULL,
	key_id BIGINT NOT NULL,
	caller TEXT NOT NULL,
	model TEXT NOT NULL,
	provider TEXT NOT NULL,
	client TEXT NOT NULL,
	project TEXT NOT NULL,
	failed INTEGER NOT NULL,
	requests BIGINT NOT NULL,
	input_tokens BIGINT NOT NULL,
	output_tokens BIGINT NOT NULL,
	cache_read_tokens BIGINT NOT NULL,
	cache_write_tokens BIGINT NOT NULL,
	reasoning_tokens BIGINT NOT NULL,
	nano_usd BIGINT NOT NULL,
	unpriced BIGINT NOT NULL,
	duration_us BIGINT NOT NULL,
	inference BIGINT NOT NULL,
	count_tokens BIGINT NOT NULL,
	embeddings BIGINT NOT NULL, tool_calls BIGINT DEFAULT 0 NOT NULL,
	PRIMARY KEY (resolution, by_key, at, account_id, account, key_id, caller, model, provider, client, project, failed)
)
 WITHOUT ROWID

CREATE TABLE rollup_failures (
	resolution INTEGER NOT NULL,
	by_key INTEGER NOT NULL,
	at BIGINT NOT NULL,
	account_id BIGINT NOT NULL,
	account TEXT NOT NULL,
	key_id BIGINT NOT NULL,
	caller TEXT NOT NULL,
	model TEXT NOT NULL,
	provider TEXT NOT NULL,
	client TEXT NOT NULL,
	project TEXT NOT NULL,
	status INTEGER NOT NULL,
	error TEXT NOT NULL,
	requests BIGINT NOT NULL,
	PRIMARY KEY (resolution, by_key, at, account_id, account, key_id, caller, model, provider, client, project, status, error)
)
 WITHOUT ROWID

CREATE TABLE rollup_times (
	resolution INTEGER NOT NULL,
	by_key INTEGER NOT NULL,
	at BIGINT NOT NULL,
	account_id BIGINT NOT NULL,
	account TEXT NOT NULL,
	key_id BIGINT NOT NULL,
	caller TEXT NOT NULL,
	model TEXT NOT NULL,
	provider TEXT NOT NULL,
	client TEXT NOT NULL,
	project TEXT NOT NULL,
	requests BIGINT NOT NULL,
	duration_us BIGINT NOT NULL,
	first_bytes BIGINT NOT NULL,
	first_byte_us BIGINT NOT NULL,
	spoken_tokens BIGINT NOT NULL,
	spoken_us BIGINT NOT NULL,
	d0 INTEGER NOT NULL,
	d1 INTEGER NOT NULL,
	d2 INTEGER NOT NULL,
	d3 INTEGER NOT NULL,
	d4 INTEGER NOT NULL,
	d5 INTEGER NOT NULL,
	d6 INTEGER NOT NULL,
	d7 INTEGER NOT NULL,
	d8 INTEGER NOT NULL,
	d9 INTEGER NOT NULL,
	d10 INTEGER NOT NULL,
	d11 INTEGER NOT NULL,
	d12 INTEGER NOT NULL,
	d13 INTEGER NOT NULL,
	d14 INTEGER NOT NULL,
	d15 INTEGER NOT NULL,
	d16 INTEGER NOT NULL,
	d17 INTEGER NOT NULL,
	d18 INTEGER NOT NULL,
	d19 INTEGER NOT NULL,
	d20 INTEGER NOT NULL,
	d21 INTEGER NOT NULL,
	d22 INTEGER NOT NULL,
	d23 INTEGER NOT NULL,
	f0 INTEGER NOT NULL,
	f1 INTEGER NOT NULL,
	f2 INTEGER NOT NULL,
	f3 INTEGER NOT NULL,
	f4 INTEGER NOT NULL,
	f5 INTEGER NOT NULL,
	f6 INTEGER NOT NULL,
	f7 INTEGER NOT NULL,
	f8 INTEGER NOT NULL,
	f9 INTEGER NOT NULL,
	f10 INTEGER NOT NULL,
	f11 INTEGER NOT NULL,
	f12 INTEGER NOT NULL,
	f13 INTEGER NOT NULL,
	f14 INTEGER NOT NULL,
	f15 INTEGER NOT NULL,
	f16 INTEGER NOT NULL,
	f17 INTEGER NOT NULL,
	f18 INTEGER NOT NULL,
	f19 INTEGER NOT NULL,
	f20 INTEGER NOT NULL,
	f21 INTEGER NOT NULL,
	f22 INTEGER NOT NULL,
	f23 INTEGER NOT NULL,
	s0 INTEGER NOT NULL,
	s1 INTEGER NOT NULL,
	s2 INTEGER NOT NULL,
	s3 INTEGER NOT NULL,
	s4 INTEGER NOT NULL,
	s5 INTEGER NOT NULL,
	s6 INTEGER NOT NULL,
	s7 INTEGER NOT NULL,
	s8 INTEGER NOT NULL,
	s9 INTEGER NOT NULL,
	s10 INTEGER NOT NULL,
	s11 INTEGER NOT NULL,
	s12 INTEGER NOT NULL,
	s13 INTEGER NOT NULL,
	s14 INTEGER NOT NULL,
	s15 INTEGER NOT NULL,
	PRIMARY KEY (resolution, by_key, at, account_id, account, key_id, caller, model, provider, client, project)
)
 WITHOUT ROWID

CREATE INDEX objects_newest ON objects (at_ms)

CREATE INDEX objects_account ON objects (account_id)

CREATE INDEX requests_newest ON requests (timestamp, id)

CREATE INDEX requests_status ON requests (status, timestamp)

CREATE INDEX requests_account ON requests (account, timestamp)

CREATE INDEX requests_failed ON requests (timestamp, id) WHERE status >= 400 OR error IS NOT NULL

CREATE INDEX attempts_left ON attempts (account, request_failed, request_at, request_id) WHERE request_at IS NOT NULL

CREATE INDEX requests_account_failed ON requests (account, timestamp, id) WHERE (status >= 400 OR error IS NOT NULL) AND account IS NOT NULL

CREATE INDEX audit_at ON audit (at_ms)

CREATE UNIQUE INDEX client_keys_name ON client_keys (name) WHERE revoked_at IS NULL

CREATE UNIQUE INDEX prices_in_force ON prices (origin, provider, model) WHERE valid_until IS NULL

CREATE INDEX prices_model ON prices (model)

CREATE INDEX spans_seen ON spans (seen_at)

CREATE INDEX conversations_newest ON conversations (last_at, id)

CREATE INDEX conversations_parent ON conversations (parent_id)

CREATE INDEX conversations_session ON conversations (session_hash)

CREATE INDEX conversations_opening ON conversations (opening, started_at)

CREATE INDEX turns_conversation ON turns (conversation_id)

CREATE INDEX turns_summary ON turns (summary_scope, began_at)

CREATE INDEX agent_calls_conversation ON agent_calls (conversation_id)

CREATE INDEX request_links_conversation ON request_links (conversation_id)

CREATE INDEX requests_session ON requests (session, timestamp) WHERE session IS NOT NULL

CREATE VIEW api_requests AS
SELECT id AS request_id, datetime(timestamp / 1000, 'unixepoch') AS created_at, duration_ms AS response_time_ms,
       first_byte_ms, method, path, caller, account_id, account, provider, model, stream,
       status AS response_status, error, input_tokens, output_tokens,
       cache_read_tokens, cache_write_5m_tokens, cache_write_1h_tokens
FROM requests
