"""Commands on a running gateway and on a stopped one: the same words, the same JSON, the same codes."""

import json
from pathlib import Path
from typing import Any

from headgate.testing.process import SimulatedProvider
from tests.gateway import Gateway

OF_THE_MOMENT = {"created_at", "last_used_at", "duration_ms", "since_at"}
"""Times: they differ between two gateways as between two minutes."""

KEY = "sk-ant-sim-{}"
COMMANDS: tuple[tuple[str, str], ...] = (
    ("account add work --api-key-stdin --tier 2 --base-url {url}", KEY.format("work")),
    ("account set work --priority 3 --model claude-sonnet-5 --domain team", ""),
    ("account rename work office", ""),
    ("account pause office", ""),
    ("account resume office", ""),
    ("account reauth office --api-key-stdin", KEY.format("new")),
    ("account test office", ""),
    ("account show offcie", ""),
    ("account show office", ""),
    ("account import -", '[{"name": "more", "api_key": "sk-ant-sim-more"}]'),
    ("account export --plain", ""),
    ("account remove fixed --yes", ""),
    ("account remove more --yes", ""),
    ("account list", ""),
    ("strategy set round-robin", ""),
    ("strategy get", ""),
    ("requests", ""),
    ("usage --by model", ""),
)


def test_a_command_does_not_care_whether_a_gateway_runs(tmp_path: Path, provider: SimulatedProvider) -> None:
    """One after the other on two folders of the same beginning; one of the gateways runs all the while."""
    folders = [tmp_path / "running", tmp_path / "stopped"]
    for folder in folders:
        folder.mkdir()
    running, stopped = (Gateway(folder, provider=provider.url, accounts=["fixed"]) for folder in folders)
    with stopped:
        pass  # its first start takes the declared account in
    with running:
        for words, typed in COMMANDS:
            arguments = [word.format(url=provider.url) for word in words.split()]
            told = [one.command(*arguments, "--json", stdin=typed) for one in (running, stopped)]
            assert told[0].returncode == told[1].returncode, (words, told)
            assert _lasting(told[0].stdout) == _lasting(told[1].stdout), words
            assert told[0].stderr == told[1].stderr, words


def _lasting(printed: str) -> Any:
    return _without_moments(json.loads(printed)) if printed else ""


def _without_moments(found: Any) -> Any:
    if isinstance(found, list):
        return [_without_moments(one) for one in found]
    if isinstance(found, dict):
        return {name: _without_moments(one) for name, one in found.items() if name not in OF_THE_MOMENT}
    return found
