"""Files of accounts, as other programs write them."""

import json
from pathlib import Path
from typing import Any

from headgate.testing.process import SimulatedProvider
from tests.gateway import Gateway


def gateway_with(folder: Path, provider: SimulatedProvider, **sources: Any) -> Gateway:
    """No account but those of the sources; tokens can be renewed."""
    oauth = {"client_id": "sim-client", "token_url": f"{provider.url}/v1/oauth/token"}
    settings = {
        "providers": {"anthropic": {"base_url": provider.url, "oauth": oauth}},
        "sources": {
            name: str(value) if isinstance(value, Path) else value for name, value in sources.items()
        },
    }
    return Gateway(folder, provider=provider.url, accounts=(), settings=settings)


def put(file: Path, document: Any) -> None:
    """Whole, by a file beside it and a rename, as careful programs do."""
    part = file.with_name(f".{file.name}.part")
    part.touch(mode=0o600)
    part.write_text(document if isinstance(document, str) else json.dumps(document, indent=2))
    part.replace(file)


def by_name(**grants: dict[str, Any]) -> dict[str, Any]:
    return {"version": 1, "accounts": {name: camel(grant) for name, grant in grants.items()}}


def camel(grant: dict[str, Any]) -> dict[str, Any]:
    return {
        "accessToken": grant["access_token"],
        "refreshToken": grant["refresh_token"],
        "expiresAt": round(grant["expires_at"] * 1000),
    }


def names(gateway: Gateway) -> list[str]:
    return sorted(one["name"] for one in gateway.admin("/api/accounts")["accounts"])
