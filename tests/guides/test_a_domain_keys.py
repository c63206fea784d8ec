"""Guide row A17: client keys that stand in the files of domains (`client_api_key`)."""

import hashlib
import json
from pathlib import Path
from typing import Any

import httpx

from headgate.testing.process import SimulatedProvider
from tests.gateway import CLIENT_KEY, Gateway, wait_until
from tests.guides.asking import error_of, message, record_of, run
from tests.guides.planting import put
from tests.testing.wire import ask

ONE, TWO, OPEN, ANY = "one.example.com", "two.example.com", "open.example.com", "*.example.org"
SUFFIX = ".credentials.json"


def _file(name: str, client_key: str | None = None) -> dict[str, Any]:
    more = {} if client_key is None else {"client_api_key": client_key}
    return {"type": "api_key", "accountId": f"acc_{name}", "api_key": f"sk-ant-sim-{name}", **more}


def _gateway(
    tmp_path: Path, provider: SimulatedProvider, files: dict[str, Any], **settings: dict[str, Any]
) -> tuple[Gateway, Path]:
    """No key in the settings unless they are given."""
    folder = tmp_path / "credentials"
    folder.mkdir(mode=0o700)
    for host, document in files.items():
        put(folder / (host + SUFFIX), document)
    wanted: dict[str, Any] = {
        "providers": {"anthropic": {"base_url": provider.url}},
        "sources": {"credentials_dir": str(folder)},
        "access": {"api_keys": []},
        "routing": {"expose_account": True},
        **settings,
    }
    return Gateway(tmp_path, provider=provider.url, accounts=(), settings=wanted), folder


def _status(gateway: Gateway, host: str, key: str | None = None, **headers: str) -> int:
    return message(gateway, key=key, headers={"host": host, **headers}).status_code


def test_a17_a_domain_asks_for_the_key_in_its_file(tmp_path: Path, provider: SimulatedProvider) -> None:
    """In any place of a key; it opens its own domain alone, and a domain without one is as `access` says."""
    files = {
        ONE: _file("one", "cnp_live_one"),
        TWO: _file("two", " cnp_live_two "),
        OPEN: _file("open"),
        ANY: _file("any", "cnp_live_any"),
    }
    gateway, _ = _gateway(tmp_path, provider, files)
    with gateway:
        for place in ("x-api-key", "x-goog-api-key"):
            assert _status(gateway, ONE, **{place: "cnp_live_one"}) == 200
        for scheme in ("Bearer", "bearer "):
            assert _status(gateway, f"{ONE.upper()}:8443", authorization=f"{scheme} cnp_live_one") == 200
        answer = message(gateway, key=None, path="/v1/messages?key=cnp_live_one", headers={"host": ONE})
        assert answer.headers["x-headgate-account"] == ONE
        assert (
            _status(gateway, TWO, "cnp_live_two") == _status(gateway, "a.example.org", "cnp_live_any") == 200
        )
        served = provider.books()["count"]
        for key in (None, "wrong", "cnp_live_on", "cnp_live_one1", "sk-ant-callers-own"):
            refused = message(gateway, key=key, headers={"host": ONE})
            assert (refused.status_code, error_of(refused)["message"]) == (401, "Invalid client API key"), key
            assert error_of(refused)["code"] == "invalid_client_key"
        for host, key in ((TWO, "cnp_live_one"), (ONE, "cnp_live_any"), ("b.example.org", "cnp_live_one")):
            refused = message(gateway, key=key, headers={"host": host})
            assert refused.status_code == 401
            assert "opens another host" in error_of(refused)["hint"]
        # Nor by the name of the account.
        assert _status(gateway, OPEN, **{"x-headgate-account": ONE}) == 401
        chosen = message(gateway, key="cnp_live_two", headers={"host": TWO, "x-headgate-account": ONE})
        assert (chosen.status_code, error_of(chosen)["code"]) == (403, "key_may_not")
        assert provider.books()["count"] == served
        assert _status(gateway, OPEN) == 200
        assert record_of(gateway, answer)["caller"] == ONE
        shown = {key["name"]: key for key in gateway.admin("/api/keys")["keys"]}
        assert {name: (key["origin"], key["hosts"]) for name, key in shown.items()} == {
            **{ONE: ("file", [ONE]), TWO: ("file", [TWO]), "any.example.org": ("file", [ANY])}
        }
        assert json.loads(run(gateway, "key", "list", "--json"))["keys"]
        said = gateway.log_text() + gateway.output_text()
    assert run(gateway, "key", "list").count("file") == 3  # beside a stopped gateway as well
    kept = b"".join(one.read_bytes() for one in gateway.data.rglob("*") if one.is_file())
    assert hashlib.sha256(b"cnp_live_one").hexdigest().encode() in kept
    assert b"cnp_live" not in kept + said.encode()


