"""Client keys that the owner gives out: whom they let in, to what, and until when."""

import json
import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from headgate.testing.clock import SharedClock
from headgate.testing.process import SimulatedProvider
from tests.gateway import CLIENT_KEY, NO_TLS, Gateway, wait_until
from tests.guides.asking import error_of, message, record_of, run
from tests.testing.wire import ask

OPEN = {"access": {"api_keys": []}}
DAY_SECONDS = 86_400


@pytest.fixture
def clock(tmp_path: Path) -> Iterator[SharedClock]:
    clock = SharedClock(tmp_path / "clock")
    yield clock
    clock.close()


def made(gateway: Gateway, name: str, *options: str, stdin: str = "") -> str:
    """The key that `headgate key create` prints."""
    done = gateway.command("key", "create", name, *options, "--json", stdin=stdin)
    assert done.returncode == 0, done.stderr
    key: str = json.loads(done.stdout)["key"]
    return key


def status(gateway: Gateway, key: str | None, **more: Any) -> int:
    return message(gateway, key=key, **more).status_code


def test_c1_a_key_is_asked_for_as_soon_as_there_is_one(tmp_path: Path, provider: SimulatedProvider) -> None:
    """Until then everybody on this machine is let in; wrong or missing then: 401 "Invalid client API key"."""
    with Gateway(tmp_path, provider=provider.url, settings=OPEN) as gateway:
        with httpx.Client(verify=NO_TLS, base_url=gateway.url) as kept:
            body = json.dumps(ask("hello")).encode()
            assert kept.post("/v1/messages", content=body).status_code == 200
            key = made(gateway, "laptop")
            assert kept.post("/v1/messages", content=body).status_code == 401
        assert key.startswith("hg_")
        assert len(key) >= 3 + 43  # 256 bits
        for wrong in (None, "hg_wrong", key[:-1], key + "x"):
            answer = message(gateway, key=wrong)
            assert (answer.status_code, error_of(answer)["message"]) == (401, "Invalid client API key")
        for headers in (
            {"authorization": f"Bearer {key}"},
            {"authorization": f"bearer  {key}"},
            {"x-api-key": key},
            {"x-goog-api-key": key},
        ):
            assert status(gateway, None, headers=headers) == 200, headers
        answer = message(gateway, key=None, path=f"/v1/messages?key={key}")
        assert answer.status_code == 200
        assert record_of(gateway, answer)["caller"] == "laptop"
        assert len(provider.books()["requests"]) == 6  # none of those that were refused


def test_c1_a_key_is_shown_once_and_kept_as_a_digest(tmp_path: Path, provider: SimulatedProvider) -> None:
    """A key is said when it is made and never again; neither database nor log holds it."""
    with Gateway(tmp_path, provider=provider.url, settings=OPEN) as gateway:
        said = run(gateway, "key", "create", "laptop", "--note", "for the train")
        key = said.split()[said.split().index("once:") + 1]
        assert status(gateway, key) == 200
        for words in (("list",), ("list", "--json"), ("show", "laptop"), ("show", "laptop", "--json")):
            shown = run(gateway, "key", *words)
            assert "laptop" in shown and key[:7] in shown and key not in shown
        assert error_of(message(gateway, key=key, path="/v1/messages/nowhere", model="x"))["message"]
        assert "for the train" in run(gateway, "key", "show", "laptop")
        log = gateway.log_text() + gateway.output_text()
    written = b"".join(path.read_bytes() for path in gateway.data.rglob("*") if path.is_file())
    assert b"laptop" in written
    assert key.encode() not in written + log.encode()


def test_c3_keys_last_over_a_restart_and_change_beside_a_stopped_gateway(
    tmp_path: Path, provider: SimulatedProvider
) -> None:
    """What is changed beside a stopped gateway is in force at its next start."""
    gateway = Gateway(tmp_path, provider=provider.url, settings=OPEN)
    with gateway:
        first = made(gateway, "first")
    second = made(gateway, "second")
    run(gateway, "key", "revoke", "first", "--yes")
    short = run(gateway, "key", "create", "tiny", "--key-stdin", "--daily-usd", "5", stdin="tiny")
    assert "can be guessed. headgate key rotate tiny" in short
    assert "$0.00 of $5.00 a day" in run(gateway, "key", "list")
    with gateway:
        assert [status(gateway, key) for key in (first, second, None)] == [401, 200, 401]
        assert "was revoked" in error_of(message(gateway, key=first))["hint"]


