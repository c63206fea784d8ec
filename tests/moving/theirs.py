"""What other gateways leave behind, in their own forms, made for tests."""

import json
import sqlite3
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import asyncpg

NOW_MS = int(time.time() * 1000)
HOUR_MS = 3_600_000

# ---- ccflare -------------------------------------------------------------------------------------

_CC_ACCOUNTS = """
    id TEXT PRIMARY KEY, name TEXT NOT NULL, provider TEXT DEFAULT 'anthropic', api_key TEXT,
    refresh_token TEXT NOT NULL, access_token TEXT, expires_at INTEGER, created_at INTEGER NOT NULL,
    last_used INTEGER, request_count INTEGER DEFAULT 0, total_requests INTEGER DEFAULT 0
"""
_CC_ACCOUNTS_LATER = (
    *("account_tier INTEGER DEFAULT 1", "rate_limited_until INTEGER", "session_start INTEGER"),
    *("session_request_count INTEGER DEFAULT 0", "paused INTEGER DEFAULT 0", "rate_limit_reset INTEGER"),
    *("rate_limit_status TEXT", "rate_limit_remaining INTEGER"),
)
_BC_ACCOUNTS_LATER = (
    *("rate_limited_until INTEGER", "session_start INTEGER", "session_request_count INTEGER DEFAULT 0"),
    *("paused INTEGER DEFAULT 0", "rate_limit_reset INTEGER", "rate_limit_status TEXT"),
    *("rate_limit_remaining INTEGER", "priority INTEGER DEFAULT 0"),
    *("auto_fallback_enabled INTEGER DEFAULT 0", "custom_endpoint TEXT"),
    *("auto_refresh_enabled INTEGER DEFAULT 0", "model_mappings TEXT", "model_fallbacks TEXT"),
    *("cross_region_mode TEXT", "billing_type TEXT", "pause_reason TEXT", "rate_limited_reason TEXT"),
    *("rate_limited_at INTEGER", "refresh_token_issued_at INTEGER", "requires_reauth INTEGER DEFAULT 0"),
    *("consecutive_rate_limits INTEGER DEFAULT 0", "auto_pause_on_overage_enabled INTEGER DEFAULT 0"),
    "peak_hours_pause_enabled INTEGER DEFAULT 0",
)
_REQUESTS = """
    id TEXT PRIMARY KEY, timestamp INTEGER NOT NULL, method TEXT NOT NULL, path TEXT NOT NULL,
    account_used TEXT, status_code INTEGER, success BOOLEAN, error_message TEXT, response_time_ms INTEGER,
    failover_attempts INTEGER DEFAULT 0, model TEXT, prompt_tokens INTEGER DEFAULT 0,
    completion_tokens INTEGER DEFAULT 0, total_tokens INTEGER DEFAULT 0, cost_usd REAL DEFAULT 0,
    output_tokens_per_second REAL, input_tokens INTEGER DEFAULT 0,
    cache_read_input_tokens INTEGER DEFAULT 0, cache_creation_input_tokens INTEGER DEFAULT 0,
    output_tokens INTEGER DEFAULT 0, agent_used TEXT
"""
_BC_REQUESTS_LATER = (
    *("project TEXT", "api_key_id TEXT", "api_key_name TEXT", "billing_type TEXT", "combo_name TEXT"),
    *("original_model TEXT", "applied_model TEXT", "client_session_id TEXT", "stream_terminal_state TEXT"),
)
_PAYLOADS = "id TEXT PRIMARY KEY, json TEXT NOT NULL, FOREIGN KEY (id) REFERENCES requests(id)"
_KEYS = """
    id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, hashed_key TEXT NOT NULL UNIQUE,
    prefix_last_8 TEXT NOT NULL, created_at INTEGER NOT NULL, last_used INTEGER,
    usage_count INTEGER DEFAULT 0, is_active INTEGER DEFAULT 1, role TEXT DEFAULT 'api-only'
"""


