"""Who is measured: nginx as a bare reverse proxy, and Headgate with everything on; on demand also Headgate
that keeps what is said, and Headgate without limits: they show what these cost.

Another gateway joins by a class with these members and a line in `all_targets`.
"""

import http.client
import json
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from string import Template
from typing import Protocol

from bench import measure
from bench.processes import find_program, free_port, stop_process, wait_for
from bench.workloads import CLIENT_KEY, Workload


class Target(Protocol):
    """One gateway in front of the mock. Started once per measurement, stopped by its own handle."""

    name: str

    def start(self, upstream_port: int, folder: Path) -> None:
        """Returns when it accepts connections. `folder` is empty and its own."""

    def address(self, workload: Workload) -> tuple[str, int]:
        """Host and port that serve this workload."""

    @property
    def relay_pid(self) -> int:
        """The process whose CPU time counts."""

    @property
    def recorder_pids(self) -> list[int]:
        """Processes that work behind it, measured beside."""

    def recorded(self) -> int | None:
        """Requests in its records so far; None where it keeps none."""

    def stop(self) -> None: ...


_NGINX_CONF = Template("""
$user
worker_processes 1;
worker_rlimit_nofile 20000;
error_log stderr error;
pid $folder/nginx.pid;
events { worker_connections 8192; }
http {
    access_log off;
    client_max_body_size 32m;
    client_body_buffer_size 1m;
    client_body_temp_path $folder/body;
    proxy_temp_path $folder/proxy;
    fastcgi_temp_path $folder/fastcgi;
    uwsgi_temp_path $folder/uwsgi;
    scgi_temp_path $folder/scgi;
    keepalive_requests 100000000;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_read_timeout 600s;
    upstream mock {
        server 127.0.0.1:$upstream_port;
        keepalive 64;
        keepalive_requests 100000000;
    }
    server {
        listen 127.0.0.1:$port backlog=4096;
        location / { proxy_pass http://mock; }
    }
    server {
        listen 127.0.0.1:$stream_port backlog=4096;
        location / { proxy_pass http://mock; proxy_buffering off; }
    }
}
""")


class Nginx:
    """One worker, keep-alive to the upstream; a second port without buffering, as one sets it for streams."""

    name = "nginx"
    recorder_pids: list[int] = []  # noqa: RUF012 (a constant: it has none)

    def start(self, upstream_port: int, folder: Path) -> None:
        self._port, self._stream_port = free_port(), free_port()
        configuration = folder / "nginx.conf"
        configuration.write_text(
            _NGINX_CONF.substitute(
                user="user root;" if os.geteuid() == 0 else "",
                folder=folder,
                upstream_port=upstream_port,
                port=self._port,
                stream_port=self._stream_port,
            )
        )
        log = folder / "output.log"
        program = find_program("nginx") or "nginx"
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [program, "-p", str(folder), "-c", str(configuration), "-g", "daemon off;"], stderr=output
            )
        wait_for(self._process, self._stream_port, log)
        while self._process.poll() is None and not measure.children(self._process.pid):
            time.sleep(0.01)  # the master listens before there is a worker

    def address(self, workload: Workload) -> tuple[str, int]:
        is_streamed = workload.mode in ("stream", "slow")
        return "127.0.0.1", self._stream_port if is_streamed else self._port

    @property
    def relay_pid(self) -> int:
        (worker,) = measure.children(self._process.pid)
        return worker

    def recorded(self) -> int | None:
        return None

    def stop(self) -> None:
        stop_process(self._process)


_MOST_CONNECTIONS = 12_000
"""Ten thousand streams and who looks at them; the default ends at ten thousand in all."""


LIMITS = {
    **{"rpm": 1_000_000, "tpm": 1_000_000_000_000, "concurrency": 100_000},
    **{"window_tokens": 1_000_000_000_000, "daily_usd": 1e6, "weekly_usd": 1e6, "total_usd": 1e6},
}
"""All that a key may have, each far away: every request is compared with them, none is refused."""


