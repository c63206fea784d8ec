"""The table of settings, each with its unit and default; those that nothing obeys yet are in `later.py`.

Names, defaults and meanings are public: `docs/settings.md` is generated from this file.
"""

import difflib
from typing import Annotated, Literal, get_args

from pydantic import BeforeValidator, field_validator

from headgate.config.accounts import AccountSettings, ProviderName, ProviderSettings
from headgate.config.fields import (
    MOST_BYTES,
    MOST_SECONDS,
    MOST_THINGS,
    ClientKeyDigest,
    Listed,
    Network,
    PageOrigin,
    ProxyUrl,
    SecretOrHash,
    Section,
    Words,
    milliseconds,
    setting,
)
from headgate.config.later import (
    ModelSettings,
    StateSettings,
    TelemetrySettings,
)
from headgate.config.limits import LimitSettings, QueueSettings
from headgate.config.pricing import PricingSettings
from headgate.config.sources import SourceSettings
from headgate.config.storing import StorageSettings

Strategy = Literal["session", "round-robin", "weighted", "least-requests", "fill-first", "headroom"]
STRATEGIES: tuple[str, ...] = get_args(Strategy)


def check_strategy(value: object) -> object:
    """The strategy's own name. ValueError with the one that was probably meant."""
    word = value.strip().lower().replace("_", "-") if isinstance(value, str) else value
    if word not in STRATEGIES:
        near = near_strategy(word)
        meant = f", did you mean {near}?" if near else "."
        raise ValueError(f"Invalid strategy: {value}{meant} Valid strategies: {', '.join(STRATEGIES)}")
    return word


def near_strategy(word: object) -> str | None:
    return next(iter(difflib.get_close_matches(str(word), STRATEGIES, n=1)), None)


def _check_client_auth(value: object) -> object:
    """`ENABLE_CLIENT_AUTH=true` and YAML's `true` mean what they say."""
    word = str(value).strip().lower()
    return {"true": "required", "1": "required", "false": "off", "0": "off"}.get(word, word)


def _check_level(value: object) -> object:
    word = str(value).strip().lower()
    return {"warning": "warn"}.get(word, word)


class TlsSettings(Section):
    """Encrypted connections of clients. New content of the files is taken over without a restart."""

    cert: str | None = setting(
        None, "Certificate chain (PEM): clients are spoken to by HTTPS.", unit="path", restart=True
    )
    key: str | None = setting(None, "Its private key (PEM).", unit="path", restart=True)


class ServerSettings(Section):
    """Where clients come in, and how much they may send."""

    host: str = setting(
        "127.0.0.1", "Address to listen on.", unit="host name or IP address", min_length=1, restart=True
    )
    port: int = setting(
        8080, "Port to listen on; 0 takes a free one.", unit="TCP port", ge=0, le=65535, restart=True
    )
    workers: int = setting(
        1, "Processes that take requests.", unit="processes", ge=1, le=1024, later=True, restart=True
    )
    max_body_bytes: int = setting(
        33_554_432,
        "Largest body of a request that the gateway has to read.",
        unit="bytes",
        ge=1024,
        le=MOST_BYTES,
    )
    max_upload_bytes: int = setting(
        536_870_912,
        "Largest body of a request that is only streamed through.",
        unit="bytes",
        ge=1024,
        le=MOST_BYTES,
    )
    max_buffered_bytes: int = setting(
        536_870_912,
        "Bodies held in memory at one time, over all requests.",
        unit="bytes",
        ge=1024,
        le=MOST_BYTES,
    )
    max_connections: int = setting(
        10_000,
        "Clients' connections open at one time; so many files as well.",
        unit="connections",
        ge=1,
        le=MOST_THINGS,
    )
    max_connections_per_address: int = setting(
        1_000,
        "Of them those of one address other than this machine's own and trusted proxies; 0: no limit.",
        unit="connections",
        ge=0,
        le=MOST_THINGS,
    )
    head_timeout_ms: int = milliseconds(20_000, "Time to send the head of a request; 0: none.")
    body_timeout_ms: int = milliseconds(
        60_000, "Time to send a body, and a second more for each KiB that came; 0: none."
    )
    send_timeout_ms: int = milliseconds(
        300_000, "How long a client may take in nothing of its answer; 0: for ever."
    )
    shutdown_grace_seconds: float = setting(
        60.0,
        "How long running requests may take to end after a stop signal.",
        unit="seconds",
        ge=0,
        le=MOST_SECONDS,
    )
    request_timeout_ms: int = milliseconds(
        660_000, "Time until the first byte of an answer over all attempts; 0: none."
    )
    cors_origins: Annotated[tuple[PageOrigin, ...], Listed] = setting(
        (),
        "Origins of web pages that may call (`https://app.example.com`); `*`: all that show a client key.",
        unit="list",
    )
    trusted_proxies: Annotated[tuple[Network, ...], Listed] = setting(
        (),
        "Reverse proxies whose word about a caller's address counts (`10.0.0.5`, `10.0.0.0/8`).",
        unit="list",
    )
    tls: TlsSettings = TlsSettings()


