"""`headgate serve` as a process."""

import asyncio
import socket
import stat

from headgate.cli.child import ChildGateway
from tests.cli.conftest import Command


async def test_flags_win_and_a_taken_port_is_explained(headgate: Command) -> None:
    """The flag's port is taken, the file's is not: the flag counts, and the failure has a mend."""
    headgate.config.write_text("server: {port: 0}\nlog: {file: null}\n")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        outcome = await headgate("serve", "--host", "127.0.0.1", "--port", port)
    assert outcome.code == 1
    assert "Address already in use" in outcome.err + outcome.out
    assert "error: The gateway did not start" in outcome.err
    assert "mend:" in outcome.err


async def test_wrong_settings_end_in_2_before_anything_is_made(headgate: Command) -> None:
    headgate.config.write_text("routing: {strategy: random}\n")
    outcome = await headgate("serve")
    assert outcome.code == 2
    assert "Invalid strategy: random" in outcome.err
    assert not headgate.data.exists()


async def test_a_data_folder_that_cannot_be_made_is_named(headgate: Command) -> None:
    """With the database elsewhere too: the control socket has no other place."""
    headgate.data.write_text("in the way")
    headgate.config.write_text(f"server: {{port: 0}}\nstorage: {{url: {headgate.folder / 'x.db'}}}\n")
    outcome = await headgate("serve")
    assert outcome.code == 1
    assert f"why: Cannot make the data folder: {headgate.data}: " in outcome.err
    assert "HEADGATE_DATA_DIR" in outcome.err


async def test_a_stop_signal_ends_it_in_order(headgate: Command) -> None:
    """SIGTERM: exit code 0."""
    async with ChildGateway(headgate.folder, port=0) as gateway:
        code, _ = await asyncio.gather(gateway.ended(), gateway.stop())
    assert code == 0


async def test_the_first_start_makes_the_encryption_key(headgate: Command) -> None:
    """Before there is anything to seal, so that a backup of the first day has it."""
    async with ChildGateway(headgate.folder, port=0):
        key = headgate.folder / "data" / "secret.key"
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
