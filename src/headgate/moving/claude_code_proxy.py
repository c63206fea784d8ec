"""claude-code-proxy (claude-proxy-multi): `accounts.json`, and its environment in a `.env` file."""

from collections.abc import Mapping
from pathlib import Path

from headgate.errors import ForeignDataUnreadable
from headgate.moving.account_files import contents_of, take_accounts
from headgate.moving.environments import (
    Counterpart,
    address,
    level,
    listed,
    take_settings,
    text,
    variables_of,
    whole,
)
from headgate.moving.found import HISTORY, KEY, SETTING, Found, FoundKey, names_of
from headgate.moving.reading import secret, switch
from headgate.sources import accounts_json

ACCOUNTS_FILE, ENVIRONMENT = "accounts.json", ".env"

_CLIENT = "providers.anthropic.oauth."
_SETTINGS: Mapping[str, Counterpart] = {
    "SERVER__PORT": (whole, ("server.port",)),
    "SERVER__LOG_LEVEL": (level, ("log.level",)),
    "REVERSE_PROXY__TARGET_URL": (address, ("providers.anthropic.base_url",)),
    "CCPROXY_ROTATION_ENABLED": (switch, ("routing.rotation",)),
    "AUTH__OAUTH__CLIENT_ID": (text, (_CLIENT + "client_id",)),
    "AUTH__OAUTH__TOKEN_URL": (address, (_CLIENT + "token_url",)),
    "AUTH__OAUTH__AUTHORIZE_URL": (address, (_CLIENT + "authorize_url",)),
    "AUTH__OAUTH__REDIRECT_URI": (address, (_CLIENT + "redirect_uri",)),
    "AUTH__OAUTH__SCOPES": (listed, (_CLIENT + "scopes",)),
}
_TOKENS = ("CCPROXY_AUTH_TOKEN", "SECURITY__AUTH_TOKEN", "AUTH_TOKEN")
_THEIRS = (
    "SERVER__",
    "SECURITY__",
    "CORS__",
    "CLAUDE__",
    "REVERSE_PROXY__",
    "AUTH__",
    "DOCKER__",
    "SCHEDULER__",
)
_PREFIX = "CCPROXY_"


def read(path: Path, environment: Path | None = None) -> Found:
    """`path`: the accounts file, or the folder that holds it. Raises ForeignDataUnreadable."""
    found = Found("claude-code-proxy")
    file = path / ACCOUNTS_FILE if path.is_dir() else path
    beside = file.with_name(ENVIRONMENT)
    environment = environment or (beside if beside.is_file() else None)
    if path.is_dir() and not file.exists() and environment is None:
        raise ForeignDataUnreadable(
            f"{path} holds neither {ACCOUNTS_FILE} nor {ENVIRONMENT}.",
            hint="Give the accounts file itself: what CCPROXY_ACCOUNTS_PATH of the other program names, else "
            f"~/.claude/{ACCOUNTS_FILE}.",
        )
    if file.exists() or environment is None:
        take_accounts(found, contents_of(file, accounts_json.read)[0])
    if environment is None:
        found.leave_out(SETTING, "settings", f"there is no {ENVIRONMENT} beside it; --env names another")
    else:
        _take_environment(found, variables_of(environment))
    found.leave_out(HISTORY, "requests", "claude-code-proxy keeps none")
    return found


def _take_environment(found: Found, variables: dict[str, str]) -> None:
    take_settings(found, variables, _SETTINGS)
    for name in _TOKENS:
        if (token := secret(variables.get(name))) is not None:
            found.keys.append(FoundKey.of(name, token))
            break
    if switch(variables.get(_PREFIX + "API_KEYS_ENABLED", variables.get("SECURITY__API_KEYS_ENABLED"))):
        found.leave_out(
            KEY, "API keys", "they are signed tokens, of which no list is kept: give out new ones"
        )
    known = {*_SETTINGS, *_TOKENS}
    rest = [one for one in variables if one.startswith((*_THEIRS, _PREFIX)) and one not in known]
    if rest:
        found.leave_out(SETTING, names_of(rest), "Headgate has nothing of the kind, or another default")
