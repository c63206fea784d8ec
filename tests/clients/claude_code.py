"""The real Claude Code, run in print mode in a home and a work folder of the test's own."""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.gateway import CLIENT_KEY

PROGRAM = Path(__file__).parent.parent.parent / ".clients" / "node_modules" / ".bin" / "claude"
TIMEOUT_SECONDS = 60.0

_QUIET = {
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",  # no call but to the gateway
    "DISABLE_AUTOUPDATER": "1",
    "DISABLE_TELEMETRY": "1",
    "DISABLE_ERROR_REPORTING": "1",
}


@dataclass(frozen=True)
class Outcome:
    """What a run said: `lines` are the objects it printed, one of them its result."""

    code: int
    out: str
    err: str

    @cached_property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines() if line.startswith("{")]

    @property
    def result(self) -> dict[str, Any]:
        results = [line for line in self.lines if line.get("type") == "result"]
        assert results, f"It printed no result:\n{self.out}\n{self.err}"
        return results[-1]

    @property
    def text(self) -> str:
        return str(self.result["result"])

    @property
    def session(self) -> str:
        return str(self.result["session_id"])


def succeeded(outcome: Outcome) -> Outcome:
    assert (outcome.code, outcome.result["is_error"]) == (0, False), outcome.out + outcome.err
    return outcome


class ClaudeCode:
    """`claude -p …` against one gateway. Sessions live in the home, so that they can be resumed."""

    def __init__(self, folder: Path, url: str, *, environment: Mapping[str, str] | None = None) -> None:
        self._prompt = folder / "prompt.txt"
        self.work = folder / "work"
        self.home = folder / "home"
        for place in (self.work, self.home):
            place.mkdir(exist_ok=True)
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "ANTHROPIC_BASE_URL": url,
            **({"ANTHROPIC_AUTH_TOKEN": CLIENT_KEY} if environment is None else environment),
            **_QUIET,
        }

    def ask(self, prompt: str, *options: str) -> Outcome:
        """One run to its end."""
        with self.asking(prompt, *options) as run:
            return run.ended()

    @contextmanager
    def asking(self, prompt: str, *options: str) -> Iterator["Run"]:
        """A run that is under way. It is over when this is left, whatever happens."""
        assert PROGRAM.exists(), f"{PROGRAM} is missing: run make clients, which installs it."
        self._prompt.write_text(prompt, encoding="utf-8")  # on a command line it could not be long
        with (
            self._prompt.open() as given,
            subprocess.Popen(
                [str(PROGRAM), "-p", "--output-format", "stream-json", "--verbose", *options],
                cwd=self.work,
                env=self.environment,
                stdin=given,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
            ) as process,
        ):
            try:
                yield Run(process)
            finally:
                process.kill()


class Run:
    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self._said = ""

    def says(self, words: str) -> None:
        """Reads until a line has the words."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._said += line
            if words in line:
                return
        raise AssertionError(f"It ended without saying {words}:\n{self._said}")

    def ended(self) -> Outcome:
        """Its end, bounded in time: TimeoutExpired after a minute."""
        out, err = self._process.communicate(timeout=TIMEOUT_SECONDS)
        return Outcome(self._process.returncode, self._said + out, err)
