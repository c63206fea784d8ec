"""Examples of answers, made by the names of their fields: each is whole, and none contradicts another.

A test holds every one against the schema that it is an example of.
"""

from typing import Any

_AT = 1_795_000_000_000
"""Unix milliseconds; providers state seconds."""
_SECONDS = 1_795_003_600.0

_BY_FIELD: dict[str, Any] = {
    # ---- who and where -------------------------------------------------------------------------------
    **{"name": "work", "account": "work", "from_account": "work", "to_account": "home", "object": "work"},
    **{
        "provider": "anthropic",
        "dialect": "anthropic",
        "model": "claude-sonnet-4-5",
        "email": "ann@example.com",
    },
    **{"id": "hg_0123456789abcdef", "request_id": None, "caller": "laptop", "client_address": "127.0.0.1"},
    **{"method": "POST", "path": "/v1/messages", "user_agent": "claude-cli/2.0", "who": "admin_key"},
    **{
        "address": "127.0.0.1",
        "url": "http://127.0.0.1:8080",
        "location": "headgate.db",
        "place": "secret.key",
    },
    **{
        "version": "0.1.0",
        "pid": 4711,
        "origin": "owner",
        "owner": "Ann",
        "note": "",
        "label": "ann@example.com",
    },
    # ---- states and words ----------------------------------------------------------------------------
    **{
        "action": "account.pause",
        "strategy": "session",
        "source": "header",
        "kind": "api_key",
        "how": "session",
    },
    **{"code": "no_account_configured", "reason": "No account has been put in yet", "why": "all_limited"},
    **{"hint": "headgate account add NAME --provider anthropic --api-key-stdin", "detail": "", "error": None},
    **{"rate_limit_status": "allowed", "skipped_because": None, "why_not": None, "warning": None},
    **{
        "beginning": "hg_1a2b",
        "key": "hg_example-key",
        "state": "Zm9yIGFuIGV4YW1wbGU",
        "user_code": "BDWP-HQPK",
    },
    **{"csrf_token": "c5rf-t0ken-of-the-session", "text": "2026-11-18T11:06:40Z info [Accounts] paused"},
    **{"message": "Account work paused", "component": "Accounts", "level": "info", "revision": "0005"},
    **{"newest_revision": "0005", "meaning": "The provider takes the key.", "outcome": "accepted"},
    **{"answer": None, "account_status": "active", "verification_uri": "https://example.com/device"},
    **{"verification_uri_complete": None, "next_step": "Open the url in a browser and sign in."},
    **{"type": "claude", "status_message": "", "modtime": "2026-11-18T11:06:40+00:00", "group": "work"},
    **{"next_cursor": None, "failure": None, "removed": "work", "by": "account", "provider_request_id": None},
    # ---- moments -------------------------------------------------------------------------------------
    **dict.fromkeys(("created_at", "changed_at", "last_used_at", "logged_at", "started_at", "since_at"), _AT),
    **dict.fromkeys(("ends_at", "idle_ends_at", "oldest_request_at", "newest_request_at", "before"), _AT),
    **dict.fromkeys(("revoked_at", "first_used_at", "replaced_until_at", "until", "rests_until")),
    **dict.fromkeys(("expires_at", "resets_at", "rate_limit_reset", "seen_at", "since", "at"), _SECONDS),
    **dict.fromkeys(("next_reset", "full_at", "full_at_earliest", "full_at_latest"), _SECONDS),
    **{"uptime": 3_600_000, "latest_timestamp": 1_795_000_000, "latest-timestamp": 1_795_000_000},
    # ---- numbers -------------------------------------------------------------------------------------
    **{"priority": 0, "weight": 1, "tier": 1, "account_tier": 1, "share": 1, "request_count": 120},
    **{
        "error_count": 2,
        "in_flight": 1,
        "count": 1,
        "utilization": 0.42,
        "at_reset": 0.9,
        "remaining": 58_000,
    },
    **{"limit": 100_000, "status": 200, "duration_ms": 840.5, "first_byte_ms": 310.2, "overhead_ms": 0.4},
    **{
        "waited_ms": 0.0,
        "started_ms": 0.3,
        "request_bytes": 512,
        "response_bytes": 2048,
        "input_tokens": 1200,
    },
    **{"output_tokens": 300, "cache_read_tokens": 800, "cache_write_tokens": 0, "cache_write_5m_tokens": 0},
    **{
        "cache_write_1h_tokens": 0,
        "skipped_more": 0,
        "requests": 120,
        "errors": 2,
        "switches": 3,
        "dropped": 0,
    },
    **{"cost_usd": 0.0081, "unpriced_requests": 0, "reasoning_tokens": 120, "service_tier": "standard"},
    **{
        "rates": {"input": 3.0, "output": 15.0},
        "long_context": [],
        "tiers": {},
        "tried_at": _AT,
        "taken_at": _AT,
    },
    **{"restarts": 0, "lag_bytes": 0, "written": 120, "lost": 0, "open_streams": 1, "running": 0},
    **{"day_usd": 0.42, "week_usd": 1.7, "total_usd": 12.5, "window_tokens": 52_000, "size_bytes": 1_048_576},
    **{"journal_lag_bytes": 0, "deleted": 120, "sealed": 2, "size": 412, "success": 118, "failed": 2},
    **{"days_from_first_use": None, "line": 3, "column": 12, "line-count": 1, "request-retry": 2},
    **{"conversation": None, "conversation_kind": "main", "title": "Mend the parser", "parent": None},
    **{"opened_by": None, "opened_by_tool": None, "branch_count": 1, "conversations_below": 0, "left_out": 0},
    **{"branch": 0, "relation": "start", "continues": None, "messages": 1},
    **{"last_at": _AT, "started_at": _AT, "sub_conversations": []},
    **{"total_requests": 120, "total_tokens": 4_200, "success_count": 118, "failure_count": 2},
    **{"queue_weight": 1, "max_waiting": 0, "timeout_ms": 10_000, "waiting": 0, "longest_ms": 0},
    **{"rpm": 60, "tpm": None, "concurrency": 4, "daily_usd": 5.0, "weekly_usd": None, "failed_requests": 2},
    **{"available": ["session", "round-robin", "weighted"]},
    # ---- lists and maps ------------------------------------------------------------------------------
    **{name: [] for name in ("models", "tags", "refused_models", "providers", "warnings", "needs_restart")},
    **{name: [] for name in ("troubles", "rests", "problems", "closed", "conflicts", "unsaved", "skipped")},
    **{"added": ["work"], "unchanged": [], "kept": {}, "here_as": {}, "changed": ["routing.strategy"]},
    **{
        "rows": {"accounts": 2, "requests": 120},
        "checked": ["integrity", "schema"],
        "scopes": ["user:inference"],
    },
    **{"after": {"paused": True}, "value": "session", "default": "session", "domain": None},
    **{"lines": ["[2026-11-18 11:06:40] info Account work paused"], "api-keys": ["sha256:1a2b3c4d…"]},
    **{"next-cursor": "1795000000000.1", "proxy-url": "", "headgate": {"routing.strategy": "session"}},
    **{"files": None, "uploaded": None, "session": None, "failed_account": None},
    **{
        "requests_by_day": {"2026-11-18": 120},
        "requests_by_hour": {"11": 120},
        "proxy": None,
        "base_url": None,
    },
    **{
        "tokens_by_day": {"2026-11-18": 4_200},
        "tokens_by_hour": {"11": 4_200},
        "api_key": None,
        "oauth": None,
    },
}
"""What a field of this name holds."""

