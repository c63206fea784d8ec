"""A piece of network between the gateway and a database, which a test can cut and mend."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Self
from urllib.parse import parse_qs, urlsplit

_PIECE = 65_536


class Forwarder:
    """Listens on a TCP port of 127.0.0.1 and joins each connection to a Unix socket."""

    def __init__(self, target: str, url: str) -> None:
        """`url` may hold `{port}`: it is what clients of the forwarder are given."""
        self._target = target
        self._open: list[socket.socket] = []
        self._flows = threading.Event()
        self._flows.set()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.url = url.format(port=self.port)
        self._threads: list[threading.Thread] = []
        self._listen()

    @classmethod
    def to_postgres(cls, url: str) -> "Forwarder":
        """`url`: as `postgresql://user:@/name?host=/folder/of/its/socket`."""
        parts = urlsplit(url)
        folder = parse_qs(parts.query)["host"][0]
        user = parts.username or "postgres"
        return cls(
            f"{folder}/.s.PGSQL.5432", f"postgresql://{user}@127.0.0.1:{{port}}{parts.path}?sslmode=disable"
        )

    def cut(self) -> None:
        """Every connection is reset, and no new one is taken."""
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self._listening.close()
        for end in self._open:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self._open.clear()

    def stall(self) -> None:
        """Everything stays connected, and nothing comes through until `flow`."""
        self._flows.clear()

    def flow(self) -> None:
        self._flows.set()

    def mend(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", self.port))
        self._listen()

    def _listen(self) -> None:
        self._spawn(self._accept, self._listening)

    def _accept(self, listening: socket.socket) -> None:
        with suppress(OSError):
            while True:
                near, _ = listening.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect(self._target)
                self._open += [near, far]
                self._spawn(self._pump, near, far)
                self._spawn(self._pump, far, near)

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while piece := source.recv(_PIECE):
                self._flows.wait()
                sink.sendall(piece)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def _spawn(self, work: Callable[..., None], *arguments: socket.socket) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        thread.start()
        self._threads.append(thread)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.flow()
        self.cut()
        for thread in self._threads:
            thread.join(10)
