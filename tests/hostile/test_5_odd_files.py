"""Files of another kind than they should be, where the gateway keeps or looks for its own.

No start ends in a stack trace, none waits for ever, and a gateway that runs stays as it is.
"""

import json
import os
import socket
import subprocess
from pathlib import Path

import pytest

from headgate.testing.process import SimulatedProvider
from tests import starts
from tests.gateway import Gateway
from tests.guides.asking import logged, message

PATIENCE_SECONDS = 20


def _run(gateway: Gateway, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """`headgate …` in the gateway's folder, where its `.env` would be."""
    command = [*arguments, "--config", str(gateway.config)]
    folder, environment = gateway.folder, gateway.environment
    ended = starts.run(command, folder=folder, environment=environment, timeout=PATIENCE_SECONDS)
    return subprocess.CompletedProcess(
        command, ended.returncode, ended.stdout.decode(), ended.stderr.decode()
    )


def _put(path: Path, kind: str) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.unlink(missing_ok=True)
    match kind:
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "socket":
            with socket.socket(socket.AF_UNIX) as one:
                one.bind(str(path))
        case "file":
            path.touch()


ODD = {
    "data/headgate.sock": ("folder",),
    "data/headgate.db": ("folder", "pipe", "device"),
    "data/secret.key": ("folder", "pipe", "device"),
    "data/gateway.lock": ("folder", "device"),
    "data/journal": ("file",),
    "data": ("file",),
    "config.yaml": ("folder", "pipe", "device"),
}


@pytest.mark.parametrize(("name", "kind"), [(name, kind) for name, kinds in ODD.items() for kind in kinds])
def test_an_odd_file_at_the_start(tmp_path: Path, name: str, kind: str) -> None:
    """A folder, pipe or device where a file of ours belongs → the start names it: what, why, mend"""
    gateway = Gateway(tmp_path, accounts=[])
    _put(tmp_path / name, kind)
    ended = _run(gateway, "serve", "--port", "0")
    assert ended.returncode == (2 if name == "config.yaml" else 1)
    assert "Traceback" not in ended.stdout + ended.stderr
    why, mend = ended.stderr.splitlines()[-2:]
    assert why.startswith("  why: ") and str(tmp_path / name) in why
    assert mend.startswith(" mend: ")


@pytest.mark.parametrize("kind", ["folder", "pipe", "socket"])
def test_an_odd_log_file_at_the_start(tmp_path: Path, provider: SimulatedProvider, kind: str) -> None:
    """The log file is a folder, or a pipe that nobody reads → a warning, and standard output alone"""
    gateway = Gateway(tmp_path, provider=provider.url)
    _put(gateway.log_file, kind)
    with gateway:
        assert f"Logging to standard output only: {gateway.log_file}" in gateway.output_text()
        assert message(gateway).status_code == 200


@pytest.mark.parametrize("kind", ["pipe", "device", "large"])
def test_an_odd_secret_file(tmp_path: Path, provider: SimulatedProvider, kind: str) -> None:
    """A `file:` secret leads to a pipe, an endless device or 65 KiB → refused at once, nothing changes"""
    odd = tmp_path / "odd"
    if kind == "large":
        odd.write_text("x" * (65 << 10))
    else:
        _put(odd, kind)
    with Gateway(tmp_path, provider=provider.url) as gateway:
        before = gateway.config.read_text()
        body = json.dumps({"admin.key": f"file:{odd}"}).encode()
        headers = {"content-type": "application/json"}
        status, answer = gateway.ask("PUT", "/api/config", headers=headers, body=body)
        assert (status, json.loads(answer)["code"]) == (400, "invalid_setting")
        assert str(odd) in json.loads(answer)["detail"]
        assert gateway.config.read_text() == before
        gateway.config.write_text(json.dumps({**json.loads(before), "admin": {"key": f"file:{odd}"}}))
        logged(gateway, f"Settings not reloaded, .* cannot read the secret file {odd}")
        gateway.config.write_text(before)
        assert message(gateway).status_code == 200
        gateway.stop(expect_code=0)


def test_an_env_file_that_is_a_pipe(tmp_path: Path) -> None:
    """`.env` is a pipe that nobody writes to → a warning, and nothing of it is used"""
    _put(tmp_path / ".env", "pipe")
    gateway = Gateway(tmp_path, accounts=[])
    ended = _run(gateway, "config", "check")
    assert ended.returncode == 0
    assert "is a pipe, not a file; nothing of it is used" in ended.stderr


@pytest.mark.parametrize("name", ["data", "elsewhere"])
def test_an_open_folder(tmp_path: Path, provider: SimulatedProvider, name: str) -> None:
    """Everybody may write to the folder of data or database → the start warns, with what mends it"""
    folder = tmp_path / name
    folder.mkdir()
    folder.chmod(0o777)
    database = str(folder / "headgate.db") if name == "elsewhere" else None
    with Gateway(tmp_path, provider=provider.url, database=database) as gateway:
        logged(gateway, rf"{folder} is open to others \(mode 0777\)\. Mend: chmod 700 {folder}")
