from collections.abc import Iterator
from pathlib import Path

import annotated_types
import pytest
from argon2 import PasswordHasher, Type
from pydantic import ValidationError

from headgate.config import table
from headgate.config.accounts import PROVIDERS
from headgate.config.fields import Section
from headgate.config.settings import STRATEGIES, Settings
from headgate.providers.anthropic import AnthropicProvider


def test_everything_has_a_default() -> None:
    """Headgate starts without a file; it then listens on this machine only."""
    settings = Settings()
    assert (settings.server.host, settings.server.port) == ("127.0.0.1", 8080)
    assert settings.routing.strategy == "session"
    assert settings.routing.session_duration_ms == 3_600_000


def test_settings_are_frozen() -> None:
    """A reload builds new ones: nobody sees half a change."""
    settings = Settings()
    with pytest.raises(ValidationError):
        settings.server.port = 1  # type: ignore[misc]


@pytest.mark.parametrize("name", [*STRATEGIES, "Round_Robin", " SESSION "])
def test_strategies_are_named_in_any_spelling(name: str) -> None:
    """Other gateways write them with `_`."""
    settings = Settings.model_validate({"routing": {"strategy": name}})
    assert settings.routing.strategy in STRATEGIES


def test_an_unknown_strategy_is_answered_with_the_valid_ones() -> None:
    """R3."""
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate({"routing": {"strategy": "foo"}})
    words = str(caught.value)
    assert "Invalid strategy: foo" in words
    assert all(name in words for name in STRATEGIES)


def test_every_provider_can_be_named() -> None:
    """The table's names are those that the providers have."""
    assert {AnthropicProvider.name} == set(PROVIDERS)


@pytest.mark.parametrize(
    ("given", "expected"), [(True, "required"), ("1", "required"), ("false", "off"), ("AUTO", "auto")]
)
def test_client_auth_takes_a_switch(given: object, expected: str) -> None:
    """`ENABLE_CLIENT_AUTH=true` has no third word."""
    assert Settings.model_validate({"access": {"client_auth": given}}).access.client_auth == expected


@pytest.mark.parametrize("word", ["WARNING", "warn", "Warn"])
def test_log_levels_come_in_any_case(word: str) -> None:
    """F2: WARNING is WARN."""
    assert Settings.model_validate({"log": {"level": word}}).log.level == "warn"


def test_two_accounts_of_one_name_are_refused() -> None:
    """The name is how commands and records tell them apart."""
    account = {"name": "work", "api_key": "k"}
    with pytest.raises(ValidationError, match="two accounts have the name 'work'"):
        Settings.model_validate({"accounts": [account, account]})


def test_two_accounts_of_one_secret_are_refused() -> None:
    """Both stand in the file, so both are named; the secret is not."""
    accounts = [{"name": name, "api_key": key} for name, key in (("a", "sk-1"), ("b", "sk-2"), ("c", "sk-1"))]
    with pytest.raises(ValidationError, match="the accounts 'a' and 'c' have the same api_key: ") as caught:
        Settings.model_validate({"accounts": accounts})
    assert "sk-1" not in str(caught.value)
    assert len(Settings.model_validate({"accounts": accounts[:2]}).accounts) == 2


@pytest.mark.parametrize("name", ["", "two words", "a/b", "ä", "-a", "a\n", "a" * 129])
def test_an_account_has_a_name_that_fits_everywhere(name: str) -> None:
    """It stands in paths, in a header and in log lines; commands and API take the same names."""
    with pytest.raises(ValidationError, match="must begin with a letter or digit"):
        Settings.model_validate({"accounts": [{"name": name, "api_key": "k"}]})
    for good in ("work", "me@example.org", "team-2_b+c", "9" * 128):
        Settings.model_validate({"accounts": [{"name": good, "api_key": "k"}]})


@pytest.mark.parametrize("port", [-1, 65536, "http"])
def test_a_port_is_a_port(port: object) -> None:
    """Zero is one too: it takes a free port."""
    with pytest.raises(ValidationError):
        Settings.model_validate({"server": {"port": port}})
    assert Settings.model_validate({"server": {"port": 0}}).server.port == 0


