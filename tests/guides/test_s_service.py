"""Guide rows S: starting, listening, and the lines that the guides search for."""

import json
import re
import socket
import subprocess
from pathlib import Path

import httpx
from typer.main import get_command

from headgate.cli.app import app
from headgate.cli.commands import every_command
from headgate.config.settings import LogSettings
from headgate.testing.process import SimulatedProvider
from scripts import write_guides
from tests.gateway import PROGRAM, Gateway, wait_until
from tests.guides.asking import lines_of, logged, message, record_of

ROOT = Path(__file__).parents[2]
PRETTY = r"\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\] (DEBUG|INFO|WARN|ERROR): \[[\w-]+\] \S"


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def test_s1_the_start_line_is_printed_and_logged(tmp_path: Path) -> None:
    """`Server running on http://[host]:[port]` on standard output and in the log."""
    with Gateway(tmp_path, accounts=()) as gateway:
        said = f"[Server] Server running on {gateway.url}"
        assert said in gateway.output_text()
        logged(gateway, re.escape(said))


def test_s1_a_taken_port_is_explained(tmp_path: Path) -> None:
    """`Address already in use` with who holds it and how to choose another; exit code 1."""
    (tmp_path / "other").mkdir()
    with Gateway(tmp_path, accounts=()) as gateway:
        port = gateway.url.rpartition(":")[2]
        second = Gateway(tmp_path / "other", accounts=()).command("serve", "--port", port)
        assert second.returncode == 1
        assert f"Address already in use: 127.0.0.1:{port}" in second.stderr
        assert f"process {gateway.pid}" in second.stderr
        assert "--port" in second.stderr
        assert not (tmp_path / "other" / "data" / "headgate.db").exists()


def test_s2_port_from_the_environment(tmp_path: Path) -> None:
    """`PORT` chooses the port, and `--port` wins over it."""
    chosen, other = _free_port(), _free_port()
    gateway = Gateway(tmp_path, accounts=(), environment={"PORT": str(other)})
    assert _announced(gateway, "--port", str(chosen)) == f"http://127.0.0.1:{chosen}"
    assert _announced(gateway) == f"http://127.0.0.1:{other}"


def test_s2_host_from_a_flag(tmp_path: Path) -> None:
    """`--host` chooses the address; beyond loopback only with keys on both doors."""
    gateway = Gateway(tmp_path, accounts=())
    port = str(_free_port())
    assert _announced(gateway, "--host", "127.0.0.2", "--port", port) == f"http://127.0.0.2:{port}"
    refused = gateway.command("serve", "--host", "0.0.0.0", "--port", port)
    assert refused.returncode == 2
    assert "admin.key" in refused.stderr
    owned = Gateway(tmp_path, accounts=(), settings={"admin": {"key": "the-owner's-key"}})
    assert _announced(owned, "--host", "0.0.0.0", "--port", port) == f"http://0.0.0.0:{port}"


