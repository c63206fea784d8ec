"""Real outbound proxies as processes of their own, and a provider that speaks TLS: for every room."""

import asyncio
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Self

from tests.gateway import wait_until
from tests.run_proxy import ONLY_BEHIND
from tests.upstream.authority import Authority

__all__ = ["ONLY_BEHIND", "RealProxy", "TlsFront"]


class RealProxy:
    """`http`: proxy.py, which makes tunnels and passes requests on; `socks`: pproxy, SOCKS5 and SOCKS4.

    It resolves one name, ONLY_BEHIND, that nobody else does.
    """

    def __init__(
        self, folder: Path, kind: str = "http", *, credentials: str = "", tls: Path | None = None
    ) -> None:
        """`credentials` as `user:password`; `tls`: key and certificate, and it speaks TLS itself."""
        self._kind = kind
        self._credentials = credentials
        self._tls = tls
        self._log = folder / f"{kind}-proxy-{id(self)}.log"
        self._port_file = self._log.with_suffix(".port")
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    def url(self, *, scheme: str = "", credentials: str | None = None, host: str = "127.0.0.1") -> str:
        scheme = scheme or ("socks5h" if self._kind == "socks" else "https" if self._tls else "http")
        given = self._credentials if credentials is None else credentials
        return f"{scheme}://{given + '@' if given else ''}{host}:{self.port}"

    def log_text(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    def start(self) -> None:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.run_proxy", self._kind, *self._arguments()],
                cwd=Path(__file__).parent.parent,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        wait_until(self._listens, what=f"The proxy's port\n{self.log_text()}")

    def _arguments(self) -> list[str]:
        if self._kind == "socks":
            self.port = free_port()
            users = f"#{self._credentials}" if self._credentials else ""
            return ["-v", "-l", f"socks5+socks4://127.0.0.1:{self.port}/{users}"]
        arguments = ["--hostname", "127.0.0.1", "--port", "0", "--port-file", str(self._port_file)]
        arguments += ["--num-workers", "1", "--num-acceptors", "1"]
        if self._credentials:
            arguments += ["--basic-auth", self._credentials]
        if self._tls is not None:
            arguments += ["--cert-file", str(self._tls), "--key-file", str(self._tls)]
        return arguments

    def _listens(self) -> bool:
        if self._kind == "http":
            text = self._port_file.read_text() if self._port_file.exists() else ""
            self.port = int(text) if text.strip() else 0
        if not self.port:
            return False
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        return False

    def kill(self) -> None:
        """At once, with every process that it has started. Safe to call twice."""
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


class TlsFront:
    """TLS in front of a server that speaks none, under the name ONLY_BEHIND."""

    def __init__(self, folder: Path, target: str, *, host: str = ONLY_BEHIND) -> None:
        """`target`: `http://127.0.0.1:port`."""
        authority = Authority()
        self.trusted = folder / "authority.pem"
        """For SSL_CERT_FILE."""
        self.trusted.write_text(authority.pem)
        self._context = authority.server_context(folder, host)
        self._context.set_alpn_protocols(["http/1.1"])
        self.certificate = folder / f"{host}.pem"
        """Key and certificate."""
        self._host = host
        self._port = int(target.rpartition(":")[2])
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server: asyncio.Server | None = None
        self.connections = 0
        self.url = ""

    def __enter__(self) -> Self:
        self._thread.start()
        listening = asyncio.run_coroutine_threadsafe(self._listen(self._context), self._loop)
        self._server = listening.result(10)
        self.url = f"https://{self._host}:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def _listen(self, context: ssl.SSLContext) -> asyncio.Server:
        return await asyncio.start_server(self._accepted, "127.0.0.1", 0, ssl=context)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._port)
        await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _end(self) -> None:
        assert self._server is not None
        self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(OSError, ssl.SSLError):
        while piece := await source.read(65_536):
            sink.write(piece)
            await sink.drain()
    sink.close()
