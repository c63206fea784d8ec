"""A base URL that leads back to this gateway by a way that its socket does not show: a port-forward,
a reverse proxy in front of it. Found out by what comes back.
"""

from collections.abc import Mapping

from headgate.access.callers import CREDENTIAL_HEADERS
from headgate.errors import LoopDetected
from headgate.pool.pool import Pool
from headgate.providers.provider import Provider
from headgate.relay.body import BodyBuffer
from headgate.relay.exchange import Exchange
from headgate.wire.headers import Headers

_OF_PROXIES = frozenset(
    {b"host", b"connection", b"via", b"forwarded", b"x-real-ip", b"x-forwarded-for"}
    | {b"x-forwarded-host", b"x-forwarded-port", b"x-forwarded-proto", b"x-request-id"}
)

_LENGTH_OF_PROCESS = len("hgr_") + 10
"""Of a request id: what all requests of this process share (`FastLane`)."""


def is_our_own_answer(exchange: Exchange, fields: Mapping[bytes, bytes]) -> bool:
    """Whether this gateway gave the answer to its own request. Asked of refusals only: where every
    request goes round, the innermost one is refused."""
    told = fields.get(b"x-headgate-request-id", b"")
    return told.startswith(exchange.id[:_LENGTH_OF_PROCESS].encode())


def refuse_own_request(exchange: Exchange, pool: Pool, provider: Provider) -> None:
    """Raises LoopDetected for a request that carries the key of one of our accounts, while the very same
    request is on its way to that account: it is the one that we have just sent."""
    own = exchange.head.client.caller.own_credential
    if own is None or not _is_written_as_ours(exchange.head.client.headers):
        return
    if not _is_a_key_at_work(own.secret, pool):
        return
    lines = exchange.head.client.lines_for(provider)
    alike = [other for other in exchange.client.siblings if other.head.client.lines_for(provider) == lines]
    if any(_is_the_same(exchange, other) for other in alike):
        raise LoopDetected("The gateway was sent its own request")


def _is_written_as_ours(headers: Headers) -> bool:
    """Whether the credential comes first, as `Targets` writes it, but for what a proxy puts in front.

    A client that sends one thing several times at once, with the key of an account, names itself first.
    """
    for name, _ in headers:
        if name in CREDENTIAL_HEADERS:
            return True
        if name not in _OF_PROXIES:
            return False
    return False


def _is_a_key_at_work(secret: bytes, pool: Pool) -> bool:
    accounts = [living for living in pool.living.values() if living.in_flight]
    return any(secret in living.credential_header[1] for living in accounts)


def _is_the_same(one: Exchange, other: Exchange) -> bool:
    head, its_head = one.head, other.head
    if other is one or (head.method, head.target) != (its_head.method, its_head.target):
        return False
    if isinstance(one.body, BodyBuffer) and isinstance(other.body, BodyBuffer):
        return other.body.received == one.body.received and other.body.whole() == one.body.whole()
    # A body that is streamed through is nowhere whole: its announcement has to do.
    return type(one.body) is type(other.body) and head.content_length == its_head.content_length
