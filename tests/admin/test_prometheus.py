"""`/metrics` over HTTP, judged by the parsers of prometheus-client."""

import asyncio
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_open_metrics
from prometheus_client.parser import text_string_to_metric_families as read_text
from ruamel.yaml import YAML

from headgate.admin.exposition import OPEN_METRICS, TEXT, Figures, wants_open_metrics
from headgate.admin.metric_list import COUNTER, HISTOGRAM, METRICS, SUMMARY
from headgate.admin.owner import Owner
from headgate.admin.prometheus import gather
from headgate.pool.faults import Fault
from headgate.record.tally import Counter
from tests.admin.conftest import ADMIN_KEY, Relaying, add, report, set_up, workings
from tests.record.samples import attempt, count, request

ALERTS = Path(__file__).resolve().parents[2] / "docs" / "alerts.yml"
NASTY = 'a"b\\c\nd{}é'


def a_tally() -> Any:
    counter = Counter()
    tries = (
        attempt("one", account_id=1, error="rate_limit_error", until_at=2e9),
        attempt("two", account_id=2),
    )
    count(counter, [request("a", attempts=tries), request("b", caller=NASTY, model=NASTY, status=200)])
    count(counter, [request("c", status=529, error="overloaded_error")])
    return counter.tally


def samples(text: str, *, is_open: bool = False) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    families = (read_open_metrics if is_open else read_text)(text)
    found: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
    for family in families:
        for one in family.samples:
            place = (one.name, frozenset(one.labels.items()))
            assert place not in found, place
            found[place] = one.value
    return found


async def test_both_forms_say_the_same(client: httpx.AsyncClient, relaying: Relaying) -> None:
    """Whatever stands in a label, and every sample once."""
    relaying.workings = workings(tally=a_tally(), connects=2, connect_seconds=0.5)
    relaying.recorder = report(free_bytes=1 << 30)
    await add(client, "one")
    plain = await client.get("/metrics")
    opened = await client.get("/metrics", headers={"accept": f"{OPEN_METRICS};q=0.9,text/plain;q=0.5"})
    assert (plain.headers["content-type"], opened.headers["content-type"]) == (TEXT, OPEN_METRICS)
    assert plain.headers["cache-control"] == "no-store"
    one, other = samples(plain.text), samples(opened.text, is_open=True)
    assert {name for name, _ in one} == {name for name, _ in other}
    requests = (
        "headgate_requests_total",
        frozenset({"provider": "anthropic", "model": NASTY, "status": "200"}.items()),
    )
    assert one[requests] == other[requests] == 1
    assert one["headgate_upstream_connect_seconds_sum", frozenset()] == 0.5


async def test_every_figure_is_listed_and_every_listed_one_is_told(
    client: httpx.AsyncClient, owner: Owner, relaying: Relaying
) -> None:
    """`METRICS` is what `docs/monitoring.md` says."""
    tally = a_tally()
    tally.unpriced = {("anthropic", "other"): 1}
    relaying.workings = workings(tally=tally)
    relaying.recorder = report(free_bytes=1, pid=1)
    await add(client, "one")
    living, now = owner.pool.by_name("one"), owner.clock.now()
    assert living is not None
    living.health.apply(Fault.LIMITED, until=now + 300, now=now)
    told = set(re.findall(r"^# TYPE (\S+)", (await client.get("/metrics")).text, re.MULTILINE))
    only_sometimes = {
        "headgate_account_window_utilization_ratio",
        "headgate_account_window_reset_timestamp_seconds",
        "headgate_queue_key_waiting",
    }
    listed = {f"{name}_total" if metric.kind == COUNTER else name for name, metric in METRICS.items()}
    assert told | only_sometimes == listed


