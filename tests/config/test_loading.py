from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from headgate.config import table
from headgate.config.loading import Loaded, load_settings
from headgate.config.shown import shown
from headgate.errors import SettingsError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config.yaml"


def load(path: Path, text: str = "", environ: dict[str, str] | None = None, **flags: Any) -> Loaded:
    path.write_text(text)
    path.chmod(0o600)
    named = {name.replace("__", "."): value for name, value in flags.items()}
    return load_settings(named, environ or {}, path)


def complaint(path: Path, text: str = "", environ: dict[str, str] | None = None) -> str:
    with pytest.raises(SettingsError) as caught:
        load(path, text, environ)
    return caught.value.message


def test_flag_over_environment_over_file_over_default(path: Path) -> None:
    """F1: the nearer to the hand, the stronger."""
    text, environ = "server: {port: 1, host: a}\nretry: {attempts: 7}\n", {"HEADGATE_SERVER__PORT": "2"}
    loaded = load(path, text, environ, server__port=3, server__host=None)
    assert loaded.settings.server.port == 3
    assert loaded.settings.server.host == "a"
    assert loaded.settings.retry.attempts == 7
    assert loaded.settings.retry.delay_ms == 1000
    assert load(path, text, environ).settings.server.port == 2


def test_each_value_knows_its_source(path: Path) -> None:
    """A command can say where a setting comes from."""
    loaded = load(path, "retry:\n  attempts: 7\n", {"PORT": "2"}, server__host="a")
    assert loaded.sources["server.port"].description == "environment variable PORT"
    assert loaded.sources["server.host"].description == "flag server.host"
    assert loaded.sources["retry.attempts"].position == (2, 13)
    assert "retry.delay_ms" not in loaded.sources


def test_a_wrong_value_in_the_file_is_named_with_its_place(path: Path) -> None:
    """F4: line, column, path, and never the value."""
    message = complaint(path, "admin: {key: s3cret}\nserver:\n  port: s3cret\n")
    assert message.startswith(f"Failed to parse config file {path}: line 3, column 9: server.port: ")
    assert "s3cret" not in message


def test_all_that_is_wrong_is_said_at_once(path: Path) -> None:
    """One run, one list."""
    message = complaint(path, "server:\n  port: x\nretry: {attempts: 0}\n", {"SESSION_DURATION_MS": "y"})
    assert "line 2, column 9: server.port" in message
    assert "line 3, column 19: retry.attempts" in message
    assert "Invalid setting routing.session_duration_ms" in message
    assert "(environment variable SESSION_DURATION_MS)" in message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("server: {prot: 1}\n", "server.prot: unknown setting, did you mean port?"),
        ("sever: {port: 1}\n", "sever: unknown setting, did you mean server?"),
        ("strategy: session\n", "strategy: unknown setting, did you mean routing.strategy?"),
        ("accounts:\n  - {name: a, api_key: k, wieght: 2}\n", "did you mean weight?"),
        (
            "providers: {anthropic: {url: x}}\n",
            "providers.anthropic.url: unknown setting; there are base_url",
        ),
        (
            "providers:\n  anthropc: {base_url: http://x}\n",
            "line 2, column 3: providers.anthropc: unknown provider, did you mean anthropic?",
        ),
        (
            "accounts:\n  - {name: a, api_key: k, provider: openai}\n",
            "line 2, column 37: accounts.0.provider: unknown provider; there are anthropic",
        ),
    ],
)
def test_an_unknown_key_is_pointed_out_with_the_nearest_name(path: Path, text: str, words: str) -> None:
    """F3: a misspelt key must not leave a default in force in silence."""
    assert words in complaint(path, text)


def test_a_provider_that_a_variable_misspells_is_named_with_it(path: Path) -> None:
    """Not with the section of the file, which is right."""
    text, variable = "providers: {anthropic: {}}\n", "HEADGATE_PROVIDERS__ANTHROPC__BASE_URL"
    message = complaint(path, text, {variable: "http://x"})
    assert message.startswith("Invalid setting providers.anthropc: unknown provider, did you mean anthropic?")
    assert variable in message


def test_a_missing_part_is_named_where_it_should_stand(path: Path) -> None:
    """The place is that of the account."""
    message = complaint(path, "accounts:\n  - name: a\n")
    assert "line 2, column" in message
    assert "accounts.0.api_key: is missing" in message


@pytest.mark.parametrize("text", ["server: 5\n", "server: [1]\n"])
def test_a_section_that_is_none_is_refused_though_a_variable_sets_below_it(path: Path, text: str) -> None:
    """The variable neither hides the error nor trips over it."""
    assert "server: must be a section" in complaint(path, text, {"PORT": "1"})


