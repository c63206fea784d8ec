"""Guide rows A: signing in (OAuth), tokens that are refreshed, and what is said when they are not."""

import json
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from headgate.testing.process import SimulatedProvider
from tests.gateway import Gateway, wait_until
from tests.guides.asking import error_of, lines_of, logged, message
from tests.guides.signing_in import (
    CLIENT_ID,
    account_command,
    code_shown,
    declared,
    gateway_with,
    settings_of,
    sign_in_by_command,
)


def _exchange(gateway: Gateway, code: str) -> tuple[int, dict[str, object]]:
    status, body = gateway.ask("POST", "/oauth/exchange", body=json.dumps({"code": code}).encode())
    return status, json.loads(body)


# ---- A3, A4: the flow ----------------------------------------------------------------------------


def test_a3_a_sign_in_by_the_api(tmp_path: Path, provider: SimulatedProvider) -> None:
    """`GET /oauth/authorize` begins it (PKCE, S256); the pasted `code#state` ends it with an account."""
    provider.sign_in(login="ann@example.test")
    with gateway_with(tmp_path, provider) as gateway:
        started = gateway.admin("/oauth/authorize?account=team")
        asked = parse_qs(urlsplit(started["url"]).query)
        assert (asked["client_id"], asked["code_challenge_method"]) == ([CLIENT_ID], ["S256"])
        status, account = _exchange(gateway, code_shown(started["url"]))
        assert status == 201, account
        assert (account["name"], account["kind"], account["status"]) == ("team", "oauth", "active")
        assert account["email"] == "ann@example.test"
        assert message(gateway).status_code == 200
        found = gateway.admin(f"/oauth/status?state={started['state']}")
        assert (found["status"], found["account"]) == ("done", "team")


def test_a3_a_browser_is_led_to_the_provider(tmp_path: Path, provider: SimulatedProvider) -> None:
    """And back to the gateway, where the callback ends the sign-in with a page: nothing is pasted."""
    gateway = Gateway(tmp_path, accounts=())
    gateway.start()
    gateway.stop()  # its port is known now
    callback = f"{gateway.url}/oauth/callback"
    settings = json.loads(gateway.config.read_text())
    gateway.config.write_text(json.dumps({**settings, **settings_of(provider, redirect_uri=callback)}))
    with gateway:
        page = httpx.get(
            f"{gateway.url}/oauth/authorize?account=team",
            headers={"accept": "text/html"},
            follow_redirects=True,
        )
        assert page.status_code == 200, page.text
        assert "The account team is ready" in page.text
        assert message(gateway).status_code == 200
        again = httpx.get(str(page.url))
        assert again.status_code == 400
        assert "Invalid authorization code" in again.text


def test_a3_what_is_wrong_with_a_code_is_said(tmp_path: Path, provider: SimulatedProvider) -> None:
    """Truncated or foreign: "Invalid authorization code"; a refusal: "Token exchange failed: …"."""
    with gateway_with(tmp_path, provider) as gateway:
        started = gateway.admin("/oauth/authorize?account=team")
        code, _, state = code_shown(started["url"]).partition("#")
        for wrong in (code[:4], f"{code}#", f"{code}#another-state", ""):
            status, problem = _exchange(gateway, wrong)
            assert (status, problem["code"]) == (400, "sign_in_failed")
            assert str(problem["detail"]).startswith("Invalid authorization code"), problem
        status, problem = _exchange(gateway, f"made-up-code#{state}")
        assert (status, "Token exchange failed: Invalid authorization code" in str(problem["detail"])) == (
            400,
            True,
        )
        assert problem["hint"]
        assert gateway.admin("/api/accounts") == {"accounts": []}


def test_a3_a_wrong_verifier_is_named(tmp_path: Path, provider: SimulatedProvider) -> None:
    """A code of another start does not fit: "Invalid code_verifier"."""
    with gateway_with(tmp_path, provider) as gateway:
        one = gateway.admin("/oauth/authorize?account=one")
        other = gateway.admin("/oauth/authorize?account=other")
        code = code_shown(one["url"]).partition("#")[0]
        status, problem = _exchange(gateway, f"{code}#{other['state']}")
        assert status == 400
        assert "Invalid code_verifier" in str(problem["detail"])
        assert "Token exchange failed" in logged(gateway, r"oauth.*other failed")


