"""Guide row C15: the way out of a network that has only a proxy."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from headgate.testing.process import SimulatedProvider
from tests.gateway import Gateway
from tests.guides.asking import error_of, logged, message, record_of
from tests.guides.signing_in import declared, settings_of
from tests.proxies import ONLY_BEHIND, RealProxy, TlsFront

SECRET = "s3cr3t-of-the-proxy"
DEAD = "http://127.0.0.1:1"
KEYS = {name: f"sk-ant-sim-{name}" for name in ("one", "two", "three")}


@pytest.fixture(scope="module")
def front(
    running_provider: SimulatedProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TlsFront]:
    """The provider by https://, under a name that only proxies know."""
    with TlsFront(tmp_path_factory.mktemp("front"), running_provider.url) as running:
        yield running


@pytest.fixture(scope="module")
def http_proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealProxy]:
    with RealProxy(tmp_path_factory.mktemp("http"), credentials=f"me:{SECRET}") as running:
        yield running


@pytest.fixture(scope="module")
def socks_proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealProxy]:
    with RealProxy(tmp_path_factory.mktemp("socks"), "socks", credentials=f"me:{SECRET}") as running:
        yield running


def account(name: str, base_url: str, **fields: object) -> dict[str, object]:
    return {"name": name, "api_key": KEYS[name], "base_url": base_url, **fields}


def behind(url: str) -> str:
    """The same server by the name that only proxies know."""
    return f"http://{ONLY_BEHIND}:{url.rpartition(':')[2]}"


def shown_nowhere(gateway: Gateway, *more: str) -> None:
    """The proxy's password, in anything that the gateway says."""
    listed = gateway.command("account", "list", "--json").stdout
    settings = gateway.command("config", "show").stdout + gateway.command("config", "show", "--json").stdout
    said = [gateway.log_text(), gateway.output_text(), listed, settings, json.dumps(gateway.requests())]
    said += [json.dumps(gateway.admin("/api/accounts")), json.dumps(gateway.admin("/api/config")), *more]
    assert not [text for text in said if SECRET in text]


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_c15_the_environment_names_the_proxy(
    tmp_path: Path, provider: SimulatedProvider, front: TlsFront, http_proxy: RealProxy, name: str
) -> None:
    """`HTTPS_PROXY` and its kin lead to the provider, credentials and all; they are shown nowhere."""
    environment = {name: http_proxy.url(), "SSL_CERT_FILE": str(front.trusted)}
    accounts = [account("one", front.url)]
    with Gateway(tmp_path, accounts=accounts, environment=environment) as gateway:
        before = front.connections
        assert message(gateway).status_code == 200
        streamed = message(gateway, "say 100 words", stream=True)
        assert streamed.status_code == 200
        assert streamed.text.count("event: content_block_delta") >= 100 and "message_stop" in streamed.text
        assert front.connections == before + 1, "the tunnel is used again"
        shown_nowhere(gateway, streamed.text)
    assert provider.received()[-1]["path"] == "/v1/messages"
    assert f"CONNECT {front.url.removeprefix('https://')}" in http_proxy.log_text()


def test_c15_what_needs_no_proxy_gets_none(
    tmp_path: Path, provider: SimulatedProvider, http_proxy: RealProxy
) -> None:
    """`NO_PROXY` keeps names, networks and all below them away from it; this machine needs none."""
    environment = {"HTTP_PROXY": DEAD, "http_proxy": DEAD, "NO_PROXY": "example.com, .test"}
    with Gateway(tmp_path, provider=provider.url, environment=environment) as gateway:
        assert message(gateway).status_code == 200  # 127.0.0.1
        added = gateway.command(
            *("account", "add", "two", "--base-url", behind(provider.url), "--api-key-stdin"),
            stdin=KEYS["two"],
        )
        assert added.returncode == 0, added.stderr
        failed = message(gateway, headers={"x-headgate-account": "two"})
        # Asked for straight away, that name is known to nobody.
        assert "ENOTFOUND" in error_of(failed)["lastError"] or "EAI_AGAIN" in error_of(failed)["lastError"]
        proxied = gateway.command("config", "set", "upstream.no_proxy", "[]")
        assert proxied.returncode == 0 and "NO_PROXY" in proxied.stdout + proxied.stderr


