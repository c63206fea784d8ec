import logging
import os
import re
import stat
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.config import table
from headgate.config.loading import load_settings
from headgate.config.saving import Before, save_settings, write_default_file, written


def test_the_first_start_s_file_shows_every_default_and_sets_none(tmp_path: Path) -> None:
    """F8; taking the marks away gives a file that loads to the same settings."""
    path = tmp_path / "new" / "config.yaml"
    assert write_default_file(path)
    first = load_settings({}, {}, path)
    assert not first.sources
    lines = path.read_text().splitlines()[3:]
    path.write_text("\n".join(line.removeprefix("# ") for line in lines))
    second = load_settings({}, {}, path)
    assert second.settings == first.settings
    assert "server.port" in second.sources


def test_a_file_that_is_there_stays(tmp_path: Path) -> None:
    """However empty it is."""
    path = tmp_path / "config.yaml"
    path.touch()
    assert not write_default_file(path)
    assert path.read_text() == ""


def test_files_and_folders_are_private(tmp_path: Path) -> None:
    """A14: 0600 in 0700, also where the old file was wider."""
    path = tmp_path / "new" / "config.yaml"
    assert save_settings(path, {"routing.strategy": "weighted"})
    path.chmod(0o644)
    assert save_settings(path, {"routing.strategy": "session"})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [file.name for file in path.parent.iterdir()] == ["config.yaml"]


WRITTEN_BY_HAND = """\
# Mine.
routing:   # how
    strategy: session   # keep me
    rotation: true

accounts:
  - name: a     # first
    api_key: "${KEY}"
  - {name: b, api_key: 'x'}
upstream: {connect_timeout_ms: 5, idle_timeout_ms: 0x10}   # a long line that nobody asked us to wrap
"""


def test_one_setting_changes_and_nothing_else(tmp_path: Path) -> None:
    """F6: comments, order, quotes, indents, number spelling and long lines stay."""
    path = tmp_path / "config.yaml"
    path.write_text(WRITTEN_BY_HAND)
    assert save_settings(path, {"routing.strategy": "weighted"})
    before, after = WRITTEN_BY_HAND.splitlines(), path.read_text().splitlines()
    changed = [line for line in after if line not in before]
    assert len(after) == len(before)
    assert [line.split() for line in changed] == [["strategy:", "weighted", "#", "keep", "me"]]


def test_a_section_that_is_missing_or_empty_is_made(tmp_path: Path) -> None:
    """Also below a file of comments only."""
    path = tmp_path / "config.yaml"
    for text in ("# only words\n", "server:\nlog: {level: warn}\n", ""):
        path.write_text(text)
        assert save_settings(path, {"server.port": 9})
        assert save_settings(path, {"retry.attempts": 4})
        settings = load_settings({}, {}, path).settings
        assert (settings.server.port, settings.retry.attempts) == (9, 4)
        assert text.splitlines()[:1] == path.read_text().splitlines()[: len(text.splitlines()[:1])]


def test_a_link_leads_to_the_file_that_is_written(tmp_path: Path) -> None:
    """Owners keep their settings in other folders and link them."""
    real, link = tmp_path / "real.yaml", tmp_path / "config.yaml"
    real.write_text("server: {port: 1}\n")
    link.symlink_to(real)
    assert save_settings(link, {"server.port": 2})
    assert link.is_symlink()
    assert "port: 2" in real.read_text()


@pytest.mark.parametrize("text", ["server: {port: 1\n", "server: 5\n", "- a\n"])
def test_a_broken_file_is_not_touched(tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture) -> None:
    """The change stays in force, the caller learns that it was not saved, the log says why."""
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with caplog.at_level(logging.WARNING):
        assert not save_settings(path, {"server.port": 2})
    assert path.read_text() == text
    assert "could not be saved" in caplog.text


def test_a_place_that_cannot_be_written_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """F6: read-only mounts; here a file stands where the folder should be."""
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "config.yaml"
    assert not save_settings(path, {"server.port": 2})
    assert not write_default_file(path)
    assert len(caplog.records) == 2


def test_a_list_that_grows_keeps_the_comments_in_it(tmp_path: Path) -> None:
    """One that becomes another list is written anew; and what stands there can be read as it stands."""
    path = tmp_path / "config.yaml"
    path.write_text('access:\n  api_keys:\n    - "${LAPTOP}" # the laptop\n    - file:/key\n')
    entries = written(path, "access.api_keys")
    assert entries == ["${LAPTOP}", "file:/key"]
    assert save_settings(path, {"access.api_keys": [*entries, "new"]}, raw=True)
    assert path.read_text() == (
        'access:\n  api_keys:\n    - "${LAPTOP}" # the laptop\n    - file:/key\n    - new\n'
    )
    assert save_settings(path, {"access.api_keys": ["new"]})
    assert "laptop" not in path.read_text()
    assert written(path, "access.nothing") is None
    assert written(tmp_path / "missing.yaml", "access.api_keys") is None


@pytest.mark.parametrize("content", [None, b"", b"\xef\xbb\xbfretry:\r\n  attempts: 2\r\n"])
def test_a_file_can_be_put_back_as_it_was(tmp_path: Path, content: bytes | None) -> None:
    """To the byte; where there was none there is none again."""
    path = tmp_path / "config.yaml"
    if content is not None:
        path.write_bytes(content)
    before = Before(path)
    assert save_settings(path, {"retry.attempts": 7}, before=before)
    before.put_back()
    assert (path.read_bytes() if path.exists() else None) == content