def test_a3_an_exchange_that_fails_names_the_error(tmp_path: Path, provider: SimulatedProvider) -> None:
    """The provider's own words, or the network's; and a wrong client id names its setting."""
    provider.sign_in(client_ids=["somebody-else"])
    with gateway_with(tmp_path, provider) as gateway:
        started = gateway.admin("/oauth/authorize?account=team")
        status, problem = _exchange(gateway, f"some-code-1234#{started['state']}")
        assert (status, str(problem["detail"]).startswith("Token exchange failed: invalid_client")) == (
            400,
            True,
        )
        assert "providers.anthropic.oauth.client_id" in str(problem["hint"])


def test_a4_two_sign_ins_at_once_do_not_disturb_each_other(
    tmp_path: Path, provider: SimulatedProvider
) -> None:
    """Each has its own state and verifier; one that is cancelled is over, and can be begun again."""
    with gateway_with(tmp_path, provider) as gateway:
        one, other, dropped = (gateway.admin(f"/oauth/authorize?account={name}") for name in ("a", "b", "c"))
        provider.sign_in(login="b@example.test")
        second = code_shown(other["url"])
        provider.sign_in(login="a@example.test")
        first = code_shown(one["url"])
        late = code_shown(dropped["url"])
        assert (
            gateway.admin(f"/oauth/cancel?state={dropped['state']}", method="POST")["status"] == "cancelled"
        )
        assert _exchange(gateway, second)[1]["email"] == "b@example.test"
        assert _exchange(gateway, first)[1]["email"] == "a@example.test"
        assert "cancelled" in str(_exchange(gateway, late)[1]["detail"])
        again = gateway.admin("/oauth/authorize?account=c")
        provider.sign_in(login="c@example.test")
        assert _exchange(gateway, code_shown(again["url"]))[0] == 201


def test_a9_the_client_id_is_the_owners(tmp_path: Path, provider: SimulatedProvider) -> None:
    """Without one a sign-in says which setting to fill; `CLIENT_ID` in the environment fills it."""
    with Gateway(tmp_path, provider=provider.url, accounts=()) as gateway:
        status, body = gateway.ask("GET", "/oauth/authorize")
        problem = json.loads(body)
        assert (status, "No client id is set" in problem["detail"]) == (400, True)
        assert "providers.anthropic.oauth.client_id" in problem["hint"]
        told = gateway.command("account", "add", "team", "--oauth")
        assert (told.returncode, "providers.anthropic.oauth.client_id" in told.stderr) == (2, True)
    (tmp_path / "two").mkdir()
    with Gateway(tmp_path / "two", accounts=(), environment={"CLIENT_ID": "from-outside"}) as gateway:
        started = gateway.admin("/oauth/authorize")
        assert "client_id=from-outside" in started["url"]


@pytest.mark.parametrize("is_running", [True, False], ids=["running", "stopped"])
def test_a1_an_account_signs_in_from_the_command_line(
    tmp_path: Path, provider: SimulatedProvider, is_running: bool
) -> None:
    """`headgate account add NAME --oauth`: open the page, paste the code; on a running gateway or none."""
    gateway = gateway_with(tmp_path, provider)
    gateway.start()
    if not is_running:
        gateway.stop()
    code, said = sign_in_by_command(gateway, provider, "add", "team", "--oauth", "--tier", "5")
    assert code == 0, said
    assert "Account team added" in said
    if not is_running:
        gateway.start()
    account = gateway.account("team")
    assert (account["kind"], account["tier"], account["status"]) == ("oauth", 5, "active")
    assert message(gateway).status_code == 200
    gateway.stop()


def test_a1_a_device_signs_in_from_the_command_line(tmp_path: Path, provider: SimulatedProvider) -> None:
    """`--device`: the person enters a short code on any other machine; the command waits for that."""
    provider.sign_in(device_interval_seconds=0.1)
    with gateway_with(tmp_path, provider) as gateway:
        with account_command(gateway, "add", "team", "--device", stdin=subprocess.DEVNULL) as command:
            assert command.stdout and command.stderr
            shown = [command.stderr.readline().strip() for _ in range(3)]
            provider.approve(shown[2], login="ann@example.test")
            said = command.stdout.read() + command.stderr.read()
            assert command.wait(30) == 0, said
        assert gateway.account("team")["email"] == "ann@example.test"
        assert message(gateway).status_code == 200


