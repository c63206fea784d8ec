"""What each route is for, how it may fail besides the ways of all, and what a body for it looks like.

By operation id; a test says which route is missing. A running gateway is held against it:
`tests/journeys/test_openapi.py`.
"""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Operation:
    summary: str
    fails: tuple[int, ...] = ()
    """Statuses of failures, without those that every route may answer."""
    sent: Any = None
    """A body, as an example."""


_DIGEST = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_SIGN_IN = {"account": "work", "provider": "anthropic"}
_AUTH_FILE = {"type": "claude", "email": "ann@example.com", "access_token": "…"}
_ACCOUNT = {"name": "work", "provider": "anthropic", "api_key": "sk-ant-api03-example", "priority": 1}
_KEY = {"name": "laptop", "models": ["claude-*"], "limits": {"rpm": 60, "daily_usd": 5}}

OPERATIONS: dict[str, Operation] = {
    # ---- is it up ------------------------------------------------------------------------------------
    "health": Operation("Is it up, and what is wrong"),
    "healthz": Operation("The same as /health"),
    "ready": Operation("May traffic be sent here", (503,)),
    "status": Operation("What it does right now"),
    "provider_metrics": Operation("How each provider does", (503,)),
    "prometheus_metrics": Operation("Figures for Prometheus", (404,)),
    "openapi": Operation("This document"),
    # ---- log-ins -------------------------------------------------------------------------------------
    "get_session": Operation("Who is asking"),
    "log_in": Operation("Log in with the admin key", (401, 403, 409, 429), {"key": "the admin key"}),
    "log_out": Operation("Log out", (403,)),
    # ---- accounts ------------------------------------------------------------------------------------
    "list_accounts": Operation("List the accounts"),
    "add_account": Operation("Put an account in", (409, 503), _ACCOUNT),
    "get_account": Operation("Show an account"),
    "change_account": Operation("Change an account", (409, 503), {"weight": 2, "models": []}),
    "rename_account": Operation("Rename an account", (409, 503), {"name": "team"}),
    "remove_account": Operation("Remove an account", (409, 503)),
    "pause_account": Operation("Pause an account", (503,)),
    "resume_account": Operation("Resume an account", (503,)),
    "reauth_account": Operation("Give an account a new key", (409, 503), {"api_key": "sk-ant-api03-new"}),
    "refresh_account": Operation("Renew an account's tokens", (409, 503)),
    "test_account": Operation("Test an account's credential", (409, 503)),
    "export_accounts": Operation("Export all accounts"),
    "import_accounts": Operation("Import accounts", (409, 503), {"accounts": [_ACCOUNT], "dry_run": True}),
    # ---- signing in ----------------------------------------------------------------------------------
    "start_sign_in": Operation("Begin a sign-in", (409,)),
    "start_sign_in_with_options": Operation("Begin a sign-in, with options", (409,), _SIGN_IN),
    "start_device_sign_in": Operation("Begin a sign-in by device code", (409,), _SIGN_IN),
    "finish_sign_in": Operation("End a sign-in with its code", (409, 503), {"code": "example-code#state"}),
    "sign_in_callback": Operation("Where a provider leads the browser back to"),
    "sign_in_status": Operation("How far a sign-in has come", (404,)),
    "cancel_sign_in": Operation("Cancel a sign-in", (404,)),
    # ---- client keys ---------------------------------------------------------------------------------
    "list_client_keys": Operation("List the client keys", (503,)),
    "create_client_key": Operation("Create a client key", (409, 503), _KEY),
    "get_client_key": Operation("Show a client key", (404,)),
    "change_client_key": Operation("Change a client key", (404, 409, 412, 503), {"limits": {"rpm": 30}}),
    "rotate_client_key": Operation("Rotate a client key", (404, 409, 412, 503), {"overlap_seconds": 86400}),
    "revoke_client_key": Operation("Revoke a client key", (404, 409, 412, 503)),
    "import_keys": Operation(
        "Import client keys", (409,), {"keys": [{"name": "laptop", "digest": _DIGEST}], "dry_run": True}
    ),
    # ---- settings ------------------------------------------------------------------------------------
    "get_strategy": Operation("Which strategy is in force"),
    "set_strategy": Operation("Set the strategy", (409,), {"strategy": "weighted"}),
    "get_config": Operation("Show the settings"),
    "change_config": Operation("Change settings", (409,), {"routing.strategy": "session"}),
    "reload_config": Operation("Load the settings once more", (409,)),
    # ---- what happened -------------------------------------------------------------------------------
    "list_requests": Operation("List requests", (503,)),
    "export_requests": Operation("Take requests along, as CSV or JSON lines", (503,)),
    "stream_requests": Operation("Follow requests", (503,)),
    "list_conversations": Operation("List conversations", (503,)),
    "get_conversation": Operation("Show a conversation as a tree", (404, 503)),
    "get_request": Operation("Show a request with its attempts", (404, 503)),
    "get_body": Operation("What was said, as far as it is kept", (404,)),
    "usage": Operation("Sum up what was used", (503,)),
    "analytics": Operation("What happened, by time, model and account", (503,)),
    "get_stats": Operation("How it went so far", (503,)),
    "token_stats": Operation("What each domain used", (404, 503)),
    "current_token_usage": Operation("The window of an account that runs", (404, 503)),
    "daily_token_usage": Operation("What an account used, by days", (404, 503)),
    "token_usage_time_series": Operation("How an account's window came to be", (404, 503)),
    "accounts_token_usage": Operation("The windows of all accounts", (503,)),
    "list_prices": Operation("List what models cost", (503,)),
    "get_price": Operation("Show what a model costs, and cost before", (503,)),
    "list_logs": Operation("Show the log's last entries", (404, 503)),
    "stream_logs": Operation("Follow the log", (404, 503)),
    "list_changes": Operation("List what the owner changed", (503,)),
    # ---- the database --------------------------------------------------------------------------------
    "get_database": Operation("Where the database is, how large, how old", (503,)),
    "check_database": Operation("Check the database", (503,)),
    "clear_history": Operation("Delete requests", (503,), {"before": 1795000000000}),
    "reset_stats": Operation("Set the accounts' counters to zero", (503,)),
    "rotate_key": Operation("Change the encryption key", (503,), {"new_key": None}),
    # ---- another gateway's routes --------------------------------------------------------------------
    "management_config": Operation("Show the settings by the other gateway's names"),
    "management_config_yaml": Operation("Show the settings file", (503,)),
    "replace_management_config_yaml": Operation(
        "Replace the settings file", (409, 503), {"routing": {"strategy": "session"}}
    ),
    "management_api_keys": Operation("List the client keys of the settings"),
    "set_management_api_keys": Operation("Replace the client keys of the settings", (409,), ["a-client-key"]),
    "patch_management_api_keys": Operation(
        "Replace one client key of the settings", (409,), {"old": "a-client-key", "new": "another-key"}
    ),
    "delete_management_api_keys": Operation("Take a client key out of the settings", (409,)),
    "management_logs": Operation("Show lines of the log", (503,)),
    "delete_management_logs": Operation("Refused: the log is not deleted from afar", (501,)),
    "management_usage": Operation("Sum up the history", (503,)),
    "management_auth_files": Operation("List the files of the auth folder", (409, 503)),
    "upload_management_auth_files": Operation("Put files into the auth folder", (409, 503), _AUTH_FILE),
    "delete_management_auth_files": Operation(
        "Take files out of the auth folder", (409, 503), {"names": ["claude-ann.json"]}
    ),
    "switch_management_auth_file": Operation(
        "Switch a file off or on", (409, 503), {"name": "claude-ann.json", "disabled": True}
    ),
    "download_management_auth_file": Operation("Refused: files hold tokens", (501,)),
    "management_routing_strategy": Operation("Which strategy is in force"),
    "delete_management_proxy_url": Operation("Take the outbound proxy away", (409,)),
}

_SINGLE: dict[str, tuple[str, tuple[int, ...], Any]] = {
    "debug": ("whether the log says all", (409,), True),
    "logging_to_file": ("whether there is a log file", (409,), True),
    "usage_statistics_enabled": ("whether requests are counted", (501,), True),
    "request_retry": ("the tries after the first", (409,), 2),
    "proxy_url": ("the outbound proxy", (409,), "direct"),
    "routing_strategy": ("the strategy", (409,), "round-robin"),
}
"""Settings with a route of their own there: what for, how a change fails, a value."""

for _name, (_what, _fails, _value) in _SINGLE.items():
    OPERATIONS.setdefault(f"management_{_name}", Operation(f"Show {_what}"))
    for _verb in ("set", "patch"):
        OPERATIONS[f"{_verb}_management_{_name}"] = Operation(f"Set {_what}", _fails, {"value": _value})
