"""Guide row C8: web pages of other origins, when their origins are listed."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from headgate.testing.process import SimulatedProvider
from tests.gateway import CLIENT_KEY, NO_TLS, Gateway, wait_until
from tests.guides.asking import error_of, message
from tests.journeys.wire import ask, connect, fetch, request
from tests.upstream.scripted import ScriptedServer, Talk

APP = "https://app.example.com:8443"
OTHER = "https://other.example"
FROM_APP = {"origin": APP, "sec-fetch-site": "cross-site", "sec-fetch-mode": "cors", "referer": f"{APP}/chat"}
_ASKED = "anthropic-version,content-type,x-api-key,x-stainless-lang"


def listing(*origins: str, **others: Any) -> dict[str, Any]:
    return {"server": {"cors_origins": list(origins)}, **others}


def preflight(gateway: Gateway, path: str = "/v1/messages", **headers: str) -> httpx.Response:
    """What a browser asks before it sends a page's request."""
    asked = {"access-control-request-method": "POST", "access-control-request-headers": _ASKED}
    sent = {"origin": APP, "sec-fetch-site": "cross-site", **asked, **headers}
    return httpx.options(gateway.url + path, headers=sent)


def names(answer: httpx.Response, field: str) -> set[str]:
    return {name.strip().lower() for name in answer.headers[field].split(",")}


@pytest.mark.parametrize(
    "path", ["/v1/messages", "/api/v1/messages", "/v1/messages/count_tokens", "/v1/files"]
)
def test_c8_the_gateway_gives_leave_itself(tmp_path: Path, provider: SimulatedProvider, path: str) -> None:
    """A preflight is answered 204 without a key, on any client's route; no provider hears of it."""
    with Gateway(tmp_path, provider=provider.url, settings=listing(APP)) as gateway:
        leave = preflight(gateway, path)
        assert (leave.status_code, leave.content) == (204, b"")
        assert leave.headers["access-control-allow-origin"] == APP
        assert leave.headers["access-control-allow-credentials"] == "true"
        assert leave.headers["access-control-allow-headers"] == _ASKED
        assert {"post", "get", "delete"} <= names(leave, "access-control-allow-methods")
        assert int(leave.headers["access-control-max-age"]) > 0
        assert "origin" in names(leave, "vary")
        assert "content-length" not in leave.headers
        assert provider.books()["count"] == 0
        assert gateway.requests() == []


async def test_c8_leave_and_request_on_one_connection(tmp_path: Path, provider: SimulatedProvider) -> None:
    """As a browser does it: the connection stays, several questions at once keep their order."""
    asking = request(method="OPTIONS", key="", headers={**FROM_APP, "access-control-request-method": "POST"})
    asking = asking.replace(b"x-api-key: \r\n", b"")
    async with Gateway(tmp_path, provider=provider.url, settings=listing(APP)) as gateway:
        async with connect(gateway.url) as connection:
            for _ in range(3):
                assert (await connection.ask(asking)).status == 204
                answer = await connection.ask(request(body=ask(), headers=FROM_APP))
                assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, APP)
            connection.send(asking + request(body=ask(), headers=FROM_APP) + asking)
            assert [(await connection.answer()).status for _ in range(3)] == [204, 200, 204]
        assert provider.books()["count"] == 4


def test_c8_a_page_reads_answers_and_their_headers(tmp_path: Path, provider: SimulatedProvider) -> None:
    """Whole and streamed; limits and ids among them. The provider would refuse a page, and hears of none."""
    provider.script("sk-ant-sim-one", limits={"requests": 50})
    with Gateway(tmp_path, provider=provider.url, settings=listing(APP, OTHER)) as gateway:
        for stream in (False, True):
            answer = message(gateway, headers=FROM_APP, stream=stream)
            assert answer.status_code == 200
            assert answer.headers.get_list("access-control-allow-origin") == [APP]
            assert answer.headers["access-control-allow-credentials"] == "true"
            assert "origin" in names(answer, "vary")
            shown = names(answer, "access-control-expose-headers")
            assert {"request-id", "x-headgate-request-id", "retry-after", "x-headgate-error"} <= shown
            limits = {name for name in answer.headers if name.startswith("anthropic-ratelimit-")}
            assert limits and limits <= shown
            head = provider.received()[-1]["head"].lower()
            assert b"origin:" not in head and b"referer:" not in head and b"sec-fetch" not in head
            assert b"anthropic-version:" in head


