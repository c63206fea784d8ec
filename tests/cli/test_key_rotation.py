"""`headgate db rotate-key`: on a gateway that runs or does not, with a file or a variable."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from headgate.testing.process import SimulatedProvider
from tests.gateway import Gateway, wait_until
from tests.guides.asking import message

OLD, NEW = "an old passphrase of some length", "a new passphrase of some length"


@pytest.fixture(scope="module")
def provider() -> Iterator[SimulatedProvider]:
    with SimulatedProvider() as running:
        yield running


def put_in(gateway: Gateway, name: str, provider: SimulatedProvider) -> None:
    added = gateway.command(
        *("account", "add", name, "--base-url", provider.url, "--api-key-stdin"), stdin=f"sk-ant-sim-{name}"
    )
    assert added.returncode == 0, added.stderr


def serves(gateway: Gateway, name: str) -> bool:
    return message(gateway, headers={"x-headgate-account": name}).status_code == 200


def test_a_running_gateway_goes_on_with_the_new_key(tmp_path: Path, provider: SimulatedProvider) -> None:
    """Requests during the change are served; what is put in afterwards, and a restart, need the new one."""
    gateway = Gateway(tmp_path, accounts=[])
    key = gateway.data / "secret.key"
    with gateway:
        put_in(gateway, "one", provider)
        old = key.read_text()
        statuses: list[int] = []
        is_over = threading.Event()

        def ask() -> None:
            while not is_over.is_set():
                statuses.append(message(gateway).status_code)

        asking = threading.Thread(target=ask)
        asking.start()
        wait_until(lambda: statuses, what="the first answer")
        done = gateway.command("db", "rotate-key")
        is_over.set()
        asking.join(30)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("1 accounts are sealed with the new key\n") and str(key) in done.stdout
        assert statuses and set(statuses) == {200}
        new = key.read_text()
        assert len(new.splitlines()) == 1 and new != old
        assert new.strip() not in done.stdout + gateway.log_text() + gateway.output_text()
        put_in(gateway, "two", provider)
    with gateway:
        assert serves(gateway, "one") and serves(gateway, "two")
        assert "does not open" not in gateway.output_text()


def test_a_stopped_gateway_has_the_new_key_at_its_start(tmp_path: Path, provider: SimulatedProvider) -> None:
    """The command works on the database; a copy made before carries the key that opens it."""
    gateway = Gateway(tmp_path, accounts=[])
    put_in(gateway, "one", provider)
    old = (gateway.data / "secret.key").read_text()
    (tmp_path / "backup").mkdir()
    assert gateway.command("db", "backup", str(tmp_path / "backup")).returncode == 0
    own = gateway.command("db", "rotate-key", "--new-key-stdin", "--json", stdin=NEW + "\n")
    assert own.returncode == 0, own.stderr
    assert gateway.command("db", "rotate-key").returncode == 0
    assert (gateway.data / "secret.key").read_text() != old
    with gateway:
        assert serves(gateway, "one")
    assert (tmp_path / "backup" / "secret.key").read_text() == old
    for name in ("headgate.db", "secret.key"):
        (gateway.data / name).write_bytes((tmp_path / "backup" / name).read_bytes())
    for rest in ("headgate.db-wal", "headgate.db-shm"):
        (gateway.data / rest).unlink(missing_ok=True)
    with gateway:
        assert serves(gateway, "one")


def test_a_key_of_the_environment_is_changed_in_steps(tmp_path: Path, provider: SimulatedProvider) -> None:
    """The command says what to do, with a new key, and does it once both are there."""
    gateway = Gateway(tmp_path, accounts=[], environment={"HEADGATE_SECRET_KEY": OLD})
    put_in(gateway, "one", provider)
    told = gateway.command("db", "rotate-key")
    assert told.returncode == 1
    new = told.stdout.strip()
    assert len(new) == 44 and new not in told.stderr
    assert (
        "Nothing was changed" in told.stderr
        and "in front of the old one in HEADGATE_SECRET_KEY" in told.stderr
    )
    gateway.environment["HEADGATE_SECRET_KEY"] = f"{new},{OLD}"
    with gateway:
        assert serves(gateway, "one")
        done = gateway.command("db", "rotate-key")
        assert done.returncode == 0 and "take the others out" in done.stdout
    gateway.environment["HEADGATE_SECRET_KEY"] = new
    with gateway:
        assert serves(gateway, "one")
    at_once = gateway.command("db", "rotate-key", "--new-key-stdin", stdin=NEW)
    assert at_once.returncode == 0 and "before the next start" in at_once.stdout
    assert not (gateway.data / "secret.key").exists()
    gateway.environment["HEADGATE_SECRET_KEY"] = NEW
    with gateway:
        assert serves(gateway, "one")
    gateway.environment["HEADGATE_SECRET_KEY"] = OLD
    with gateway:
        assert not serves(gateway, "one")
        assert "headgate account reauth" in gateway.output_text()


def test_wrong_keys_are_refused(tmp_path: Path) -> None:
    """Nothing is changed, and the key is not said back."""
    gateway = Gateway(tmp_path, accounts=[])
    for key, code, words in (("", 2, "standard input was empty"), ("too-short", 2, "too short")):
        refused = gateway.command("db", "rotate-key", "--new-key-stdin", stdin=key)
        assert (refused.returncode, refused.stdout) == (code, "")
        assert words in refused.stderr and (not key or key not in refused.stderr)


def test_no_key_travels_over_tcp(tmp_path: Path) -> None:
    """The admin key is not enough; without a key in it the rotation is an owner's act like others."""
    with Gateway(tmp_path, accounts=[]) as gateway:
        path = "/api/database/rotate-key"
        status, answer = gateway.ask("POST", path, body=b'{"new_key": "%b"}' % NEW.encode())
        assert status == 401 and NEW.encode() not in answer
        assert gateway.admin(path, method="POST", body={})["rotated"] is True
