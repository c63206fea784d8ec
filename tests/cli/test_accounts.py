"""`headgate account …` on a stopped gateway and on a running one."""

import os
import subprocess

import httpx
import pytest

from headgate.cli.terminal import clock_time
from headgate.testing.process import SimulatedProvider
from tests.cli.conftest import PROGRAM, TIMEOUT_SECONDS, Command
from tests.gateway import Gateway
from tests.testing.wire import ask


async def test_accounts_are_kept_without_a_running_gateway(headgate: Command) -> None:
    """Add, list, show, pause, resume, remove: all on the database, and no answer has the secret."""
    added = await headgate.add("work", "--tier", "5", "--model", "claude-sonnet-4-5", "--model", "other")
    assert added.code == 0, added.err
    assert added.out == "Account work added\nheadgate account test work sees whether its key is taken.\n"
    assert (await headgate("account", "pause", "work")).code == 0
    shown = await headgate("account", "show", "work", "--json")
    account = shown.json()
    assert (account["tier"], account["status"]) == (5, "paused")
    assert account["models"] == ["claude-sonnet-4-5", "other"]
    assert "sk-ant" not in shown.out
    assert (await headgate("account", "resume", "work")).code == 0
    listed = await headgate("account", "list", "--json")
    assert [(one["name"], one["status"]) for one in listed.json()["accounts"]] == [("work", "active")]
    assert (await headgate("account", "remove", "work", "--yes")).code == 0
    assert "No accounts yet" in (await headgate("account", "list")).out


async def test_what_mends_an_account_is_said_where_it_is_shown(
    headgate: Command, gateway: Gateway, provider: SimulatedProvider
) -> None:
    """In the words of `headgate status`; of one that serves nothing is said."""
    await headgate.add("work", "--base-url", provider.url)
    assert "\n\n" not in (await headgate("account", "show", "work")).out
    await headgate("account", "pause", "work")
    shown = (await headgate("account", "show", "work")).out
    assert shown.endswith("\n\nwork: paused\n  headgate account resume work ends it.\n")
    await headgate("account", "resume", "work")
    provider.script("*", rules=[{"fault": "status", "status": 401}])
    assert (await headgate("account", "test", "work")).code == 1
    shown = (await headgate("account", "show", "work", COLUMNS="200")).out
    assert "\n\nwork: needs re-auth: 401" in shown
    assert shown.splitlines()[-1] == "  headgate account reauth work gives it a new key."
    assert shown.splitlines()[-1].strip() in (await headgate("status", COLUMNS="200")).out
    assert (await headgate("account", "show", "work", "--json")).json()["name"] == "work"


async def test_data_and_key_are_the_owners_alone(headgate: Command) -> None:
    """Folder 0700, files 0600, whatever the umask was."""
    old = os.umask(0)
    try:
        assert (await headgate.add("work")).code == 0
    finally:
        os.umask(old)
    assert headgate.data.stat().st_mode & 0o777 == 0o700
    for name in ("headgate.db", "secret.key"):
        assert (headgate.data / name).stat().st_mode & 0o777 == 0o600


async def test_the_list_fits_the_terminal(headgate: Command) -> None:
    """At 80 characters what counts, in whole words, and what is left out is said; wider, every column."""
    await headgate.add("a-rather-long-name-for-an-account-of-this-team")
    listed = await headgate("account", "list", COLUMNS="80", NO_COLOR="1")
    assert max(map(len, listed.out.splitlines())) <= 80
    assert "\x1b" not in listed.out
    shown = ["name", "tier", "status", "requests", "errors", "provider", "sessions", "share", "origin"]
    assert listed.out.splitlines()[0].split() == shown
    assert "active" in listed.out.split()
    assert "also shows" not in listed.out  # nothing that is known
    wide = await headgate("account", "list", COLUMNS="180")
    assert wide.out.splitlines()[0].split() == IN_FULL
    assert "also shows" not in wide.out


IN_FULL = [
    *("name", "tier", "status", "rate_limit_status", "rate_limit_reset", "expires"),
    *("requests", "errors", "provider", "quota", "sessions", "share", "origin"),
]


