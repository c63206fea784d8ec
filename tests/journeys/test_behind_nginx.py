"""The lines for nginx in `docs/https.md`, followed."""

import os
import re
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from headgate.testing.process import SimulatedProvider
from tests.gateway import CLIENT_KEY, Gateway, wait_until
from tests.proxies import free_port
from tests.testing.wire import ask
from tests.upstream.authority import Authority

PAGE = Path(__file__).parents[2] / "docs" / "https.md"
NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
CALLER = "127.0.0.9"


@contextmanager
def nginx(folder: Path, gateway: Gateway, authority: Authority) -> Iterator[int]:
    """The port of one that runs with the page's lines, places and ports aside."""
    (server,) = re.findall(r"```nginx\n(.*?)```", PAGE.read_text(), re.DOTALL)
    cert, key = authority.pair()
    (folder / "fullchain.pem").write_bytes(cert)
    (folder / "privkey.pem").write_bytes(key)
    port = free_port()
    places = {
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "/etc/headgate/": f"{folder}/",
        "http://127.0.0.1:8080": gateway.url,
    }
    for written, here in places.items():
        assert written in server
        server = server.replace(written, here)
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(
        f"{user} daemon off; error_log stderr; pid {folder}/nginx.pid; events {{}}\n"
        f"http {{ access_log off; {temporary}\n{server}}}\n"
    )
    assert NGINX is not None
    process = subprocess.Popen([NGINX, "-p", str(folder), "-c", str(folder / "nginx.conf")])
    try:
        wait_until(lambda: (folder / "nginx.pid").exists(), what="nginx")
        yield port
    finally:
        process.terminate()
        process.wait(10)


@pytest.mark.skipif(NGINX is None, reason="nginx is not here")
def test_streams_come_at_once_and_records_name_the_caller(
    tmp_path: Path, provider: SimulatedProvider
) -> None:
    """The first events of an answer that then hangs; by HTTPS, from an address that the record has."""
    provider.script("*", rules=[{"fault": "hang", "stage": "mid_body", "event": 3}])
    authority, trusting = Authority(), {"server": {"trusted_proxies": "127.0.0.1"}}
    with (
        Gateway(tmp_path, provider=provider.url, settings=trusting) as gateway,
        nginx(tmp_path, gateway, authority) as port,
        httpx.Client(
            base_url=f"https://127.0.0.1:{port}",
            headers={"x-api-key": CLIENT_KEY},
            transport=httpx.HTTPTransport(
                verify=ssl.create_default_context(cadata=authority.pem), local_address=CALLER
            ),
        ) as client,
    ):
        with client.stream("POST", "/v1/messages", json=ask("hello", stream=True)) as answer:
            assert next(answer.iter_raw()).startswith(b"event: message_start")
            request_id = answer.headers["x-headgate-request-id"]
        assert gateway.record_of(request_id)["client_address"] == CALLER
