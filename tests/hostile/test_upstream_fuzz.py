"""Answers made up: put together from parts, changed, cut, joined."""

import asyncio
import itertools
import json
import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.testing.process import SimulatedProvider
from tests.gateway import wait_until
from tests.hostile.far_side import FarSide, far_gateway
from tests.hostile.fuzzing import fuzzed
from tests.hostile.made_up_answers import TOKEN, Case, cases
from tests.journeys.wire import Answer, Connection, ask, request
from tests.upstream.scripted import ScriptedServer, Talk

LIMIT_MS = 250
TO_IT = {"x-headgate-account": "it"}
REQUESTS = {
    "plain": request(body=ask("hello"), headers=TO_IT),
    "stream": request(body=ask("hello", stream=True), headers=TO_IT),
    "coded": request(body=ask("hello", stream=True), headers={**TO_IT, "accept-encoding": "gzip, br"}),
    "head": request("/v1/models", method="HEAD", headers=TO_IT),
    "get": request("/v1/models", method="GET", headers=TO_IT),
    "upload": request("/v1/files", b"u" * 3000, headers=TO_IT, chunks=3),
}
_MOMENT_SECONDS = 0.03
"""How long a provider that stays waits for more: an answer that lacks its end is cut then."""
_CALM = request("/healthz", method="GET")
_TOKEN = re.compile(rb"<token-[0-9a-f]{12}>")
_OUR_CODES = {"all_accounts_failed", "request_timed_out", "all_accounts_limited", "no_account_available"}


class Rig:
    """The gateway, a provider that says what the case wants, and one client that keeps its connection."""

    def __init__(self, far: FarSide, runner: asyncio.Runner) -> None:
        self.far = far
        self.run = runner.run
        self.asked = 0
        self._case: Case
        self._token = b""
        self._old_tokens: set[bytes] = set()
        self._numbers = itertools.count(1)
        self._has_spoken = asyncio.Event()
        self._client: Connection | None = None
        self.server = ScriptedServer(self._speak, port=far.port)

    async def _speak(self, talk: Talk) -> None:
        seconds = 5.0  # it was opened for a request, however long that takes on a busy machine
        while await _next_request(talk, seconds):
            seconds = _MOMENT_SECONDS
            case = self._case
            try:
                pieces = case.pieces(self._token)
                if case.ending == "silence":
                    return await talk.gone()
                for piece in pieces:
                    await talk.send(piece)
                    await asyncio.sleep(0)
                if case.ending == "reset":
                    return talk.reset()
                if case.ending == "close":
                    return talk.close()
            finally:
                self._has_spoken.set()

    async def try_out(self, case: Case, kind: str) -> None:
        """One request, and a calm one on the same connection: whatever the answer was, it ended where the
        gateway said that it ends."""
        self._case, self._token = case, b"<token-%012x>" % (next(self._numbers) * 7919)
        self._has_spoken.clear()
        client = await self._connected()
        self.asked += 1
        answer = await client.ask(REQUESTS[kind])
        self._check(answer)
        if case.body is not None and not self._was_refused(answer):
            self._check_sound(answer, b"" if kind == "head" else case.body)
        self._old_tokens.add(self._token)
        # On a busy machine the gateway may have given up before the provider had the request at all.
        was_given_up = answer.headers.get("x-headgate-error") == "request_timed_out"
        if case.ending != "silence" and not was_given_up and not self._was_refused(answer):
            async with asyncio.timeout(5):
                await self._has_spoken.wait()
        await self._stay_calm(answer, client)
        if self._was_refused(answer) or answer.status in (401, 402, 403, 429):
            self.renew()

    async def _stay_calm(self, answer: Answer, client: Connection) -> None:
        is_to_be_closed = not answer.is_whole or answer.headers.get("connection") == "close"
        if is_to_be_closed or b'"code":' in answer.body:  # an error event of ours ends the connection too
            client.drop()
            client = await self._connected()
        calm = await client.ask(_CALM)
        assert calm.status == 200 and json.loads(calm.body)["version"]

    async def closed(self) -> None:
        if self._client is not None:
            self._client.drop()
        await self.server.__aexit__()

    def _check_sound(self, answer: Answer, body: bytes) -> None:
        """What came before spoils no good answer. On a busy machine one may come too late."""
        if answer.headers.get("x-headgate-error") != "request_timed_out" and b'"code":' not in answer.body:
            # Between two chunks the mark stands as it is.
            got = answer.body.replace(self._token, TOKEN)
            assert (answer.status < 500, answer.is_whole, got) == (True, True, body)

    def _check(self, answer: Answer) -> None:
        assert 200 <= answer.status <= 599
        assert b"internal_error" not in answer.body
        found = set(_TOKEN.findall(answer.body)) | set(_TOKEN.findall(str(answer.headers).encode()))
        assert not found & self._old_tokens, "a byte of another answer"
        if (code := answer.headers.get("x-headgate-error")) is not None:
            assert code in _OUR_CODES
        assert "set-cookie" not in answer.headers

    @staticmethod
    def _was_refused(answer: Answer) -> bool:
        """The gateway did not ask the provider at all."""
        code = answer.headers.get("x-headgate-error")
        return code in ("all_accounts_limited", "no_account_available")

    def renew(self) -> None:
        """Another account in the place of one that a made-up answer has taken out."""
        gateway = self.far.gateway
        gateway.ask("DELETE", "/api/accounts/it")
        account = {"name": "it", "provider": "anthropic", "api_key": f"sk-ant-sim-it-{self.asked}"}
        gateway.admin("/api/accounts", method="POST", body={**account, "base_url": self.far.base_url})

    async def _connected(self) -> Connection:
        if self._client is None or self._client.transport.is_closing():
            loop = asyncio.get_running_loop()
            port = int(self.far.gateway.url.rpartition(":")[2])
            _, self._client = await loop.create_connection(Connection, "127.0.0.1", port)
        return self._client


