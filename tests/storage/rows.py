"""Rows as the recorder makes them, for tests that need some."""

from typing import Any

from headgate.storage.batch import Rows
from headgate.storage.sums import usage_of
from headgate.wire.user_agents import client_of
from tests.pricing.costs import known_cost_of

_UNTOLD = {"reasoning_tokens": None, "service_tier": None, "other_usage": None, "tool_calls": None}


def request_row(request_id: str, **changes: Any) -> dict[str, Any]:
    row = {
        "id": request_id,
        "timestamp": 1_700_000_000_000,
        "dialect": "anthropic",
        "provider": "anthropic",
        "method": "POST",
        "path": "/v1/messages",
        "caller": "anonymous",
        "client_address": "127.0.0.1",
        "user_agent": "test",
        "session": None,
        "model": "claude-sonnet-4-5",
        "stream": False,
        "account_id": 1,
        "account": "work",
        "status": 200,
        "error": None,
        "first_byte_ms": 10.5,
        "duration_ms": 20.5,
        "overhead_ms": 0.5,
        "request_bytes": 100,
        "response_bytes": 200,
        "input_tokens": 1,
        "output_tokens": 2,
        "cache_read_tokens": 3,
        "cache_write_5m_tokens": 4,
        "cache_write_1h_tokens": None,
        "provider_request_id": None,
        "skipped": None,
        "key_id": None,
        "project": None,
    }
    row = {**_UNTOLD, **row, **changes}
    row = {"client": client_of(row["user_agent"]), **row}
    return {"nano_usd": known_cost_of(row["model"], usage_of(row)), **row}


def attempt_row(request_id: str, position: int, **changes: Any) -> dict[str, Any]:
    row = {
        "request_id": request_id,
        "position": position,
        "account_id": 1,
        "account": "work",
        "started_ms": 0.0,
        "duration_ms": 5.0,
        "status": 200,
        "error": None,
        "reason": None,
        "until_at": None,
        "request_at": None,
        "request_failed": None,
    }
    return row | changes


def rows_of(*requests: dict[str, Any]) -> Rows:
    return Rows(requests=list(requests))