_COUNTS = {
    "total": 2,
    "active": 1,
    "paused": 1,
    "rate_limited": 0,
    "expired": 0,
    "needs_reauth": 0,
    "disabled": 0,
}

_BY_MODEL: dict[str, Any] = {
    **{"HealthView.accounts": _COUNTS, "StatusView.accounts": _COUNTS, "Reset.accounts": 2},
    **{"HealthView.status": "degraded", "StatusView.status": "degraded", "Ready.status": "ready"},
    **{"AccountView.status": "active", "RotationAccount.status": "active", "KeyView.status": "active"},
    **{
        "CreatedKey.status": "active",
        "WindowView.name": "5h",
        "WindowView.models": None,
        "WindowView.status": "allowed",
    },
    **{
        "RestView.kind": "limited",
        "RestView.model": None,
        "SettingView.needs_restart": False,
        "SettingView.waiting": None,
    },
    **{"KeyView.accounts": ["team-*"], "CreatedKey.accounts": ["team-*"], "KeyView.version": 3},
    **{
        "CreatedKey.version": 1,
        "AuditEntry.id": 42,
        "FilesDone.failed": None,
    },
    **{
        "KeyUsage.models": {},
        "SignInView.status": "waiting",
    },
    **{"UsageSnapshot.apis": {"laptop": {"total_requests": 120, "total_tokens": 4_200, "models": {}}}},
    **{"Replaced.settings": ["routing.strategy"], "Replaced.changed": ["config"]},
}
"""Where it means something else: `Model.field`."""


_NEUTRAL: dict[str, Any] = {"string": "…", "integer": 1, "number": 1.0, "boolean": True, "object": {}}
_TYPES: dict[str, Any] = {"string": str, "integer": int, "number": (int, float), "boolean": bool}


def example_of(schema: dict[str, Any], schemas: dict[str, Any], place: str = "") -> Any:
    """`place`: `Model.field`. What nobody has given an example gets one by its type."""
    if (only := schema.get("const", schema.get("enum"))) is not None:
        return only[0] if isinstance(only, list) else only
    if place in _BY_MODEL:
        return _BY_MODEL[place]
    if (field := place.partition(".")[2]) in _BY_FIELD and _fits(_BY_FIELD[field], schema):
        return _BY_FIELD[field]
    if "$ref" in schema:
        model = schema["$ref"].rpartition("/")[2]
        fields = schemas[model].get("properties", {})
        return {name: example_of(part, schemas, f"{model}.{name}") for name, part in fields.items()}
    if "anyOf" in schema:
        return example_of(schema["anyOf"][0], schemas)
    if schema.get("type") == "array":
        return [example_of(schema["items"], schemas)]
    return schema.get("default", _NEUTRAL.get(schema.get("type", "")))


def _fits(value: Any, schema: dict[str, Any]) -> bool:
    """By its type: the same name may mean a number here and a list there."""
    if "anyOf" in schema:
        return any(_fits(value, part) for part in schema["anyOf"])
    match schema.get("type"):
        case None:
            return "$ref" not in schema
        case "null":
            return value is None
        case "array":
            return isinstance(value, list) and (not value or _fits(value[0], schema["items"]))
        case "object":
            return isinstance(value, dict)
        case kind:
            return isinstance(value, _TYPES[kind]) and (kind == "boolean") is isinstance(value, bool)
