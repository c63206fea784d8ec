"""What many commands take."""

import pytest

from tests.cli.conftest import Command


@pytest.mark.parametrize("empty", ["", " "])
@pytest.mark.parametrize(
    "arguments",
    [
        ("db", "backup"),
        ("status", "--config"),
        ("config", "check"),
        ("account", "export", "--output"),
        ("account", "import"),
    ],
)
async def test_an_empty_path_is_not_the_working_folder(
    headgate: Command, arguments: tuple[str, ...], empty: str
) -> None:
    """`headgate db backup "$UNSET"` would write the key where one happens to stand. A variable that is empty
    is as one that is not set."""
    await headgate.add("work")
    before = sorted(headgate.folder.rglob("*"))
    outcome = await headgate(*arguments, empty)
    assert (outcome.code, outcome.out) == (2, "")
    assert "is empty" in outcome.err
    assert "Traceback" not in outcome.err
    assert sorted(headgate.folder.rglob("*")) == before


async def test_an_empty_variable_is_as_one_that_is_not_set(headgate: Command) -> None:
    """Nothing is written into the folder where one stands."""
    shown = await headgate("config", "path", "--all", "--json", HEADGATE_DATA_DIR="", HEADGATE_CONFIG=" ")
    assert shown.code == 0, shown.err
    assert shown.json()["data folder"]["path"] == str(headgate.folder / ".local/share/headgate")
