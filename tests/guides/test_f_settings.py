"""Guide rows F: settings and their changes, on a gateway that runs and beside it."""

import json
import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import httpx

from headgate.testing.process import SimulatedProvider
from tests.gateway import CLIENT_KEY, PROGRAM, Gateway, wait_until
from tests.guides.asking import logged, message
from tests.testing.wire import ask


def _write(gateway: Gateway, **sections: Any) -> None:
    """Other settings in the file, in another file's place, as editors do it."""
    wanted = json.loads(gateway.config.read_text())
    for section, values in sections.items():
        is_group = isinstance(values, dict) and isinstance(wanted.get(section), dict)
        wanted[section] = {**wanted[section], **values} if is_group else values
    fresh = gateway.config.with_suffix(".new")
    fresh.touch(mode=0o600)
    fresh.write_text(json.dumps(wanted, indent=1))
    fresh.replace(gateway.config)


def _value(gateway: Gateway, path: str) -> Any:
    return _setting(gateway, path)["value"]


def _setting(gateway: Gateway, path: str) -> dict[str, Any]:
    found: dict[str, Any] = {one["path"]: one for one in gateway.admin("/api/config")["settings"]}
    setting: dict[str, Any] = found[path]
    return setting


def test_f1_file_environment_flag(tmp_path: Path) -> None:
    """One settings file; the environment overrides it, a flag overrides both."""
    settings = {"server": {"port": 1}, "retry": {"attempts": 2, "delay_ms": 5}}
    environment = {"HEADGATE_RETRY__ATTEMPTS": "4", "HEADGATE_SERVER__PORT": "2"}
    with Gateway(tmp_path, accounts=(), settings=settings, environment=environment) as gateway:
        shown = {
            path: _setting(gateway, path) for path in ("retry.delay_ms", "retry.attempts", "server.port")
        }
        assert [one["value"] for one in shown.values()] == [5, 4, 0]
        assert shown["retry.delay_ms"]["source"] == f"file {gateway.config}"
        assert shown["retry.attempts"]["source"] == "environment variable HEADGATE_RETRY__ATTEMPTS"
        assert shown["server.port"]["source"] == "flag server.port"


def test_f2_names_of_other_guides(tmp_path: Path) -> None:
    """The variables that other gateways' guides name set what they mean, in any case of their letters."""
    wanted: dict[str, tuple[str, str, Any]] = {
        "lb_strategy": ("WEIGHTED", "routing.strategy", "weighted"),
        "RETRY_ATTEMPTS": ("7", "retry.attempts", 7),
        "RETRY_DELAY_MS": ("8", "retry.delay_ms", 8),
        "RETRY_BACKOFF": ("3", "retry.backoff", 3.0),
        "SESSION_DURATION_MS": ("9", "routing.session_duration_ms", 9),
        "CLIENT_ID": ("c", "providers.anthropic.oauth.client_id", "c"),
        "LOG_LEVEL": ("WARNING", "log.level", "warn"),
        "LOG_FORMAT": ("JSON", "log.format", "json"),
        "ENABLE_CLIENT_AUTH": ("1", "access.client_auth", "required"),
        "CLAUDE_API_TIMEOUT": ("10", "upstream.idle_timeout_ms", 10),
        "PROXY_SERVER_TIMEOUT": ("11", "server.request_timeout_ms", 11),
        "DASHBOARD_API_KEY": ("s3cret", "admin.key", "***"),
        "ccproxy_hot_reload": ("false", "sources.hot_reload", False),
        "CLAUDEFLARE_ROTATION_ENABLED": ("off", "routing.rotation", False),
        "ccflare_PRICING_REFRESH_HOURS": ("12", "pricing.refresh_hours", 12.0),
        "CF_DB_PATH": ("/x/y.db", "storage.url", "sqlite:////x/y.db"),
        "PORT": ("4321", "server.port", 4321),
    }
    gateway = Gateway(tmp_path, accounts=())
    gateway.config.write_text("")
    given = {name: text for name, (text, _, _) in wanted.items()}
    shown = json.loads(gateway.command("config", "show", "--json", **given).stdout)["settings"]
    values = {one["path"]: one["value"] for one in shown}
    assert {path: values[path] for _, path, _ in wanted.values()} == {p: v for _, p, v in wanted.values()}


def test_f3_a_misspelt_name_is_pointed_out(tmp_path: Path) -> None:
    """An unknown variable is a warning, once, an unknown key an error; both name the nearest valid one."""
    environment = {"HEADGATE_SERVRE__HOST": "x"}
    with Gateway(tmp_path, accounts=(), environment=environment) as gateway:
        words = "Unknown environment variable HEADGATE_SERVRE__HOST: did you mean HEADGATE_SERVER__HOST?"
        assert gateway.output_text().count(words) == 1
    (tmp_path / "other").mkdir()
    misspelt = Gateway(tmp_path / "other", accounts=(), settings={"routing": {"strategie": "session"}})
    refused = misspelt.command("serve")
    assert refused.returncode == 2
    assert "routing.strategie: unknown setting, did you mean strategy?" in refused.stderr


