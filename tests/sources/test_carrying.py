import json

from headgate.moving.account_files import carried_accounts
from headgate.sources.carrying import accounts_json_of

TOKENS = {"access_token": "a", "refresh_token": "r", "expires_at": 1_700_000_000.0, "scopes": ["x"]}
USUAL = {"provider": "anthropic", "base_url": None, "priority": 0, "weight": 1, "tier": 1, "models": []}
REST = {"email": None, "domain": None, "paused": False}
ACCOUNTS = [
    {"name": "plain", **USUAL, **REST, "oauth": TOKENS},
    {"name": "key", **USUAL, **REST, "api_key": "k"},
    {
        **{"name": "full", "provider": "anthropic", "base_url": "http://localhost:1/v", "priority": 3},
        **{"weight": 4, "tier": 5, "models": ["m"], "email": "e@x.test", "domain": "d", "paused": True},
        **{"proxy": "socks5://u:p@localhost:1", "oauth": TOKENS},
    },
]


def test_what_goes_out_comes_in_again_without_loss() -> None:
    written = accounts_json_of(ACCOUNTS)
    assert carried_accounts(written.encode()) == ACCOUNTS
    assert json.loads(written)["accounts"]["plain"] == {
        **{"accessToken": "a", "refreshToken": "r", "expiresAt": 1_700_000_000_000},
        "scopes": ["x"],
    }
