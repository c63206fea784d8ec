"""Guide rows F, R, S and C as a whole: the configuration sections of five gateways' guides, with `headgate`
in the place of their commands: files, variables, flags, precedence, other names of settings, reload, logging,
timeouts, strategies. docs/from-other-guides.md is the table of it.

Left to the rows of later work: containers and services of systems (P), clean-up in memory (D12), the
dashboard as a process of its own (D2), and rules for models (C14).
"""

import json
import re
import socket
from pathlib import Path
from typing import Any

import httpx

from headgate.testing.process import SimulatedProvider
from tests import starts
from tests.gateway import Gateway, wait_until
from tests.guides.asking import error_of, lines_of, logged, message, record_of, run

_PRETTY = r"^\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\] (DEBUG|INFO|WARN|ERROR): \[[\w-]+\] \S"


def _shown(gateway: Gateway, folder: Path | None = None, **environment: str) -> dict[str, dict[str, Any]]:
    """`headgate config show`, by setting: where `--config` is not given, as the environment says."""
    done = starts.run(
        ["config", "show", "--json"],
        folder=folder or gateway.folder,
        environment={**gateway.environment, **environment},
    )
    assert done.returncode == 0, done.stderr
    return {one["path"]: one for one in json.loads(done.stdout)["settings"]}


def _values(shown: dict[str, dict[str, Any]], *paths: str) -> list[Any]:
    return [shown[path]["value"] for path in paths]


def _taken_port() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


def test_f1_the_configuration_sections_of_ccflares_guide(tmp_path: Path, provider: SimulatedProvider) -> None:
    """ccflare's guide, with `headgate`: its JSON file, its variables over it, a broken file, debug logs."""
    one = {"name": "one", "api_key": "sk-ant-sim-one", "base_url": provider.url}
    theirs = {"lb_strategy": "session", "retry_attempts": 2, "retry_delay_ms": 500, "retry_backoff": 1.5}
    more = {"session_duration_ms": 1_800_000, "client_id": "mine", "accounts": [one]}
    log = {"log": {"file": str(tmp_path / "headgate.log")}}
    gateway = Gateway(tmp_path, environment={"ccflare_DEBUG": "1", "LOG_FORMAT": "json"})
    gateway.config = tmp_path / "ccflare.json"
    text = json.dumps({**theirs, **more, **log}, indent=1)
    gateway.config.write_text(text)
    gateway.config.chmod(0o600)

    # Environment Variable Override, Paths and Storage, Proxy Settings, Advanced Settings: all there is.
    wanted: dict[str, tuple[str, str, Any]] = {
        "CLIENT_ID": ("theirs", "providers.anthropic.oauth.client_id", "theirs"),
        "PORT": ("3000", "server.port", 3000),
        "LB_STRATEGY": ("session", "routing.strategy", "session"),
        "RETRY_ATTEMPTS": ("5", "retry.attempts", 5),
        "RETRY_DELAY_MS": ("250", "retry.delay_ms", 250),
        "RETRY_BACKOFF": ("3", "retry.backoff", 3.0),
        "SESSION_DURATION_MS": ("60000", "routing.session_duration_ms", 60_000),
        "ccflare_DB_PATH": (str(tmp_path / "data.db"), "storage.url", f"sqlite:///{tmp_path}/data.db"),
        "LOG_LEVEL": ("WARN", "log.level", "warn"),
        "HTTP_PROXY": ("http://proxy.corp.com:8080", "upstream.http_proxy", "http://***"),
        "HTTPS_PROXY": ("http://proxy.corp.com:8080", "upstream.https_proxy", "http://***"),
        "NO_PROXY": ("localhost,127.0.0.1", "upstream.no_proxy", ["localhost", "127.0.0.1"]),
        "CF_PRICING_REFRESH_HOURS": ("12", "pricing.refresh_hours", 12.0),
    }
    given = {"ccflare_CONFIG_PATH": str(gateway.config)}
    shown = _shown(gateway, **given, **{name: text for name, (text, _, _) in wanted.items()})
    for name, (_, path, value) in wanted.items():
        assert shown[path]["source"] == f"environment variable {name.upper()}", name
        assert shown[path]["value"] == value, name
    assert _values(shown, "log.format", "log.level") == ["json", "warn"]  # LOG_LEVEL says it more exactly
    shown = _shown(gateway, **given)
    assert _values(shown, "retry.attempts", "retry.delay_ms", "retry.backoff") == [2, 500, 1.5]
    assert shown["retry.attempts"]["source"] == f"file {gateway.config}"

    # Enabling Debug Mode, Log Formats: JSON for parsing, debug lines among them; where is the file?
    with gateway:
        assert "lb_strategy is called routing.strategy here" in gateway.output_text()
        assert message(gateway, key=None).status_code == 200
        logged(gateway, "Request completed for one: 200 in ")
        lines = [json.loads(line) for line in gateway.log_text().splitlines()]
        assert "debug" in {str(line["level"]).lower() for line in lines}
        assert run(gateway, "logs", "--path").startswith(str(gateway.log_file))
        # Optimize retry settings, session duration, the only strategy: see them, change them.
        for key, value in (("session_duration_ms", "1800000"), ("lb_strategy", "session")):
            assert run(gateway, "config", "get", key).startswith(value)
        run(gateway, "config", "set", "retry_attempts", "4")
        assert json.loads(gateway.config.read_text())["retry_attempts"] == 4  # JSON and its name, as before
        assert run(gateway, "config", "get", "retry_attempts").startswith("4")

    # Invalid Configuration: validated, named with its place; a wrong strategy with the valid ones.
    assert run(gateway, "config", "path") == str(gateway.config)
    for broken, words in (
        (text[:-3], "Failed to parse config file"),
        (text.replace('"session"', '"roulette"'), "Invalid strategy: roulette"),
    ):
        gateway.config.write_text(broken)
        assert words in run(gateway, "config", "check", code=2)
        said = run(gateway, "serve", code=2)
        assert words in said and "line " in said
    # Reset to defaults: a copy, away with it, started again: a new one, on defaults.
    gateway.config.rename(tmp_path / "config.backup.json")
    gateway.environment["HEADGATE_LOG__FILE"] = str(gateway.log_file)
    with gateway:
        assert run(gateway, "config", "get", "retry.attempts") == "3"
        assert all(line.startswith("#") for line in gateway.config.read_text().splitlines() if line)
        refused = message(gateway, key=None)
        assert "No active accounts available" in error_of(refused)["message"]


