"""Guide rows F by the management routes: what is changed there, and where it cannot be written."""

import json
from pathlib import Path
from typing import Any

from headgate.testing.process import SimulatedProvider
from tests.gateway import CLIENT_KEY, Gateway
from tests.guides.asking import logged, message

ADMIN_KEY = "the-owner's-key"
OWNER = {"x-management-key": ADMIN_KEY}
NOT_SAVED = "not saved: the settings file cannot be written"


def ask(gateway: Gateway, method: str, path: str, body: Any = None) -> Any:
    """A body that is a text is sent as it is; the settings file is answered as a text."""
    sent = body.encode() if isinstance(body, str) else json.dumps(body).encode() if body is not None else None
    status, answer = gateway.ask(method, f"/v0/management/{path}", headers=OWNER, body=sent)
    assert status == 200, answer
    return answer.decode() if path == "config.yaml" and method == "GET" else json.loads(answer)


def test_f6_management_on_a_read_only_mount(tmp_path: Path, provider: SimulatedProvider) -> None:
    """The change is in force, answered `persisted: false` with a warning, and `/health` tells of it."""
    settings = {"admin": {"key": ADMIN_KEY}}
    gateway = Gateway(tmp_path, provider=provider.url, settings=settings)
    # No room for a file beside one of so long a name: that stops root as well.
    gateway.config = gateway.config.rename(tmp_path / ("c" * 246 + ".yaml"))
    text = gateway.config.read_text()
    with gateway:
        for path, value in (("routing/strategy", "fill-first"), ("request-retry", 6), ("debug", True)):
            answer = ask(gateway, "PUT", path, {"value": value})
            assert (answer["persisted"], answer["warnings"]) == (False, [NOT_SAVED])
        assert ask(gateway, "GET", "routing/strategy") == {"strategy": "fill-first"}
        assert not ask(gateway, "PATCH", "api-keys", {"old": CLIENT_KEY, "new": "hg_new"})["persisted"]
        assert (message(gateway).status_code, message(gateway, key="hg_new").status_code) == (401, 200)
        whole = json.loads(ask(gateway, "GET", "config.yaml"))  # this one is JSON
        whole["routing"] = {"expose_account": True}
        del whole["retry"]
        answer = ask(gateway, "PUT", "config.yaml", json.dumps(whole))
        assert (answer["ok"], answer["persisted"], answer["warnings"]) == (True, False, [NOT_SAVED])
        assert message(gateway).headers["x-headgate-account"] == "one"
        assert ask(gateway, "GET", "request-retry") == {"request-retry": 2}
        _, health = gateway.ask("GET", "/health", headers=OWNER)
        (trouble,) = [one for one in json.loads(health)["troubles"] if one["code"] == "settings_not_saved"]
        assert "routing.expose_account" in trouble["reason"]
        assert gateway.config.read_text() == text
        logged(gateway, "WARN.* settings could not be saved to .*: File name too long")


def test_f6_management_keeps_comments_and_secrets(tmp_path: Path, provider: SimulatedProvider) -> None:
    """What was read from `config.yaml` and sent back with one change changes that alone."""
    gateway = Gateway(tmp_path, provider=provider.url, settings={"admin": {"key": ADMIN_KEY}})
    sections = json.loads(gateway.config.read_text())
    lines = [f"{name}: {json.dumps(values)}  # mine\n" for name, values in sections.items()]
    gateway.config.write_text("".join(lines))
    with gateway:
        shown = ask(gateway, "GET", "config.yaml")
        assert ADMIN_KEY not in shown
        assert shown.count("# mine") == len(lines)
        changed = shown.replace('"delay_ms": 10', '"delay_ms": 10, "attempts": 7')
        answer = ask(gateway, "PUT", "config.yaml", changed)
        assert (answer["ok"], answer["persisted"], answer["settings"]) == (True, True, ["retry.attempts"])
        expected = "".join(lines).replace('"delay_ms": 10', '"delay_ms": 10, "attempts": 7')
        assert gateway.config.read_text() == expected
        assert message(gateway).status_code == 200
