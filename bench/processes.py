"""Programs that the bench starts, waits for and stops, each by its own handle."""

import os
import resource
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.measure import LOAD_CORE, Untrustworthy, pin

START_SECONDS = 30
STOP_SECONDS = 30
OPEN_FILES = 24_000
"""10 000 open streams take two descriptors each in a gateway; the usual soft limit is 1 024."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    """Until `port` accepts. Untrustworthy with the end of its output when the process ends or never does."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    end_of_log = log.read_text(errors="replace")[-2000:]
    process.kill()
    raise Untrustworthy(f"{process.args!r} does not listen on port {port}:\n{end_of_log}")


def stop_process(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def mock_upstream() -> Iterator[int]:
    """The mock on the load's core; gives its port."""
    command = [sys.executable, "-m", "bench.mock"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parent.parent) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline().decode()
            if not line.startswith("listening on "):
                raise Untrustworthy(f"the mock did not start: {line!r}")
            pin(process.pid, LOAD_CORE)
            yield int(line.split()[-1])
        finally:
            stop_process(process)


def raise_open_files() -> None:
    """What this process may open, and with it every program that it starts."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def install(programs: tuple[str, ...]) -> None:
    """See that the programs are there; as root on Debian or Ubuntu fetch what is missing.

    The packages are called like the programs. Raises Untrustworthy naming what to install.
    """
    missing = [program for program in programs if find_program(program) is None]
    if not missing:
        return
    if os.geteuid() == 0 and shutil.which("apt-get"):
        print(f"Installing {' and '.join(missing)} with apt-get", flush=True)
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", *missing]):
            subprocess.run(command, env=environment, check=False, stdout=subprocess.DEVNULL)
        missing = [program for program in missing if find_program(program) is None]
    if missing:
        raise Untrustworthy(
            f"{' and '.join(missing)} not found. Install the package of that name, for example: "
            f"sudo apt-get install {' '.join(missing)}"
        )


def find_program(name: str) -> str | None:
    """On the path or in /usr/sbin, which is not on everybody's."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}{os.pathsep}/usr/sbin")
