"""What the gateway needs to know about a provider: the protocol that every one fulfils."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from headgate.providers.limits import Limits
from headgate.providers.sign_in import SignIn
from headgate.wire.headers import Headers


class Complaint(StrEnum):
    """What a provider's error is about, whatever its words: the key of the retry table."""

    INVALID = "invalid"
    """The request itself is at fault; another account would say the same."""
    TOO_LARGE = "too_large"
    NOT_FOUND = "not_found"
    MODEL_NOT_FOUND = "model_not_found"
    """This account does not have the model."""
    REFUSED = "refused"
    """The credential is wrong, revoked or expired."""
    FORBIDDEN = "forbidden"
    BILLING = "billing"
    LIMITED = "limited"
    REQUEST_LIMITED = "request_limited"
    """This kind of request needs a plan or credits that the account lacks; its other requests go on."""
    OVERLOADED = "overloaded"
    TIMED_OUT = "timed_out"
    SERVER_ERROR = "server_error"


@dataclass(frozen=True, slots=True)
class ProviderError:
    """An error body, read."""

    complaint: Complaint
    type: str | None = None
    """The provider's own word; None when the body was not the documented shape."""
    message: str = ""
    until: float | None = None
    """Unix seconds, where the message itself says when access returns."""


class Provider(Protocol):
    """One provider's peculiarities. Stateless: safe to share between all its accounts."""

    name: str
    default_base_url: str
    status_header: bytes | None
    """The one header worth looking for in every good answer (lower case); None: there is none."""
    calm_status: bytes
    """Its value when nothing is wrong."""
    probe_path: bytes
    """What may be asked with GET at no cost, to see whether a credential is taken."""

    sign_in: SignIn | None
    """Where accounts sign in; None: they have API keys only."""

    def bearer_lines(self, lines: bytes) -> bytes:
        """A client's header lines (names lower case), with what goes along with an access token and is not
        among them. Called for every request of an account that signed in."""
        ...

    def credential_header(self, secret: str) -> tuple[bytes, bytes]:
        """Raises `SettingsError` for a secret that cannot stand in a header."""
        ...

    def required_headers(self, sent: Headers) -> Headers:
        """Headers that the provider insists on and the caller left out."""
        ...

    def read_limits(self, headers: Headers, now: float) -> Limits:
        """Never raises: what cannot be read counts as not stated. `now` in Unix seconds."""
        ...

    def read_error(self, status: int, body: bytes, now: float) -> ProviderError:
        """`body` without content coding: a JSON answer, or the data of an SSE `error` event
        (then with status 200). Never raises."""
        ...