async def _next_request(talk: Talk, seconds: float) -> bool:
    """A request of a stated length or in chunks; False when there is none soon, or the gateway has closed."""
    try:
        async with asyncio.timeout(seconds):
            first = await talk.reader.readexactly(1)
    except (TimeoutError, asyncio.IncompleteReadError, ConnectionError):
        return False
    return bool(first) and await _rest_of_request(talk)


async def _rest_of_request(talk: Talk) -> bool:
    try:
        head = await talk.reader.readuntil(b"\r\n\r\n")
        if b"transfer-encoding: chunked" in head:
            await talk.reader.readuntil(b"0\r\n\r\n")
        elif found := re.search(rb"content-length: (\d+)", head):
            await talk.reader.readexactly(int(found[1]))
    except (asyncio.IncompleteReadError, ConnectionError):
        return False
    return True


@pytest.fixture(scope="module")
def patient_gateway(
    running_provider: SimulatedProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FarSide]:
    """It may hold few bodies: one that was forgotten in a hundred cases would be missed."""
    folder = tmp_path_factory.mktemp("fuzz")
    with far_gateway(folder, running_provider, limit_ms=LIMIT_MS, buffered_bytes=20_000) as far:
        yield far


@pytest.fixture(scope="module")
def rig(patient_gateway: FarSide) -> Iterator[Rig]:
    """After all cases: nothing in flight, every request on record once."""
    gateway = patient_gateway.gateway
    with asyncio.Runner() as runner:

        async def opened() -> Rig:
            rig = Rig(patient_gateway, runner)
            await rig.server.__aenter__()
            rig.renew()
            return rig

        rig = runner.run(opened())
        yield rig
        runner.run(rig.closed())
    patient_gateway.check_unharmed()
    wait_until(lambda: len(gateway.requests()) >= rig.asked, what="Every request on record", seconds=120)
    assert len(gateway.requests()) == rig.asked


@fuzzed(share=0.5)
@given(case=cases, kind=st.sampled_from(sorted(REQUESTS)))
def test_made_up_answers(rig: Rig, case: Case, kind: str) -> None:
    """Made-up answers by the thousand → each request answered in measure, none mixed, nothing left behind"""
    rig.run(rig.try_out(case, kind))
