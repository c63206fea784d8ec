"""`headgate strategy` on a stopped gateway and on a running one."""

from tests.cli.conftest import Command
from tests.gateway import Gateway


async def test_a_strategy_is_kept_with_the_files_comments(headgate: Command) -> None:
    """Without a gateway the settings file has it, and what the owner wrote there stays."""
    headgate.config.write_text("# mine\nrouting:\n  rotation: true  # keep\n")
    assert (await headgate("strategy", "set", "round_robin")).out == "Strategy is now round-robin\n"
    assert (await headgate("strategy", "get")).out == "round-robin\n"
    text = headgate.config.read_text()
    assert "# mine" in text
    assert "rotation: true  # keep" in text


async def test_a_running_gateway_changes_at_once(headgate: Command, gateway: Gateway) -> None:
    """`/status` shows it without a restart; an unknown name changes nothing and is wrong usage."""
    assert (await headgate("strategy", "set", "weighted")).code == 0
    wrong = await headgate("strategy", "set", "random")
    assert wrong.code == 2
    assert "Invalid strategy: random" in wrong.err
    assert "least-requests" in wrong.err
    near = await headgate("strategy", "set", "wieghted")
    assert "why: Invalid strategy: wieghted, did you mean weighted? Valid strategies: session" in near.err
    assert "mend: headgate strategy set weighted" in near.err
    status = (await headgate("status", "--json")).json()
    assert status["rotation"]["strategy"] == "weighted"
    assert "weighted" in gateway.config.read_text()


async def test_a_variable_that_wins_over_the_file_is_named(headgate: Command) -> None:
    """Where the next start would take the old strategy again nothing says that the new one is in force."""
    shown = await headgate("strategy", "set", "round-robin", LB_STRATEGY="weighted")
    assert (shown.code, shown.out) == (0, "")
    assert "environment variable LB_STRATEGY overrides the settings file" in shown.err
    assert "takes weighted again" in shown.err
    as_json = await headgate("strategy", "set", "round-robin", "--json", LB_STRATEGY="weighted")
    assert as_json.json()["warning"] in as_json.err
    assert (await headgate("strategy", "get", LB_STRATEGY="weighted")).out == "weighted\n"
    same = await headgate("strategy", "set", "weighted", "--json", LB_STRATEGY="weighted")
    assert (same.json()["warning"], same.err) == (None, "")


async def test_the_group_alone_prints_the_strategy(headgate: Command) -> None:
    """As `get` does; its options are not lost on a command behind them."""
    await headgate.add("work")
    assert (await headgate("strategy")).out == (await headgate("strategy", "get")).out == "session\n"
    assert (await headgate("strategy", "--json")).json()["strategy"] == "session"
    lost = await headgate("strategy", "--config", str(headgate.config), "set", "weighted")
    assert (lost.code, "options stand behind set" in lost.err) == (2, True)
    assert (await headgate("strategy")).out == "session\n"
