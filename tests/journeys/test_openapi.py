"""The OpenAPI document says what a running gateway does: schemathesis asks all of it, rightly and wrongly.

No answer is a fault, a status, a header or a form that the document does not have; what breaks the document's
rules is refused, and so is who comes without the key.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from headgate.testing.process import SimulatedProvider
from tests.gateway import CLIENT_KEY, Gateway
from tests.guides.signing_in import settings_of
from tests.hostile.fuzzing import VARIABLE, fuzz_cases

ADMIN_KEY = "correct-horse-battery"
HERE = Path(__file__).parent
PROGRAM = Path(sys.executable).with_name("schemathesis")
PARTS = {
    "accounts": ["accounts"],
    "keys": ["keys", "session"],
    "settings": ["strategy", "config", "sign-in"],
    "history": ["requests", "audit", "data"],
    "state": ["logs", "health", "status", "document"],
    "management": ["management"],
}
"""Tags of the document."""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """With accounts, client keys, a log-in's key, an auth folder and requests of which one failed.

    The admin key is of the environment, so that no settings file that is sent takes it away.
    """
    folder = tmp_path_factory.mktemp("openapi")
    (folder / "auths").mkdir()
    environment = {"HEADGATE_ADMIN__KEY": ADMIN_KEY}
    with SimulatedProvider() as provider:
        settings = {**settings_of(provider), "sources": {"auth_dir": str(folder / "auths")}}
        running = Gateway(
            folder, provider=provider.url, accounts=["one"], settings=settings, environment=environment
        )
        with running as gateway:
            _fill(gateway, provider)
            yield gateway


def _fill(gateway: Gateway, provider: SimulatedProvider) -> None:
    def ask(method: str, path: str, body: object) -> None:
        sent = json.dumps(body).encode()
        status, answer = gateway.ask(method, path, headers={"x-dashboard-key": ADMIN_KEY}, body=sent)
        assert status < 300, answer

    for name in ("work", "team-a", "spare", "laptop"):
        account = {"name": name, "api_key": f"sk-ant-sim-{name}", "base_url": provider.url}
        ask("POST", "/api/accounts", account)
        ask("POST", "/api/keys", {"name": name})
    body = {"model": "claude-sonnet-4-5", "max_tokens": 8, "messages": [{"role": "user", "content": "hi"}]}
    for sent in (body, {}):
        headers = {"x-api-key": CLIENT_KEY, "anthropic-version": "2023-06-01"}
        gateway.ask("POST", "/v1/messages", headers=headers, body=json.dumps(sent).encode())


@pytest.mark.parametrize("part", PARTS)
def test_the_document_is_what_a_gateway_does(gateway: Gateway, part: str) -> None:
    command = [str(PROGRAM), "--config-file", str(HERE / "schemathesis.toml"), "run", "--no-color"]
    command += [f"{gateway.url}/openapi.json", "--phases=examples,coverage,fuzzing"]
    command += [f"--include-tag={tag}" for tag in PARTS[part]]
    command += [f"--max-examples={max(2, fuzz_cases() // 500)}"]
    if VARIABLE not in os.environ:
        command += ["--generation-deterministic"]
    environment = {**os.environ, "HEADGATE_TEST_ADMIN_KEY": ADMIN_KEY}
    root = HERE.parent.parent
    ended = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=3600)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "Unexpected error" not in gateway.log_text()