def ccflare(file: Path, *, is_better: bool = False) -> sqlite3.Connection:
    """An empty database of that generation, open and in WAL mode, as they keep it."""
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute(f"CREATE TABLE accounts ({_CC_ACCOUNTS})")
    for column in _BC_ACCOUNTS_LATER if is_better else _CC_ACCOUNTS_LATER:
        connection.execute(f"ALTER TABLE accounts ADD COLUMN {column}")
    connection.execute(f"CREATE TABLE requests ({_REQUESTS})")
    connection.execute("CREATE INDEX idx_requests_timestamp ON requests(timestamp DESC)")
    connection.execute(f"CREATE TABLE request_payloads ({_PAYLOADS})")
    if is_better:
        for column in _BC_REQUESTS_LATER:
            connection.execute(f"ALTER TABLE requests ADD COLUMN {column}")
        connection.execute(f"CREATE TABLE api_keys ({_KEYS})")
        connection.execute("CREATE TABLE combos (id TEXT PRIMARY KEY, name TEXT NOT NULL)")
    return connection


def insert(connection: sqlite3.Connection, table: str, **values: Any) -> None:
    names, marks = ", ".join(values), ", ".join("?" * len(values))
    connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(values.values()))


def ccflare_account(connection: sqlite3.Connection, name: str, **values: Any) -> str:
    """One that signed in, unless told otherwise; its id."""
    account_id = str(uuid.uuid5(uuid.NAMESPACE_DNS, name))
    tokens = {
        "access_token": f"sk-ant-oat-{account_id}",
        "refresh_token": f"sk-ant-ort-{account_id}",
        "expires_at": NOW_MS + HOUR_MS,
    }
    fields = {"id": account_id, "name": name, "created_at": NOW_MS, **tokens, **values}
    insert(connection, "accounts", **fields)
    return account_id


def ccflare_request(connection: sqlite3.Connection, account: str | None, number: int, **values: Any) -> str:
    request_id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{account}/{number}"))
    fields: dict[str, Any] = {
        **{"id": request_id, "timestamp": NOW_MS - number * 1000, "method": "POST", "path": "/v1/messages"},
        **{"account_used": account, "status_code": 200, "success": 1, "response_time_ms": 1200},
        **{"model": "claude-sonnet-4-20250514", "input_tokens": 100, "output_tokens": 50},
        **{"cache_read_input_tokens": 7, "cache_creation_input_tokens": 5, "prompt_tokens": 112},
        **values,
    }
    insert(connection, "requests", **fields)
    return request_id


# ---- claude-code-proxy ---------------------------------------------------------------------------


def tokens_of(name: str, *, ends_ms: int = NOW_MS + HOUR_MS) -> dict[str, Any]:
    return {
        "accessToken": f"sk-ant-oat01-{name}",
        "refreshToken": f"sk-ant-ort01-{name}",
        "expiresAt": ends_ms,
    }


def accounts_json(shape: str, *names: str, ends_ms: int = NOW_MS + HOUR_MS) -> dict[str, Any]:
    """`kept`: as it runs on it; `exported`: as it exports and imports; `by hand`: as a guide has it."""
    if shape == "kept":
        return {"version": 1, "accounts": {name: tokens_of(name, ends_ms=ends_ms) for name in names}}
    entries = []
    for name in names:
        snake = {
            "access_token": f"sk-ant-oat01-{name}",
            "refresh_token": f"sk-ant-ort01-{name}",
            "expires_at": ends_ms // 1000,
        }
        entry = {"id": str(uuid.uuid5(uuid.NAMESPACE_DNS, name)), "email": f"{name}@example.com"}
        if shape == "exported":
            times = {"created_at": 1_700_000_000, "updated_at": 1_700_000_000}
            entries.append({**entry, **snake, **times, "is_active": True})
        else:
            entries.append({**entry, "oauth_token": {**snake, "subscription_type": "pro"}})
    version = {"schema_version": "1.0.0"} if shape == "exported" else {}
    return {"accounts": entries, **version}


# ---- claude-nexus-proxy --------------------------------------------------------------------------