def test_c3_a_revoked_key_is_out_at_once(tmp_path: Path, provider: SimulatedProvider) -> None:
    """On connections that it has open as well; the last one does not open the door behind it."""
    with Gateway(tmp_path, provider=provider.url, settings=OPEN) as gateway:
        key = made(gateway, "laptop")
        body = json.dumps(ask("hello")).encode()
        with httpx.Client(verify=NO_TLS, base_url=gateway.url, headers={"x-api-key": key}) as kept:
            for _ in range(3):
                assert kept.post("/v1/messages", content=body).status_code == 200
            run(gateway, "key", "revoke", "laptop", "--yes")
            assert kept.post("/v1/messages", content=body).status_code == 401
        assert status(gateway, None) == 401
        assert run(gateway, "key", "list").startswith("No client keys yet")
        assert "laptop" in run(gateway, "key", "list", "--revoked")
        again = made(gateway, "laptop")  # the name is free
        assert status(gateway, again) == 200
        assert "was revoked" in run(gateway, "key", "create", "other", "--key-stdin", stdin=key, code=1)


def test_c3_a_change_reaches_the_other_gateways(
    tmp_path: Path, provider: SimulatedProvider, postgres_url: str
) -> None:
    """Within a second; the test waits no longer than it has to."""
    environment = {"HEADGATE_SECRET_KEY": secrets.token_urlsafe(32)}
    with ExitStack() as stack:
        one, other = (
            stack.enter_context(
                Gateway(
                    _folder(tmp_path / name),
                    provider=provider.url,
                    accounts=(),
                    settings=OPEN,
                    database=postgres_url,
                    environment=environment,
                )
            )
            for name in ("one", "other")
        )
        account = {"name": "work", "api_key": "sk-ant-sim-work", "base_url": provider.url}
        one.admin("/api/accounts", method="POST", body=account)
        key = made(one, "laptop")
        # Until it knows of a key it is open to all, with this one too.
        wait_until(lambda: status(other, None) == 401, what="the key on the other gateway", seconds=5)
        assert status(other, key) == 200
        one.admin("/api/keys/laptop", method="PATCH", body={"models": ["claude-haiku-*"]})
        wait_until(lambda: status(other, key) == 403, what="the change on the other gateway", seconds=5)
        one.admin("/api/keys/laptop", method="DELETE")
        wait_until(lambda: status(other, key) == 401, what="the end on the other gateway", seconds=5)


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def test_c3_a_key_is_replaced_while_both_open(
    tmp_path: Path, provider: SimulatedProvider, clock: SharedClock
) -> None:
    """A rotation leaves clients time: old and new key open until the old one ends."""
    with Gateway(tmp_path, provider=provider.url, settings=OPEN, clock=tmp_path / "clock") as gateway:
        old = made(gateway, "laptop", "--models", "claude-*")
        done = gateway.command("key", "rotate", "laptop", "--overlap", "1h", "--json")
        new = json.loads(done.stdout)["key"]
        body = json.dumps(ask("hello")).encode()
        with httpx.Client(verify=NO_TLS, base_url=gateway.url, headers={"x-api-key": old}) as kept:
            for _ in range(3):
                assert kept.post("/v1/messages", content=body).status_code == 200
            assert (status(gateway, new), status(gateway, None)) == (200, 401)
            clock.advance(3601)
            assert kept.post("/v1/messages", content=body).status_code == 401
        assert (status(gateway, new), status(gateway, old)) == (200, 401)
        assert gateway.admin("/api/keys/laptop")["models"] == ["claude-*"]
        newest = json.loads(gateway.command("key", "rotate", "laptop", "--json").stdout)["key"]
        assert (status(gateway, newest), status(gateway, new)) == (200, 401)


