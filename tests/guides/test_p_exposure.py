"""Guide row P8: nobody listens beyond this machine without keys on both doors."""

import json
import re
from pathlib import Path

import httpx

from headgate.testing.process import SimulatedProvider
from tests.gateway import Gateway
from tests.guides.asking import logged, message, run


def test_p8_wide_without_keys_is_refused_with_the_two_commands(
    tmp_path: Path, provider: SimulatedProvider
) -> None:
    """`--host 0.0.0.0` without keys: exit code 2, both commands at once, nothing listens; after the two, in
    whichever order, it does."""
    for number, order in enumerate(((0, 1), (1, 0))):
        folder = tmp_path / str(number)
        folder.mkdir()
        gateway = Gateway(folder, provider=provider.url, settings={"access": {"api_keys": []}})
        refused = gateway.command("serve", "--host", "0.0.0.0")
        assert refused.returncode == 2, refused.stderr
        said = " ".join(refused.stderr.split())
        assert "Refusing to listen on 0.0.0.0 without a client key and admin.key" in said
        assert "Server running on" not in refused.stdout + refused.stderr
        commands = re.findall(r"`headgate ([^`]+)`", said)
        assert commands == ["key create NAME", "config set admin.key --stdin"]
        for index in order:
            words = commands[index].replace("NAME", "laptop").split()
            done = gateway.command(*words, *(["--json"] if index == 0 else []), stdin="owner-0123456789")
            assert done.returncode == 0, done.stderr
            if index == 0:
                key = json.loads(done.stdout)["key"]
            elif index == order[0]:
                only_one = run(gateway, "serve", "--host", "0.0.0.0", code=2)
                assert "key create" in only_one and "config set" not in only_one
        if number == 1:
            continue  # both orders lead there; one start shows it
        gateway.environment["HEADGATE_SERVER__HOST"] = "0.0.0.0"
        with gateway:
            gateway.url = f"http://127.0.0.1:{gateway.address[1]}"
            assert message(gateway, key=key).status_code == 200
            assert message(gateway, key=None).status_code == 401
            clear = "keys and conversations travel in clear"
            logged(gateway, clear)
            assert clear in " ".join(run(gateway, "status").split())
            assert httpx.get(f"{gateway.url}/api/accounts").status_code == 401