def test_f4_a_broken_file_is_refused_with_its_place(tmp_path: Path) -> None:
    """`Failed to parse config file` with line and column, exit code 2, and the file as it was."""
    gateway = Gateway(tmp_path, accounts=())
    for text, place in (
        ("server:\n  port: [1\n", "line 3, column 1"),
        ("server:\n\tport: 1\n", "line 2, column 1"),
    ):
        gateway.config.write_text(text)
        refused = gateway.command("serve")
        assert refused.returncode == 2
        assert f"Failed to parse config file {gateway.config}: {place}" in refused.stderr
        assert gateway.config.read_text() == text


def test_f5_settings_by_command(tmp_path: Path, provider: SimulatedProvider) -> None:
    """`config get`, `set`, `check`, `path` and `show` on a gateway that runs; secrets are masked."""
    with Gateway(tmp_path, provider=provider.url) as gateway:
        assert gateway.command("config", "path").stdout.strip() == str(gateway.config)
        done = gateway.command("config", "set", "routing.expose_account", "true", "--json")
        assert json.loads(done.stdout)["changed"] == ["routing.expose_account"]
        assert message(gateway).headers["x-headgate-account"] == "one"
        assert gateway.command("config", "get", "routing.expose_account").stdout == "true\n"
        waits = gateway.command("config", "set", "server.host", "127.0.0.9")
        assert "needs a restart" in waits.stderr
        assert gateway.command("config", "check").returncode == 0
        shown = gateway.command("config", "show").stdout
        assert "routing.expose_account" in shown
        assert CLIENT_KEY not in shown
        assert "sk-ant-sim-one" not in shown


def test_f8_no_file_means_defaults_and_a_file_to_begin_with(tmp_path: Path) -> None:
    """A commented file is made at the path, and the log says so; a reading command only warns."""
    gateway = Gateway(tmp_path, accounts=(), environment={"HEADGATE_LOG__FILE": str(tmp_path / "log")})
    gateway.config.unlink()
    read = gateway.command("config", "get", "server.port")
    assert read.stdout == "8080\n"
    assert not gateway.config.exists()
    status = gateway.command("status")
    assert f"There is no settings file at {gateway.config}" in status.stderr
    with gateway:
        assert f"There was no settings file at {gateway.config}" in gateway.output_text()
        assert all(line.startswith("#") for line in gateway.config.read_text().split("\n") if line)


def test_f8_an_unreadable_path_is_named_with_its_owner(tmp_path: Path) -> None:
    """Its name, whose it is, exit code 2."""
    gateway = Gateway(tmp_path, accounts=())
    gateway.config.unlink()
    gateway.config.mkdir()
    refused = gateway.command("serve")
    assert refused.returncode == 2
    assert f"Cannot read config file {gateway.config}: Is a directory (owned by " in refused.stderr


def test_f9_env_in_the_working_folder(tmp_path: Path) -> None:
    """`.env` is read where the command is started, below the real environment."""
    gateway = Gateway(tmp_path, accounts=())
    (tmp_path / ".env").write_text(
        "# mine\nexport RETRY_BACKOFF='3'\nHEADGATE_UPSTREAM__TOTAL_TIMEOUT_MS=7\n"
    )
    command = [str(PROGRAM), "config", "show", "--json", "--config", str(gateway.config)]
    environment = {**gateway.environment, "HEADGATE_UPSTREAM__TOTAL_TIMEOUT_MS": "9"}
    shown = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, check=True, timeout=60
    )
    found = {one["path"]: one for one in json.loads(shown.stdout)["settings"]}
    assert found["retry.backoff"]["value"] == 3.0
    assert found["retry.backoff"]["source"] == f"file {tmp_path / '.env'}: variable RETRY_BACKOFF"
    assert found["upstream.total_timeout_ms"]["value"] == 9