def test_c1_a_key_ends(tmp_path: Path, provider: SimulatedProvider, clock: SharedClock) -> None:
    """At a moment, or so many days after its first use, whichever comes first; over a restart too."""
    gateway = Gateway(tmp_path, provider=provider.url, settings=OPEN, clock=tmp_path / "clock")
    body = json.dumps(ask("hello")).encode()
    with gateway:
        dated = made(gateway, "dated", "--expires", "2d")
        counted = made(gateway, "counted", "--days-from-first-use", "3")
        clock.advance(DAY_SECONDS)
        with httpx.Client(verify=NO_TLS, base_url=gateway.url, headers={"x-api-key": dated}) as kept:
            for _ in range(3):
                assert kept.post("/v1/messages", content=body).status_code == 200
            clock.advance(DAY_SECONDS + 1)
            answer = kept.post("/v1/messages", content=body)
            assert answer.status_code == 401
            assert "It has expired" in error_of(answer)["hint"]
        assert status(gateway, counted) == 200  # its days begin
        wait_until(lambda: gateway.admin("/api/keys/counted")["first_used_at"], what="the first use")
        clock.advance(2 * DAY_SECONDS)
        assert (status(gateway, counted), status(gateway, dated)) == (200, 401)
        assert gateway.admin("/api/keys/dated")["status"] == "expired"
    with gateway:
        assert status(gateway, counted) == 200
        clock.advance(DAY_SECONDS + 1)
        assert status(gateway, counted) == 401
        over = run(gateway, "key", "set", "dated", "--expires", "2020-01-01T00:00Z", code=2)
        assert "expires_at: 2020-01-01T00:00:00Z is over mend: Name a moment to come" in over
        as_read = {**gateway.admin("/api/keys/dated"), "note": "ended"}
        again = {field: as_read[field] for field in ("note", "expires_at")}
        assert gateway.admin("/api/keys/dated", method="PATCH", body=again)["status"] == "expired"
        run(gateway, "key", "set", "counted", "--days-from-first-use", "30")
        run(gateway, "key", "set", "dated", "--expires", "none")
        assert (status(gateway, counted), status(gateway, dated)) == (200, 200)


def test_c1_a_key_opens_what_it_is_for(tmp_path: Path, provider: SimulatedProvider) -> None:
    """Models as names or patterns, providers: 403 in the dialect, and nothing reaches the provider."""
    with Gateway(tmp_path, provider=provider.url, settings=OPEN) as gateway:
        key = made(
            gateway, "laptop", "--models", "claude-haiku-*,claude-sonnet-5", "--refused-models", "*-old"
        )
        assert status(gateway, key, model="claude-haiku-4-5") == 200
        assert status(gateway, key, model="claude-sonnet-5") == 200
        before = len(provider.books()["requests"])
        for model in ("claude-opus-4-6", "claude-haiku-old", "claude-sonnet-5-1"):
            answer = message(gateway, key=key, model=model)
            error = error_of(answer)
            assert (answer.status_code, error["type"], error["code"]) == (
                403,
                "permission_error",
                "key_may_not",
            )
            assert model in error["message"]
            assert answer.headers["x-should-retry"] == "false"
        record_of(gateway, answer)
        gateway.environment["COLUMNS"] = "200"
        # What was refused is listed with the model that was asked for, and whose key it was.
        listed = run(gateway, "requests", "--key", "laptop")
        assert (
            f"- claude-sonnet-5-1 403 {answer.headers['x-headgate-request-id']} laptop key_may_not" in listed
        )
        assert "no client key named lapto; did you mean laptop?" in run(gateway, "requests", "--key", "lapto")
        assert len(provider.books()["requests"]) == before
        run(gateway, "key", "set", "laptop", "--models", "none", "--refused-models", "none")
        assert status(gateway, key, model="claude-opus-4-6") == 200
        assert "unknown provider" in run(gateway, "key", "set", "laptop", "--providers", "nobody", code=2)


def test_c1_a_key_is_bound_to_accounts(tmp_path: Path, provider: SimulatedProvider) -> None:
    """By name, by pattern, by domain; in the middle of a conversation too."""
    accounts: list[dict[str, Any]] = [
        {"name": name, "api_key": f"sk-ant-sim-{name}", "domain": domain}
        for name, domain in (("team-a", "a.test"), ("team-b", None), ("own", "b.test"))
    ]
    shown = {**OPEN, "routing": {"expose_account": True}}
    with Gateway(tmp_path, provider=provider.url, accounts=accounts, settings=shown) as gateway:
        by_name, by_pattern = (
            made(gateway, "n", "--accounts", "own"),
            made(gateway, "p", "--accounts", "team-*"),
        )
        by_domain, free = made(gateway, "d", "--domain", "a.test"), made(gateway, "f", "--may-choose-account")

        def served(key: str, **headers: str) -> set[str]:
            answers = [message(gateway, key=key, headers=headers) for _ in range(6)]
            return {answer.headers.get("x-headgate-account", str(answer.status_code)) for answer in answers}

        assert served(by_name) == {"own"}
        assert served(by_pattern) <= {"team-a", "team-b"}
        assert served(by_domain) == {"team-a"}
        assert served(free, **{"x-headgate-account": "team-b"}) == {"team-b"}
        assert served(by_name, **{"x-headgate-account": "own"}) == {"403"}
        # One conversation, two keys: the binding of each holds.
        conversation = {"x-headgate-session": "one"}
        assert served(by_name, **conversation) == {"own"}
        assert served(by_domain, **conversation) == {"team-a"}
        answer = message(gateway, key=made(gateway, "x", "--domain", "nobody.test"))
        assert answer.status_code == 503
        assert "not for this client key" in error_of(answer)["hint"]
        assert "did you mean own" in run(gateway, "key", "create", "y", "--accounts", "owm", code=2)


