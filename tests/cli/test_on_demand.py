"""The heavy parts are loaded by the command that needs them."""

import subprocess
import sys

HEAVY = ("headgate.assembly", "fastapi", "sqlalchemy", "alembic", "uvicorn", "cryptography")


def test_a_command_starts_without_the_gateway() -> None:
    """Help, version, and every question to a running gateway: a third of a second, not a whole one."""
    program = "import sys, headgate.cli.app; print(*sys.modules, sep='\\n')"
    loaded = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=60
    ).stdout.split()
    assert "headgate.cli.control" in loaded
    assert [name for name in loaded if name.startswith(HEAVY)] == []
