"""Commands that a running gateway answers, whatever its settings file says by now."""

import asyncio

import pytest

from headgate.cli.child import ChildGateway
from tests.cli.conftest import Command
from tests.gateway import Gateway

WRONG = {
    "misspelt": ("routing:\n  strategy: wieghted\n", "line 2, column 13"),
    "no yaml": ("routing: {strategy: [\n", "line "),
}
ASKED = (
    ("status",),
    ("strategy", "get"),
    ("account", "list"),
    ("requests",),
    ("usage",),
    ("account", "add", "late", "--api-key-stdin"),
)


@pytest.mark.parametrize("case", WRONG)
async def test_a_running_gateway_answers_beside_a_wrong_file(
    headgate: Command, gateway: Gateway, case: str
) -> None:
    """Nobody shall take the service for down; what is wrong is said with its place."""
    text, place = WRONG[case]
    headgate.config.write_text(text)
    async with asyncio.timeout(20):
        while "those from before stay in force" not in (await headgate("status")).out:
            pass
    for arguments in ASKED:
        asked = await headgate(*arguments, stdin="sk-ant-sim-late\n")
        assert asked.code == 0, (arguments, asked.err)
        assert "keeps the settings it has; headgate config check says more" in asked.err, arguments
        assert place in asked.err, arguments


async def test_the_log_is_found_beside_a_wrong_file(headgate: Command, gateway: Gateway) -> None:
    """The gateway says where it writes, also when it got that from an environment of its own."""
    before = await headgate("logs", "--path")
    headgate.config.write_text("log: {file: [\n")
    after = await headgate("logs", "--path", HEADGATE_LOG__FILE="elsewhere.log")
    assert (after.code, after.out) == (0, before.out)
    assert "keeps the settings it has" in after.err


async def test_a_shell_that_lacks_a_variable_says_so(
    headgate: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is right: the words must not send anybody to correct it."""
    monkeypatch.setenv("STRATEGY", "weighted")
    async with ChildGateway(headgate.folder, port=0):
        with headgate.config.open("a") as file:
            file.write("routing:\n  strategy: ${STRATEGY}\n")
        async with asyncio.timeout(20):
            while (asked := await headgate("strategy", "get")).out.strip() != "weighted":
                assert asked.code == 0
    assert "This shell lacks" in asked.err
    assert "'STRATEGY'" in asked.err
    assert "settings are wrong" not in asked.err


async def test_nobody_answers_and_the_file_is_wrong(headgate: Command) -> None:
    """Without a gateway the settings are needed; the log is shown all the same."""
    headgate.config.write_text("log: {file: [\n")
    refused = await headgate("status")
    assert refused.code == 2
    assert "The settings cannot be used" in refused.err
    logs = await headgate("logs", "--path")
    assert (logs.code, "usual here" in logs.err) == (0, True)
    assert logs.out.strip().endswith(".log")
