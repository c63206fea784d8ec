"""The environment as a source of settings. Nothing else in Headgate reads it.

`HEADGATE_` and the path joined by `__` sets any setting, in any case. Beside that stand the names that
other gateways' guides use; a Headgate name wins over such an alias.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from headgate.config import places, table
from headgate.config.proxies import with_scheme

_PREFIX = "HEADGATE_"
_NOT_SETTINGS = frozenset(
    {
        places.CONFIG_VARIABLE,
        places.DATA_VARIABLE,
        places.SECRET_KEY_VARIABLE,
        places.PASSPHRASE_VARIABLE,
    }
)
_NULLS = frozenset({"null", "none"})
_TRUE, _FALSE = frozenset({"1", "true", "yes", "on"}), frozenset({"0", "false", "no", "off"})

OTHER_PREFIXES = ("", _PREFIX, "CCPROXY_", "CLAUDEFLARE_", "CCFLARE_", "CF_")
"""Before a name that is understood under any of them."""
_LOOKED_AT = tuple(prefix for prefix in OTHER_PREFIXES if prefix not in ("", _PREFIX, "CF_"))
"""A misspelt name below these was meant for a gateway; `CF_` is Cloudflare's and Cloud Foundry's as well."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """One setting as a variable gives it. The value is text, or None for an explicit `null`."""

    path: str
    value: str | None
    variable: str


@dataclass(frozen=True, slots=True)
class Alias:
    """A variable under another gateway's name."""

    paths: tuple[str, ...]
    read: Callable[[str], str | None] = str
    """Turns the variable's text into the setting's; None: the variable asks for nothing."""


def _debug_level(text: str) -> str | None:
    """`DEBUG` is a switch here; other programs put words of their own into it."""
    return "debug" if text.strip().lower() in _TRUE else None


def _sqlite_url(text: str) -> str:
    return text if "://" in text else f"sqlite:///{text}"


def _never_color(text: str) -> str:
    """Any text counts (no-color.org)."""
    return "never"


def _under_any_prefix(name: str, alias: Alias) -> dict[str, Alias]:
    return {prefix + name: alias for prefix in OTHER_PREFIXES}


ALIASES: Mapping[str, Alias] = {
    # The less exact comes first: a later alias for the same setting wins.
    **_under_any_prefix("DEBUG", Alias(("log.level",), _debug_level)),
    "SERVER__LOG_LEVEL": Alias(("log.level",)),
    "LOG_LEVEL": Alias(("log.level",)),
    **_under_any_prefix("DEBUG_SQL", Alias(("log.sql",))),
    "LOG_FORMAT": Alias(("log.format",)),
    "NO_COLOR": Alias(("log.color",), _never_color),
    "PORT": Alias(("server.port",)),
    "LB_STRATEGY": Alias(("routing.strategy",)),
    "RETRY_ATTEMPTS": Alias(("retry.attempts",)),
    "RETRY_DELAY_MS": Alias(("retry.delay_ms",)),
    "RETRY_BACKOFF": Alias(("retry.backoff",)),
    "SESSION_DURATION_MS": Alias(("routing.session_duration_ms",)),
    "ENABLE_CLIENT_AUTH": Alias(("access.client_auth",)),
    "CLAUDE_API_TIMEOUT": Alias(("upstream.first_byte_timeout_ms", "upstream.idle_timeout_ms")),
    "PROXY_SERVER_TIMEOUT": Alias(("server.request_timeout_ms",)),
    "DASHBOARD_API_KEY": Alias(("admin.key",)),
    **_under_any_prefix("DB_PATH", Alias(("storage.url",), _sqlite_url)),
    "DATABASE_URL": Alias(("storage.url",)),
    **_under_any_prefix("ROTATION_ENABLED", Alias(("routing.rotation",))),
    **_under_any_prefix("HOT_RELOAD", Alias(("sources.hot_reload",))),
    **_under_any_prefix("PRICING_REFRESH_HOURS", Alias(("pricing.refresh_hours",))),
    "HTTP_PROXY": Alias(("upstream.http_proxy",), with_scheme),
    "HTTPS_PROXY": Alias(("upstream.https_proxy",), with_scheme),
    "ALL_PROXY": Alias(("upstream.all_proxy",), with_scheme),
    "NO_PROXY": Alias(("upstream.no_proxy",)),
    "OTEL_EXPORTER_OTLP_ENDPOINT": Alias(("telemetry.otlp_endpoint",)),
    "CLIENT_ID": Alias(("providers.anthropic.oauth.client_id",)),
}
WITHOUT_EFFECT: Mapping[str, str] = dict.fromkeys(
    ("STORAGE_ADAPTER_CLEANUP_MS", "STORAGE_ADAPTER_RETENTION_MS"),
    "nothing here waits in memory to be written; storage.retention_days says how long the history is kept",
)
"""Names of another guide that stand for nothing that Headgate has, and why."""
CONFIG_ALIASES = tuple(prefix + "CONFIG_PATH" for prefix in OTHER_PREFIXES)
"""Other names of `HEADGATE_CONFIG`."""