def test_an_empty_section_says_nothing(path: Path) -> None:
    """`server:` with all its lines commented out."""
    assert load(path, "server:\nproviders:\naccounts:\n").settings.server.port == 8080


def test_a_variable_takes_the_place_of_a_wrong_value(path: Path) -> None:
    """What is overridden does not count."""
    assert load(path, "server: {port: x}\n", {"PORT": "5"}).settings.server.port == 5


def test_lists_come_from_variables(path: Path) -> None:
    """Split by comma, or JSON; they replace the file's list as a whole."""
    text = "access: {api_keys: [one]}\naccounts:\n  - {name: a, api_key: k}\n"
    accounts = '[{"name": "b", "api_key": "k", "wieght": 1}]'
    assert len(load(path, text, {"HEADGATE_ACCESS__API_KEYS": "x, y"}).settings.access.api_keys) == 2
    message = complaint(path, text, {"HEADGATE_ACCOUNTS": accounts})
    assert message.startswith("Invalid setting accounts.0.wieght: unknown setting, did you mean weight?")
    assert "HEADGATE_ACCOUNTS" in message
    assert "not a valid JSON list" in complaint(path, text, {"HEADGATE_ACCOUNTS": "[{"})


def test_null_takes_away_what_the_file_gives(path: Path) -> None:
    """No log file at all, for example."""
    loaded = load(path, "log: {file: /var/log/x.log}\n", {"HEADGATE_LOG__FILE": "null"})
    assert loaded.settings.log.file is None


def test_the_environment_names_file_and_data_folder(path: Path, tmp_path: Path) -> None:
    """A flag names the file with more right."""
    path.write_text("server: {port: 1}\n")
    environ = {"HEADGATE_CONFIG": str(path), "HEADGATE_DATA_DIR": str(tmp_path / "data")}
    loaded = load_settings({}, environ)
    assert (loaded.path, loaded.settings.server.port) == (path, 1)
    assert loaded.data_folder == tmp_path / "data"
    assert load_settings({}, environ, tmp_path / "none.yaml").settings.server.port == 8080


def test_loading_writes_nothing(tmp_path: Path) -> None:
    """Reading commands leave no traces."""
    load_settings({}, {"HEADGATE_DATA_DIR": str(tmp_path / "data")}, tmp_path / "none" / "config.yaml")
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_secrets_that_others_can_read_is_warned_about(path: Path) -> None:
    """A14; a file without secrets may be read by all."""
    for text, count in (("admin: {key: x}\n", 1), ("server: {port: 1}\n", 0)):
        path.write_text(text)
        path.chmod(0o644)
        assert len(load_settings({}, {}, path).warnings) == count
    path.write_text("accounts: [{name: a, api_key: k}]\n")
    (warning,) = load_settings({}, {}, path).warnings
    assert f"chmod 600 {path}" in warning
    path.chmod(0o600)
    assert load_settings({}, {}, path).warnings == ()


def test_an_empty_admin_key_is_none_and_is_told(path: Path) -> None:
    """Whoever wrote it may believe in one. Where nothing is written there is nothing to tell."""
    for text, where in (
        ("admin: {key: ' '}", "line 1, column 14"),
        ('remote-management:\n  secret-key: ""\n', "line 2, column 15"),
        ("admin: {key: '${KEY}'}", "line 1, column 14"),
    ):
        loaded = load(path, text, {"KEY": ""})
        assert loaded.settings.admin.key is None
        assert f"admin.key is empty: no admin key is set (file {path}, {where})" in loaded.warnings
    for text in ("", "admin: {key: null}", "admin: {key: k}"):
        assert load(path, text).warnings == ()
    assert load(path, "admin: {key: k}", {"HEADGATE_ADMIN__KEY": ""}).settings.admin.key is not None


def test_unknown_variables_are_warnings(path: Path) -> None:
    """The environment is shared with other versions of ourselves."""
    assert load(path, "", {"HEADGATE_SEVER__PORT": "1"}).warnings


def test_env_file_counts_below_the_real_environment(path: Path, tmp_path: Path) -> None:
    """F9; a message says which of the two it was."""
    (tmp_path / ".env").write_text("PORT=5\nHEADGATE_RETRY__ATTEMPTS=9\nKEY=k\n")
    path.write_text('server: {port: 1}\nadmin: {key: "${KEY}"}\n')
    path.chmod(0o600)
    environ = {"headgate_retry__attempts": "4"}
    loaded = load_settings({}, environ, path, folder=tmp_path)
    assert (loaded.settings.server.port, loaded.settings.retry.attempts) == (5, 4)
    assert loaded.settings.admin.key is not None
    assert loaded.sources["server.port"].description == f"file {tmp_path / '.env'}: variable PORT"
    assert loaded.sources["retry.attempts"].description == "environment variable HEADGATE_RETRY__ATTEMPTS"
    assert load_settings({}, environ, tmp_path / "none").settings.server.port == 8080