def test_f1_the_configuration_sections_of_claudeflares_guide(
    tmp_path: Path, provider: SimulatedProvider
) -> None:
    """claudeflare's guide, with `headgate`: strategies, retries put into the file, a wrong edit, greps."""
    environment = {"CLAUDEFLARE_DEBUG": "1", "LOG_LEVEL": "DEBUG"}
    with Gateway(tmp_path, provider=provider.url, environment=environment) as gateway:
        # Account Selection Problems: see the strategy, choose another; each is in force at once.
        assert run(gateway, "config", "get", "lb_strategy").startswith("session")
        for strategy in ("round-robin", "weighted", "least-requests", "session"):
            run(gateway, "config", "set", "lb_strategy", strategy)
            assert gateway.admin("/status")["rotation"]["strategy"] == strategy

        # Optimize retry settings: the guide's lines, put into the file, in force without a restart.
        good = json.loads(gateway.config.read_text())
        del good["retry"], good["routing"]
        good |= {"retry_attempts": 2, "retry_delay_ms": 50, "retry_backoff": 1.5}
        gateway.config.write_text(json.dumps(good))
        logged(gateway, "Settings reloaded, changed: .*retry.backoff")
        provider.script("*", rules=[{"fault": "status", "status": 500}])
        refused = message(gateway)
        assert len(record_of(gateway, refused)["attempts"]) == 2
        provider.script("*", rules=[])

        # Invalid Configuration: the server runs on with what it had, and says where; no default comes in.
        for broken, words in (
            (json.dumps(good)[:-2], "Failed to parse config file"),
            (json.dumps({**good, "lb_strategy": "roulette"}), "Invalid strategy: roulette"),
        ):
            gateway.config.write_text(broken)
            logged(gateway, f"Settings not reloaded, the old ones stay in force: .*{words}")
            assert words in run(gateway, "status")
            assert run(gateway, "config", "get", "retry_attempts").startswith("2")
        gateway.config.write_text(json.dumps(good))
        wait_until(lambda: not gateway.admin("/health").get("troubles"), what="the end of the trouble")

        # Enabling Debug Mode, Reading Logs: the guide's greps, by pattern or by command.
        assert lines_of(gateway, "DEBUG")
        assert all(re.match(_PRETTY, line) for line in gateway.log_text().splitlines())
        for pattern in ("ERROR", "WARN|ERROR", r"\[Proxy\]", r"\[Server\]"):
            assert lines_of(gateway, pattern), pattern
        assert "Invalid strategy" in run(gateway, "logs", "--level", "error")
        # Configuration (sanitized): a report takes these; no secret is in them.
        assert "sk-ant-sim-one" not in run(gateway, "config", "show")