NEXUS_TABLE = """
CREATE TABLE api_requests (
    request_id UUID PRIMARY KEY, domain VARCHAR(255) NOT NULL, timestamp TIMESTAMPTZ NOT NULL,
    method VARCHAR(10) NOT NULL, path VARCHAR(255) NOT NULL, headers JSONB, body JSONB,
    api_key_hash VARCHAR(50), model VARCHAR(100), request_type VARCHAR(50), response_status INTEGER,
    response_headers JSONB, response_body JSONB, response_streaming BOOLEAN DEFAULT false,
    input_tokens INTEGER DEFAULT 0, output_tokens INTEGER DEFAULT 0, total_tokens INTEGER DEFAULT 0,
    cache_creation_input_tokens INTEGER DEFAULT 0, cache_read_input_tokens INTEGER DEFAULT 0,
    usage_data JSONB, first_token_ms INTEGER, duration_ms INTEGER, error TEXT,
    tool_call_count INTEGER DEFAULT 0, current_message_hash CHAR(64), parent_message_hash CHAR(64),
    conversation_id UUID, branch_id VARCHAR(255) DEFAULT 'main', message_count INTEGER DEFAULT 0,
    parent_task_request_id UUID REFERENCES api_requests(request_id), is_subtask BOOLEAN DEFAULT false,
    task_tool_invocation JSONB, account_id VARCHAR(255),
    parent_request_id UUID REFERENCES api_requests(request_id), system_hash VARCHAR(64),
    created_at TIMESTAMPTZ DEFAULT NOW()
)
"""
_NEXUS_ROW = """
INSERT INTO api_requests (request_id, domain, timestamp, method, path, headers, model, response_status,
    input_tokens, output_tokens, cache_creation_input_tokens, cache_read_input_tokens, duration_ms,
    conversation_id, account_id)
SELECT md5('request ' || n)::uuid, $2, to_timestamp($3::bigint / 1000.0) - n * interval '1 second', 'POST',
    '/v1/messages', '{"user-agent": "claude-cli/1.0"}', 'claude-sonnet-4-20250514', 200, 100, 50, 5, 7, 1200,
    md5('conversation')::uuid, $4
FROM generate_series(1, $1::int) AS n
"""


async def nexus_database(address: str, *, rows: int, domain: str, account_id: str) -> None:
    connection = await asyncpg.connect(address)
    try:
        await connection.execute(NEXUS_TABLE)
        await connection.execute(_NEXUS_ROW, rows, domain, NOW_MS, account_id)
    finally:
        await connection.close()


def nexus_credentials(folder: Path, files: Mapping[str, Any]) -> Path:
    """By domain: what its file holds."""
    folder.mkdir(parents=True, exist_ok=True)
    for domain, content in files.items():
        (folder / f"{domain}.credentials.json").write_text(json.dumps(content))
    return folder


# ---- cliproxyapi ---------------------------------------------------------------------------------

CLIPROXYAPI_CONFIG = """\
# Settings of the server
host: ""
port: {port}
auth-dir: "{auths}"
api-keys:
  - "client-key-one"
  - "client-key-two"
debug: false
request-retry: 2
proxy-url: ""
routing:
  strategy: "round-robin"
remote-management:
  allow-remote: false
  secret-key: "$2a$10$abcdefghijklmnopqrstuv"
claude-api-key:
  - api-key: "{key}"
    base-url: "{url}"
    priority: 5
    weight: 3
    models:
      - name: "claude-sonnet-4-20250514"
        alias: "sonnet"
gemini-api-key:
  - api-key: "AIza-nothing"
"""


def cliproxyapi_credential(name: str, **more: Any) -> dict[str, Any]:
    return {
        **{"id_token": "", "access_token": f"sk-ant-oat01-{name}", "refresh_token": f"sk-ant-ort01-{name}"},
        **{"last_refresh": "2026-01-01T00:00:00Z", "email": f"{name}@example.com", "type": "claude"},
        **{"expired": "2099-01-01T08:00:00.123456789+08:00", **more},
    }