@given(st.text(st.sampled_from("${}aA_:\n#'\"\\ "), max_size=12))
def test_what_is_written_is_read_back(value: str) -> None:
    """To the letter: `${` in a value of the owner's is no variable of the next start."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.yaml"
        assert save_settings(path, {"admin.key": f"x{value}x"})
        path.chmod(0o600)
        key = load_settings({}, {"a": "EXPANDED", "A": "EXPANDED"}, path).settings.admin.key
    assert key is not None
    assert key.get_secret_value() == f"x{value}x"


def test_what_somebody_else_saved_since_is_not_put_back_over(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("retry: {attempts: 2}\n")
    before = Before(path)
    assert save_settings(path, {"retry.attempts": 7}, before=before)
    path.write_text("retry: {attempts: 5}\n")
    before.put_back()
    assert path.read_text() == "retry: {attempts: 5}\n"


def test_an_edit_at_the_same_moment_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Saved between our reading and our writing: what is changed then is theirs."""
    path = tmp_path / "config.yaml"
    path.write_text("retry: {attempts: 2}\n")
    fsync, edits = os.fsync, iter(["retry: {attempts: 2, backoff: 3}\n"])

    def edited_meanwhile(descriptor: int) -> None:
        fsync(descriptor)
        for text in edits:  # once
            path.write_text(text)

    monkeypatch.setattr(os, "fsync", edited_meanwhile)
    assert save_settings(path, {"retry.attempts": 7})
    settings = load_settings({}, {}, path).settings
    assert (settings.retry.attempts, settings.retry.backoff) == (7, 3)


SCALARS = [
    row
    for row in table.rows()
    if row.variable
    and "." in row.path
    and table.ANY_NAME not in row.path
    and not row.is_later
    and not isinstance(row.default, list | dict)
]


@pytest.mark.parametrize("row", SCALARS, ids=lambda row: row.path)
def test_a_setting_is_uncommented_where_the_first_file_shows_it(tmp_path: Path, row: table.Row) -> None:
    """F8: beside its description, with the other lines as they were; not once more at the end."""
    path = tmp_path / "config.yaml"
    assert write_default_file(path)
    before = path.read_text().splitlines()
    assert save_settings(path, {row.path: "something"})
    after = path.read_text().splitlines()
    assert written(path, row.path) == "something"
    groups = row.path.count(".")
    differing = [new for old, new in zip(before, after, strict=True) if old != new]
    assert len(differing) == groups + 1
    assert re.match(
        rf"  +{row.path.rpartition('.')[2]}: something +# {re.escape(row.description)}", differing[-1]
    )


def test_the_second_setting_of_a_section_is_uncommented_too(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    assert write_default_file(path)
    lines = len(path.read_text().splitlines())
    assert save_settings(path, {"routing.strategy": "weighted"})
    assert save_settings(path, {"routing.rotation": False, "server.port": 9000})
    assert save_settings(path, {"routing.strategy": "session"})
    assert len(path.read_text().splitlines()) == lines
    loaded = load_settings({}, {}, path).settings
    assert (loaded.routing.strategy, loaded.routing.rotation, loaded.server.port) == ("session", False, 9000)


@pytest.mark.parametrize(
    "text",
    [
        "# routing:\n#   strategy: session\n\nrouting: {rotation: false}\n",
        "routing:\n  rotation: false\n#   strategy: [session\n",
        "# routing:\n#   strategy: session\n#     deeper: 1\nrouting:\n    rotation: false\n",
        "routing:\n   rotation: false\n#   strategy: session\n",
        "routing:\n  rotation: false\n# an essay\n# strategy: like this\n",
        "text: |\n  a\n# routing:\n#   strategy: session\nrouting: {rotation: false}\n",
    ],
)
def test_comments_that_are_no_settings_stay_comments(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    assert save_settings(path, {"routing.strategy": "weighted"})
    for line in text.splitlines():
        if line.startswith("#") and line != "#   strategy: session":
            assert line in path.read_text().splitlines()
    assert (written(path, "routing.strategy"), written(path, "routing.rotation")) == ("weighted", False)


@pytest.mark.parametrize(
    "text",
    [
        "server: &same {port: 1}\nx-other: *same\n",
        "x-base: &base\n  port: 1\nserver: *base\n",
        "server: &same\n  port: 1\nx-other:\n  <<: *same\n  host: a\n",
        "---\n...\n",
    ],
)
def test_no_other_setting_changes_with_it(
    tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    assert not save_settings(path, {"server.port": 9000})
    assert path.read_text() == text
    assert "server.port could not be saved" in caplog.text


def test_what_is_merged_in_can_be_set(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(
        "x-base: &base {port: 1}\nserver:\n  <<: *base\n  host: a\nlog:\nnan: .nan\nodd: !odd 5\n"
    )
    assert save_settings(path, {"server.port": 9000, "log.level": "debug"})
    assert (written_text := path.read_text()).startswith("x-base: &base {port: 1}\n")
    assert "port: 9000" in written_text and "level: debug" in written_text
