"""Guide row D5: what must be dropped is counted, to the record, and said where an owner looks."""

import json
from pathlib import Path
from typing import Any

import httpx

from headgate.testing.process import SimulatedProvider
from tests.gateway import CLIENT_KEY, NO_TLS, Gateway, wait_until
from tests.guides.asking import TIMEOUT_SECONDS, logged, run
from tests.guides.forwarder import Forwarder
from tests.testing.wire import ask

SETTINGS: dict[str, Any] = {"storage": {"journal_max_mb": 16, "bodies": {"keep": True}}}
MOST_REQUESTS = 1_000
LONG_TALK = [{"role": ("user", "assistant")[turn % 2], "content": str(turn)} for turn in range(4_095)]
"""As long as is linked: its record names 4 095 messages in 65 KB: few requests fill a journal."""


def test_d5_what_finds_no_room_is_counted(
    tmp_path: Path, provider: SimulatedProvider, postgres_url: str
) -> None:
    """The database away until the journal is full: all is served, every lost record and body is counted."""
    body = json.dumps(ask(messages=LONG_TALK)).encode()
    headers = {"x-api-key": CLIENT_KEY, "content-type": "application/json"}
    with (
        Forwarder.to_postgres(postgres_url) as line,
        Gateway(tmp_path, provider=provider.url, database=line.url, settings=SETTINGS) as gateway,
        httpx.Client(base_url=gateway.url, headers=headers, timeout=TIMEOUT_SECONDS, verify=NO_TLS) as client,
    ):
        sent = 0

        def send() -> None:
            nonlocal sent
            assert client.post("/v1/messages", content=body).status_code == 200
            sent += 1

        def status() -> dict[str, Any]:
            found: dict[str, Any] = gateway.admin("/status")
            return found

        send()
        wait_until(lambda: len(gateway.requests()) == 1)
        line.cut()
        while status()["journal"]["dropped"] < 5:
            assert sent < MOST_REQUESTS, "The journal takes more than its setting says."
            send()
        now = status()
        assert "journal_dropped" in [one["code"] for one in now["troubles"]]
        assert gateway.admin("/health")["status"] == "degraded"
        logged(gateway, "ERROR: .*Records are being dropped: the journal is full: 16777216 bytes wait")
        assert "records were dropped since the start" in run(gateway, "status")
        line.mend()
        wait_until(lambda: status()["recorder"]["failure"] is None and _is_read(gateway), seconds=60)
        send()
        dropped = status()["journal"]["dropped"]
        wait_until(lambda: len(gateway.requests()) == sent - dropped, seconds=60)
        figures = gateway.ask("GET", "/metrics")[1].decode()
        assert f"headgate_journal_dropped_records_total {dropped}\n" in figures
        wait_until(lambda: gateway.admin("/health")["status"] == "ok")
        told = [gateway.admin(f"/api/requests/{row['id']}")["bodies"] for row in gateway.requests()]
        kept = [one for bodies in told for one in bodies.values()]
        # Of the last one that found room there may be nothing: what was to be said of its bodies did not.
        missing = [one for one in kept if one is None or one["error"] == "journal_full"]
        assert len(missing) + 2 * dropped == status()["bodies"]["dropped"]
        assert {one["error"] for one in kept if one and one not in missing} == {None}


def _is_read(gateway: Gateway) -> bool:
    found = json.loads(gateway.command("db", "info", "--json").stdout)
    return bool(found["journal_lag_bytes"] == 0)
