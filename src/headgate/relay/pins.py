"""What ties a request to one account: objects that live there, and the caller's own wish.

Files, batches and containers exist in the account that made them. A request that names one goes to
that account, whatever the strategy says; the ids are learnt from the answers that bring them.
"""

import re
from collections.abc import Iterator

from headgate.dialects.anthropic import RequestFacts
from headgate.relay.body import BodyBuffer
from headgate.relay.exchange import Exchange

_ID = re.compile(rb"\b(?:file|msgbatch|container)_[A-Za-z0-9]{8,64}\b")
_OBJECT_PATHS = (b"/v1/files", b"/v1/messages/batches")


def deals_in_objects(exchange: Exchange, facts: RequestFacts | None) -> bool:
    """Whether ids may stand in this request or its answer: the others are spared the search."""
    head = exchange.head
    if head.client.may_name_objects:
        return True
    # A body that is read is none of the paths'.
    return bool(facts.container) if facts is not None else head.path.startswith(_OBJECT_PATHS)


def ids_in_request(exchange: Exchange, facts: RequestFacts | None) -> Iterator[str]:
    """The ids that a request names: in its path, as its container, in its body."""
    if facts is not None and facts.container:
        yield facts.container
    yield from ids_in(exchange.head.path)
    if isinstance(exchange.body, BodyBuffer):
        yield from ids_in(exchange.body.whole())


def ids_in(text: bytes) -> Iterator[str]:
    for match in _ID.finditer(text):
        yield match.group().decode()
