"""`headgate status` of a running gateway."""

from headgate.cli.child import ChildGateway
from tests.cli.conftest import Command


async def test_status_shows_health_rotation_and_accounts(headgate: Command, gateway: ChildGateway) -> None:
    """For people as lines that fit, for programs as one document."""
    empty = await headgate("status", COLUMNS="80")
    assert empty.code == 0, empty.err
    assert "is degraded, up for" in empty.out
    assert "No account has been put in yet" in empty.out
    await headgate.add("work")
    shown = (await headgate("status", COLUMNS="80")).out
    assert "is ok, up for" in shown
    assert "Strategy session, rotation on" in shown
    assert "Recorder running" in shown
    assert max(map(len, shown.splitlines())) <= 80
    assert [line.split()[0] for line in shown.splitlines() if "active" in line] == ["work"]