def _announced(gateway: Gateway, *flags: str) -> str:
    """What the start line says of a gateway that then answers there and is stopped again."""
    command = [str(PROGRAM), "serve", "--config", str(gateway.config), *flags]
    with subprocess.Popen(command, env=gateway.environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            while "Server running on " not in line:
                assert line, "It ended without a start line."
                line = process.stdout.readline()
            url = line.split()[-1]
            assert httpx.get(f"{url}/health").status_code == 200
        finally:
            process.terminate()
            process.stdout.read()
    assert process.returncode == 0
    return url


def test_s4_the_log_file_is_where_the_guides_look(tmp_path: Path, provider: SimulatedProvider) -> None:
    """`headgate-logs/app.log` in the temporary folder, the owner's alone; `logs --path` says so."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    settings = {"log": {"file": "default"}}
    environment = {"TMPDIR": str(temporary)}
    with Gateway(tmp_path, provider=provider.url, settings=settings, environment=environment) as gateway:
        message(gateway)
        file = temporary / "headgate-logs" / "app.log"
        wait_until(lambda: "Request completed" in file.read_text())
        assert gateway.command("logs", "--path").stdout.strip() == str(file)
        assert "Request completed" in gateway.command("logs").stdout
        assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
        assert all(re.match(PRETTY, line) for line in file.read_text().splitlines())


def test_s4_the_guides_greps_find_their_lines(tmp_path: Path, provider: SimulatedProvider) -> None:
    """`ERROR`, `WARN`, `[Proxy]`, `[Server]` and `rate limited` are found in the `pretty` form."""
    provider.script("sk-ant-sim-a", rules=[{"fault": "429", "limit": "unified", "seconds": 900}])
    with Gateway(tmp_path, provider=provider.url, accounts=("a", "b")) as gateway:
        assert message(gateway).status_code == 200
        gateway.kill_recorder()
        for pattern in ("ERROR", "WARN|ERROR", r"\[Proxy\]", r"\[Server\]", "rate limited", "rate.?limit"):
            logged(gateway, pattern)
        logged(gateway, r"WARN: \[Proxy\] Account a rate limited until \d{4}-")
        assert all(re.match(PRETTY, line) for line in gateway.log_text().splitlines())


def test_s4_one_json_object_a_line(tmp_path: Path, provider: SimulatedProvider) -> None:
    """`LOG_FORMAT=json`: every line is an object with time, level, component and message."""
    provider.script("sk-ant-sim-a", rules=[{"fault": "429", "limit": "unified", "seconds": 900}])
    json_lines = {"LOG_FORMAT": "json"}
    with Gateway(tmp_path, provider=provider.url, accounts=("a", "b"), environment=json_lines) as gateway:
        assert message(gateway).status_code == 200
        for pattern in ("WARN", "rate limited", "Request completed for b", "Server running on"):
            logged(gateway, pattern)
        lines = [json.loads(line) for line in gateway.log_text().splitlines()]
        assert all({"time", "level", "component", "message"} <= line.keys() for line in lines)
        assert {"Proxy", "Server"} <= {line["component"] for line in lines}


def test_s4_the_log_file_is_rotated(tmp_path: Path, provider: SimulatedProvider) -> None:
    """At `log.max_bytes` (10 MB) the file is put aside and a new one begun; no line is lost."""
    assert LogSettings().max_bytes == 10 * 1024 * 1024
    log = {"file": str(tmp_path / "headgate.log"), "color": "never", "max_bytes": 4000, "backups": 50}
    with Gateway(tmp_path, provider=provider.url, settings={"log": log}) as gateway:
        for number in range(40):
            answer = message(gateway)
            assert answer.status_code == 200
            if number % 5 == 4:  # lines that wait for a busy recorder are written at once, in one piece
                record_of(gateway, answer)
        gateway.stop(expect_code=0)
        files = sorted(tmp_path.glob("headgate.log*"))
        assert len(files) > 1
        assert all(file.stat().st_size <= 5000 for file in files)
        text = "".join(file.read_text() for file in files)
        assert text.count("Request completed for one: 200") == 40


def test_s5_a_line_per_request(tmp_path: Path, provider: SimulatedProvider) -> None:
    """`Request completed for [account]: [status] in [n]ms`, of good and of failed requests."""
    provider.script("sk-ant-sim-one", rules=[{"fault": "status", "status": 400, "times": 1}])
    with Gateway(tmp_path, provider=provider.url) as gateway:
        assert (message(gateway).status_code, message(gateway).status_code) == (400, 200)
        for status in (400, 200):
            logged(gateway, rf"INFO: \[Proxy\] Request completed for one: {status} in \d+ms")


def test_s11_the_same_lines_on_standard_output(tmp_path: Path, provider: SimulatedProvider) -> None:
    """What a service manager or a container collects is what stands in the log file."""
    provider.script("sk-ant-sim-a", rules=[{"fault": "429", "limit": "unified", "seconds": 900}])
    with Gateway(tmp_path, provider=provider.url, accounts=("a", "b")) as gateway:
        assert message(gateway).status_code == 200
        logged(gateway, "Request completed for b")
        gateway.stop(expect_code=0)
        assert len(lines_of(gateway, "Stopped")) == 1
        assert sorted(gateway.output_text().splitlines()) == sorted(gateway.log_text().splitlines())


def test_s14_every_error_text_of_the_guides_is_explained() -> None:
    """Every error text of the guides is listed with cause and mend; what Headgate says, it says."""
    page = (ROOT / "docs" / "guides.md").read_text()
    program = ROOT / "src" / "headgate"
    files = [file for file in program.rglob("*.py") if "testing" not in file.parts]
    sources = "\n".join(file.read_text() for file in files)
    texts = [text for group in write_guides.read_groups() for text in group["text"]]
    assert len(texts) > 80
    assert len({text["text"] for text in texts}) == len(texts)
    for text in texts:
        words = text["text"]
        line = next(line for line in page.splitlines() if line.startswith(f"| `{words}` |"))
        assert all(cell.strip() for cell in line.split(" | "))
        assert text["cause"] and text["mend"]
        assert ("ours" in text) is (text["kind"] in ("said", "other")), words
        assert text.get("ours", "") in sources, words
        if text["kind"] in ("never", "later"):
            assert f'"{words}' not in sources, f"{words} is said after all"


def test_s14_the_commands_that_mend_are_there() -> None:
    """Every `headgate …` that the list of texts tells a reader to type is a command of this version."""
    commands = {" ".join(path) for path, _ in every_command(get_command(app))}
    for group in write_guides.read_groups():
        for text in group["text"]:
            for typed in re.findall(r"`headgate ([a-z ]+)", text["cause"] + text["mend"]):
                words = typed.split()
                assert " ".join(words) in commands or words[0] in commands, text["mend"]


def test_s14_with_nothing_running_status_says_how_to_start(tmp_path: Path) -> None:
    """`headgate status` with nothing running says so and how to start; exit code 1."""
    gateway = Gateway(tmp_path, accounts=())
    told = gateway.command("status")
    assert (told.returncode, told.stdout) == (1, "")
    assert "No gateway is running" in told.stderr
    assert "mend: headgate serve starts it" in told.stderr
    assert gateway.command("status", "--json").stdout == ""
