"""Opening the sockets we listen on, with words for what can go wrong."""

import errno
import os
import socket
from pathlib import Path

import psutil

from headgate.config.places import short_path
from headgate.errors import ListenFailed

BACKLOG = 2048
"""Clients that may wait to be accepted: one that finds no room tries again after a second. The event loop has
to be told as well: it listens anew, and by itself with room for 100."""


def open_port(host: str, port: int) -> socket.socket:
    """A listening TCP socket. Raises ListenFailed, which names the holder of a taken port."""
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise ListenFailed(
            f"Cannot listen on {host}: {error.strerror}", hint="Check `server.host` or `--host`."
        ) from error
    except UnicodeError:
        raise ListenFailed(
            f"Cannot listen on {host}: this is no host name", hint="Check `server.host` or `--host`."
        ) from None
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(address)
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise _explained(error, host, port) from error
    listening.setblocking(False)
    return listening


def open_control_socket(path: Path) -> socket.socket:
    """A listening Unix socket that only its owner can open. One left by a dead gateway is replaced."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        reason = "a folder is in its place" if path.is_dir() else error.strerror
        raise ListenFailed(
            f"Cannot make the control socket {path}: {reason}",
            hint="Take it out of the way, then start again.",
        ) from error
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        with short_path(path) as address:
            listening.bind(address)
    except OSError as error:
        listening.close()
        raise ListenFailed(f"Cannot make the control socket {path}: {error.strerror or error}") from error
    finally:
        os.umask(before)
    listening.listen(BACKLOG)
    listening.setblocking(False)
    return listening


def _explained(error: OSError, host: str, port: int) -> ListenFailed:
    if error.errno == errno.EADDRINUSE:
        return ListenFailed(
            f"Address already in use: {host}:{port}{_holder(port)}",
            hint="Choose another port with `--port N` or `server.port`, or stop the other program.",
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return ListenFailed(
            f"Permission denied: port {port} on {host}", hint="Ports below 1024 are the system's."
        )
    hint = "Check `server.host` or `--host`."
    if error.errno == errno.EADDRNOTAVAIL:
        hint = "This machine has no such address: give one of its own, 127.0.0.1, or 0.0.0.0 for all of them."
    return ListenFailed(f"Cannot listen on {host}:{port}: {error.strerror}", hint=hint)


def _holder(port: int) -> str:
    """Who listens there, as far as we may see."""
    try:
        for connection in psutil.net_connections("tcp"):
            is_holder = connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,)
            if is_holder and connection.pid is not None:
                name = psutil.Process(connection.pid).name()
                return f" (held by {name}, process {connection.pid})"
    except psutil.Error:
        return ""
    return ""