def test_f6_comments_stay_and_a_place_that_cannot_be_written_is_said(
    tmp_path: Path, provider: SimulatedProvider
) -> None:
    """`config set` keeps comments and order; where it cannot write, the change holds in memory, is answered
    `persisted: false`, warned about, and seen in the status."""
    gateway = Gateway(tmp_path, provider=provider.url)
    sections = json.loads(gateway.config.read_text())
    lines = [f"{name}: {json.dumps(values)}  # mine\n" for name, values in sections.items()]
    gateway.config.write_text("".join(lines))
    with gateway:
        before = gateway.config.read_text().splitlines()
        assert gateway.command("config", "set", "retry.attempts", "6").returncode == 0
        after = gateway.config.read_text().splitlines()
        changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
        assert [(old.partition(":")[0], new.endswith("# mine")) for old, new in changed] == [("retry", True)]
    # No room for a file beside one of so long a name: that stops root as well.
    gateway.config = gateway.config.rename(tmp_path / ("c" * 246 + ".yaml"))
    with gateway:
        text = gateway.config.read_text()
        done = gateway.command("config", "set", "routing.expose_account", "true", "--json")
        assert (done.returncode, json.loads(done.stdout)["persisted"]) == (0, False)
        assert message(gateway).headers["x-headgate-account"] == "one"
        assert gateway.config.read_text() == text
        logged(gateway, "WARN.* routing.expose_account could not be saved to .*: File name too long")
        assert "routing.expose_account" in gateway.command("status").stdout


def test_f7_a_change_of_the_file_needs_no_restart(tmp_path: Path, provider: SimulatedProvider) -> None:
    """A saved file is in force within moments (strategy, limits, headers, log …); host and port wait."""
    with Gateway(tmp_path, provider=provider.url) as gateway:
        assert "x-headgate-account" not in message(gateway).headers
        _write(
            gateway,
            server={"host": "127.0.0.9", "max_body_bytes": 2048},
            routing={"strategy": "weighted", "expose_account": True},
            log={"level": "debug", "format": "json"},
        )
        wait_until(lambda: gateway.admin("/api/strategy")["strategy"] == "weighted", what="the strategy")
        assert message(gateway).headers["x-headgate-account"] == "one"
        assert message(gateway, "x" * 4096).status_code == 413
        assert _value(gateway, "log.level") == "debug"
        request_id = message(gateway).headers["x-headgate-request-id"]
        logged(gateway, rf"^{{.*{request_id}")  # the recorder's line
        host = _setting(gateway, "server.host")
        assert (host["value"], host["waiting"], host["needs_restart"]) == ("127.0.0.1", "127.0.0.9", True)
        logged(gateway, r"Settings reloaded, changed: server.max_body_bytes, routing.strategy")
        logged(gateway, r"kept as before until a restart: server.host")


def test_f7_a_removed_key_is_refused_at_once(tmp_path: Path, provider: SimulatedProvider) -> None:
    """Also on a connection that the key has opened already; the new one is let in."""
    with Gateway(tmp_path, provider=provider.url) as gateway, httpx.Client(base_url=gateway.url) as client:

        def status(key: str) -> int:
            answer = client.post("/v1/messages", json=ask("hello"), headers={"x-api-key": key}, timeout=30)
            return answer.status_code

        assert [status(CLIENT_KEY) for _ in range(3)] == [200, 200, 200]
        _write(gateway, access={"api_keys": ["hg_other"]})
        wait_until(lambda: status(CLIENT_KEY) == 401, what="the end of the old key")
        assert status("hg_other") == 200


def test_f7_accounts_come_and_go_and_keep_their_health(tmp_path: Path, provider: SimulatedProvider) -> None:
    """A declared account that is added serves, one taken out does not, the others stay as they are."""
    with Gateway(tmp_path, provider=provider.url, accounts=("a", "b")) as gateway:
        gateway.admin("/api/accounts/a/pause", method="POST")
        a, b = ({"name": n, "api_key": f"sk-ant-sim-{n}", "base_url": provider.url} for n in "ab")
        c = {"name": "c", "api_key": "sk-ant-sim-c", "base_url": provider.url}
        message(gateway)
        before = gateway.account("b")["request_count"]
        _write(gateway, accounts=[a, {**b, "weight": 3}, c])
        wait_until(lambda: gateway.ask("GET", "/api/accounts/c")[0] == 200, what="the account c")
        assert (gateway.account("a")["paused"], gateway.account("b")["weight"]) == (True, 3)
        assert gateway.account("b")["request_count"] == before == 1
        _write(gateway, accounts=[{**b, "api_key": c["api_key"]}, {**c, "api_key": b["api_key"]}])
        wait_until(lambda: gateway.ask("GET", "/api/accounts/a")[0] != 200, what="the end of the account a")
        assert message(gateway).status_code == 200


def test_f7_sighup_and_the_owner_s_route_reload_as_well(tmp_path: Path, provider: SimulatedProvider) -> None:
    """`kill -HUP` and `POST /api/config/reload` do what a changed file does."""
    with Gateway(tmp_path, provider=provider.url) as gateway:
        _write(gateway, retry={"attempts": 5})
        os.kill(gateway.pid, signal.SIGHUP)
        wait_until(lambda: _value(gateway, "retry.attempts") == 5, what="the reload")
        _write(gateway, retry={"attempts": 6})
        gateway.admin("/api/config/reload", method="POST")
        assert _value(gateway, "retry.attempts") == 6
        assert gateway.is_alive