def test_a_duration_is_a_number_that_ends() -> None:
    """YAML knows .inf and .nan; timers do not."""
    for word in (float("inf"), float("nan")):
        with pytest.raises(ValidationError):
            Settings.model_validate({"server": {"shutdown_grace_seconds": word}})


@pytest.mark.parametrize("kind", list(Type))
def test_an_admin_key_may_be_any_hash_that_argon2_writes(kind: Type) -> None:
    """So may be a text that only looks like another kind of hash."""
    hashed = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1, type=kind).hash("key")
    for key in (hashed, "$2b$12$plain", "plain"):
        settings = Settings.model_validate({"admin": {"key": key}})
        assert settings.admin.key is not None
        assert settings.admin.key.get_secret_value() == key


HASH = "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHRoZXJl$aGFzaGhhc2hoYXNoaGFzaA"


@pytest.mark.parametrize(
    "key", ["$argon2id$bad", "$argon2", HASH[:40], HASH[:-20], HASH + " ü", HASH.replace("$m=", "m=")]
)
def test_an_admin_key_that_is_half_a_hash_is_refused(tmp_path: Path, key: str) -> None:
    """It would start, and nothing would open the door. Nothing of it is repeated."""
    (tmp_path / "key").write_text(key)
    for given in (key, f"file:{tmp_path / 'key'}"):
        with pytest.raises(ValidationError, match="begins like an argon2 hash and is none") as caught:
            Settings.model_validate({"admin": {"key": given}})
        assert key not in str(caught.value) or key == "$argon2"
    assert Settings.model_validate({"admin": {"key": HASH}}).admin.key is not None


def every_section(section: type[Section] = Settings) -> Iterator[type[Section]]:
    yield section
    for field in section.model_fields.values():
        inner, _ = table.section_within(field.annotation)
        if inner is not None and issubclass(inner, Section):
            yield from every_section(inner)


NUMBERS = [
    pytest.param(section, name, id=f"{section.__name__}.{name}")
    for section in every_section()
    for name, field in section.model_fields.items()
    if {int, float} & set(table.types_within(field.annotation))
]


@pytest.mark.parametrize(("section", "name"), NUMBERS)
@pytest.mark.parametrize("value", [10**400, -(10**400), float("inf"), float("nan"), "9" * 400])
def test_every_number_ends_somewhere(section: type[Section], name: str, value: object) -> None:
    """What no clock, socket or float can take must never be in force: each has a least and a most."""
    limits = section.model_fields[name].metadata
    assert any(isinstance(limit, annotated_types.Ge) for limit in limits)
    most = [limit.le for limit in limits if isinstance(limit, annotated_types.Le)]
    assert most and isinstance(most[0], int) and most[0] <= 1 << 40
    with pytest.raises(ValidationError) as caught:
        section.model_validate({name: value})
    assert (name,) in [error["loc"] for error in caught.value.errors()]


def test_the_walk_of_numbers_finds_them() -> None:
    """Down to sections in lists and maps."""
    names = {param.id for param in NUMBERS}
    assert len(names) > 30
    assert {"ServerSettings.head_timeout_ms", "AccountSettings.priority", "OAuthTokens.expires_at"} <= names


@pytest.mark.parametrize("broken", ["a\0b", "a\ud800b"])
def test_text_that_nothing_can_hold_is_refused_with_its_place(broken: str) -> None:
    """Wherever text may stand: in a value, a list, the name of a map's entry, a list in a map."""
    cases: dict[str, dict[str, object]] = {
        "log.file": {"log": {"file": broken}},
        "server.host": {"server": {"host": broken}},
        "admin.key": {"admin": {"key": f"file:{broken}"}},
        "access.api_keys": {"access": {"api_keys": ["good-one", broken]}},
        "models.fallbacks": {"models": {"fallbacks": {"a": [broken]}}},
        "accounts.0.domain": {"accounts": [{"name": "a", "api_key": "k", "domain": broken}]},
        "providers": {"providers": {broken: {}}},
    }
    for place, values in cases.items():
        with pytest.raises(ValidationError, match="must hold no NUL") as caught:
            Settings.model_validate(values)
        assert place in [".".join(map(str, error["loc"])) for error in caught.value.errors()]
