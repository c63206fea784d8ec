"""The one address in an answer that would lead a client past the gateway, led back to it.

A finished batch names its results by an absolute address of the provider, and the official SDKs follow it as
it stands: with the gateway's client key, which the provider refuses and should never see. See
`docs/decisions/0009-results-url-leads-back.md`. Source: Anthropic API reference, "Message Batches"
(`results_url`).
"""

import re

from headgate.dialects.meters import JsonMeter
from headgate.relay.attempt import Opened
from headgate.relay.exchange import Exchange

FIELD = "results_url"

_RESULTS = re.compile(
    rb'("results_url"\s*:\s*")https?://[^"\\]*?(/v1/messages/batches/[A-Za-z0-9_-]+/results")'
)
_HOST = re.compile(rb"[A-Za-z0-9._\-]+(?::\d+)?|\[[0-9A-Fa-f:.]+\](?::\d+)?")


def lead_back(exchange: Exchange, opened: Opened) -> bytes | None:
    """The whole answer without content coding, with that address changed; None when there is none to change.

    Everything else in it stays to the byte. An escaped quote stands before every such field that is only
    quoted in a text, so texts are safe.
    """
    origin = _origin_for(exchange)
    if origin is None or not isinstance(opened.meter, JsonMeter) or not opened.answer.is_complete:
        return None
    text, count = _RESULTS.subn(rb"\g<1>" + origin + rb"\g<2>", opened.meter.plain())
    return text if count else None


def _origin_for(exchange: Exchange) -> bytes | None:
    """The gateway as this client called it: its `Host`, and the scheme, which a proxy in front may name.

    Where no proxy is listed, anybody's word about the scheme is taken: nothing but the answer to himself
    depends on it."""
    fields = dict(exchange.head.client.headers)
    host = fields.get(b"host", b"")
    if not _HOST.fullmatch(host):
        return None
    forwarded = exchange.head.client.forwarded
    if exchange.client.transport.get_extra_info("sslcontext") is not None:
        is_https = True
    elif forwarded is None:
        is_https = fields.get(b"x-forwarded-proto", b"").partition(b",")[0].strip().lower() == b"https"
    else:
        is_https = forwarded.scheme == "https"
    return (b"https://" if is_https else b"http://") + host
