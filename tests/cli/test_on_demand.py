"""The heavy parts are loaded by the command that needs them."""

import subprocess
import sys

import pytest

GATEWAY = ("headgate.assembly", "fastapi", "sqlalchemy", "alembic", "uvicorn", "cryptography")
HEAVY = (*GATEWAY, "headgate.admin", "headgate.config", "headgate.testing", "httpx", "pydantic", "ruamel")

LIGHT = {"headgate.config", "headgate.config.texts"}
"""The room's door, and what is asked of every word on the command line."""


@pytest.mark.parametrize(("module", "heavy"), [("app", HEAVY), ("control", GATEWAY)])
def test_a_command_starts_without_what_it_does_not_need(module: str, heavy: tuple[str, ...]) -> None:
    """Help of the whole needs neither settings nor HTTP, a question to a running gateway no database."""
    program = f"import sys, headgate.cli.{module}; print(*sys.modules, sep='\\n')"
    loaded = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=60
    ).stdout.split()
    assert f"headgate.cli.{module}" in loaded
    assert [name for name in loaded if name.startswith(heavy) and name not in LIGHT] == []