class UpstreamSettings(Section):
    """How long one attempt at a provider may take."""

    connect_timeout_ms: int = milliseconds(10_000, "Time to connect, TLS included; 0: none.")
    first_byte_timeout_ms: int = milliseconds(
        600_000, "Time from the sent request to the head of the answer; 0: none."
    )
    idle_timeout_ms: int = milliseconds(300_000, "Longest silence within a running answer; 0: none.")
    total_timeout_ms: int = milliseconds(0, "Time for a whole answer; 0: none.")
    keepalive_seconds: float = setting(
        60.0,
        "How long an idle connection is kept for the next request.",
        unit="seconds",
        ge=0,
        le=MOST_SECONDS,
    )
    proxy: ProxyUrl | None = setting(
        None,
        "Outbound proxy, or file: with a path; direct: none; null: those that follow.",
        unit="proxy URL",
    )
    http_proxy: ProxyUrl | None = setting(
        None, "The usual proxy to http:// addresses, where nothing else is said.", unit="proxy URL"
    )
    https_proxy: ProxyUrl | None = setting(
        None, "The usual proxy to https:// addresses, where nothing else is said.", unit="proxy URL"
    )
    all_proxy: ProxyUrl | None = setting(
        None, "The usual proxy where neither of these two is set.", unit="proxy URL"
    )
    no_proxy: Annotated[tuple[str, ...], Listed] = setting(
        (),
        "Hosts that none of these three is used for (`example.com`, `10.0.0.0/8`, `*`); this machine is one.",
        unit="list",
    )


LONGEST_DELAY_MS = 3_600_000


class RetrySettings(Section):
    """Tries after transient failures. Leaving a limited or refused account is not counted."""

    attempts: int = setting(
        3, "Tries on one account before the next one is asked.", unit="tries", ge=1, le=100
    )
    delay_ms: int = setting(1_000, "Wait before the second try.", unit="ms", ge=0, le=LONGEST_DELAY_MS)
    backoff: float = setting(
        2.0, "Each further wait is this many times longer, up to an hour.", unit="factor", ge=1, le=100
    )


class RoutingSettings(Section):
    """Which account serves."""

    strategy: Annotated[Strategy, BeforeValidator(check_strategy)] = setting(
        "session", "How an account is chosen among those of the best priority.", unit="strategy"
    )
    session_duration_ms: int = milliseconds(3_600_000, "How long a conversation stays on its account.")
    rotation: bool = setting(
        True, "Ask the next account when one cannot serve; off: failures pass through.", unit="true or false"
    )
    sse_keepalive_seconds: float = setting(
        0.0,
        "Send a comment into a stream that has been silent this long; 0: never.",
        unit="seconds",
        ge=0,
        le=MOST_SECONDS,
    )
    expose_account: bool = setting(
        False, "Name the account in the answer's header x-headgate-account.", unit="true or false"
    )
    expose_timing: bool = setting(
        False, "Tell the gateway's own time in the answer's header server-timing.", unit="true or false"
    )