def test_a18_a_new_sign_in_keeps_name_history_and_settings(
    tmp_path: Path, provider: SimulatedProvider
) -> None:
    """`account reauth`: other tokens, the same account."""
    with gateway_with(tmp_path, provider) as gateway:
        sign_in_by_command(gateway, provider, "add", "team", "--oauth", "--priority", "3")
        assert message(gateway).status_code == 200
        provider.revoke("person@example.test")
        assert message(gateway).status_code == 403  # the provider's own answer: nobody else is there
        wait_until(lambda: gateway.account("team")["status"] == "needs_reauth", what="needs_reauth")
        code, said = sign_in_by_command(gateway, provider, "reauth", "team")
        assert code == 0, said
        account = gateway.account("team")
        assert (account["status"], account["priority"]) == ("active", 3)
        assert account["request_count"] >= 2
        assert message(gateway).status_code == 200


# ---- A5, A6, A7, A8: tokens ----------------------------------------------------------------------


def test_a5_an_expired_token_is_refreshed_by_the_next_request(
    tmp_path: Path, provider: SimulatedProvider
) -> None:
    """A plain message to `/api/v1/messages` is enough."""
    grant = provider.grant("ann", lifetime_seconds=-10)
    with gateway_with(tmp_path, provider, declared("team", grant, provider)) as gateway:
        assert message(gateway, path="/api/v1/messages").status_code == 200
        assert provider.sign_ins()["ann"]["refreshes_granted"] == 1
        assert gateway.account("team")["expires_at"] > grant["expires_at"]
        logged(gateway, r"Refreshed the token of account team")


def test_a5_tokens_are_refreshed_ahead_of_time(tmp_path: Path, provider: SimulatedProvider) -> None:
    """Before they end, without any request."""
    grant = provider.grant("ann", lifetime_seconds=7)
    with gateway_with(tmp_path, provider, declared("team", grant, provider)):
        wait_until(lambda: provider.sign_ins()["ann"]["refreshes_granted"] >= 1, what="a refresh")
        assert provider.sign_ins()["ann"]["double_refreshes"] == 0


def test_a5_a_token_refused_before_its_time_is_refreshed(tmp_path: Path, provider: SimulatedProvider) -> None:
    """A 401 leads to one refresh and one more try; the client sees the answer."""
    grant = provider.grant("ann", lifetime_seconds=-10)
    tokens = {**declared("team", grant, provider)}
    tokens["oauth"]["expires_at"] = 4_000_000_000
    with gateway_with(tmp_path, provider, tokens) as gateway:
        assert message(gateway).status_code == 200
        assert provider.sign_ins()["ann"]["refreshes_granted"] == 1
        assert gateway.account("team")["status"] == "active"


def test_a6_many_requests_wait_for_one_refresh(tmp_path: Path, provider: SimulatedProvider) -> None:
    """However many come at once; the rotated refresh token outlives a restart."""
    provider.sign_in(delay_ms=200)
    grant = provider.grant("ann", lifetime_seconds=-10)
    with gateway_with(tmp_path, provider, declared("team", grant, provider)) as gateway:
        with ThreadPoolExecutor(30) as crowd:
            answers = list(crowd.map(lambda _: message(gateway).status_code, range(60)))
        assert answers == [200] * 60
        assert provider.sign_ins()["ann"]["refreshes_asked"] == 1
        gateway.kill()
        gateway.start()
        assert gateway.command("account", "refresh", "team").returncode == 0
        counts = provider.sign_ins()["ann"]
        assert (counts["refreshes_granted"], counts["double_refreshes"]) == (2, 0)


def test_a7_a_failed_refresh_is_told_and_others_serve(tmp_path: Path, provider: SimulatedProvider) -> None:
    """ "Failed to refresh token for account [name]: [reason]"; no loop; a new sign-in clears the state."""
    grant = provider.grant("ann", lifetime_seconds=-10)
    provider.revoke("ann")
    spare = {"name": "spare", "api_key": "sk-ant-sim-spare", "priority": 5}
    with gateway_with(tmp_path, provider, declared("team", grant, provider), spare) as gateway:
        assert message(gateway).status_code == 200  # the spare one serves
        line = logged(gateway, r"Failed to refresh token for account team: ")
        assert "Token refresh failed" in line and "invalid_grant" in line
        account = gateway.account("team")
        assert (account["status"], account["is_active"]) == ("needs_reauth", False)
        assert "Token refresh failed" in account["skipped_because"]
        for _ in range(5):
            assert message(gateway).status_code == 200
        assert provider.sign_ins()["ann"]["refreshes_asked"] == 1
        started = gateway.admin("/oauth/authorize?account=team&reauth=true")
        provider.sign_in(login="ann")
        assert _exchange(gateway, code_shown(started["url"]))[1]["status"] == "active"
        message(gateway)
        assert gateway.account("team")["request_count"] > 0