async def test_states_and_resets_of_accounts(client: httpx.AsyncClient, owner: Owner) -> None:
    for name in ("serves", "limited", "refused"):
        await add(client, name)
    now = owner.clock.now()
    for name, fault, until in (("limited", Fault.LIMITED, now + 300), ("refused", Fault.REFUSED, None)):
        living = owner.pool.by_name(name)
        assert living is not None
        living.health.apply(fault, until=until, now=now)
    found = samples((await client.get("/metrics")).text)
    states = {
        dict(labels)["account"]: dict(labels)["state"] for name, labels in found if name.endswith("_state")
    }
    assert states == {"serves": "active", "limited": "rate_limited", "refused": "needs_reauth"}
    reset = "headgate_account_reset_timestamp_seconds"
    resets = {dict(labels)["account"]: at for (name, labels), at in found.items() if name == reset}
    assert resets == {"limited": pytest.approx(now + 300)}


async def test_who_may_scrape(client: httpx.AsyncClient, owner: Owner) -> None:
    """The admin key in any of its forms; nobody when the owner says so."""
    set_up(owner, admin={"key": ADMIN_KEY})
    assert (await client.get("/metrics")).status_code == 401
    assert (await client.get("/metrics", headers={"authorization": "Bearer wrong"})).status_code == 401
    bearer = {"authorization": f"Bearer {ADMIN_KEY}"}
    assert (await client.get("/metrics", headers=bearer)).status_code == 200
    head = await client.head("/metrics", headers=bearer)
    assert (head.status_code, head.content) == (200, b"")
    set_up(owner, telemetry={"prometheus": False})
    gone = await client.get("/metrics")
    assert (gone.status_code, gone.json()["code"]) == (404, "not_found")
    assert "telemetry.prometheus" in gone.json()["hint"]


async def test_a_thousand_accounts(client: httpx.AsyncClient, owner: Owner) -> None:
    """Gathered in pieces, so that others run between; in less CPU time than anybody notices."""
    await add(client, "one")
    first = owner.pool.by_name("one")
    assert first is not None
    accounts = [replace(first.account, id=1000 + n, name=f"account-{n}") for n in range(1000)]
    owner.pool.replace(accounts)
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    counting = asyncio.ensure_future(count_turns())
    began = time.process_time()
    figures = await gather(owner)
    text, _ = figures.write("")
    took = time.process_time() - began
    counting.cancel()
    assert text.count(b"headgate_account_state{") == 1000
    assert turns >= 9
    assert took < 0.5  # 0.04 s where nobody else is at work


@pytest.mark.parametrize(
    ("accept", "is_open"),
    [
        ("", False),
        ("*/*", False),
        ("application/openmetrics-text", True),
        ("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1", True),
        ("application/openmetrics-text;version=0.0.1,text/plain", False),
        ("application/openmetrics-text;q=0", False),
        (";;,,=;version", False),
    ],
)
def test_which_form_is_asked_for(accept: str, is_open: bool) -> None:
    assert wants_open_metrics(accept) is is_open


def test_a_name_that_is_no_text_is_written_all_the_same() -> None:
    """Half of a surrogate pair, as JSON may hold it."""
    figures = Figures()
    figures.put("headgate_key_requests", 1, "\udc80")
    assert b'key="?"' in figures.write("")[0]


def test_the_example_alerts_name_figures_that_exist() -> None:
    rules = [rule for group in YAML(typ="safe").load(ALERTS)["groups"] for rule in group["rules"]]
    names = set()
    for name, metric in METRICS.items():
        suffixes = {
            COUNTER: ("_total",),
            HISTOGRAM: ("_bucket", "_sum", "_count"),
            SUMMARY: ("_sum", "_count"),
        }
        names |= {name + suffix for suffix in suffixes.get(metric.kind, ("",))}
    for rule in rules:
        assert (
            {"alert", "expr", "annotations"}
            <= rule.keys()
            <= {"alert", "expr", "for", "labels", "annotations"}
        )
        used = set(re.findall(r"\b(?:headgate|process)_\w+", rule["expr"]))
        assert used and used <= names, rule["alert"]
    assert len({rule["alert"] for rule in rules}) == len(rules) > 5
