"""Guide rows S: what the log says at which level, and of faults."""

import json
import re
from pathlib import Path

import pytest

from headgate.testing.process import SimulatedProvider
from tests.gateway import Gateway, wait_until
from tests.guides.asking import error_of, lines_of, logged, message, record_of
from tests.serve_with_faults import PROVOKE

REFUSED = {"fault": "status", "status": 418, "message": PROVOKE}


@pytest.mark.parametrize("variable", [{"LOG_LEVEL": "DEBUG"}, {"DEBUG": "1"}], ids=["LOG_LEVEL", "DEBUG"])
def test_s6_the_level_from_the_environment(
    tmp_path: Path, provider: SimulatedProvider, variable: dict[str, str]
) -> None:
    """`LOG_LEVEL=DEBUG` and `DEBUG=1` show debug lines, of the recorder too; without them there are none."""
    for environment in ({}, variable):
        with Gateway(tmp_path, provider=provider.url, environment=environment) as gateway:
            assert message(gateway).status_code == 200
            logged(gateway, "Request completed for one")
            gateway.stop(expect_code=0)
            assert bool(lines_of(gateway, r"\] DEBUG: \[Server\] Settings")) == bool(environment)
            assert bool(lines_of(gateway, r"\] DEBUG: \[async-db-writer\]")) == bool(environment)
            assert bool(lines_of(gateway, r"\] DEBUG: \[Proxy\] Attempt on one ")) == bool(environment)


def test_s6_sql_statements_with_their_times(tmp_path: Path, provider: SimulatedProvider) -> None:
    """`DEBUG_SQL=true` logs each statement of both processes with its time, and no value of a row."""
    with Gateway(tmp_path, provider=provider.url, environment={"DEBUG_SQL": "true"}) as gateway:
        answer = message(gateway, headers={"x-headgate-session": "a-session-of-its-own"})
        assert answer.status_code == 200
        assert record_of(gateway, answer)["session"] == "a-session-of-its-own"  # it is stored by now
        logged(gateway, r'DEBUG: \[Sql\] INSERT INTO requests .*"duration_ms":[\d.]+')
        logged(gateway, r"DEBUG: \[Sql\] SELECT ")
        assert "a-session-of-its-own" not in gateway.log_text()
        assert lines_of(gateway, r"DEBUG: \[(?!Sql)") == []


@pytest.mark.parametrize("form", ["pretty", "json"])
def test_s6_no_secret_in_any_log(tmp_path: Path, provider: SimulatedProvider, form: str) -> None:
    """At the level debug, statements included: neither the accounts' keys nor the callers'."""
    key, wrong = "sk-ant-sim-one", "a wrong key without a look"
    rule = {"fault": "status", "status": 403, "message": f"{key} may not do that"}
    provider.script(key, rules=[rule])
    log = {"level": "debug", "sql": True, "format": form, "file": str(tmp_path / "headgate.log")}
    with Gateway(tmp_path, provider=provider.url, settings={"log": log}) as gateway:
        assert message(gateway).status_code == 403
        assert message(
            gateway, key=wrong.replace(" ", "-"), path=f"/v1/messages?key={wrong.replace(' ', '+')}"
        )
        logged(gateway, "may not do that")
        gateway.stop(expect_code=0)
        written = gateway.log_text() + gateway.output_text()
    assert "DEBUG" in written
    for secret in (key, "hg_journey", wrong.replace(" ", "-"), wrong.replace(" ", "+")):
        assert secret not in written


def test_s6_no_sql_without_being_asked(tmp_path: Path, provider: SimulatedProvider) -> None:
    """The level debug alone does not drown all else in statements."""
    with Gateway(tmp_path, provider=provider.url, environment={"DEBUG": "true"}) as gateway:
        assert message(gateway).status_code == 200
        logged(gateway, "Request completed for one")
        assert lines_of(gateway, r"\[Sql\]") == []


@pytest.mark.parametrize("form", ["pretty", "json"])
def test_s13_an_unexpected_error_has_its_trace_under_the_request_id(
    tmp_path: Path, provider: SimulatedProvider, form: str
) -> None:
    """500 in the caller's dialect with the id; the log has the stack trace under it; the gateway goes on."""
    provider.script("sk-ant-sim-one", rules=[REFUSED | {"times": 2}])
    settings = {"log": {"format": form, "file": str(tmp_path / "headgate.log")}}
    with Gateway(tmp_path, provider=provider.url, settings=settings, is_faulty=True) as gateway:
        for stream in (False, True):
            answer = message(gateway, stream=stream)
            request_id = answer.headers["x-headgate-request-id"]
            error = error_of(answer)
            assert (answer.status_code, error["type"], error["code"]) == (500, "api_error", "internal_error")
            assert answer.json()["request_id"] == request_id
            assert request_id in error["message"]
            assert "LookupError" not in answer.text
            assert gateway.record_of(request_id)["error"] == "internal_error"
            (entry,) = _errors(gateway, request_id)
            assert "Traceback (most recent call last)" in entry["text"]
            assert "LookupError: an error that nobody has thought of" in entry["text"].replace("\\n", "\n")
        assert message(gateway).status_code == 200
        assert gateway.admin("/health")["status"] == "ok"
        shown = gateway.command("logs", "--level", "error", "--json")
        assert [one["request_id"] for one in json.loads(shown.stdout)["lines"]][-1] == request_id


def _errors(gateway: Gateway, request_id: str) -> list[dict[str, str]]:
    """By the API, which reads the file."""

    def found() -> list[dict[str, str]]:
        logs = gateway.admin("/api/logs?level=error")["logs"]
        return [entry for entry in logs if entry["request_id"] == request_id]

    wait_until(found, what="an error in the log")
    return found()


def test_s13_every_line_of_a_request_has_its_id(tmp_path: Path, provider: SimulatedProvider) -> None:
    """Failures, rests, switches between attempts and of conversations, warnings near a limit, completion."""
    near = {"five_hour_tokens": 400}
    provider.script("sk-ant-sim-a", subscription=near)
    headers = {"x-headgate-session": "one"}
    with Gateway(tmp_path, provider=provider.url, accounts=("a", "b")) as gateway:
        ids = [message(gateway, headers=headers).headers["x-headgate-request-id"]]
        for _ in range(3):
            provider.script("sk-ant-sim-a", rules=[{"fault": "429", "limit": "unified", "seconds": 900}])
            ids.append(message(gateway, headers=headers).headers["x-headgate-request-id"])
        assert gateway.command("account", "pause", "b").returncode == 0
        for request_id in ids:
            logged(gateway, f"Request completed .*{request_id}")
        told = lines_of(gateway, r"\[Proxy\]")
        for words in ("Failed to proxy request", "Switched account", "rate limited until"):
            assert any(words in line for line in told)
        assert [line for line in told if not any(one in line for one in ids)] == []


def test_s13_a_conversation_that_moves_has_the_requests_id(
    tmp_path: Path, provider: SimulatedProvider
) -> None:
    """The account chosen before was paused since: the switch stands under the request that met it."""
    headers = {"x-headgate-session": "one"}
    with Gateway(tmp_path, provider=provider.url, accounts=("a", "b")) as gateway:
        first = message(gateway, headers=headers)
        served = gateway.record_of(first.headers["x-headgate-request-id"])["account"]
        gateway.admin(f"/api/accounts/{served}/pause", method="POST")
        second = message(gateway, headers=headers).headers["x-headgate-request-id"]
        line = logged(gateway, rf"Switched account: {served} -> ")
        assert re.search(rf'"request_id":"{second}"', line)