def test_f2_the_configuration_sections_of_claude_code_proxys_guide(
    tmp_path: Path, provider: SimulatedProvider
) -> None:
    """claude-code-proxy's guide, with `headgate`: variables and their typos, another port, hot reload."""
    typo = {"CCPROXY_ROTATION_ENABLED": "true", "CCPROXY_HOT_RELAOD": "false"}
    gateway = Gateway(tmp_path, provider=provider.url, environment=typo)
    # Rate Limit Errors, Slow Response Times, High Memory Usage: what the guide sets.
    given = {"SERVER__LOG_LEVEL": "WARNING", "CCPROXY_HOT_RELOAD": "false"}
    shown = _shown(gateway, HEADGATE_CONFIG=str(gateway.config), **given)
    found = _values(shown, "log.level", "sources.hot_reload", "routing.rotation")
    assert found == ["warn", False, True]
    # Configuration errors: see where each value comes from, and that no name is mistyped.
    assert shown["log.level"]["source"] == "environment variable SERVER__LOG_LEVEL"
    words = "Unknown environment variable CCPROXY_HOT_RELAOD: did you mean CCPROXY_HOT_RELOAD?"
    assert words in run(gateway, "config", "check")

    # Address already in use: who has the port is said; another one, by flag; the log names the address.
    with _taken_port() as taken:
        port = str(taken.getsockname()[1])
        refused = run(gateway, "serve", "--port", port, code=1)
        assert f"Address already in use: 127.0.0.1:{port}" in refused and "--port" in refused
    with gateway:
        assert words in gateway.output_text()
        logged(gateway, f"Server running on {gateway.url}")
        # Enable rotation: switched off and on, while it runs.
        for value in ("false", "true"):
            said = run(gateway, "config", "set", "routing.rotation", value)
            assert gateway.admin("/status")["rotation"]["enabled"] is (value == "true")
            assert ("the next start takes true again" in said) is (value == "false")
        # Reduce log level: at once; the lines of requests end.
        run(gateway, "config", "set", "log.level", "WARNING")
        before = len(lines_of(gateway, "Request completed"))
        answer = message(gateway)
        assert gateway.record_of(answer.headers["x-headgate-request-id"])["status"] == 200
        assert len(lines_of(gateway, "Request completed")) == before


def test_f9_the_configuration_sections_of_claude_nexus_proxys_guide(
    tmp_path: Path, provider: SimulatedProvider
) -> None:
    """claude-nexus-proxy's guide, with `headgate`: `.env` with timeouts, debug and database; pages."""
    env = tmp_path / ".env"
    env.write_text("CLAUDE_API_TIMEOUT=300\nPROXY_SERVER_TIMEOUT=960000  # 16 minutes\n")
    once = {"retry": {"attempts": 1}}
    with Gateway(tmp_path, provider=provider.url, settings=once) as gateway:
        # Request Timeout: what the client hears; longer times in .env count without a restart.
        provider.script("*", rules=[{"fault": "hang", "times": 1}])
        late = message(gateway)
        assert (late.status_code, error_of(late)["type"]) == (504, "timeout_error")
        assert error_of(late)["message"] == "Request timed out after 300ms"
        env.write_text(
            "CLAUDE_API_TIMEOUT=900000  # 15 minutes\nPROXY_SERVER_TIMEOUT=960000  # 16 minutes\n"
            "DEBUG=true\nDEBUG_SQL=true  # For database query debugging\n"
        )
        # Enable Debug Mode: verbose lines at once; statements wait for a restart, and the log says so.
        logged(gateway, "kept as before until a restart: log.sql")
        timeouts = run(gateway, "config", "get", "upstream")
        assert "first_byte_timeout_ms: 900000" in timeouts and "idle_timeout_ms: 900000" in timeouts
        assert run(gateway, "config", "get", "server.request_timeout_ms") == "960000"
        gateway.stop(expect_code=0)
        gateway.start()
        assert message(gateway).status_code == 200
        logged(gateway, r"DEBUG: \[Sql\]|SELECT|INSERT")
        assert lines_of(gateway, "DEBUG")
        # Check Logs, filtered for errors; all of them as they come.
        assert run(gateway, "logs", "--path") == str(gateway.log_file)
        assert "ERROR" not in run(gateway, "logs", "--level", "error")
        # View current configuration: every value and the file of its variable.
        shown = _shown(gateway, HEADGATE_CONFIG=str(gateway.config))
        assert shown["upstream.idle_timeout_ms"]["source"] == f"file {env}: variable CLAUDE_API_TIMEOUT"
        assert "are right" in run(gateway, "config", "check")
        # Set DATABASE_URL: read from .env as well, its password in no answer.
        env.write_text('DATABASE_URL="postgresql://user:pass@host:5432/dbname"\n')
        shown = _shown(gateway)
        assert (shown["storage.url"]["value"], "DATABASE_URL" in shown["storage.url"]["source"]) == (
            "postgresql://***",
            True,
        )
        env.write_text("")

        # CORS Issues: the origins are listed, the guide's preflight is answered with leave.
        page = {"origin": "http://localhost:3001"}
        preflight = {**page, "access-control-request-method": "POST"}
        assert "access-control-allow-origin" not in message(gateway, headers=page).headers
        origins = "[http://localhost:3001, https://dashboard.example.com]"
        run(gateway, "config", "set", "server.cors_origins", origins)
        leave = httpx.options(f"{gateway.url}/v1/messages", headers=preflight)
        assert leave.headers["access-control-allow-origin"] == page["origin"]
        assert leave.headers["access-control-allow-credentials"] == "true"
        assert message(gateway, headers=page).headers["access-control-allow-origin"] == page["origin"]


