"""Guide rows A12 and A16 with two gateways on one database that look at the same files."""

import json
import time
from pathlib import Path
from typing import Any

from headgate.testing.process import SimulatedProvider
from tests.gateway import Gateway, wait_until
from tests.guides.asking import lines_of, message
from tests.guides.planting import by_name, gateway_with, names, put

KEY = {"HEADGATE_SECRET_KEY": "a key that both of them have"}


def _two(folder: Path, provider: SimulatedProvider, url: str, **sources: Any) -> list[Gateway]:
    found = []
    for name in ("one", "other"):
        (folder / name).mkdir()
        gateway = gateway_with(folder / name, provider, **sources)
        settings = json.loads(gateway.config.read_text())
        settings["storage"] = {"url": url}
        gateway.config.write_text(json.dumps(settings))
        gateway.environment |= KEY
        found.append(gateway)
    return found


def test_a12_two_gateways_look_at_the_same_files(
    tmp_path: Path, provider: SimulatedProvider, postgres_url: str
) -> None:
    """Two gateways on one database and one file: the same accounts, each token renewed once."""
    file = tmp_path / "accounts.json"
    grants = {name: provider.grant(name, lifetime_seconds=-1) for name in ("a", "b", "c")}
    put(file, by_name(**grants))
    one, other = _two(tmp_path, provider, postgres_url, accounts_file=file)
    with one, other:
        for name in grants:
            for gateway in (one, other):
                answer = message(gateway, headers={"x-headgate-account": name})
                assert answer.status_code == 200, answer.text
        people = provider.sign_ins()
        assert {name: people[name]["refreshes_asked"] for name in grants} == dict.fromkeys(grants, 1)

        def is_written() -> bool:
            text = file.read_text()
            return all(provider.sign_ins()[name]["access_tokens"][-1] in text for name in grants)

        wait_until(is_written, what="every new token in the file")
        put(file, by_name(a=grants["a"], d=provider.grant("d")))  # an old copy, with one that is new
        for gateway in (one, other):
            wait_until(lambda gateway=gateway: names(gateway) == ["a", "d"], what="the same accounts")
        newest = provider.sign_ins()["a"]["access_tokens"][-1]
        wait_until(lambda: newest in file.read_text(), what="the newer token in the old copy")
        written = file.stat()
        until = time.monotonic() + 3
        wait_until(lambda: time.monotonic() > until)
        assert file.stat().st_ino == written.st_ino
        for gateway in (one, other):
            assert gateway.admin("/health")["status"] == "ok"
            assert not lines_of(gateway, "ERROR|not taken")
            answer = message(gateway, headers={"x-headgate-account": "a"})
            assert answer.status_code == 200, answer.text
        assert provider.sign_ins()["a"]["refreshes_asked"] == 1