def test_a17_the_keys_of_files_are_followed(tmp_path: Path, provider: SimulatedProvider) -> None:
    """A changed key, one taken out and a file that goes count at once, on open connections too; what is said
    of a key by command holds on for the next one in its file."""
    gateway, folder = _gateway(tmp_path, provider, {ONE: _file("one", "cnp_first")})
    file, body = folder / (ONE + SUFFIX), json.dumps(ask("hello")).encode()
    with gateway, httpx.Client(base_url=gateway.url, headers={"host": ONE}) as kept:

        def status(key: str) -> int:
            return kept.post("/v1/messages", content=body, headers={"x-api-key": key}).status_code

        assert [status(key) for key in ("cnp_first", "cnp_first", "cnp_first", "cnp_second")] == [200] * 3 + [
            401
        ]
        run(gateway, "key", "set", ONE, "--rpm", "1000", "--note", "the team's")
        assert status("cnp_first") == 200
        put(file, _file("one", "cnp_second"))
        wait_until(lambda: status("cnp_second") == 200, what="the new key")
        assert status("cnp_first") == 401

        def is_known() -> bool:
            (shown,) = gateway.admin("/api/keys")["keys"]
            return (shown["name"], shown["limits"]["rpm"], shown["note"]) == (ONE, 1000, "the team's")

        wait_until(is_known, what="the new key in the old one's place")
        put(file, '{"type": "api_key", "client_api_key": ')  # a broken file opens nothing
        wait_until(lambda: gateway.admin("/health").get("code") == "source_invalid", what="trouble")
        assert [status(key) for key in ("cnp_second", "none")] == [200, 401]
        put(file, _file("one", " "))  # nor does one that was left empty
        wait_until(lambda: "client_api_key is empty" in gateway.log_text(), what="trouble")
        assert [status(key) for key in ("cnp_second", "none")] == [200, 401]
        put(file, _file("one", "cnp_third"))
        wait_until(lambda: status("cnp_third") == 200, what="the third key")
        assert "stands in the file of a domain" in run(gateway, "key", "revoke", ONE, "--yes", code=1)
        run(gateway, "key", "set", ONE, "--disabled")
        assert status("cnp_third") == 401
        put(file, _file("one"))
        wait_until(lambda: status("none") == 200, what="an open door")
        put(file, _file("one", "cnp_third"))
        wait_until(lambda: status("none") == 401, what="a closed door")
        file.unlink()
        wait_until(lambda: status("cnp_third") == 400, what="the end of the host")
        assert gateway.admin("/api/keys")["keys"] == []


def test_a17_keys_of_settings_and_database_open_every_domain(
    tmp_path: Path, provider: SimulatedProvider
) -> None:
    """`access.client_auth` and its keys hold for all domains; `off` asks nobody."""
    access = {"access": {"api_keys": [CLIENT_KEY]}}
    gateway, _ = _gateway(
        tmp_path, provider, {ONE: _file("one", "cnp_live_one"), OPEN: _file("open")}, **access
    )
    with gateway:
        made = json.loads(run(gateway, "key", "create", "laptop", "--json"))["key"]
        for key in (CLIENT_KEY, made):
            assert [_status(gateway, host, key) for host in (ONE, OPEN)] == [200, 200]
        assert (
            _status(gateway, OPEN) == _status(gateway, OPEN, "cnp_live_one") == _status(gateway, ONE) == 401
        )
        assert _status(gateway, ONE, "cnp_live_one") == 200
        run(gateway, "config", "set", "access.client_auth", "off")
        assert [_status(gateway, host) for host in (ONE, OPEN)] == [200, 200]
        assert _status(gateway, OPEN, **{"x-headgate-account": ONE}) == 200
        run(gateway, "config", "set", "access.client_auth", "auto")
        run(gateway, "config", "set", "access.own_credentials", "allow")
        own = message(gateway, key="sk-ant-sim-own", headers={"host": ONE})
        assert own.status_code == 200  # it pays for itself
        assert "x-headgate-account" not in own.headers


def test_a17_a_name_that_the_owner_named_is_answered(tmp_path: Path, provider: SimulatedProvider) -> None:
    """Without a key on this machine: a Host with a file of its own name is no stranger's; pages of other
    origins, names under a star and hosts without a file are kept out."""
    gateway, folder = _gateway(tmp_path, provider, {OPEN: _file("open"), ANY: _file("any")})
    with gateway:
        assert _status(gateway, OPEN) == _status(gateway, f"{OPEN}:9999") == 200
        assert _status(gateway, OPEN, origin=f"http://{OPEN}") == 200
        for foreign in ({"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"}):
            assert _status(gateway, OPEN, **foreign) == 403
        starred = message(gateway, key=None, headers={"host": "evil.example.org"})
        assert (starred.status_code, error_of(starred)["code"]) == (403, "forbidden_origin")
        assert "client_api_key" in error_of(starred)["hint"]
        unknown = message(gateway, key=None, headers={"host": "evil.example"})
        assert (unknown.status_code, error_of(unknown)["code"]) == (400, "unknown_host")
        assert "evil.example.credentials.json" in error_of(unknown)["message"]
        by_name = {"host": "evil.example", "x-headgate-account": OPEN}
        assert message(gateway, key=None, headers=by_name).status_code == 403
        put(folder / ("*" + SUFFIX), _file("all"))
        wait_until(lambda: _status(gateway, "localhost") == 200, what="a file for all hosts")
        assert _status(gateway, "evil.example") == 403
    assert provider.books()["count"] == 4


def test_a17_a_domains_key_is_enough_beyond_this_machine(tmp_path: Path, provider: SimulatedProvider) -> None:
    """The gateway listens wide with no other client key: whoever has none stays out, everywhere."""
    wide = {"server": {"host": "0.0.0.0"}, "admin": {"key": "owner-0123456789"}}
    gateway, folder = _gateway(tmp_path, provider, {OPEN: _file("open")}, **wide)
    assert "without a client key" in run(gateway, "serve", code=2)
    put(folder / (ONE + SUFFIX), _file("one", "cnp_live_one"))
    with gateway:
        gateway.url = f"http://127.0.0.1:{gateway.address[1]}"
        assert _status(gateway, ONE, "cnp_live_one") == 200
        assert (
            _status(gateway, ONE) == _status(gateway, OPEN) == _status(gateway, OPEN, "cnp_live_one") == 401
        )
        (folder / (ONE + SUFFIX)).unlink()
        wait_until(lambda: _status(gateway, ONE, "cnp_live_one") == 401, what="the end of the key")
        assert _status(gateway, OPEN) == 401
