"""What a shell offers after Tab."""

import asyncio
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import PROGRAM, Command
from tests.gateway import Gateway

MOST_TIMES = 4.0
"""The processor time of loading what every command is written with: a shell waits for it. What the settings
are checked with, or the database is reached with, alone would be more."""
BARE = "import typer, rich.console, rich.table"


async def offered(headgate: Command, *words: str) -> list[str]:
    """By the protocol of bash; nothing is said on standard error."""
    process = await headgate.start(
        COMP_WORDS=" ".join(("headgate", *words)),
        COMP_CWORD=str(len(words)),
        _HEADGATE_COMPLETE="complete_bash",
    )
    out, err = await process.communicate()
    assert err == b""
    return out.decode().split()


async def test_names_come_from_the_gateway_and_from_the_database(headgate: Command, gateway: Gateway) -> None:
    """Accounts, strategies, settings, commands; on a stopped gateway without making a file."""
    await headgate.add("work")
    await headgate.add("wide")
    await headgate.add("spare")
    assert await offered(headgate, "account", "show", "w") == ["work", "wide"]
    gateway.stop()
    before = sorted(file.name for file in headgate.data.iterdir())
    assert await offered(headgate, "account", "pause", "") == ["work", "wide", "spare"]
    assert sorted(file.name for file in headgate.data.iterdir()) == before
    assert await offered(headgate, "strategy", "set", "r") == ["round-robin"]
    assert await offered(headgate, "config", "get", "routing.s") == [
        "routing.strategy",
        "routing.session_duration_ms",
        "routing.sse_keepalive_seconds",
    ]
    assert await offered(headgate, "acc") == ["account"]
    assert "rename" in await offered(headgate, "account", "re")


async def test_where_nothing_is_nothing_is_offered_and_nothing_made(headgate: Command) -> None:
    """Broken settings, no data folder, a file that is no database: no word of it."""
    headgate.config.write_text("server: {port: no number}")
    assert await offered(headgate, "account", "show", "") == []
    assert not headgate.data.exists()
    headgate.data.mkdir()
    (headgate.data / "headgate.db").write_text("no database")
    (headgate.data / "headgate.sock").touch()
    assert await offered(headgate, "account", "show", "") == []
    assert sorted(file.name for file in headgate.data.iterdir()) == ["headgate.db", "headgate.sock"]


@pytest.mark.parametrize("arguments", [("--help",), ("account", "--help")])
async def test_help_and_completion_take_a_moment(headgate: Command, arguments: tuple[str, ...]) -> None:
    """Neither loads what it does not need."""
    before = _children_seconds()
    await (await asyncio.create_subprocess_exec(sys.executable, "-c", BARE)).wait()
    bare = _children_seconds() - before
    for run in (headgate(*arguments), offered(headgate, "account", "show", "")):
        before = _children_seconds()
        await run
        assert _children_seconds() - before < MOST_TIMES * bare


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_for_a_shell_is_printed_and_understood(tmp_path: Path, shell: str) -> None:
    """`--show-completion`; where the shell is there it reads the script itself."""
    environment = {
        "PATH": str(PROGRAM.parent),
        "HOME": str(tmp_path),
        "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1",
    }
    shown = subprocess.run(
        [str(PROGRAM), "--show-completion", shell],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "_HEADGATE_COMPLETE=complete_" + shell in shown.stdout
    if (found := shutil.which(shell)) is not None:
        script = tmp_path / "script"
        script.write_text(shown.stdout)
        subprocess.run([found, "-n", str(script)], check=True, capture_output=True, timeout=60)
