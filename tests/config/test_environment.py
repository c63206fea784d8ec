import os
from pathlib import Path

import pytest

from headgate.config import environment, table
from headgate.config.environment import Assignment


def assigned(environ: dict[str, str]) -> dict[str, str | None]:
    return {a.path: a.value for a in environment.assignments(environment.with_upper_names(environ))}


def test_a_variable_is_the_path_joined_by_two_underscores() -> None:
    """In any case, as the owner writes it."""
    assert assigned({"headgate_Server__Port": "9000"}) == {"server.port": "9000"}


def test_a_name_that_the_owner_chooses_keeps_its_dash() -> None:
    """Variables cannot hold a dash; provider names do."""
    found = assigned({"HEADGATE_PROVIDERS__OPENAI_COMPATIBLE__BASE_URL": "http://x"})
    assert found == {"providers.openai-compatible.base_url": "http://x"}


@pytest.mark.parametrize(
    ("variable", "text", "expected"),
    [
        ("PORT", "1", {"server.port": "1"}),
        ("LB_STRATEGY", "weighted", {"routing.strategy": "weighted"}),
        ("RETRY_ATTEMPTS", "4", {"retry.attempts": "4"}),
        ("SERVER__LOG_LEVEL", "WARN", {"log.level": "WARN"}),
        ("ccflare_debug", "1", {"log.level": "debug"}),
        ("DEBUG", "express:*", {}),
        ("NO_COLOR", "1", {"log.color": "never"}),
        ("CF_DB_PATH", "/data/x.db", {"storage.url": "sqlite:////data/x.db"}),
        ("CCPROXY_ROTATION_ENABLED", "false", {"routing.rotation": "false"}),
        (
            "CLAUDE_API_TIMEOUT",
            "5",
            {"upstream.first_byte_timeout_ms": "5", "upstream.idle_timeout_ms": "5"},
        ),
        ("HTTPS_PROXY", "me:pw@proxy:3128", {"upstream.https_proxy": "http://me:pw@proxy:3128"}),
        ("ALL_PROXY", "socks5h://proxy", {"upstream.all_proxy": "socks5h://proxy"}),
        ("NO_PROXY", "a.com, b.com", {"upstream.no_proxy": "a.com, b.com"}),
    ],
)
def test_names_of_other_guides_are_understood(variable: str, text: str, expected: dict[str, str]) -> None:
    """Ledger row F2; a word that is not ours in `DEBUG` asks for nothing."""
    assert assigned({variable: text}) == expected


def test_a_headgate_name_wins_over_an_alias() -> None:
    """Whatever order the environment has them in."""
    assert assigned({"HEADGATE_SERVER__PORT": "1", "PORT": "2"}) == {"server.port": "1"}
    assert assigned({"PORT": "2", "HEADGATE_SERVER__PORT": "1"}) == {"server.port": "1"}


def test_an_empty_variable_counts_as_not_set() -> None:
    """Compose files pass on variables that nobody gave."""
    assert assigned({"PORT": " ", "HEADGATE_STORAGE__URL": ""}) == {}


def test_null_sets_nothing_at_all() -> None:
    """The only way to take away a value that the file gives."""
    found = list(environment.assignments({"HEADGATE_LOG__FILE": "null"}))
    assert found == [Assignment("log.file", None, "HEADGATE_LOG__FILE")]


def test_an_unknown_variable_is_pointed_out_with_the_nearest_name() -> None:
    """F3: a misspelt name would otherwise change nothing in silence."""
    (warning,) = environment.warnings({"HEADGATE_SERVRE__PORT": "1", "PATH": "x"})
    assert warning == (
        "Unknown environment variable HEADGATE_SERVRE__PORT: did you mean HEADGATE_SERVER__PORT?"
    )


def test_a_misspelt_name_of_another_guide_is_pointed_out() -> None:
    """Below a gateway's prefix, where a name is near; what is its own business stays unsaid."""
    own = {"CCPROXY_ACCOUNTS_PATH": "x", "CCPROXY_AUTH_TOKEN": "x", "CF_ROTATON_ENABLED": "x", "PROT": "1"}
    misspelt = {"CCPROXY_ROTATON_ENABLED": "1", "CCFLARE_DB_PAHT": "x", "CLAUDEFLARE_CONFIG_PAT": "x"}
    assert environment.warnings(own | misspelt) == [
        "Unknown environment variable CCFLARE_DB_PAHT: did you mean CCFLARE_DB_PATH?",
        "Unknown environment variable CCPROXY_ROTATON_ENABLED: did you mean CCPROXY_ROTATION_ENABLED?",
        "Unknown environment variable CLAUDEFLARE_CONFIG_PAT: did you mean CLAUDEFLARE_CONFIG_PATH?",
    ]


def test_a_variable_leads_to_its_setting() -> None:
    """Under its own name or an alias, in any case."""
    names = ("ENABLE_CLIENT_AUTH", "lb_strategy", "HEADGATE_SERVER__PORT", "NOBODYS")
    assert [environment.setting_of(name) for name in names] == [
        *("access.client_auth", "routing.strategy", "server.port"),
        None,
    ]


def test_names_that_are_no_settings_are_no_surprise() -> None:
    """Places, the encryption key and aliases are known."""
    names = ("HEADGATE_CONFIG", "HEADGATE_DATA_DIR", "HEADGATE_SECRET_KEY", "HEADGATE_DEBUG")
    assert environment.warnings(dict.fromkeys(names, "1")) == []


def test_the_settings_file_may_be_named_by_an_alias() -> None:
    """Headgate's own name first."""
    assert environment.config_file({"CCPROXY_CONFIG_PATH": "/b"}) == Path("/b")
    assert environment.config_file({"HEADGATE_CONFIG": "/a", "CONFIG_PATH": "/b"}) == Path("/a")
    assert environment.config_file({}) is None


def test_every_alias_leads_to_a_setting_that_exists() -> None:
    """An alias whose target was renamed would set nothing."""
    paths = {path for alias in environment.ALIASES.values() for path in alias.paths}
    assert [path for path in paths if table.row_of(path) is None] == []


def test_the_real_environment_is_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    """Changing the copy changes nothing outside."""
    monkeypatch.setenv("HEADGATE_SAMPLE", "1")
    copy = environment.current()
    assert copy.pop("HEADGATE_SAMPLE") == "1"
    assert os.environ["HEADGATE_SAMPLE"] == "1"


def test_a_name_that_stands_for_nothing_here_says_so() -> None:
    told = environment.warnings({"STORAGE_ADAPTER_RETENTION_MS": "3600000"})
    assert told == [
        "STORAGE_ADAPTER_RETENTION_MS has no effect: nothing here waits in memory to be written; "
        "storage.retention_days says how long the history is kept"
    ]
