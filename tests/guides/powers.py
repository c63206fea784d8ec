"""Commands that may not do what root may."""

import os
import shutil
import subprocess

from tests.gateway import PROGRAM, Gateway


def without_root_powers() -> list[str]:
    """Root may open anything; the modes count for it once it has let go of that power."""
    if os.geteuid() != 0:
        return []
    setpriv = shutil.which("setpriv")
    assert setpriv is not None, "setpriv (util-linux) is needed to run this test as root"
    return [setpriv, "--bounding-set", "-dac_override,-dac_read_search", "--inh-caps", "-all"]


def serve_without_root_powers(gateway: Gateway) -> "subprocess.CompletedProcess[str]":
    """A start that ends by itself, refused for what the modes do not allow."""
    return subprocess.run(
        [*without_root_powers(), str(PROGRAM), "serve", "--config", str(gateway.config)],
        env=gateway.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
