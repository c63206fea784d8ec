from pathlib import Path

import pytest

from headgate.config import table
from headgate.config.loading import load_settings
from headgate.config.other_names import NAMES
from headgate.config.saving import save_settings


def written(folder: Path, text: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_every_name_is_a_setting_of_ours() -> None:
    assert all(table.row_of(path) is not None for path in NAMES.values())


def test_a_file_with_other_names_is_understood(tmp_path: Path) -> None:
    """Each is answered with our name and its place."""
    path = written(
        tmp_path,
        "lb_strategy: weighted\nretry_attempts: 7\napi-keys: [one, two]\n"
        "remote-management:\n  secret-key: s3cret-word\nclient_id: mine\n",
    )
    loaded = load_settings({}, {}, path)
    settings = loaded.settings
    assert (settings.routing.strategy, settings.retry.attempts) == ("weighted", 7)
    assert len(settings.access.api_keys) == 2
    assert settings.admin.key is not None and settings.admin.key.get_secret_value() == "s3cret-word"
    assert settings.providers["anthropic"].oauth.client_id == "mine"
    assert "lb_strategy is called routing.strategy here (line 1, column 14)" in loaded.warnings
    assert loaded.source_of("routing.strategy") is not None


def test_our_own_name_wins(tmp_path: Path) -> None:
    path = written(tmp_path, "lb_strategy: weighted\nrouting: {strategy: session}\n")
    loaded = load_settings({}, {}, path)
    assert loaded.settings.routing.strategy == "session"
    assert any("lb_strategy is passed over" in warning for warning in loaded.warnings)


@pytest.mark.parametrize(
    "text", ["lb_strategy: foo\n", "retry_attempts: [1]\n", "routing: 5\nlb_strategy: x\n"]
)
def test_a_wrong_value_under_another_name_is_named_with_its_place(tmp_path: Path, text: str) -> None:
    with pytest.raises(Exception, match=r"line \d, column \d+"):
        load_settings({}, {}, written(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("lb_strategy: session # mine\n", "lb_strategy: weighted # mine\n"),
        ('{"lb_strategy": "session"}\n', '{"lb_strategy": "weighted"}\n'),
        (
            "lb_strategy: session\nrouting:\n  strategy: fill-first\n",
            "lb_strategy: session\nrouting:\n  strategy: weighted\n",
        ),
        ("retry_attempts: 2\n", "retry_attempts: 2\nrouting:\n  strategy: weighted\n"),
    ],
)
def test_a_change_is_written_under_the_name_that_stands_there(tmp_path: Path, text: str, after: str) -> None:
    """Otherwise the old one stayed and was passed over from then on, whoever changed it by hand."""
    path = written(tmp_path, text)
    assert save_settings(path, {"routing.strategy": "weighted"})
    assert path.read_text() == after


def test_a_list_and_a_section_keep_their_other_names(tmp_path: Path) -> None:
    """A key that was taken away stands nowhere in the file any more."""
    path = written(tmp_path, "api-keys:\n  - old\nremote-management:\n  secret-key: old-word\n")
    assert save_settings(path, {"access.api_keys": ["new"], "admin.key": "new-word"})
    assert path.read_text() == "api-keys:\n  - new\nremote-management:\n  secret-key: new-word\n"