async def test_c8_a_providers_word_does_not_count(tmp_path: Path) -> None:
    """Which pages may read what the gateway says is its owner's to say; two lines would be read as none."""

    async def script(talk: Talk) -> None:
        while await talk.request():
            await talk.send(
                b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nVary: Accept-Encoding\r\nX-Odd: 1\r\n"
                b"Access-Control-Allow-Origin: *\r\nAccess-Control-Expose-Headers: x-odd\r\n\r\n{}"
            )

    async with ScriptedServer(script) as server:
        url = f"http://127.0.0.1:{server.port}"
        async with Gateway(tmp_path, provider=url, settings=listing(APP)) as gateway:
            for origin, expected in ((APP, APP), (OTHER, None)):
                asking = request("/v1/files", method="GET", headers={"origin": origin})
                async with connect(gateway.url) as connection:
                    answer = await connection.ask(asking)
                assert connection.received.lower().count(b"access-control-allow-origin") == (origin == APP)
                assert answer.headers.get("access-control-allow-origin") == expected
                assert b"vary: accept-encoding" in connection.received.lower()
                assert (b"expose-headers: x-odd" in connection.received) == (origin == APP)


def test_c8_a_page_reads_what_went_wrong(tmp_path: Path, provider: SimulatedProvider) -> None:
    """Errors of the gateway and of providers alike: without that a page sees nothing but a failed request."""
    with Gateway(tmp_path, provider=provider.url, settings=listing(APP)) as gateway:
        no_key = message(gateway, key=None, headers=FROM_APP)
        wrong_method = httpx.put(gateway.url + "/v1/messages", headers={**FROM_APP, "x-api-key": CLIENT_KEY})
        broken = httpx.post(
            gateway.url + "/v1/messages", content=b"{", headers={**FROM_APP, "x-api-key": CLIENT_KEY}
        )
        rule = {"fault": "status", "status": 413, "message": "Request is too big"}
        provider.script("sk-ant-sim-one", rules=[rule])
        refused = message(gateway, headers=FROM_APP)
        provider.script("sk-ant-sim-one", rules=[{"fault": "status", "status": 429}])
        limited = message(gateway, headers=FROM_APP)
        found = [no_key, wrong_method, broken, refused, limited]
        assert [one.status_code for one in found] == [401, 405, 400, 413, 429]
        for one in found:
            assert one.headers["access-control-allow-origin"] == APP
            assert "request-id" in names(one, "access-control-expose-headers")
        assert "retry-after" in names(limited, "access-control-expose-headers")


def test_c8_other_pages_are_told_nothing(tmp_path: Path, provider: SimulatedProvider) -> None:
    """The origin counts to the letter; who is refused is told which setting would change it."""
    others = (OTHER, "https://app.example.com", "http://app.example.com:8443", "null", f"{APP}.evil.example")
    with Gateway(tmp_path, provider=provider.url, settings=listing(APP)) as gateway:
        for origin in others:
            asked = preflight(gateway, origin=origin)
            assert (asked.status_code, asked.headers["x-headgate-error"]) == (403, "forbidden_origin")
            assert "server.cors_origins" in error_of(asked)["hint"]
            answer = message(gateway, headers={"origin": origin})
            for one in (asked, answer):
                assert "access-control-allow-origin" not in one.headers
                assert names(one, "vary") >= {"origin"}
        assert provider.books()["count"] == len(others)  # a key is a key, but the page cannot read


def test_c8_off_by_default(tmp_path: Path, provider: SimulatedProvider) -> None:
    """No answer has a word of it, and no page is given leave."""
    with Gateway(tmp_path, provider=provider.url) as gateway:
        assert preflight(gateway).status_code == 403
        answer = message(gateway, headers=FROM_APP)
        assert not [name for name in answer.headers if name.startswith("access-control-")]
        assert "origin" not in answer.headers.get("vary", "").lower()


