"""`accounts.json` as `account export` writes it; `accounts_json.py` reads it back."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

_USUAL = {"provider": "anthropic", "priority": 0, "weight": 1, "tier": 1, "paused": False}


def accounts_json_of(accounts: Sequence[Mapping[str, Any]]) -> str:
    """What `GET /api/export/accounts` answers, by name; whatever that form has no word for stands beside the
    tokens, where it is not as usual."""
    return json.dumps(
        {"version": 1, "accounts": {one["name"]: _entry(one) for one in accounts}},
        ensure_ascii=False,
        indent=2,
    )


def _entry(account: Mapping[str, Any]) -> dict[str, Any]:
    entry: dict[str, Any] = {}
    if (tokens := account.get("oauth")) is not None:
        entry["accessToken"] = tokens["access_token"]
        if tokens["refresh_token"] is not None:
            entry["refreshToken"] = tokens["refresh_token"]
        if tokens["expires_at"] is not None:
            entry["expiresAt"] = round(tokens["expires_at"] * 1000)
        if tokens["scopes"]:
            entry["scopes"] = tokens["scopes"]
    elif account.get("api_key") is not None:
        entry["api_key"] = account["api_key"]
    told_already = {"name", "oauth", "api_key"}
    rest = {name: value for name, value in account.items() if name not in told_already}
    return entry | {
        name: value for name, value in rest.items() if value not in (None, []) and value != _USUAL.get(name)
    }
