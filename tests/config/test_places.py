from pathlib import Path

import platformdirs

from headgate.config import places


def test_the_platform_says_where_settings_and_data_are() -> None:
    """Unless a variable names another place."""
    assert places.config_file({}) == Path(platformdirs.user_config_dir("headgate", False)) / "config.yaml"
    assert places.data_folder({}) == Path(platformdirs.user_data_dir("headgate", False))


def test_variables_name_other_places() -> None:
    """`~` is the user's own folder; the data folder is absolute, whatever the working folder becomes."""
    assert places.config_file({"HEADGATE_CONFIG": "~/x.yaml"}) == Path.home() / "x.yaml"
    assert places.data_folder({"HEADGATE_DATA_DIR": "here"}) == Path.cwd() / "here"
