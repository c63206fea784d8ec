"""`headgate openapi`: what a gateway answers, without one."""

from tests.cli.conftest import Command
from tests.gateway import Gateway


async def test_it_needs_neither_settings_nor_a_folder(headgate: Command) -> None:
    """Nothing is read, and nothing is made."""
    headgate.config.write_text("server: {port: no number}")
    shown = await headgate("openapi")
    assert (shown.code, shown.err, headgate.data.exists()) == (0, "", False)
    assert shown.json()["openapi"] == "3.1.0"
    assert "/api/accounts" in shown.json()["paths"]


async def test_it_is_what_a_running_gateway_answers(headgate: Command, gateway: Gateway) -> None:
    """Version and all; `--json` is nothing else."""
    answered = gateway.admin("/openapi.json")
    assert (await headgate("openapi")).json() == answered
    assert (await headgate("openapi", "--json")).json() == answered