def test_c8_a_listed_page_is_no_stranger(tmp_path: Path, provider: SimulatedProvider) -> None:
    """Where no key is needed it may call without one, and no other page may."""
    settings = listing(APP, access={"api_keys": []})
    with Gateway(tmp_path, provider=provider.url, settings=settings) as gateway:
        assert message(gateway, key=None, headers=FROM_APP).status_code == 200
        twice = [("origin", APP), ("origin", OTHER), ("content-type", "text/plain")]
        for headers in ([("origin", OTHER)], [("sec-fetch-site", "cross-site")], twice):
            answer = httpx.post(
                gateway.url + "/v1/messages", content=json.dumps(ask()), headers=headers, verify=NO_TLS
            )
            assert (answer.status_code, answer.headers["x-headgate-error"]) == (403, "forbidden_origin")
            assert "access-control-allow-origin" not in answer.headers
        renamed = message(gateway, key=None, headers={**FROM_APP, "host": "gateway.evil.example"})
        assert renamed.status_code == 403
        assert provider.books()["count"] == 1


def test_c8_every_page_with_a_key(tmp_path: Path, provider: SimulatedProvider) -> None:
    """`*`: any page may read, without cookies; where no key is needed it lets nobody in."""
    with Gateway(tmp_path, provider=provider.url, settings=listing("*")) as gateway:
        for answer in (preflight(gateway), message(gateway, headers=FROM_APP)):
            assert answer.is_success
            assert answer.headers["access-control-allow-origin"] == "*"
            assert "access-control-allow-credentials" not in answer.headers
        assert "access-control-allow-origin" not in message(gateway).headers
    (tmp_path / "open").mkdir()
    settings = listing("*", access={"api_keys": []})
    with Gateway(tmp_path / "open", provider=provider.url, settings=settings) as gateway:
        answer = message(gateway, key=None, headers=FROM_APP)
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (403, "*")


def test_c8_the_owners_side_stays_closed(tmp_path: Path, provider: SimulatedProvider) -> None:
    """No page of another origin is let to the owner's routes, listed or not."""
    with Gateway(tmp_path, provider=provider.url, settings=listing(APP, "*")) as gateway:
        for path in ("/status", "/api/accounts", "/v1/metrics/x"):
            assert preflight(gateway, path).status_code in (401, 405)
            answer = httpx.get(gateway.url + path, headers=FROM_APP, verify=NO_TLS)
            assert answer.status_code == 401
            assert "access-control-allow-origin" not in answer.headers


async def test_c8_in_force_after_a_reload(tmp_path: Path, provider: SimulatedProvider) -> None:
    """On connections that are open as well."""
    asking = request(body=ask(), headers=FROM_APP)
    async with Gateway(tmp_path, provider=provider.url) as gateway:
        async with connect(gateway.url) as connection:
            assert "access-control-allow-origin" not in (await connection.ask(asking)).headers
            gateway.admin("/api/config", method="PUT", body={"server.cors_origins": [APP]})
            for _ in range(3):
                assert (await connection.ask(asking)).headers["access-control-allow-origin"] == APP
            gateway.admin("/api/config", method="PUT", body={"server.cors_origins": []})
            assert "access-control-allow-origin" not in (await connection.ask(asking)).headers
        wait_until(lambda: "changed: server.cors_origins" in gateway.log_text(), what="the change")


async def test_c8_a_body_makes_it_another_request(tmp_path: Path, provider: SimulatedProvider) -> None:
    """Leave is asked without a body: who sends one needs a key before it is read."""
    headers = {"origin": APP, "access-control-request-method": "POST", "content-length": "30000000"}
    async with Gateway(tmp_path, provider=provider.url, settings=listing(APP)) as gateway:
        answer = await fetch(gateway.url, request(method="OPTIONS", key="wrong", headers=headers))
        assert answer.status == 401
