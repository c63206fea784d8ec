"""Files of accounts that are traps.

The accounts that were there serve in every case, and nothing of what a file holds is said.
"""

import json
import os
from pathlib import Path

import pytest

from headgate.testing.process import SimulatedProvider
from tests.gateway import wait_until
from tests.guides.asking import lines_of, logged, message
from tests.guides.planting import by_name, gateway_with, names, put

SECRET = "sk-ant-oat01-planted-secret"


def _fifo(file: Path) -> None:
    os.mkfifo(file)


def _huge(file: Path) -> None:
    with file.open("wb") as opened:
        opened.truncate(100 << 20)


def _loop(file: Path) -> None:
    other = file.with_name("other.json")
    other.unlink(missing_ok=True)
    other.symlink_to(file)
    file.symlink_to(other)


def _folder(file: Path) -> None:
    file.mkdir()


def _not_utf8(file: Path) -> None:
    file.write_bytes(b'{"accounts": {"\xff": {"accessToken": "' + SECRET.encode() + b'"}}}')


def _deep(file: Path) -> None:
    file.write_text('{"a":' * 200_000 + f'"{SECRET}"' + "}" * 200_000)


def _half(file: Path) -> None:
    file.write_text('{"version": 1, "accounts": {"work": {"accessToken": "' + SECRET)


def _empty(file: Path) -> None:
    file.touch()


def _gone_link(file: Path) -> None:
    file.symlink_to(file.with_name("nothing.json"))


TRAPS = {
    "a pipe": (_fifo, "is a pipe, not a file"),
    "100 MiB": (_huge, "is larger than 4096 KiB"),
    "a loop of links": (_loop, "Too many levels of symbolic links"),
    "a folder": (_folder, "is a folder, not a file|Is a directory"),
    "a link to nothing": (_gone_link, "No such file or directory"),
    "no UTF-8": (_not_utf8, "line 1 column 16: this is not UTF-8 text"),
    "deep": (_deep, "the nesting is too deep"),
    "half written": (_half, "line 1 column 53: Unterminated string"),
    "empty": (_empty, "line 1 column 1: Expecting value"),
}


def test_an_accounts_file_is_a_trap(tmp_path: Path, provider: SimulatedProvider) -> None:
    """accounts.json is no file or no JSON: a pipe, a loop of links, 100 MiB, deep → last good state, told"""
    file = tmp_path / "kept" / "accounts.json"
    file.parent.mkdir()
    good = by_name(work=provider.grant("work"))
    put(file, good)
    with gateway_with(tmp_path, provider, accounts_file=file) as gateway:
        for plant, words in TRAPS.values():
            file.unlink()
            plant(file)
            wait_until(lambda: gateway.admin("/health")["status"] == "degraded", what=f"trouble: {words}")
            assert logged(gateway, words)
            assert message(gateway).status_code == 200
            assert names(gateway) == ["work"]
            assert SECRET not in json.dumps(gateway.admin("/status"))
            if file.is_dir():
                file.rmdir()
            put(file, good)
            wait_until(lambda: gateway.admin("/health")["status"] == "ok", what="good health")
        assert SECRET not in gateway.log_text() + gateway.output_text()


@pytest.mark.parametrize("way", ["a pipe", "deep"])
def test_a_start_on_a_trap(tmp_path: Path, provider: SimulatedProvider, way: str) -> None:
    """A start on such a file → it ends at once with the file's name and the reason"""
    file = tmp_path / "accounts.json"
    plant, words = TRAPS[way]
    plant(file)
    refused = gateway_with(tmp_path, provider, accounts_file=file).command("serve")
    assert refused.returncode in (1, 2)
    assert "accounts.json" in refused.stderr and words in refused.stderr
    assert SECRET not in refused.stderr


def test_a_file_is_written_in_pieces(tmp_path: Path, provider: SimulatedProvider) -> None:
    """accounts.json is written piece by piece, or removed and made anew → no account goes, nothing is told"""
    file = tmp_path / "accounts.json"
    work = provider.grant("work")
    put(file, by_name(work=work))
    with gateway_with(tmp_path, provider, accounts_file=file) as gateway:
        text = json.dumps(by_name(work=work, team=provider.grant("team")))
        for start in ("w", "x"):
            if start == "x":
                file.unlink()
            with file.open(start) as opened:
                for piece in (text[:40], text[40:90], text[90:]):
                    opened.write(piece)
                    opened.flush()
                    assert message(gateway).status_code == 200
        wait_until(lambda: names(gateway) == ["team", "work"], what="both accounts")
        assert gateway.admin("/health")["status"] == "ok"
        assert not lines_of(gateway, "Failed to parse|removed")


def test_the_folder_goes_away(tmp_path: Path, provider: SimulatedProvider) -> None:
    """The folder of accounts.json is away, a share not mounted → its accounts stay, told; it comes back"""
    file = tmp_path / "mounted" / "accounts.json"
    file.parent.mkdir()
    put(file, by_name(work=provider.grant("work")))
    with gateway_with(tmp_path, provider, accounts_file=file) as gateway:
        away = file.parent.rename(tmp_path / "away")
        wait_until(lambda: gateway.admin("/health")["status"] == "degraded", what="trouble on /health")
        assert gateway.admin("/health")["code"] == "source_unreadable"
        assert message(gateway).status_code == 200
        away.rename(file.parent)
        wait_until(lambda: gateway.admin("/health")["status"] == "ok", what="good health")
        put(file, by_name(team=provider.grant("team")))
        wait_until(lambda: names(gateway) == ["team"], what="a change in the folder that came back")


def test_a_file_cannot_be_written(tmp_path: Path, provider: SimulatedProvider) -> None:
    """Renewed tokens cannot be written into their file → the database has them, told, written later"""
    file = tmp_path / "kept" / "accounts.json"
    file.parent.mkdir()
    grant = provider.grant("work", lifetime_seconds=-1)
    put(file, by_name(work=grant))
    with gateway_with(tmp_path, provider, accounts_file=file) as gateway:
        in_the_way = file.with_name(f".accounts.json.{gateway.pid}.part")
        in_the_way.mkdir()
        assert message(gateway).status_code == 200
        wait_until(lambda: gateway.admin("/health").get("code") == "source_not_written", what="trouble")
        assert grant["refresh_token"] in file.read_text()
        gateway.stop(expect_code=0)
        gateway.start()
        assert message(gateway).status_code == 200
        wait_until(lambda: grant["refresh_token"] not in file.read_text(), what="the file written")
        assert gateway.admin("/health")["status"] == "ok"
        assert provider.sign_ins()["work"]["double_refreshes"] == 0
        assert provider.sign_ins()["work"]["refreshes_asked"] == 1


def test_another_program_renews_the_same_tokens(tmp_path: Path, provider: SimulatedProvider) -> None:
    """Another program renews the tokens, writes the file → its tokens serve, none is written over"""
    file = tmp_path / "accounts.json"
    put(file, by_name(work=provider.grant("work")))
    with gateway_with(tmp_path, provider, accounts_file=file) as gateway:
        newer = provider.grant("other-program", lifetime_seconds=90_000)
        put(file, by_name(work=newer))
        wait_until(lambda: lines_of(gateway, "Accounts of files changed: work"), what="the change")
        assert message(gateway).status_code == 200
        sent = [one["head"] for one in provider.received() if b"/v1/messages" in one["head"]]
        assert newer["access_token"].encode() in sent[-1]
        assert newer["refresh_token"] in file.read_text()
