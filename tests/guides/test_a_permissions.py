"""Guide row A15: what may not be opened is named with its owner and the command that mends it."""

import os
import subprocess
from pathlib import Path

import pytest

from headgate.testing.process import SimulatedProvider
from tests.gateway import Gateway
from tests.guides.asking import message, record_of
from tests.guides.powers import serve_without_root_powers


@pytest.mark.parametrize("name", ["headgate.db", "secret.key", "journal", "gateway.lock"])
def test_a15_a_permission_problem_names_its_mend(
    tmp_path: Path, provider: SimulatedProvider, name: str
) -> None:
    """Database, key, journal, lock not ours to open: path, owner, the command that mends it; exit code 1."""
    with Gateway(tmp_path, provider=provider.url) as gateway:
        record_of(gateway, message(gateway))
        gateway.stop(expect_code=0)
        path = gateway.data / name
        path.chmod(0)
        refused = serve_without_root_powers(gateway)
        assert refused.returncode == 1
        assert f"Permission denied: {path}" in refused.stderr
        assert f"belongs to user {os.getuid()}" in refused.stderr
        mend = refused.stderr.partition("Mend: ")[2].splitlines()[0].partition(";")[0]
        subprocess.run(mend.split(), check=True)
        gateway.start()
        assert len(gateway.requests()) == 1
