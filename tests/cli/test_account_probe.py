"""`headgate account test`."""

from pathlib import Path

from headgate.testing.process import SimulatedProvider
from tests.cli.conftest import Command
from tests.guides import signing_in
from tests.guides.signing_in import declared


async def test_a_key_is_tried_and_the_answer_explained(
    headgate: Command, provider: SimulatedProvider
) -> None:
    """0 when the provider takes it; 1 with what was answered and what mends it, and then it is out."""
    await headgate.add("work", "--base-url", provider.url)
    good = await headgate("account", "test", "work")
    assert good.code == 0, good.err
    assert f"GET {provider.url}/v1/models?limit=1" in good.out
    assert "The provider takes the key." in good.out
    provider.script("*", rules=[{"fault": "status", "status": 401}])
    bad = await headgate("account", "test", "work")
    assert bad.code == 1
    assert "401: authentication_error invalid x-api-key" in bad.out
    assert "The account work failed its test" in bad.err
    assert "mend: headgate account reauth work" in bad.err
    listed = (await headgate("account", "list", "--json")).json()
    assert [one["status"] for one in listed["accounts"]] == ["needs_reauth"]
    provider.reset()
    again = await headgate("account", "test", "work", "--json")
    assert (again.code, again.json()["account_status"]) == (0, "active")


async def test_a_provider_that_cannot_be_reached_says_nothing_about_the_key(headgate: Command) -> None:
    """The network's word, once, and for programs too."""
    await headgate.add("work", "--base-url", "http://127.0.0.1:9")
    told = await headgate("account", "test", "work")
    assert told.code == 1
    assert told.out.count("ECONNREFUSED") == 1
    for_programs = await headgate("account", "test", "work", "--json")
    assert (for_programs.code, "error:" in for_programs.err) == (1, False)
    assert (for_programs.json()["outcome"], for_programs.json()["account_status"]) == (
        "unreachable",
        "active",
    )


def test_an_account_that_signed_in_is_tried_with_its_token(
    tmp_path: Path, provider: SimulatedProvider
) -> None:
    """A token that has ended, or was refused before its time, is renewed first, as for a request."""
    ended = declared("ended", provider.grant("ended", lifetime_seconds=-10), provider)
    early = declared("early", provider.grant("early", lifetime_seconds=-10), provider)
    early["oauth"]["expires_at"] = 4_000_000_000
    good = declared("good", provider.grant("good"), provider)
    with signing_in.gateway_with(tmp_path, provider, ended, early, good) as gateway:
        for name in ("good", "ended", "early"):
            tested = gateway.command("account", "test", name)
            assert tested.returncode == 0, tested.stdout + tested.stderr
            assert gateway.account(name)["status"] == "active"
        assert provider.sign_ins()["early"]["refreshes_granted"] == 1
        provider.revoke("good")
        dead = gateway.command("account", "test", "good")
        assert dead.returncode == 1
        assert "mend: headgate account reauth good" in dead.stderr
        assert gateway.account("good")["status"] == "needs_reauth"
