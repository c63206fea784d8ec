"""`headgate logs` finds the file and its end."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.cli.conftest import PROGRAM, Command


def _configure(headgate: Command, file: Path | str) -> None:
    headgate.config.write_text(f"log: {{file: {file}}}\n")


async def test_the_last_lines_are_printed(headgate: Command) -> None:
    """Those at the end, in order, as they stand in the file; markup in them means nothing."""
    file = headgate.folder / "app.log"
    _configure(headgate, file)
    file.write_text("".join(f"[Proxy] line {number} [bold]\n" for number in range(10)))
    shown = await headgate("logs", "--lines", "2")
    assert shown.out == "[Proxy] line 8 [bold]\n[Proxy] line 9 [bold]\n"
    assert (await headgate("logs", "-n", "1", "--json")).json()["lines"] == ["[Proxy] line 9 [bold]"]


async def test_a_long_file_is_read_from_its_end(headgate: Command) -> None:
    """Of a line that began before the part that was read nothing is shown."""
    file = headgate.folder / "app.log"
    _configure(headgate, file)
    file.write_text("x" * 2_000_000 + "\nthe last\n")
    assert (await headgate("logs")).out == "the last\n"


async def test_no_file_is_explained(headgate: Command) -> None:
    """Missing, or switched off: what, why, mend and exit code 1."""
    file = headgate.folder / "nowhere.log"
    _configure(headgate, file)
    missing = await headgate("logs")
    assert (missing.code, str(file) in missing.err) == (1, True)
    assert "headgate serve writes it" in missing.err
    _configure(headgate, "null")
    off = await headgate("logs", "--path")
    assert (off.code, "log.file is null" in off.err) == (1, True)


WITHOUT_ROOT_POWERS = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search", "--inh-caps", "-all")
"""Root may read anything; the modes count for it once it has let go of that power."""


@pytest.mark.skipif(os.geteuid() == 0 and shutil.which("setpriv") is None, reason="needs a power to let go")
def test_a_folder_of_another_user_leads_to_the_setting(headgate: Command) -> None:
    """`headgate serve` could not write there either: the mend is `log.file`."""
    folder = headgate.folder / "theirs"
    folder.mkdir(mode=0o000)
    _configure(headgate, folder / "app.log")
    command = [*(WITHOUT_ROOT_POWERS if os.geteuid() == 0 else ()), str(PROGRAM), "logs"]
    try:
        shown = subprocess.run(
            [*command, "--config", str(headgate.config)],
            env=headgate.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        folder.chmod(0o700)
    assert shown.returncode == 1
    assert f"{folder / 'app.log'}: Permission denied" in shown.stderr
    assert "log.file" in shown.stderr.splitlines()[-1]
    assert "headgate serve" not in shown.stderr