def test_f10_the_configuration_sections_of_cliproxyapis_guide(
    tmp_path: Path, provider: SimulatedProvider
) -> None:
    """cliproxyapi-plusplus's guide, with `headgate`: config.yaml, its syntax, keys, a read-only mount."""
    gateway = Gateway(tmp_path, provider=provider.url)
    settings = json.loads(gateway.config.read_text())
    settings["access"] = {"client_auth": "required"}
    rest = "".join(f"{name}: {json.dumps(value)}\n" for name, value in settings.items())
    good = f'# mine\napi-keys:\n  - " pp-key "\nremote-management:\n  secret-key: ""\n{rest}'

    # Service Does Not Start: the path is right and readable, the syntax valid, the port free.
    missing = tmp_path / "nowhere.yaml"
    assert str(missing) in run(gateway, "config", "check", str(missing), code=2)
    gateway.config.write_text(good.replace("api-keys:", "api-keys: ["))
    for words in (("serve",), ("config", "check")):
        assert re.search(
            r"Failed to parse config file .*: line \d+, column \d+", run(gateway, *words, code=2)
        )
    gateway.config.write_text(good)
    assert "are right" in run(gateway, "config", "check")
    with _taken_port() as taken:
        port = str(taken.getsockname()[1])
        assert "Address already in use" in run(gateway, "serve", "--port", port, code=1)

    with gateway:
        # 401: update the key in api-keys; it counts at once, and after the restart of the guide.
        assert [message(gateway, key=key).status_code for key in ("pp-key", "rotated")] == [200, 401]
        gateway.config.write_text(good.replace(" pp-key ", " rotated "))
        wait_until(lambda: message(gateway, key="rotated").status_code == 200, what="the new key")
        assert message(gateway, key="pp-key").status_code == 401
        # Increase request timeout: what there is to be increased.
        run(gateway, "config", "set", "server.request_timeout_ms", "1200000")
        assert gateway.config.read_text().startswith("# mine")
    # No room for a file beside one of so long a name: that stops root as well.
    gateway.config = gateway.config.rename(tmp_path / ("c" * 246 + ".yaml"))
    with gateway:
        assert message(gateway, key="rotated").status_code == 200
        assert run(gateway, "config", "path") == str(gateway.config)
        # Runtime config write errors: in force, answered as not persisted, warned about, in the status.
        run(gateway, "config", "set", "admin.key", "set-a-strong-key")
        done = gateway.command("config", "set", "routing.expose_account", "true", "--json")
        assert json.loads(done.stdout)["persisted"] is False
        assert message(gateway, key="rotated").headers["x-headgate-account"] == "one"
        logged(gateway, "WARN.* routing.expose_account could not be saved to ")
        assert "routing.expose_account" in run(gateway, "status")
        owner = {"authorization": "Bearer set-a-strong-key"}
        status, told = gateway.ask("GET", "/v0/management/config", headers=owner)
        assert (status, json.loads(told)["headgate"]["routing.expose_account"]) == (200, True)
