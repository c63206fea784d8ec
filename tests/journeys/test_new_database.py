"""A gateway gets another database: from its SQLite file to PostgreSQL, with all that it remembers."""

import json
from pathlib import Path
from typing import Any

from headgate.testing.process import SimulatedProvider
from tests.gateway import Gateway
from tests.guides.asking import message, record_of


def _remembered(gateway: Gateway) -> dict[str, Any]:
    """What its owner sees: requests with their times and costs, sums, keys, changes, conversations."""
    accounts = gateway.admin("/api/accounts")["accounts"]
    return {
        "requests": gateway.requests(),
        "usage": gateway.admin("/api/usage")["groups"],
        "accounts": [(one["name"], one["created_at"]) for one in accounts],
        "keys": [(one["name"], one["created_at"]) for one in gateway.admin("/api/keys")["keys"]],
        "audit": gateway.admin("/api/audit")["changes"],
        "conversations": gateway.admin("/api/conversations")["conversations"],
    }


def test_a_history_goes_to_postgresql_and_goes_on_there(tmp_path: Path, postgres_url: str) -> None:
    """Refused while the gateway runs; then all of it, records of a killed recorder too. The same answers to
    the owner, sealed accounts that serve, new records behind the old ones. No password is shown."""
    address = postgres_url.replace("://postgres:@", "://postgres:hidden@")
    assert "hidden" in address
    with SimulatedProvider() as provider, Gateway(tmp_path, accounts=()) as gateway:
        account = {"name": "work", "api_key": "sk-ant-sim-work", "base_url": provider.url}
        gateway.admin("/api/accounts", method="POST", body=account)
        gateway.admin("/api/keys", method="POST", body={"name": "laptop"})
        for _ in range(2):
            record_of(gateway, message(gateway))
        before = _remembered(gateway)
        refused = gateway.command("db", "copy", "--to", address)
        assert (refused.returncode, "Another gateway runs" in refused.stderr) == (1, True), refused.stderr

        gateway.kill_recorder()
        message(gateway)
        gateway.kill()
        copied = gateway.command("db", "copy", "--to", address)
        assert copied.returncode == 0, copied.stderr
        assert "3 requests and 1 account" in copied.stdout
        assert "DATABASE_URL=" in copied.stdout
        assert "hidden" not in copied.stdout + copied.stderr
        again = gateway.command("db", "copy", "--to", address)
        assert (again.returncode, "is not empty" in again.stderr) == (1, True)
        replaced = gateway.command("db", "copy", "--to", address, "--replace", "--json")
        assert json.loads(replaced.stdout)["rows"]["requests"] == 3, replaced.stderr

        gateway.environment["DATABASE_URL"] = address
        gateway.start()
        after = _remembered(gateway)
        last = after["requests"].pop(0)
        assert after["requests"] == before["requests"]
        assert [after[name] for name in ("accounts", "keys", "audit")] == [
            before[name] for name in ("accounts", "keys", "audit")
        ]
        assert [one["requests"] for one in after["usage"]] == [3]
        assert len(after["conversations"]) >= len(before["conversations"])
        new = record_of(gateway, message(gateway))
        assert (new["account"], new["created_at"] >= last["created_at"]) == ("work", True)
        assert json.loads(gateway.command("db", "check", "--json").stdout)["ok"] is True
        itself = gateway.command("db", "copy", "--to", address)
        assert (itself.returncode, "into itself" in itself.stderr) == (1, True)
        gateway.stop(expect_code=0)
        back = gateway.command("db", "copy", "--to", str(tmp_path / "back.db"))
        assert back.returncode == 0, back.stderr
        assert "4 requests" in back.stdout and "The encryption key has to go along" in back.stdout
