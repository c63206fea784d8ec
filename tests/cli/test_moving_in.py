"""Moving in while a gateway runs on the same settings and data."""

from pathlib import Path

from tests.cli.conftest import Command
from tests.gateway import Gateway
from tests.moving import theirs


async def test_a_running_gateway_takes_it_over_at_once(
    headgate: Command, gateway: Gateway, tmp_path: Path
) -> None:
    """Accounts, keys and settings through its own door, the history beside its recorder."""
    auths = tmp_path / "auths"
    auths.mkdir()
    config = tmp_path / "theirs.yaml"
    config.write_text(
        theirs.CLIPROXYAPI_CONFIG.format(port=8317, auths=auths, key="sk-ant-1", url="http://127.0.0.1:9")
    )
    outcome = await headgate("import", "cliproxyapi", str(config), "--json")
    assert outcome.code == 0, outcome.err
    found = outcome.json()
    outcomes = {one["name"]: one["outcome"] for one in found["items"]}
    assert (outcomes["routing.strategy"], outcomes["server.port"]) == ("added", "kept")
    assert (await headgate("strategy", "get")).out.startswith("round-robin")
    keys = [one for one in found["items"] if one["kind"] == "client key"]
    assert [one["outcome"] for one in keys] == ["added", "added"]
    assert all(one["digest"].startswith("sha256:") for one in keys)
    again = (await headgate("import", "cliproxyapi", str(config), "--json")).json()
    assert not {one["outcome"] for one in again["items"]} & {"added", "changed", "failed"}
    with theirs.ccflare(tmp_path / "ccflare.db") as database:
        account = theirs.ccflare_account(database, "work")
        for number in range(5):
            theirs.ccflare_request(database, account, number)
        moved = (await headgate("import", "ccflare", str(tmp_path), "--only", "history", "--json")).json()
        assert moved["history"] == {"added": 5, "there": 0, "older": 0, "unreadable": 0}
        # The account was not asked for: the history keeps its name.
        rows = (await headgate("requests", "--json")).json()["requests"]
        assert {one["account"] for one in rows} == {"work"}
    database.close()