def test_f7_a_wrong_file_changes_nothing(tmp_path: Path, provider: SimulatedProvider) -> None:
    """The old settings stay in force; log and `/health` say where the new ones are wrong until mended."""
    with Gateway(tmp_path, provider=provider.url) as gateway:
        good = gateway.config.read_text()
        gateway.config.write_text(
            good.replace('"retry": {', '"retry": {\n "attempts": "s3cret", "backoff": "x",')
        )
        wait_until(lambda: gateway.admin("/health").get("troubles"), what="the trouble")
        health = gateway.admin("/health")
        (trouble,) = health["troubles"]
        assert (health["status"], trouble["code"]) == ("ok", "settings_invalid")
        assert re.search(r"\(line \d+, column \d+: retry.attempts and 1 more\)", trouble["reason"])
        said = logged(
            gateway, "Settings not reloaded, the old ones stay in force: Failed to parse config file"
        )
        assert "s3cret" not in said
        assert gateway.ask("POST", "/api/config/reload")[0] == 400
        assert message(gateway).status_code == 200
        gateway.config.write_text("server: [1\n")
        wait_until(lambda: "line 2" in gateway.admin("/health")["troubles"][0]["reason"], what="the place")
        gateway.config.write_text(good)
        wait_until(lambda: not gateway.admin("/health").get("troubles"), what="the end of the trouble")


def test_f7_secrets_in_files_are_read_again(tmp_path: Path, provider: SimulatedProvider) -> None:
    """A key that is changed in its own file, or in `.env`, is a change of the settings."""
    key = tmp_path / "key"
    key.write_text("first")
    with Gateway(
        tmp_path, provider=provider.url, settings={"access": {"api_keys": [f"file:{key}"]}}
    ) as gateway:
        assert message(gateway, key="first").status_code == 200
        key.write_text("second")
        wait_until(lambda: message(gateway, key="second").status_code == 200, what="the new key")
        assert message(gateway, key="first").status_code == 401


def test_f7_a_running_request_ends_as_it_began(tmp_path: Path, provider: SimulatedProvider) -> None:
    """Its key and its account may be taken away under a stream: it comes to its end all the same."""
    provider.script(pacing={"event_ms": 100})
    with Gateway(tmp_path, provider=provider.url) as gateway, httpx.Client(timeout=30) as client:
        body, headers = ask("hello", stream=True), {"x-api-key": CLIENT_KEY}
        with client.stream("POST", f"{gateway.url}/v1/messages", json=body, headers=headers) as answer:
            pieces = answer.iter_text()
            came = next(pieces)
            two = {"name": "two", "api_key": "sk-ant-sim-two", "base_url": provider.url}
            _write(gateway, access={"api_keys": ["hg_other"]}, accounts=[two])
            gateway.admin("/api/config/reload", method="POST")
            assert message(gateway).status_code == 401
            came += "".join(pieces)
        assert "message_stop" in came
        assert "event: error" not in came


def test_f10_the_guides_names_of_settings(tmp_path: Path) -> None:
    """`lb_strategy`, `api-keys` and their kin work in the file and in `config get/set`, with our names."""
    gateway = Gateway(tmp_path, accounts=())
    settings = json.loads(gateway.config.read_text())
    del settings["access"]
    theirs = {
        "lb_strategy": "weighted",
        "retry_attempts": 4,
        "session_duration_ms": 60_000,
        "client_id": "mine",
        "api-keys": [" one ", "two"],
        "remote-management": {"secret-key": "s3cret"},
    }
    gateway.config.write_text(json.dumps({**settings, **theirs}))
    with gateway:
        for key, ours, value in (
            ("lb_strategy", "routing.strategy", "weighted"),
            ("retry_attempts", "retry.attempts", "4"),
            ("session_duration_ms", "routing.session_duration_ms", "60000"),
            ("client_id", "providers.anthropic.oauth.client_id", "mine"),
            ("remote-management.secret-key", "admin.key", "***"),
        ):
            got = gateway.command("config", "get", key)
            assert (got.returncode, got.stdout.strip()) == (0, value), got.stderr
            assert f"{key} is called {ours} here" in got.stderr
        assert message(gateway, key="two").status_code == 503  # let in: there is only no account
        set_ = gateway.command("config", "set", "retry_delay_ms", "77")
        assert (set_.returncode, "retry.delay_ms is set" in set_.stdout) == (0, True), set_.stderr
        assert gateway.command("config", "get", "retry.delay_ms").stdout.strip() == "77"
    assert "lb_strategy is called routing.strategy here" in gateway.output_text()