def test_c15_every_account_goes_its_own_way(
    tmp_path: Path, provider: SimulatedProvider, http_proxy: RealProxy, socks_proxy: RealProxy
) -> None:
    """An account's proxy comes before `upstream.proxy`; `direct` means none. In force at once."""
    settings = {"upstream": {"proxy": DEAD}, "access": {"own_credentials": "never"}}
    with Gateway(tmp_path, accounts=[], settings=settings) as gateway:
        ways = {"one": http_proxy.url(), "two": socks_proxy.url(), "three": "direct"}
        for name, proxy in ways.items():
            url = provider.url if proxy == "direct" else behind(provider.url)
            added = gateway.command(
                *("account", "add", name, "--base-url", url, "--proxy", proxy, "--api-key-stdin"),
                stdin=KEYS[name],
            )
            assert (added.returncode, SECRET in added.stdout + added.stderr) == (0, False), added.stderr
            assert message(gateway, headers={"x-headgate-account": name}).status_code == 200
        shown = [one["proxy"] for one in gateway.admin("/api/accounts")["accounts"]]
        assert shown == [
            f"http://***@127.0.0.1:{http_proxy.port}",
            f"socks5h://***@127.0.0.1:{socks_proxy.port}",
            "direct",
        ]
        assert f"-> {ONLY_BEHIND}" in socks_proxy.log_text()
        tested = gateway.command("account", "test", "two", "--json")
        assert json.loads(tested.stdout)["outcome"] == "accepted"

        changed = gateway.command("account", "set", "three", "--proxy", "none")
        assert changed.stdout == "Account three: proxy is now none\n"
        refused = message(gateway, headers={"x-headgate-account": "three"})
        assert refused.status_code == 502
        error = error_of(refused)
        assert error["lastError"].startswith("ECONNREFUSED: ") and DEAD in error["lastError"]
        attempts = record_of(gateway, refused)["attempts"]
        assert {one["error"] for one in attempts} == {"proxy_failed"} and attempts[0]["rests_until"]
        logged(gateway, r"\[Proxy\] Failed to proxy request with account three: ECONNREFUSED: Proxy http://")
        proxy_file = tmp_path / "proxy.txt"
        proxy_file.write_text(http_proxy.url() + "\n")
        moved = gateway.command("account", "set", "three", "--proxy", f"file:{proxy_file}")
        assert moved.stdout == f"Account three: proxy is now http://***@127.0.0.1:{http_proxy.port}\n"
        # It does not wait for the rest to end: that was about the other way.
        assert message(gateway, headers={"x-headgate-account": "three"}).status_code == 200
        shown_nowhere(gateway, refused.text)


def test_c15_a_changed_setting_is_followed(
    tmp_path: Path, provider: SimulatedProvider, http_proxy: RealProxy
) -> None:
    """`upstream.proxy` takes effect for the next connection, without a restart; a wrong one is refused."""
    accounts = [account("one", behind(provider.url))]
    with Gateway(tmp_path, accounts=accounts, settings={"upstream": {"proxy": DEAD}}) as gateway:
        assert message(gateway).status_code == 502
        wrong = gateway.command("config", "set", "upstream.proxy", f"ftp://me:{SECRET}@127.0.0.1")
        assert wrong.returncode == 2
        assert "must be an address such as http://" in wrong.stderr and SECRET not in wrong.stderr
        right = gateway.command("config", "set", "upstream.proxy", http_proxy.url())
        assert right.returncode == 0, right.stderr
        assert message(gateway).status_code == 200
        shown_nowhere(gateway, right.stdout + right.stderr)


def test_c15_a_proxy_that_wants_credentials_is_told(
    tmp_path: Path, front: TlsFront, http_proxy: RealProxy
) -> None:
    """A proxy that wants other credentials is named, with the mend; the account rests a moment."""
    accounts = [account("one", front.url, proxy=http_proxy.url(credentials="me:wrong-" + SECRET))]
    with Gateway(tmp_path, accounts=accounts, environment={"SSL_CERT_FILE": str(front.trusted)}) as gateway:
        answer = message(gateway)
        assert answer.status_code == 502
        error = error_of(answer)
        assert "EPROXYAUTH: The proxy http://127.0.0.1" in error["lastError"]
        assert "does not take the credentials" in error["lastError"] and "USER:PASSWORD" in error["hint"]
        attempts = record_of(gateway, answer)["attempts"]
        assert {one["error"] for one in attempts} == {"proxy_wants_credentials"}
        assert attempts[0]["rests_until"]
        tested = json.loads(gateway.command("account", "test", "one", "--json").stdout)
        assert (tested["outcome"], tested["reason"]) == ("unreachable", "EPROXYAUTH")
        shown_nowhere(gateway, answer.text)


def test_c15_tokens_are_fetched_the_way_of_their_account(
    tmp_path: Path, provider: SimulatedProvider, http_proxy: RealProxy
) -> None:
    """An account that signed in is refreshed by its own proxy: the token endpoint is known to that alone."""
    grant = provider.grant("ann", lifetime_seconds=3600)
    team = {**declared("team", grant, provider), "base_url": behind(provider.url), "proxy": http_proxy.url()}
    settings = settings_of(provider, token_url=f"{behind(provider.url)}/oauth/token")
    settings["upstream"] = {"proxy": DEAD}
    with Gateway(tmp_path, accounts=[team], settings=settings) as gateway:
        assert message(gateway).status_code == 200
        refreshed = gateway.command("account", "refresh", "team")
        assert refreshed.returncode == 0, refreshed.stderr
        assert provider.sign_ins()["ann"]["refreshes_granted"] == 1
        assert message(gateway).status_code == 200
        shown_nowhere(gateway, refreshed.stdout)
