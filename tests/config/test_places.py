import socket
from collections.abc import Callable
from pathlib import Path

import platformdirs
import pytest

from headgate.config import places
from headgate.config.places import CONTROL_SOCKET, short_path
from headgate.errors import SettingsError


def test_the_platform_says_where_settings_and_data_are() -> None:
    """Unless a variable names another place."""
    assert places.config_file({}) == Path(platformdirs.user_config_dir("headgate", False)) / "config.yaml"
    assert places.data_folder({}) == Path(platformdirs.user_data_dir("headgate", False))


def test_variables_name_other_places() -> None:
    """`~` is the user's own folder; the data folder is absolute, whatever the working folder becomes."""
    assert places.config_file({"HEADGATE_CONFIG": "~/x.yaml"}) == Path.home() / "x.yaml"
    assert places.data_folder({"HEADGATE_DATA_DIR": "here"}) == Path.cwd() / "here"


def test_a_socket_behind_a_long_path_is_reachable(tmp_path: Path) -> None:
    """A Unix socket's address holds about a hundred bytes; folders are longer than that."""
    folder = tmp_path / ("a" * 120)
    folder.mkdir()
    path = folder / CONTROL_SOCKET
    with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as client:
        with short_path(path) as address:
            listening.bind(address)
        listening.listen()
        assert path.is_socket()
        with short_path(path) as address:
            client.connect(address)


def test_a_short_path_is_used_as_it_is() -> None:
    """No detour where none is needed."""
    with short_path(Path("/run/headgate.sock")) as address:
        assert address == "/run/headgate.sock"


def test_a_home_that_nobody_has_is_no_reason_to_fail() -> None:
    """A shell leaves such a word as it is."""
    assert places.path_of("~nobody-of-this-name/x") == Path("~nobody-of-this-name/x")
    assert places.path_of("~/x") == Path.home() / "x"


@pytest.mark.parametrize(
    ("variable", "path_in"),
    [("HEADGATE_CONFIG", places.config_file), ("HEADGATE_DATA_DIR", places.data_folder)],
)
def test_a_path_in_bytes_that_are_no_text_is_refused(
    variable: str, path_in: Callable[[dict[str, str]], Path]
) -> None:
    """It could be told to nobody: not in an answer, not in a message."""
    with pytest.raises(SettingsError, match=variable):
        path_in({variable: "/tmp/\udcff"})
