"""What another gateway is said to have left, and is a trap.

A command ends with words, in seconds, and neither the gateway nor what it has is touched.
"""

import json
import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.gateway import CLIENT_KEY, Gateway
from tests.guides.asking import message
from tests.moving import theirs

SECRET = "sk-ant-oat01-planted-secret"
_ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n)"


def _endless_view(folder: Path) -> list[str]:
    with sqlite3.connect(folder / "ccflare.db") as database:
        database.execute(f"CREATE VIEW accounts AS {_ENDLESS} SELECT x AS id, x AS name FROM n")
    return ["ccflare", str(folder)]


def _endless_column(folder: Path) -> list[str]:
    """A table whose rows are made while they are read."""
    with sqlite3.connect(folder / "ccflare.db") as database:
        database.execute("CREATE TABLE accounts (id TEXT, name TEXT AS (printf('%.*c', 90000000, 'x')))")
        database.execute("INSERT INTO accounts (id) VALUES ('1')")
    return ["ccflare", str(folder)]


def _broken_pages(folder: Path) -> list[str]:
    with theirs.ccflare(folder / "ccflare.db") as database:
        for number in range(300):
            theirs.ccflare_account(database, f"{SECRET}-{number}")
    database.close()
    file = folder / "ccflare.db"
    content = bytearray(file.read_bytes())
    content[8192:] = b"\xee" * (len(content) - 8192)
    file.write_bytes(content)
    return ["ccflare", str(file)]


def _pipe(folder: Path) -> list[str]:
    os.mkfifo(folder / "accounts.json")
    return ["claude-code-proxy", str(folder / "accounts.json")]


def _deep(folder: Path) -> list[str]:
    (folder / "accounts.json").write_text('{"accounts":' * 100_000 + f'"{SECRET}"')
    return ["claude-code-proxy", str(folder)]


def _half(folder: Path) -> list[str]:
    (folder / "accounts.json").write_text('{"accounts": {"work": {"accessToken": "' + SECRET)
    return ["claude-code-proxy", str(folder)]


def _aliases(folder: Path) -> list[str]:
    """Nine lists of nine of each other would be four hundred million words if they were written out."""
    levels = [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 10)]
    (folder / "config.yaml").write_text(
        "\n".join([f"l0: &l0 [{SECRET}]", *levels, "api-keys: *l9", "port: ["])
    )
    return ["cliproxyapi", str(folder)]


def _loop(folder: Path) -> list[str]:
    (folder / "a.credentials.json").symlink_to(folder / "b.credentials.json")
    (folder / "b.credentials.json").symlink_to(folder / "a.credentials.json")
    return ["claude-nexus-proxy", str(folder)]


def _dead_server(folder: Path) -> list[str]:
    return ["claude-nexus-proxy", f"postgresql://me:{SECRET}@127.0.0.1:1/nexus"]


TRAPS: dict[str, Any] = {
    "a view without end": _endless_view,
    "a column of a gigabyte": _endless_column,
    "damaged pages": _broken_pages,
    "a pipe that nobody writes into": _pipe,
    "a hundred thousand levels": _deep,
    "half a file": _half,
    "aliases of aliases": _aliases,
    "links in a ring": _loop,
    "a server that is not there": _dead_server,
}


@pytest.mark.parametrize("trap", list(TRAPS))
def test_traps_in_what_another_gateway_left(gateway: Gateway, tmp_path: Path, trap: str) -> None:
    """something to import that is a trap → refused in words without a secret, nothing is taken"""
    before = gateway.admin("/api/accounts")["accounts"]
    outcome = gateway.command("import", *TRAPS[trap](tmp_path))
    said = outcome.stdout + outcome.stderr
    assert outcome.returncode == 1, said
    assert "Traceback" not in said
    assert SECRET not in said
    assert [one["name"] for one in gateway.admin("/api/accounts")["accounts"]] == [
        one["name"] for one in before
    ]
    assert message(gateway).status_code == 200


def test_names_out_of_foreign_files(gateway: Gateway, tmp_path: Path) -> None:
    """accounts and requests named to command a terminal or leave a folder → plain names, once each"""
    odd = (
        "\x1b[2J\x1b]0;title\x07",
        "../../etc/passwd",
        "one\ntwo",
        "'; DROP TABLE accounts; --",
        "\u202egnp.exe",
    )
    with theirs.ccflare(tmp_path / "ccflare.db") as database:
        for name in odd:
            account = theirs.ccflare_account(database, name, paused=1)
            theirs.ccflare_request(
                database, account, 1, model=name, path=name, method=name, error_message=name, status_code=500
            )
    database.close()
    outcome = gateway.command("import", "ccflare", str(tmp_path))
    assert outcome.returncode == 0, outcome.stderr
    listed = gateway.command("account", "list").stdout + gateway.command("requests", "--limit", "9").stdout
    for said in (outcome.stdout, outcome.stderr, listed):
        assert not {"\x1b", "\x07", "\u202e"} & set(said)
    taken = [one["name"] for one in gateway.admin("/api/accounts")["accounts"] if one["paused"]]
    assert len(taken) == len(odd) == len(set(taken))
    for name in taken:
        gateway.admin(f"/api/accounts/{name}", method="DELETE")


def test_a_history_that_claims_our_requests(gateway: Gateway, tmp_path: Path) -> None:
    """rows to import under the ids of requests that are here → ours stay as they are"""
    answer = message(gateway)
    request_id = answer.headers["x-headgate-request-id"]
    ours = gateway.record_of(request_id)
    with theirs.ccflare(tmp_path / "ccflare.db") as database:
        theirs.ccflare_request(database, None, 1, id=request_id, model="forged", error_message="forged")
    database.close()
    outcome = gateway.command("import", "ccflare", str(tmp_path), "--only", "history", "--json")
    assert json.loads(outcome.stdout)["history"] == {"added": 0, "there": 1, "older": 0, "unreadable": 0}
    assert gateway.record_of(request_id) == ours


def test_a_sealed_export_that_wants_all_memory(gateway: Gateway, tmp_path: Path) -> None:
    """a sealed export with parameters of a terabyte → refused before a key is made"""
    sealed = gateway.command("account", "export", HEADGATE_PASSPHRASE="a long passphrase")
    envelope = json.loads(sealed.stdout)
    assert CLIENT_KEY not in sealed.stdout
    envelope["kdf"]["n"] = 1 << 40
    file = tmp_path / "sealed.json"
    file.write_text(json.dumps(envelope))
    outcome = gateway.command("account", "import", str(file), HEADGATE_PASSPHRASE="a long passphrase")
    assert (outcome.returncode, "Traceback" in outcome.stderr) == (1, False)
    assert "too much memory" in outcome.stderr
