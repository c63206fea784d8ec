"""`headgate usage`."""

from headgate.testing.process import SimulatedProvider
from tests.cli.conftest import Command
from tests.cli.test_requests import is_recorded, send
from tests.gateway import Gateway, until


async def test_usage_is_shown_in_sums_on_a_running_and_a_stopped_gateway(
    headgate: Command, gateway: Gateway, provider: SimulatedProvider
) -> None:
    """Groups, a total, and for programs the same as one document."""
    await headgate.add("work", "--base-url", provider.url)
    assert (await headgate("usage")).out.startswith("No requests since ")
    ids = [await send(gateway) for _ in range(3)]
    await until(lambda: is_recorded(gateway, ids[-1]), what="the last record")
    shown = await headgate("usage", "--since", "15m", "--by", "model", COLUMNS="80")
    assert (shown.code, max(map(len, shown.out.splitlines())) <= 80) == (0, True)
    assert [line.split()[:3] for line in shown.out.splitlines()[2:3]] == [["claude-sonnet-4-5", "3", "0"]]
    running = (await headgate("usage", "--since", "all", "--account", "work", "--json")).json()
    assert (running["total"]["requests"], running["groups"][0]["group"]) == (3, "work")
    assert running["total"]["output_tokens"] > 0
    assert (await headgate("usage", "--key", "nobody")).out.startswith("No requests that match since ")
    gateway.stop()
    stopped = await headgate("usage", "--since", "all", "--account", "work", "--json")
    assert stopped.json() == running
    wrong = await headgate("usage", "--since", "soon")
    assert (wrong.code, "--since: 'soon' is no time" in wrong.err) == (2, True)
