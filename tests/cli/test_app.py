"""The command as a whole: help, version, exit codes."""

import asyncio
import os
import subprocess
import sys
from importlib.metadata import version as installed_version
from pathlib import Path

import pytest

from tests.cli.conftest import PROGRAM, TIMEOUT_SECONDS, Command


async def test_help_and_version_need_no_settings(headgate: Command) -> None:
    """They work where everything else is broken."""
    headgate.config.write_text("server: {port: no number}")
    version = await headgate("version")
    assert (version.code, version.out.split()[0]) == (0, "headgate")
    shown = await headgate("account", "add", "--help")
    assert (shown.code, "Example: headgate account add" in shown.out) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nonsense",), "nonsense"),
        (("requests", "--limit", "0"), "--limit"),
        (("status",), "Failed to parse config file"),
        (("account", "list"), "line 1"),
    ],
)
async def test_wrong_usage_and_wrong_settings_end_in_2(
    headgate: Command, arguments: tuple[str, ...], said: str
) -> None:
    """Said on standard error, with the place in the file."""
    headgate.config.write_text("server: {port: no number}")
    outcome = await headgate(*arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert said in outcome.err


async def test_nothing_running_says_so_and_how_to_start(headgate: Command) -> None:
    """Exit 1; a socket file that a killed gateway left behind counts as nothing."""
    for _ in range(2):
        outcome = await headgate("status")
        assert outcome.code == 1
        assert "No gateway is running" in outcome.err
        assert "headgate serve" in outcome.err
        headgate.data.mkdir(exist_ok=True)
        (headgate.data / "headgate.sock").touch()


@pytest.mark.parametrize(
    "program", [[str(PROGRAM)], [sys.executable, "-m", "headgate"]], ids=["script", "module"]
)
def test_the_script_and_the_package_are_the_command(program: list[str]) -> None:
    """`python -m headgate` where the script is not on the path; `--version` as other programs have it."""

    def said(*arguments: str) -> str:
        command = [*program, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout

    assert said("--version") == said("version") == f"headgate {installed_version('headgate')}\n"
    assert "A self-hosted gateway" in said("--help")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    "arguments", [("version",), ("version", "--json"), ("account", "list"), ("account", "list", "--json")]
)
async def test_an_output_that_takes_nothing_is_one_line_and_1(
    headgate: Command, arguments: tuple[str, ...], unbuffered: str
) -> None:
    """A full disk behind `>` is no bug of ours, so it has no stack trace; in a container neither."""
    headgate.config.touch()
    await headgate.add("work")
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        ended = await headgate.start(*arguments, stdout=full, PYTHONUNBUFFERED=unbuffered)
    finally:
        os.close(full)
    _, said = await asyncio.wait_for(ended.communicate(), TIMEOUT_SECONDS)
    assert said.decode() == "error: Cannot write the answer: No space left on device\n"
    assert ended.returncode == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("account", "rename", "one", "\udcff"),
        ("config", "set", "routing.strategy", "\udcff"),
        ("status", "--config", "/tmp/\udcff"),
        ("\udcff",),
    ],
    ids=" ".join,
)
async def test_bytes_that_are_no_text_are_wrong_usage(headgate: Command, arguments: tuple[str, ...]) -> None:
    """Whichever word has them: the command line takes any bytes, a gateway and a file only text."""
    outcome = await headgate(*arguments)
    assert outcome.code == 2
    assert "holds bytes that are no UTF-8 text" in outcome.err
    assert "Traceback" not in outcome.err


@pytest.mark.parametrize(
    ("arguments", "why", "mend"),
    [
        (
            ("usage", "--by", "x"),
            "--by: 'x' is none of",
            "Valid are account, model, key, client, project, hour, day.",
        ),
        (("account", "add", "w", "--weight", "0"), "--weight: 0 is too small", "Give it 1 or more."),
        (("account", "add", "w", "--weight", "x"), "--weight: 'x' is no whole number", "in digits"),
        (("requests", "--limit", "5000"), "--limit: 5000 is too large", "Give it 1000 or less."),
        (("account", "show"), "Missing argument 'NAME'", "headgate account show --help"),
    ],
)
async def test_a_wrong_value_is_said_with_the_right_ones(
    headgate: Command, arguments: tuple[str, ...], why: str, mend: str
) -> None:
    """In our words: what, why, mend."""
    outcome = await headgate(*arguments)
    what, reason, help_line = outcome.err.splitlines()
    assert (outcome.code, outcome.out) == (2, "")
    assert what.startswith("error: Wrong usage of headgate ")
    assert reason.startswith(f"  why: {why}")
    assert help_line.startswith(" mend: ")
    assert mend in help_line