def test_a7_a_provider_in_trouble_is_asked_again_later(tmp_path: Path, provider: SimulatedProvider) -> None:
    """The account is expired meanwhile, not lost: the owner's word, or the pause's end, brings it back."""
    provider.sign_in(faults=[{"fault": "status", "status": 500, "times": 1}])
    grant = provider.grant("ann", lifetime_seconds=-10)
    with gateway_with(tmp_path, provider, declared("team", grant, provider)) as gateway:
        wait_until(lambda: gateway.account("team")["status"] == "expired", what="expired")
        answer = message(gateway)
        assert (answer.status_code, error_of(answer)["code"]) == (503, "no_account_available")
        assert "token expired" in error_of(answer)["hint"]
        assert "`headgate status` says what mends it" in error_of(answer)["hint"]
        refreshed = gateway.command("account", "refresh", "team")
        assert refreshed.returncode == 0, refreshed.stderr
        assert message(gateway).status_code == 200


def test_a7_a_refresh_that_failed_says_whether_the_account_still_serves(
    tmp_path: Path, provider: SimulatedProvider
) -> None:
    """Asked for before the token's end: nothing is lost. After it: it is tried again, or signed in anew."""
    provider.sign_in(faults=[{"fault": "status", "status": 500}])
    good, ended = provider.grant("ann"), provider.grant("bea", lifetime_seconds=-10)
    accounts = (declared("good", good, provider), declared("ended", ended, provider))
    with gateway_with(tmp_path, provider, *accounts) as gateway:
        early = gateway.command("account", "refresh", "good")
        late = gateway.command("account", "refresh", "ended")
        assert (early.returncode, late.returncode) == (1, 1)
        assert "mend: It serves with its present token until 20" in early.stderr
        assert "headgate account reauth ended signs it in anew" in " ".join(late.stderr.split())
        assert message(gateway).status_code == 200


def test_a7_a_refresh_that_hangs_holds_up_nobody_whom_another_account_can_serve(
    tmp_path: Path, provider: SimulatedProvider
) -> None:
    """It goes on meanwhile, and its account serves once it is done."""
    provider.sign_in(delay_ms=6000)
    grant = provider.grant("ann", lifetime_seconds=-10)
    spare = {"name": "spare", "api_key": "sk-ant-sim-spare", "priority": 5}
    with gateway_with(tmp_path, provider, declared("team", grant, provider), spare) as gateway:
        assert message(gateway).status_code == 200
        wait_until(lambda: gateway.account("team")["expires_at"] > time.time(), what="the new token")
        assert message(gateway).status_code == 200
        served = [gateway.account(name)["request_count"] for name in ("team", "spare")]
        assert served == [2, 1]
        assert provider.sign_ins()["ann"]["refreshes_asked"] == 1


def test_a8_nothing_to_refresh_with(tmp_path: Path, provider: SimulatedProvider) -> None:
    """ "Token expired or missing for account: [name]" when there is no refresh token."""
    grant = provider.grant("ann", lifetime_seconds=-10)
    account = declared("team", grant, provider)
    del account["oauth"]["refresh_token"]
    with gateway_with(tmp_path, provider, account) as gateway:
        assert gateway.account("team")["status"] == "expired"
        assert message(gateway).status_code == 503
        logged(gateway, r"Token expired or missing for account: team")
        assert provider.sign_ins()["ann"]["refreshes_asked"] == 0


def test_a19_a_refresh_that_dies_leaves_nothing_stuck(tmp_path: Path, provider: SimulatedProvider) -> None:
    """Killed while the provider thinks: the next life refreshes; each attempt is one line in the log."""
    provider.sign_in(faults=[{"fault": "hang", "times": 1}])
    grant = provider.grant("ann", lifetime_seconds=-10)
    with gateway_with(tmp_path, provider, declared("team", grant, provider)) as gateway:
        asking = threading.Thread(target=lambda: _quietly(gateway), daemon=True)
        asking.start()
        wait_until(lambda: provider.sign_ins()["ann"]["refreshes_asked"], what="a refresh that hangs")
        gateway.kill()
        asking.join(30)
        provider.sign_in()
        gateway.start()
        assert message(gateway).status_code == 200
        counts = provider.sign_ins()["ann"]
        assert (counts["refreshes_asked"], counts["refreshes_granted"]) == (2, 1)
        assert len(lines_of(gateway, r"oken of account team|refresh token for account team")) == 1


def _quietly(gateway: Gateway) -> None:
    """A client whose gateway dies."""
    try:
        message(gateway)
    except httpx.HTTPError:
        return
