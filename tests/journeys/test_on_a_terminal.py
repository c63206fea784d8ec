"""What reading commands print on a real terminal, and where there is none."""

import fcntl
import os
import re
import struct
import termios
from collections.abc import Iterator

import httpx
import pytest

from headgate.testing.process import SimulatedProvider
from tests.gateway import Gateway, wait_until
from tests.guides.asking import message
from tests.starts import start

READING = ("status", "account list", "requests", "requests {id}", "usage --by hour", "account test work")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gateway, str]]:
    """One account serves, one rests, one is refused, with long names and words; and a request over them."""
    with SimulatedProvider() as provider:
        provider.script("sk-ant-sim-limited", rules=[{"fault": "429", "limit": "unified", "seconds": 90_000}])
        provider.script("sk-ant-sim-refused", rules=[{"fault": "status", "status": 401}])
        accounts = [
            {"name": name, "api_key": f"sk-ant-sim-{key}", "base_url": provider.url, "priority": priority}
            for name, key, priority in (
                ("limited-account-of-the-team", "limited", 0),
                ("refused-account-of-the-team", "refused", 1),
                ("work", "work", 2),
            )
        ]
        with Gateway(tmp_path_factory.mktemp("terminal"), accounts=accounts) as gateway:
            answer: httpx.Response = message(gateway)
            assert answer.status_code == 200
            request_id = answer.headers["x-headgate-request-id"]
            wait_until(lambda: gateway.ask("GET", f"/api/requests/{request_id}")[0] == 200)
            yield gateway, request_id


@pytest.mark.parametrize("width", [60, 80, 120])
def test_everything_fits_the_terminal(gateway: tuple[Gateway, str], width: int) -> None:
    """No line is wider than the terminal, whatever its width is, and a terminal gets colours."""
    running, request_id = gateway
    shown = {words: _on_terminal(running, words.format(id=request_id), width) for words in READING}
    for words, text in shown.items():
        lines = [_COLOUR.sub("", line).rstrip() for line in text.splitlines()]
        assert lines, words
        # An address and an id are one word, to be copied: they may be wider, alone.
        assert [line for line in lines if len(line) > width and " " in line.strip()] == [], words
    assert "\x1b[" in shown["status"]


def test_without_a_terminal_or_with_no_color_there_are_no_colours(gateway: tuple[Gateway, str]) -> None:
    """Piped output is plain; `NO_COLOR` makes a terminal's plain too."""
    running, _ = gateway
    piped = running.command("status").stdout
    assert "work" in piped and "\x1b" not in piped
    plain = _on_terminal(running, "status", 80, NO_COLOR="1")
    assert "work" in plain
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]", plain)


def _on_terminal(gateway: Gateway, words: str, width: int, **environment: str) -> str:
    """All that a command prints on a terminal of this width."""
    ours, its = os.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
    kept = {name: value for name, value in gateway.environment.items() if name != "COLUMNS"}
    process = start(
        [*words.split(), "--config", str(gateway.config)],
        folder=gateway.folder,
        environment={**kept, "TERM": "xterm-256color", **environment},
        streams=(its, its, its),
    )
    os.close(its)
    printed = b""
    try:
        while piece := os.read(ours, 65_536):
            printed += piece
    except OSError:  # what a terminal answers when nobody holds its other end any more
        pass
    finally:
        os.close(ours)
        process.wait(timeout=60)
    return printed.decode()