class AccessSettings(Section):
    """Who may call."""

    client_auth: Annotated[Literal["auto", "required", "off"], BeforeValidator(_check_client_auth)] = setting(
        "auto",
        "Whether a client key is asked for; auto: as soon as one exists; off: on this machine only.",
        unit="choice",
    )
    own_credentials: Annotated[Literal["never", "fallback", "allow"], Words] = setting(
        "fallback",
        "Forward a caller's own provider credential: never, when no account can serve (fallback), or always"
        " (allow).",
        unit="choice",
    )
    api_keys: Annotated[tuple[ClientKeyDigest, ...], Listed] = setting(
        (),
        "Client keys, plain, as sha256: with the digest in hexadecimal, or file: with a path.",
        unit="list",
    )
    limits: LimitSettings = LimitSettings()
    queue: QueueSettings = QueueSettings()


class AdminSettings(Section):
    """The owner's side."""

    key: SecretOrHash | None = setting(
        None,
        "Key of the owner's routes: plain, a whole argon2 hash ($argon2…), or file: with a path.",
        unit="secret",
    )

    @field_validator("key", mode="before")
    @classmethod
    def _nothing_is_no_key(cls, value: object) -> object:
        """Empty quotes stand for none, as in the files of other gateways: nobody could send such a key."""
        return None if isinstance(value, str) and not value.strip() else value


class LogSettings(Section):
    """What is written to standard output and to the log file."""

    level: Annotated[Literal["debug", "info", "warn", "error"], BeforeValidator(_check_level)] = setting(
        "info", "Least level that is written.", unit="level"
    )
    sql: bool = setting(
        False,
        "Write every SQL statement with its time, whatever the level; values are not shown.",
        unit="true or false",
        restart=True,
    )
    format: Annotated[Literal["pretty", "json"], Words] = setting(
        "pretty", "Lines for people, or one JSON object a line.", unit="choice"
    )
    color: Annotated[Literal["auto", "always", "never"], Words] = setting(
        "auto", "Colours on standard output; auto: on a terminal.", unit="choice"
    )
    file: str | None = setting(
        "default",
        "Log file; default: headgate-logs/app.log in the system's temporary folder; null: none.",
        unit="path",
    )
    max_bytes: int = setting(
        10_485_760, "Size at which the log file is rotated; 0: never.", unit="bytes", ge=0, le=MOST_BYTES
    )
    backups: int = setting(5, "Rotated log files that are kept.", unit="files", ge=0, le=1000)


class Settings(Section):
    """Everything that can be set."""

    server: ServerSettings = ServerSettings()
    upstream: UpstreamSettings = UpstreamSettings()
    retry: RetrySettings = RetrySettings()
    routing: RoutingSettings = RoutingSettings()
    access: AccessSettings = AccessSettings()
    admin: AdminSettings = AdminSettings()
    models: ModelSettings = ModelSettings()
    accounts: Annotated[tuple[AccountSettings, ...], Listed] = setting(
        (), "Accounts declared here; more can be added at run time.", unit="list"
    )
    providers: dict[ProviderName, ProviderSettings] = setting(
        {}, "Changes to providers, by name.", unit="map"
    )
    sources: SourceSettings = SourceSettings()
    storage: StorageSettings = StorageSettings()
    state: StateSettings = StateSettings()
    pricing: PricingSettings = PricingSettings()
    log: LogSettings = LogSettings()
    telemetry: TelemetrySettings = TelemetrySettings()

    @field_validator("accounts")
    @classmethod
    def _names_are_unique(cls, accounts: tuple[AccountSettings, ...]) -> tuple[AccountSettings, ...]:
        names = [account.name for account in accounts]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two accounts have the name {twice[0]!r}")
        return accounts

    @field_validator("accounts")
    @classmethod
    def _secrets_are_unique(cls, accounts: tuple[AccountSettings, ...]) -> tuple[AccountSettings, ...]:
        """One key under two names would be limited twice as fast as it looks."""
        seen: dict[tuple[str, str], str] = {}
        for account in accounts:
            if account.api_key is None:
                continue
            first = seen.setdefault((account.provider, account.api_key.get_secret_value()), account.name)
            if first != account.name:
                raise ValueError(
                    f"the accounts {first!r} and {account.name!r} have the same api_key: "
                    "give one of them another key, or take one of them out"
                )
        return accounts