@pytest.mark.parametrize(
    ("arguments", "stdin", "code", "why"),
    [
        (("account", "add", "work"), "", 2, "--api-key-stdin was not given"),
        (("account", "add", "work", "--api-key-stdin"), "\n", 2, "standard input was empty"),
        (("account", "add", "a/b", "--api-key-stdin"), "sk-ant-1", 1, "a-b would do"),
        (("account", "add", "work", "--api-key-stdin", "--provider", "nobody"), "sk-ant-1", 2, "nobody"),
        (("account", "add", "work", "--api-key-stdin", "--weight", "0"), "sk-ant-1", 2, "--weight"),
        (
            ("account", "add", "work", "--api-key-stdin", "--base-url", "x"),
            "sk-ant-1",
            2,
            "base_url: must be",
        ),
        (("account", "show", "a"), "", 1, "Cannot show the account a\n  why: Database file not found"),
    ],
)
async def test_a_command_that_cannot_work_says_what_why_and_mend(
    headgate: Command, arguments: tuple[str, ...], stdin: str, code: int, why: str
) -> None:
    """On standard error; 2 for wrong usage, 1 for the rest; and nothing is left behind by reading."""
    outcome = await headgate(*arguments, stdin=stdin)
    assert outcome.code == code
    assert outcome.out == ""
    assert why in outcome.err
    assert "Traceback" not in outcome.err
    if arguments[1] == "show":
        assert not headgate.data.exists()


NO_TEXT = "Cannot read the API key\n  why: what was read is not UTF-8 text\n mend: Save the key as plain text"


@pytest.mark.parametrize("locale", ["C.UTF-8", "C", ""])
@pytest.mark.parametrize("doing", ["add", "reauth"])
async def test_a_key_that_is_no_text_is_refused_in_words(headgate: Command, doing: str, locale: str) -> None:
    """UTF-16, say; what Python makes of the bytes depends on the locale."""
    outcome = await headgate(
        "account", doing, "work", "--api-key-stdin", stdin=b"\xff\xfes\x00k\x00", LC_ALL=locale
    )
    assert (outcome.code, outcome.out) == (1, "")
    assert NO_TEXT in outcome.err


def test_a_typed_key_that_is_no_text_is_refused_in_words(headgate: Command) -> None:
    """The same at the prompt, which reads the terminal itself."""
    terminal, its_end = os.openpty()
    command = [str(PROGRAM), "account", "add", "work", "--config", str(headgate.config)]
    with subprocess.Popen(
        command, stdin=its_end, stderr=subprocess.PIPE, env=headgate.environment, start_new_session=True
    ) as asked:
        os.close(its_end)
        try:
            assert asked.stderr is not None
            prompt = asked.stderr.read(len("API key (not shown): "))  # what is typed earlier is thrown away
            os.write(terminal, b"\xff\xfe\n")
            _, said = asked.communicate(timeout=TIMEOUT_SECONDS)
        finally:
            asked.kill()
            os.close(terminal)
    assert (prompt, asked.returncode) == (b"API key (not shown): ", 1)
    assert NO_TEXT in said.decode()


@pytest.mark.parametrize(
    ("arguments", "question"),
    [(("add", "other"), "API key"), (("remove", "work"), "Remove the account work")],
)
async def test_ctrl_c_at_a_question_ends_in_130(
    headgate: Command, arguments: tuple[str, ...], question: str
) -> None:
    """As everywhere else; nothing is changed and nothing else is said."""
    await headgate.add("work")
    async with headgate.on_terminal("account", *arguments) as terminal:
        await terminal.shows(question)
        assert await terminal.interrupt() == 130
    assert "Aborted" not in terminal.shown
    listed = (await headgate("account", "list", "--json")).json()
    assert [one["name"] for one in listed["accounts"]] == ["work"]


async def test_the_end_of_input_at_the_key_is_said(headgate: Command) -> None:
    """Ctrl+D: what, why and mend, as everything that fails."""
    async with headgate.on_terminal("account", "add", "work") as terminal:
        await terminal.shows("API key (not shown): ")
        terminal.type("\x04")
        assert await terminal.ended() == 1
    assert "the input ended before there was a key" in terminal.shown
    assert "headgate account add work --api-key-stdin < FILE" in terminal.shown
    assert "Aborted" not in terminal.shown