class Headgate:
    """A real `headgate serve`: key check, the key's limits and budgets, three accounts, `session` strategy,
    metering, journal, SQLite."""

    def __init__(
        self,
        launcher: tuple[str, ...] = (),
        *,
        name: str = "headgate",
        has_limits: bool = True,
        keeps_bodies: bool = False,
    ) -> None:
        """`launcher` goes before the command: a profiler that runs it."""
        self.name = name
        self._launcher = launcher
        self._limits = LIMITS if has_limits else {}
        self._keeps_bodies = keeps_bodies

    def start(self, upstream_port: int, folder: Path) -> None:
        self._port = free_port()
        self._data = folder / "data"
        configuration = folder / "config.yaml"
        # JSON is YAML: no need of a writer.
        configuration.write_text(json.dumps(self._settings(upstream_port, folder), indent=2))
        log = folder / "output.log"
        command = [*self._launcher, str(Path(sys.executable).with_name("headgate")), "serve"]
        environment = {**os.environ, "HEADGATE_DATA_DIR": str(self._data)}
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [*command, "--config", str(configuration)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                cwd=folder,
            )
        wait_for(self._process, self._port, log)
        self._check_limits()

    def _check_limits(self) -> None:
        """The figures would be those of another gateway. Raises Untrustworthy."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            connection.request("GET", "/api/keys")
            (key,) = json.loads(connection.getresponse().read())["keys"]
        finally:
            connection.close()
        in_force = {name: limit for name, limit in key["limits_in_force"].items() if limit is not None}
        if in_force != self._limits:
            self.stop()
            raise measure.Untrustworthy(f"{self.name}: the key's limits are {in_force}, not {self._limits}")

    def _settings(self, upstream_port: int, folder: Path) -> dict[str, object]:
        base_url = f"http://127.0.0.1:{upstream_port}"
        return {
            "server": {"host": "127.0.0.1", "port": self._port, "max_connections": _MOST_CONNECTIONS},
            "access": {"api_keys": [CLIENT_KEY], "limits": self._limits},
            "routing": {"strategy": "session"},
            "pricing": {"refresh_hours": 0},
            "storage": {"bodies": {"keep": self._keeps_bodies, "max_total_mb": 256}},
            "log": {"file": str(folder / "app.log")},
            "accounts": [
                {
                    "name": name,
                    "provider": "anthropic",
                    "api_key": f"sk-ant-bench-{name}",
                    "base_url": base_url,
                }
                for name in ("one", "two", "three")
            ],
        }

    def address(self, workload: Workload) -> tuple[str, int]:
        return "127.0.0.1", self._port

    @property
    def relay_pid(self) -> int:
        return self._process.pid

    @property
    def recorder_pids(self) -> list[int]:
        return measure.children(self._process.pid)

    def recorded(self) -> int | None:
        """Rows of `requests`: proof that metering, journal and recorder were at work while we measured."""
        (database,) = self._data.rglob("*.db")
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10)) as connection:
            return int(connection.execute("SELECT COUNT(*) FROM requests").fetchone()[0])

    def stop(self) -> None:
        stop_process(self._process)


USUAL = ("nginx", "headgate")
"""Measured unless others are named."""


def all_targets() -> list[Target]:
    without_limits = Headgate(name="unlimited", has_limits=False)
    return [Nginx(), Headgate(), Headgate(name="bodies", keeps_bodies=True), without_limits]


def ask(target: Target, workload: Workload, body: bytes) -> tuple[int, bytes]:
    """One request over a connection of its own: status and body."""
    host, port = target.address(workload)
    connection = http.client.HTTPConnection(host, port, timeout=30)
    try:
        headers = {
            "content-type": "application/json",
            "x-api-key": CLIENT_KEY,
            "anthropic-version": "2023-06-01",
        }
        connection.request("POST", workload.path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
