"""The log and what was used in the other gateway's forms: `/v0/management/logs` and `/usage`."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from headgate.admin.owner import Owner
from headgate.storage.batch import Step, write_batch
from tests.admin.conftest import with_key
from tests.storage.rows import request_row, rows_of

LOGS = "/v0/management/logs"
NEW_YEAR = 1_767_225_600
DAY = 86_400_000


def line(second: int, words: str) -> str:
    return f"[2026-01-01T00:00:{second:02d}.000Z] INFO: [Proxy] {words}"


async def test_lines_of_the_log(owner: Owner, tmp_path: Path) -> None:
    """The newest, oldest first; later ones by `after` or by the cursor, each once."""
    file = tmp_path / "app.log"
    lines = [line(0, "a"), line(1, "b"), "Traceback", "ValueError: sk-ant-api03-abcdefgh", line(1, "c")]
    file.write_text("\n".join(lines) + "\n")
    lines[3] = "ValueError: sk-ant-…"
    async with with_key(owner, f"log: {{file: '{file}'}}\n") as client:

        async def ask(**query: Any) -> dict[str, Any]:
            answer: dict[str, Any] = (await client.get(LOGS, params=query)).json()
            assert answer["line-count"] == len(answer["lines"])
            return answer

        whole = await ask()
        assert (whole["lines"], whole["latest-timestamp"]) == (lines, NEW_YEAR + 1)
        assert (await ask(limit=2))["lines"] == lines[-2:]
        assert (await ask(after=NEW_YEAR))["lines"] == lines[1:]
        assert (await ask(after=NEW_YEAR + 1)) == {**(await ask(after=NEW_YEAR + 1)), "lines": []}
        nothing = await ask(cursor=whole["next-cursor"])
        assert (nothing["lines"], nothing["next-cursor"]) == ([], whole["next-cursor"])
        more = [line(1, "d"), line(2, "e")]
        with file.open("a") as opened:
            opened.write("\n".join(more) + "\n")
        later = await ask(cursor=whole["next-cursor"])
        assert (later["lines"], later["latest-timestamp"]) == (more, NEW_YEAR + 2)
        assert (await ask(cursor=later["next-cursor"]))["lines"] == []
        for query in ("limit=0", "limit=x", "after=-1", "after=1e9", "cursor=x", "cursor=1.x", "limit=10001"):
            assert (await client.get(f"{LOGS}?{query}")).status_code == 400, query
        deleted = await client.delete(LOGS)
        assert (deleted.status_code, deleted.json()["code"]) == (501, "not_offered")
        file.unlink()
        assert (await ask())["lines"] == []
        await client.put("/v0/management/logging-to-file", json={"value": False})
        answer = await client.get(LOGS)
        assert (answer.status_code, "logging to file disabled" in answer.json()["detail"]) == (400, True)


@pytest.mark.usefixtures("manager")
async def test_what_was_used(manager: httpx.AsyncClient, owner: Owner) -> None:
    """By key and model, by day and by the hour of the day."""
    rows = [
        request_row("hgr_1", timestamp=DAY, caller="key-1", model="m"),
        request_row("hgr_2", timestamp=2 * DAY, caller="key-1", model="n", status=500),
        request_row("hgr_3", timestamp=2 * DAY + 3_600_000, caller="key-2", model=None),
    ]
    await write_batch(owner.database, Step("j", "s", 0, 1), rows_of(*rows))
    answer = (await manager.get("/v0/management/usage")).json()
    one = {"total_requests": 1, "total_tokens": 10}
    assert answer == {
        "failed_requests": 1,
        "usage": {
            **{"total_requests": 3, "success_count": 2, "failure_count": 1, "total_tokens": 30},
            "apis": {
                "key-1": {"total_requests": 2, "total_tokens": 20, "models": {"m": one, "n": one}},
                "key-2": {**one, "models": {"unknown": one}},
            },
            "requests_by_day": {"1970-01-02": 1, "1970-01-03": 2},
            "requests_by_hour": {"00": 2, "01": 1},
            "tokens_by_day": {"1970-01-02": 10, "1970-01-03": 20},
            "tokens_by_hour": {"00": 20, "01": 10},
        },
    }
