"""What the owner does stands in the log: what requests meet later can be read from it."""

from pathlib import Path

from headgate.testing.process import SimulatedProvider
from tests.gateway import Gateway

KEY = "sk-ant-sim-spare"


def test_every_change_of_the_owner_is_a_line(tmp_path: Path) -> None:
    """Who was changed and how; never a secret."""
    with SimulatedProvider() as provider, Gateway(tmp_path, provider=provider.url) as gateway:

        def run(*command: str, stdin: str = "") -> None:
            done = gateway.command(*command, stdin=stdin)
            assert done.returncode == 0, done.stderr

        run("account", "add", "spare", "--api-key-stdin", "--base-url", provider.url, stdin=KEY)
        run("account", "set", "spare", "--priority", "3", "--weight", "2")
        run("account", "pause", "spare")
        run("account", "resume", "spare")
        run("account", "test", "spare")
        run("account", "rename", "spare", "second")
        run("account", "reauth", "second", "--api-key-stdin", stdin=KEY + "-new")
        run("account", "remove", "second", "--yes")
        run("history", "clear", "--yes")
        run("stats", "reset")
        lines = [line for line in gateway.log_text().splitlines() if "[Accounts]" in line or "[Data]" in line]
    told = [line.partition("] ")[2].partition("] ")[2] for line in lines]
    assert told == [
        "Account spare added: provider anthropic",
        "Account spare changed: priority, weight",
        "Account spare paused",
        "Account spare resumed",
        "Account spare was tested: accepted; it is active",
        "Account spare renamed to second",
        "Account second has a new secret",
        "Account second removed",
        "History cleared: 0 requests deleted",
        "Counters of 1 account begin anew",
    ]
    assert KEY not in gateway.log_text()
