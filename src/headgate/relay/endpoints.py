"""Which paths are provider routes, and how each is handled.

The table is contract: `POST /v1/messages` and its kin are read (model, stream, session); every
other `/v1/…` path passes through to the provider that the client's headers name.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from headgate.dialects.anthropic_meter import meter_for
from headgate.dialects.batch_results import batch_of, results_meter_for
from headgate.dialects.meters import Meter
from headgate.errors import MethodNotAllowed


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One row of the routing table."""

    provider: str
    dialect: str
    reads_body: bool
    """Whether the body is JSON that routing reads; if not it is streamed when it is large."""
    upstream_path: bytes | None = None
    """The provider's path where it differs from the client's."""
    tells_addresses: bool = False
    """Whether its answers may name an address that has to lead back to us (`addresses.py`)."""
    only_method: bytes | None = None
    """None: the provider judges."""
    holds_turns: bool = False
    """Whether its requests are turns of conversations."""
    meter_for: Callable[[Mapping[bytes, bytes]], Meter] = meter_for
    """What listens to an answer with these headers."""

    def refuse_other_methods(self, method: bytes, path: bytes) -> None:
        """Raises MethodNotAllowed."""
        if self.only_method is None or method == self.only_method:
            return
        asked, allowed = method.decode("ascii", "replace"), self.only_method.decode()
        raise MethodNotAllowed(
            f"{path.decode('latin-1')} takes {allowed}, not {asked}",
            allowed=allowed,
            hint=f"Send the request with {allowed}.",
        )

    def target(self, path: bytes, query: bytes) -> bytes:
        """What the provider is asked for, below its base path."""
        asked = self.upstream_path or path
        return asked + b"?" + query if query else asked


_MESSAGES = Endpoint(
    "anthropic",
    "anthropic",
    reads_body=True,
    upstream_path=b"/v1/messages",
    only_method=b"POST",
    holds_turns=True,
)
_POSTED = Endpoint("anthropic", "anthropic", reads_body=True, only_method=b"POST")
_PASS_THROUGH = Endpoint("anthropic", "anthropic", reads_body=False)
_BATCHES = Endpoint("anthropic", "anthropic", reads_body=False, tells_addresses=True)
_RESULTS = Endpoint("anthropic", "anthropic", reads_body=False, meter_for=results_meter_for)
_BATCHES_PATH = b"/v1/messages/batches"

NOWHERE = Endpoint("anthropic", "anthropic", reads_body=True)
"""Stands where a request was refused for its form, whatever it asked for."""

PREFLIGHT = Endpoint("anthropic", "anthropic", reads_body=False)
"""A browser asks what a page may send: answered here, and no provider hears of it."""

_READ = {
    b"/v1/messages": _MESSAGES,
    b"/api/v1/messages": _MESSAGES,
    b"/v1/messages/count_tokens": _POSTED,
    b"/v1/complete": _POSTED,
}

_METHODS = frozenset({b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS"})
"""The parser knows some thirty more; no provider's API has a use for them."""
_GATEWAYS_OWN = (b"/v1/metrics/",)
_DOT_SEGMENT = re.compile(rb"(?:^|/|\\|%2f|%5c)(?:\.|%2e){1,2}(?:/|\\|%2f|%5c|$)", re.IGNORECASE)


def find_endpoint(method: bytes, path: bytes) -> Endpoint | None:
    """The endpoint of a request; None for everything that is not a provider's.

    Those that are read are found for any method: see `refuse_other_methods`."""
    if (endpoint := _READ.get(path)) is not None:
        return endpoint
    if not path.startswith(b"/v1/") or path.startswith(_GATEWAYS_OWN) or method not in _METHODS:
        return None
    # A dot segment could leave the provider's /v1/ once it is resolved, by whoever takes %2f for a slash too.
    if _DOT_SEGMENT.search(path):
        return None
    if not path.startswith(_BATCHES_PATH):
        return _PASS_THROUGH
    return _BATCHES if method != b"GET" or batch_of(path.decode("latin-1")) is None else _RESULTS
