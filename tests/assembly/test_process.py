"""The process round a gateway."""

import os
import subprocess
from pathlib import Path

from tests.gateway import PROGRAM, Gateway, wait_until


def test_a_terminal_that_is_closed_ends_the_gateway(tmp_path: Path) -> None:
    """It sends the same signal that asks for a reload; a gateway in a window must not outlive the window."""
    gateway = Gateway(tmp_path, accounts=())
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        ["setsid", "--ctty", "--wait", str(PROGRAM), "serve", "--config", str(gateway.config)],
        env=gateway.environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    try:
        wait_until(lambda: "Server running on" in gateway.log_text(), what="the start")
        os.close(ours)
        assert process.wait(20) == 0
        assert "Shutting down" in gateway.log_text()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
