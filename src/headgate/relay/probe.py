"""One cheap request on one account, for its owner: does the provider take the credential?

It is no request of a client: no record, no count, no retry. `relay/retry.py` judges its answer as any other.
"""

from dataclasses import dataclass

from headgate.clock import Clock
from headgate.errors import UpstreamError
from headgate.oauth.refresh import Refresher
from headgate.pool.faults import Fault
from headgate.pool.living import LivingAccount
from headgate.providers.provider import Complaint, ProviderError
from headgate.relay.targets import Targets
from headgate.upstream.answer import Answer
from headgate.upstream.client import UpstreamClient
from headgate.upstream.timeouts import Timeouts
from headgate.wire.headers import write_lines

_LONGEST_WAIT = Timeouts(connect=10.0, first_byte=20.0, idle=10.0, total=25.0)
"""Somebody sits in front of it."""
_MOST_BYTES = 262_144


_NO_PROVIDER = ProviderError(Complaint.SERVER_ERROR, message="no JSON, so this is hardly the provider")
"""Some other server, which says that all is well."""


@dataclass(frozen=True, slots=True)
class Probed:
    """What came of it. `error` and `failure` are None when the provider answered well."""

    url: str
    duration_ms: float
    status: int | None = None
    """None: no answer."""
    error: ProviderError | None = None
    failure: UpstreamError | None = None
    """Why there was no answer."""


async def probe(
    living: LivingAccount, targets: Targets, upstream: UpstreamClient, tokens: Refresher, clock: Clock
) -> Probed:
    """Asks the provider for the list of its models, which costs nothing.

    An access token that has ended, or that is refused before its time, is renewed first, as for a request:
    raises TokenRefreshFailed where that fails, after the account's health was told. Otherwise only what is
    decisive reaches it: a refused credential takes the account out as a request would, an accepted one ends
    an earlier refusal. Limits, bills, 403 and the network are said and left alone.
    """
    if living.can_renew and living.stale_at <= clock.now():
        await tokens.renew(living, living.account.credential)
    asked_with = living.account.credential
    probed = await _ask(living, targets, upstream, clock)
    if _is_refused(probed) and living.can_renew:
        await tokens.renew(living, asked_with)
        probed = await _ask(living, targets, upstream, clock)
    if _is_refused(probed):
        assert probed.error is not None
        reason = f"{probed.status} {probed.error.type or ''} {probed.error.message}".strip()
        living.health.apply(Fault.REFUSED, reason=living.without_secret(reason), now=clock.now())
    elif probed.error is None and probed.failure is None:
        living.health.accepted(clock.now())
    return probed


def _is_refused(probed: Probed) -> bool:
    return probed.error is not None and probed.error.complaint is Complaint.REFUSED


async def _ask(living: LivingAccount, targets: Targets, upstream: UpstreamClient, clock: Clock) -> Probed:
    """One request, one answer. The account's health hears nothing of it."""
    provider = living.provider
    assert provider is not None, "an account of an unknown provider cannot be asked"
    target = targets.of(living)
    path = target.base_path + provider.probe_path
    lines = target.own_lines + write_lines(provider.required_headers([]))
    if living.is_signed_in:
        lines = provider.bearer_lines(lines)
    url = f"{target.origin.scheme}://{target.origin.authority}{path.decode()}"
    began = clock.monotonic()
    try:
        head = b"GET %b HTTP/1.1\r\n%baccept: application/json\r\n\r\n" % (path, lines)
        answer = await upstream.send(target.origin, head, b"", timeouts=_LONGEST_WAIT, proxy=target.proxy)
        body = await _read(answer)
    except UpstreamError as failure:
        return Probed(url, (clock.monotonic() - began) * 1000, failure=failure)
    duration_ms = (clock.monotonic() - began) * 1000
    if 200 <= answer.status < 300:
        is_json = body.lstrip().startswith(b"{")
        return Probed(url, duration_ms, answer.status, None if is_json else _NO_PROVIDER)
    return Probed(url, duration_ms, answer.status, provider.read_error(answer.status, body, clock.now()))


async def _read(answer: Answer) -> bytes:
    """The body, or as much of it as an error needs."""
    body = b""
    try:
        while not answer.is_complete and len(body) < _MOST_BYTES:
            body += await answer.read()
    finally:
        answer.close()
    return body