def test_c1_a_key_follows_an_account_that_is_renamed(tmp_path: Path, provider: SimulatedProvider) -> None:
    """A key that is bound to an account stays bound to it under its new name."""
    shown = {**OPEN, "routing": {"expose_account": True}}
    with Gateway(tmp_path, provider=provider.url, accounts=("other",), settings=shown) as gateway:
        account = {"name": "work", "api_key": "sk-ant-sim-work", "base_url": provider.url}
        gateway.admin("/api/accounts", method="POST", body=account)
        key = made(gateway, "laptop", "--accounts", "work")
        run(gateway, "account", "rename", "work", "office")
        assert message(gateway, key=key).headers["x-headgate-account"] == "office"
        assert gateway.admin("/api/keys/laptop")["accounts"] == ["office"]


def test_c2_keys_of_the_settings_are_managed_by_the_same_commands(
    tmp_path: Path, provider: SimulatedProvider
) -> None:
    """Spaces round them are forgiven. What is said of one by command holds as long as it stands there."""
    settings = {"access": {"api_keys": [f"  {CLIENT_KEY} "]}}
    with Gateway(tmp_path, provider=provider.url, settings=settings) as gateway:
        assert status(gateway, CLIENT_KEY) == 200
        (shown,) = gateway.admin("/api/keys")["keys"]
        name = shown["name"]
        assert (shown["origin"], shown["status"]) == ("settings", "active")
        assert "stands in the settings" in run(gateway, "key", "revoke", name, "--yes", code=1)
        run(gateway, "key", "set", name, "--name", "mine", "--models", "claude-haiku-*")
        assert status(gateway, CLIENT_KEY, model="claude-opus-4-6") == 403
        assert record_of(gateway, message(gateway, model="claude-haiku-4-5"))["caller"] == "mine"
        run(gateway, "key", "set", "mine", "--disabled")
        assert status(gateway, CLIENT_KEY) == 401
        run(gateway, "key", "set", "mine", "--enabled", "--models", "none")
        assert status(gateway, CLIENT_KEY) == 200
        other = made(gateway, "other")
        run(gateway, "config", "set", "access.api_keys", "[]")
        wait_until(lambda: status(gateway, CLIENT_KEY) == 401, what="the end of the key")
        assert [one["name"] for one in gateway.admin("/api/keys")["keys"]] == ["other"]
        assert status(gateway, other) == 200


def test_c1_any_text_may_be_a_key_that_was_given_out_elsewhere(
    tmp_path: Path, provider: SimulatedProvider
) -> None:
    """A key of another gateway goes on; the same one twice is refused."""
    with Gateway(tmp_path, provider=provider.url, settings=OPEN) as gateway:
        assert made(gateway, "old", "--key-stdin", stdin="cr_0123456789abcdef\n") == "cr_0123456789abcdef"
        assert status(gateway, "cr_0123456789abcdef") == 200
        twice = run(gateway, "key", "create", "again", "--key-stdin", stdin="cr_0123456789abcdef", code=1)
        assert "The same key is already there, as old" in twice
        assert "already called old" in run(gateway, "key", "create", "old", code=1)


def test_c1_beyond_this_machine_only_with_keys(tmp_path: Path, provider: SimulatedProvider) -> None:
    """The start is refused without a client key and an admin key, and says how to make one; a key that the
    database keeps will do, and everybody without it gets 401 and the open routes."""
    wide = {**OPEN, "server": {"host": "0.0.0.0"}, "admin": {"key": "owner-0123456789"}}
    gateway = Gateway(tmp_path, provider=provider.url, settings=wide)
    refused = run(gateway, "serve", code=2)
    assert "without a client key" in refused and "headgate key create NAME" in refused
    key = made(gateway, "laptop")
    with gateway:
        port = gateway.address[1]
        here = f"http://127.0.0.1:{port}"
        assert httpx.get(f"{here}/healthz", verify=NO_TLS).status_code == 200
        for path in ("/v1/models", "/api/accounts", "/status", "/api/keys"):
            assert httpx.get(here + path, verify=NO_TLS).status_code == 401, path
        body = json.dumps(ask("hello")).encode()
        assert httpx.post(f"{here}/v1/messages", content=body, verify=NO_TLS).status_code == 401
        assert (
            httpx.post(
                f"{here}/v1/messages", content=body, headers={"x-api-key": key}, verify=NO_TLS
            ).status_code
            == 200
        )