async def test_what_was_chosen_is_listed_where_it_fits(headgate: Command) -> None:
    """Priority, weight and models are columns as soon as one account has others than it is put in with."""
    await headgate.add("plain")
    assert not {"priority", "weight", "models", "domain"} & set(
        (await headgate("account", "list")).out.split()
    )
    await headgate.add("chosen", "--priority", "2", "--model", "claude-sonnet-5", "--domain", "team")
    lines = (await headgate("account", "list", COLUMNS="200")).out.splitlines()
    assert lines[0].split()[-4:] == ["origin", "priority", "models", "domain"]
    rows = {line.split()[0]: line.split()[-3:] for line in lines[2:]}
    assert rows == {"plain": ["0", "all", "-"], "chosen": ["2", "claude-sonnet-5", "team"]}
    narrow = (await headgate("account", "list", COLUMNS="60")).out
    assert "models, domain" in " ".join(narrow.split())


async def test_a_no_at_the_question_keeps_the_account(headgate: Command) -> None:
    """That is a failure (1), not an interruption; a yes removes."""
    await headgate.add("work")
    for answer, code in (("n", 1), ("y", 0)):
        async with headgate.on_terminal("account", "remove", "work") as terminal:
            await terminal.shows("Remove the account work")
            terminal.type(f"{answer}\n")
            assert await terminal.ended() == code
        assert ("Nothing was changed." in terminal.shown) == (code == 1)
    assert "No accounts yet" in (await headgate("account", "list")).out


async def test_the_end_of_input_at_a_question_is_a_no(headgate: Command) -> None:
    """Ctrl+D where a yes or a no was wanted: a sentence, not a word of a library's."""
    await headgate.add("work")
    async with headgate.on_terminal("account", "remove", "work") as terminal:
        await terminal.shows("Remove the account work")
        terminal.type("\x04")
        assert await terminal.ended() == 1
    assert "The question was not answered: nothing was changed." in terminal.shown
    assert "Aborted" not in terminal.shown


async def test_without_a_terminal_a_removal_wants_yes(headgate: Command) -> None:
    """A secret is gone for good: nobody who could not be asked loses it."""
    await headgate.add("work")
    refused = await headgate("account", "remove", "work")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.splitlines()[-1] == " mend: headgate account remove work --yes"
    listed = (await headgate("account", "list", "--json")).json()
    assert [one["name"] for one in listed["accounts"]] == ["work"]


async def test_duplicates_and_unknown_names_are_refused(headgate: Command) -> None:
    """The same name, the same key under another name, and a name that is nearly right."""
    await headgate.add("work")
    same_name = await headgate("account", "add", "work", "--api-key-stdin", stdin="sk-ant-other")
    same_key = await headgate("account", "add", "other", "--api-key-stdin", stdin="sk-ant-sim-work")
    unknown = await headgate("account", "pause", "wrok")
    assert (same_name.code, same_key.code, unknown.code) == (1, 1, 1)
    assert "already" in same_name.err
    assert "as account work" in same_key.err
    assert "did you mean work?" in unknown.err
    assert "mend:" in unknown.err


async def test_resuming_a_limited_account_says_when_it_returns(
    headgate: Command, gateway: Gateway, provider: SimulatedProvider
) -> None:
    """The owner's word does not end a provider's limit, on a stopped gateway neither."""
    provider.script("*", rules=[{"fault": "429", "limit": "retry_after", "seconds": 3000}])
    await headgate.add("work", "--base-url", provider.url)
    async with httpx.AsyncClient(base_url=gateway.url, trust_env=False) as client:
        assert (await client.post("/v1/messages", json=ask())).status_code == 429
    running = await headgate("account", "resume", "work")
    reset = (await headgate("account", "show", "work", "--json")).json()["rate_limit_reset"]
    said = "Account work resumed, but still rate_limited; it returns by itself at "
    assert (running.code, running.out) == (0, f"{said}{clock_time(reset)}\n")
    gateway.stop()
    assert (await headgate("account", "resume", "work")).out == running.out


async def test_commands_reach_a_running_gateway(headgate: Command, gateway: Gateway) -> None:
    """Over the socket in the data folder: in force at once, and the same words as on a stopped one."""
    assert (await headgate.add("work")).out.startswith("Account work added\n")
    assert (await headgate("account", "pause", "work")).code == 0
    status = (await headgate("status", "--json")).json()
    assert [(one["name"], one["status"]) for one in status["rotation"]["accounts"]] == [("work", "paused")]
    gateway.stop()
    listed = (await headgate("account", "list", "--json")).json()
    assert [(one["name"], one["paused"]) for one in listed["accounts"]] == [("work", True)]