def current() -> dict[str, str]:
    """The real environment, copied."""
    return dict(os.environ)


def with_upper_names(environ: Mapping[str, str]) -> dict[str, str]:
    """Names in any case are understood; where two differ in case only, the upper one wins.

    A variable without a text counts as not set: that is how compose files pass on what nobody gave.
    """
    upper = {name.upper(): value for name, value in environ.items() if value.strip()}
    return upper | {name: value for name, value in environ.items() if name.isupper() and value.strip()}


def config_file(environ: Mapping[str, str]) -> Path | None:
    """The settings file that the environment names. Wants upper-case names."""
    names = (places.CONFIG_VARIABLE, *CONFIG_ALIASES)
    return next((places.named(environ, name) for name in names if name in environ), None)


def assignments(environ: Mapping[str, str]) -> Iterator[Assignment]:
    """What the environment sets, the stronger later. Wants upper-case names."""
    for name, alias in ALIASES.items():
        if name in environ and (value := alias.read(environ[name])) is not None:
            yield from (Assignment(path, value, name) for path in alias.paths)
    for name, value in environ.items():
        if path := _path_of(name):
            yield Assignment(path, None if value.strip().lower() in _NULLS else value, name)


def warnings(environ: Mapping[str, str]) -> list[str]:
    """A sentence for each `HEADGATE_` variable that is none of ours, and for what another gateway's prefix
    and a misspelt name make; the rest of that gateway's own is its own. Wants upper-case names."""
    idle = [f"{name} has no effect: {why}" for name, why in WITHOUT_EFFECT.items() if name in environ]
    known = [variable for row in table.rows() if (variable := row.variable)]
    return idle + [
        f"Unknown environment variable {name}{suggestion}"
        for name in sorted(environ)
        if not _is_known(name)
        and (suggestion := _suggestion(name, known) if name.startswith(_PREFIX) else _misspelt(name))
    ]


def setting_of(variable: str) -> str | None:
    """The (first) setting that a variable sets, under any of its names."""
    alias = ALIASES.get(variable.upper())
    return alias.paths[0] if alias else _path_of(variable.upper())


def _suggestion(name: str, known: list[str]) -> str:
    meant = table.nearest(name, [*known, *_NOT_SETTINGS])
    return f": did you mean {meant}?" if meant else "; `headgate config docs` lists every setting"


def _misspelt(name: str) -> str:
    prefix = next((prefix for prefix in _LOOKED_AT if name.startswith(prefix)), None)
    if prefix is None:
        return ""
    beside = [alias for alias in (*ALIASES, *CONFIG_ALIASES) if alias.startswith(prefix)]
    valid = [alias.removeprefix(prefix) for alias in beside]
    meant = table.nearest(name.removeprefix(prefix), valid, likeness=0.85)  # a slip, no other name of theirs
    return f": did you mean {prefix}{meant}?" if meant else ""


def _is_known(name: str) -> bool:
    return name in _NOT_SETTINGS or name in ALIASES or name in CONFIG_ALIASES or _path_of(name) is not None


def _path_of(variable: str) -> str | None:
    """The setting that a `HEADGATE_` variable names; a name chosen by the owner is put in lower case."""
    parts = variable.removeprefix(_PREFIX).lower().split("__") if variable.startswith(_PREFIX) else []
    for row in table.rows():
        wanted = row.path.split(".")
        is_same = len(wanted) == len(parts) and all(
            want in (part, table.ANY_NAME) for want, part in zip(wanted, parts, strict=True)
        )
        if is_same and row.variable:
            chosen = zip(wanted, parts, strict=True)
            return ".".join(p.replace("_", "-") if w == table.ANY_NAME else p for w, p in chosen)
    return None
