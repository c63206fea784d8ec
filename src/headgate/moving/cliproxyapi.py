"""CLIProxyAPI and its forks: `config.yaml`, and a folder of credentials, one JSON file each."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from headgate.config.proxies import DIRECT
from headgate.config.settings import STRATEGIES
from headgate.errors import ForeignDataUnreadable
from headgate.moving.account_files import account_of, contents_of
from headgate.moving.found import (
    ACCOUNT,
    HISTORY,
    SETTING,
    Found,
    FoundAccount,
    FoundKey,
    FoundSetting,
    names_of,
)
from headgate.moving.reading import files_in, integer, secret, switch, words, yaml_of
from headgate.sources import auth_files

CONFIG = "config.yaml"
_DEFAULT_FOLDER = "~/.cli-proxy-api"
OUR_STRATEGIES = {
    "weighted-round-robin": "weighted",
    "wrr": "weighted",
    "rr": "round-robin",
    "ff": "fill-first",
}
"""By their names, where ours are others."""
_UNCARRIED = (
    "prefix",
    "headers",
    "excluded-models",
    "model-aliases",
    "request-scoped-errors",
    "disable-cooling",
)
_OTHER_PROVIDERS = re.compile(r"(.+)-api-key|openai-compatibility")
"""Lists of keys in the settings; `claude-api-key` is the one that comes along."""
_TAKEN = frozenset(
    {
        "port",
        "auth-dir",
        "api-keys",
        "claude-api-key",
        "request-retry",
        "routing",
        "streaming",
        "proxy-url",
        "debug",
    }
)
_QUIET = frozenset({"host", "remote-management", "tls"})
"""What the owner is told of by itself."""
_SPAN = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}
_NO_PROXY = ("direct", "none")


def read(path: Path, auth_folder: Path | None = None) -> Found:
    """`path`: the settings file, a folder with it, or a folder of credentials alone."""
    found = Found("cliproxyapi")
    config = path / CONFIG if path.is_dir() else path
    folder = auth_folder
    if path.is_dir() and not config.is_file():
        folder = folder or path
        found.leave_out(SETTING, "settings", f"{path} holds no {CONFIG}")
    else:
        content = yaml_of(config)
        if not isinstance(content, dict):
            raise ForeignDataUnreadable(
                f"{config} holds no settings.", hint=f"Give the {CONFIG} of CLIProxyAPI."
            )
        _take_config(found, content)
        folder = folder or _folder_of(config, content)
    if folder is not None and folder.is_dir():
        _take_folder(found, folder)
    elif folder is not None:
        found.could_not_read(ACCOUNT, str(folder), "there is no such folder; --auth-dir names another")
    found.leave_out(HISTORY, "requests", "CLIProxyAPI keeps none")
    return found


def _folder_of(config: Path, content: Mapping[str, Any]) -> Path:
    """Where the file says; else, where that is not on this machine, beside the file."""
    named = Path(words(content.get("auth-dir"), 2000) or _DEFAULT_FOLDER).expanduser()
    if not named.is_absolute():
        named = config.parent / named
    beside = config.parent / named.name
    return beside if not named.is_dir() and beside.is_dir() else named


# ---- config.yaml ---------------------------------------------------------------------------------


def _take_config(found: Found, content: Mapping[str, Any]) -> None:
    keys = content.get("api-keys")
    for number, value in enumerate(keys if isinstance(keys, list) else [], 1):
        if (key := secret(value)) is not None:
            found.keys.append(FoundKey.of(f"api-keys[{number}]", key))
    entries = content.get("claude-api-key")
    for number, entry in enumerate(entries if isinstance(entries, list) else [], 1):
        _take_entry(found, number, entry if isinstance(entry, dict) else {})
    _take_settings(found, content)
    for name, value in content.items():
        if name not in _TAKEN and _OTHER_PROVIDERS.fullmatch(str(name)) and isinstance(value, list) and value:
            why = f"{len(value)} entries of a provider that this version of Headgate does not speak to"
            found.leave_out(ACCOUNT, str(name), why)
    if content.get("host", "") not in ("127.0.0.1", "localhost"):
        why = "Headgate listens on this machine alone; server.host, client keys and admin.key open it wider"
        found.leave_out(SETTING, "host", why)
    if content.get("remote-management"):
        found.leave_out(SETTING, "remote-management", "its key is kept as a bcrypt hash: set admin.key anew")
    if content.get("tls"):
        found.leave_out(SETTING, "tls", "set server.tls yourself, when it is to be used")
    rest = [str(name) for name, value in content.items() if _has_no_counterpart(str(name), value)]
    if rest:
        found.leave_out(SETTING, names_of(rest), "Headgate has nothing of the kind")


def _has_no_counterpart(name: str, value: object) -> bool:
    is_known = name in _TAKEN or name in _QUIET or bool(_OTHER_PROVIDERS.fullmatch(name))
    return not is_known and value not in (None, False, "", 0, [], {})


def _take_entry(found: Found, number: int, entry: Mapping[str, Any]) -> None:
    key = secret(entry.get("api-key"))
    if key is None:
        found.could_not_read(ACCOUNT, f"claude-api-key[{number}]", "it holds no api-key")
        return
    # The entries have no names; one that hangs on the key stays when their order changes.
    name = f"claude-{hashlib.sha256(key.encode()).hexdigest()[:8]}"
    found.accounts.append(
        FoundAccount(name=name, key=name, api_key=key, **_common(entry), **_models_of(entry))
    )


def _models_of(entry: Mapping[str, Any]) -> dict[str, Any]:
    models = entry.get("models")
    named = [one for one in models if isinstance(one, dict)] if isinstance(models, list) else []
    return {"models": tuple(name for one in named[:1000] if (name := words(one.get("name"))))}


def _common(entry: Mapping[str, Any]) -> dict[str, Any]:
    """What entries and credential files have alike, spelt with `-` or `_`."""
    fields = {str(name).replace("_", "-"): value for name, value in entry.items()}
    left = [name for name in _UNCARRIED if fields.get(name)]
    models = fields.get("models")
    if isinstance(models, list) and any(isinstance(one, dict) and one.get("alias") for one in models):
        left.append("aliases of models")
    return {
        "base_url": words(fields.get("base-url"), 2000),
        # Theirs is served from the highest number down, ours from the lowest up.
        "priority": -(integer(fields.get("priority"), -1_000_000, 1_000_000) or 0),
        "weight": integer(fields.get("weight"), 1, 1_000_000) or 1,
        "proxy": _proxy_of(fields.get("proxy-url")),
        "paused": switch(fields.get("disabled")) is True,
        "remarks": (f"without its {', '.join(left)}",) if left else (),
    }


def _proxy_of(value: object) -> str | None:
    proxy = words(value, 2000)
    return DIRECT if proxy is not None and proxy.lower() in _NO_PROXY else proxy


def _take_settings(found: Found, content: Mapping[str, Any]) -> None:
    def take(path: str, value: object, called: str) -> None:
        if value is not None:
            found.settings.append(FoundSetting(path, value, called))

    def section(name: str) -> Mapping[str, Any]:
        value = content.get(name)
        return value if isinstance(value, dict) else {}

    take("server.port", integer(content.get("port"), 1, 65_535), "port")
    if (rounds := integer(content.get("request-retry"), 0, 100)) is not None:
        take("retry.attempts", rounds + 1, "request-retry")  # theirs counts the further ones
    take("log.level", "debug" if switch(content.get("debug")) else None, "debug")
    take("upstream.proxy", _proxy_of(content.get("proxy-url")), "proxy-url")
    take(
        "routing.sse_keepalive_seconds",
        integer(section("streaming").get("keepalive-seconds"), 0, 86_400),
        "streaming.keepalive-seconds",
    )
    routing = section("routing")
    if switch(routing.get("session-affinity")):
        take("routing.strategy", "session", "routing.session-affinity")
        take(
            "routing.session_duration_ms",
            _span(routing.get("session-affinity-ttl")),
            "routing.session-affinity-ttl",
        )
    elif theirs := words(routing.get("strategy")):
        ours = OUR_STRATEGIES.get(theirs, theirs)
        if ours in STRATEGIES:
            take("routing.strategy", ours, "routing.strategy")
        else:
            found.leave_out(SETTING, "routing.strategy", f"there is no strategy like {theirs} yet")


def _span(value: object) -> int | None:
    """Milliseconds of `1h30m`."""
    text = words(value) or ""
    parts = _SPAN.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    return round(sum(float(number) * _UNITS[unit] for number, unit in parts))


# ---- credential files ----------------------------------------------------------------------------


def _take_folder(found: Found, folder: Path) -> None:
    for file in files_in(folder, "*.json"):
        try:
            contents, content = contents_of(file, partial(auth_files.read, file=file))
        except ForeignDataUnreadable as error:
            found.could_not_read(ACCOUNT, file.name, error.message)
            continue
        for one in contents.found:
            account = account_of(one, key=one.name)
            common = _common(content)
            more = {name: common[name] for name in ("base_url", "proxy", "remarks")}
            found.accounts.append(replace(account, **more))
        if not contents.found:
            kind = words(content.get("type"))
            why = f"its provider {kind} is none that this version of Headgate speaks to"
            found.leave_out(ACCOUNT, file.name, why if kind else "it says no type, so it is no credential")