def test_an_unknown_name_is_warned_about_once(path: Path, tmp_path: Path) -> None:
    """Though it stands in both places."""
    (tmp_path / ".env").write_text("HEADGATE_SEVER__PORT=5\n")
    path.touch()
    loaded = load_settings({}, {"HEADGATE_SEVER__PORT": "1"}, path, folder=tmp_path)
    assert len(loaded.warnings) == 1


def test_every_missing_variable_is_said(path: Path) -> None:
    """With the other complaints, and without what follows from its absence."""
    text = "accounts:\n  - {name: a, api_key: '${A}'}\n  - {name: b, api_key: '${B}'}\nserver: {port: true}\n"
    message = complaint(path, text)
    assert "line 2, column 24: accounts.0.api_key: the environment has no variable 'A'" in message
    assert "line 3, column 24: accounts.1.api_key: the environment has no variable 'B'" in message
    assert "line 4, column 16: server.port: must be a number, not true or false" in message
    assert "same api_key" not in message


def test_a_missing_variable_that_is_overridden_does_not_count(path: Path) -> None:
    """What another source sets is not asked of the file."""
    text = "server: {host: '${GONE}'}\n"
    assert load(path, text, {"HEADGATE_SERVER__HOST": "h"}).settings.server.host == "h"


def test_all_files_that_had_a_say_are_known(path: Path, tmp_path: Path) -> None:
    """A reload watches them."""
    (tmp_path / "key").write_text("k")
    text = f"admin: {{key: 'file:{tmp_path / 'key'}'}}\n"
    path.write_text(text)
    path.chmod(0o600)
    loaded = load_settings({}, {}, path, folder=tmp_path)
    assert set(loaded.watched) == {path, tmp_path / ".env", tmp_path / "key"}


def test_settings_can_be_loaded_once_more(path: Path) -> None:
    """By the same flags and the same environment."""
    loaded = load(path, "retry: {attempts: 2}\n", {"PORT": "5"}, server__host="h")
    path.write_text("retry: {attempts: 4}\n")
    again = loaded.origin.load().settings
    assert (again.retry.attempts, again.server.port, again.server.host) == (4, 5, "h")


def test_whether_a_file_was_there_is_known(path: Path, tmp_path: Path) -> None:
    """A path that was named and is missing is most often misspelt."""
    gone = load_settings({}, {}, tmp_path / "none.yaml")
    assert (gone.has_file, gone.is_named) == (False, True)
    there = load(path)
    assert (there.has_file, there.is_named) == (True, True)
    unnamed = load_settings({}, {"XDG_CONFIG_HOME": str(tmp_path)})
    assert not unnamed.is_named


SENTINEL = "s3cret-sentinel"
_SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.just(SENTINEL), st.dates()
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)
_STEPS = sorted({step for row in table.rows() for step in row.path.split(".")} - {"[]", "*"})


@given(
    st.dictionaries(
        st.sampled_from(_STEPS),
        _VALUES | st.dictionaries(st.sampled_from([*_STEPS, "anthropic"]), _VALUES, max_size=4),
        max_size=4,
    )
)
def test_whatever_settings_say_they_load_or_are_refused(
    tmp_path_factory: pytest.TempPathFactory, values: dict[str, Any]
) -> None:
    """By no other exception, and without repeating a value."""
    path = tmp_path_factory.mktemp("any") / "config.yaml"
    with path.open("w", encoding="utf-8") as file:
        YAML(typ="safe").dump(values, file)
    try:
        loaded = load_settings({}, {}, path)
    except SettingsError as error:
        assert SENTINEL not in error.message.replace(f"Invalid strategy: {SENTINEL}", "")
    else:
        assert all(view.path for view in shown(loaded))


@pytest.mark.parametrize(("there", "missing"), [("cert", "key"), ("key", "cert")])
def test_half_of_a_certificate_is_told_of(tmp_path: Path, there: str, missing: str) -> None:
    """They are set one after the other: a word before the next start is refused."""
    one, other = f"HEADGATE_SERVER__TLS__{there.upper()}", f"HEADGATE_SERVER__TLS__{missing.upper()}"
    (warning,) = load_settings({}, {one: "/x"}, tmp_path / "none.yaml").warnings
    assert warning.startswith(f"server.tls.{there} is set and server.tls.{missing} is not")
    assert load_settings({}, {one: "/x", other: "/y"}, tmp_path / "none.yaml").warnings == ()
