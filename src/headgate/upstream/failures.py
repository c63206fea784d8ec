"""What the operating system, the resolver and TLS say, as failures of ours.

Messages name host and port, never a path, a header or a body: secrets travel there.
"""

import errno
import re
import socket
import ssl

from headgate.config.proxies import Proxy
from headgate.errors import AnswerCut, ConnectFailed, LoopDetected, ProxyFailed, ProxyWantsCredentials
from headgate.upstream.origin import Origin

_TLS_EXPIRED = frozenset({10})
_TLS_NOT_YET_VALID = frozenset({9})
_TLS_WRONG_HOST = frozenset({62, 64})
_TLS_UNTRUSTED = frozenset({18, 19, 20, 21, 27})
"""Verification results of OpenSSL (`X509_V_ERR_…`, x509_vfy.h)."""

_NO_TLS_THERE = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST"})
"""What OpenSSL says of bytes that are no TLS record; which of them depends on its version."""

_RESOLVER_WORDS = {
    socket.EAI_NONAME: "ENOTFOUND",
    socket.EAI_AGAIN: "EAI_AGAIN",
}

WANTS_CREDENTIALS = 407
"""The status by which a proxy says so (RFC 9110, section 15.5.8)."""
_MOST_WORDS = 200

# Several addresses that all failed arrive as one OSError without errno; the numbers are in its text.
_ERRNO_IN_TEXT = re.compile(r"\[Errno (\d+)\]")


def connect_failed(error: OSError, origin: Origin) -> ConnectFailed:
    """The failure behind a connection that did not come about."""
    where = f"{origin.host}:{origin.port}"
    if isinstance(error, ssl.SSLCertVerificationError):
        return _certificate_refused(error, origin)
    if isinstance(error, ssl.SSLError):
        detail = error.reason or "handshake failed"
        hint = ""
        if detail in _NO_TLS_THERE:
            hint = "Write http:// in the base URL if that port speaks no TLS."
        return ConnectFailed(
            f"TLS handshake with {where} failed: {detail}", reason="ETLSHANDSHAKE", hint=hint
        )
    if isinstance(error, socket.gaierror):
        return unresolvable(origin, _RESOLVER_WORDS.get(error.errno or 0, "ENOTFOUND"))
    word = network_word(error)
    return ConnectFailed(f"No connection to {where} ({word})", reason=word)


def unresolvable(origin: Origin, word: str = "ENOTFOUND") -> ConnectFailed:
    return ConnectFailed(
        f"Host name {origin.host} could not be resolved ({word})",
        reason=word,
        hint="Check the base URL and this machine's DNS.",
    )


def leads_back(origin: Origin) -> LoopDetected:
    return LoopDetected(f"The base URL {origin} leads back to this gateway itself")


# ---- the proxy on the way; what is said of it leaves its credentials out ---------------------------


def proxy_unreachable(error: OSError, proxy: Proxy) -> ProxyFailed:
    """The same failures, one stage earlier: there is no connection to the proxy."""
    as_origin = Origin("https" if proxy.scheme == "https" else "http", proxy.host, proxy.port)
    failure = connect_failed(error, as_origin)
    hint = failure.hint
    if isinstance(error, socket.gaierror):
        hint = "Check the proxy's address and this machine's DNS."
    elif isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLCertVerificationError):
        hint = "Write http:// in the proxy's address if that port speaks no TLS."
    hint = hint or "See that the proxy runs, and the address that is set for it."
    return ProxyFailed(f"Proxy {proxy}: {failure.message}", reason=failure.reason, hint=hint)


def proxy_leads_back(proxy: Proxy) -> LoopDetected:
    return LoopDetected(
        f"The proxy {proxy} is this gateway itself", hint="Set the address of a proxy, or the word direct."
    )


def proxy_refused(
    proxy: Proxy, origin: Origin, status: int, words: bytes
) -> ProxyFailed | ProxyWantsCredentials:
    """What it said to CONNECT, or to a request, in place of the provider."""
    if status == WANTS_CREDENTIALS:
        return wants_credentials(proxy)
    said = f"{status} {_printable(words)}".strip()
    return ProxyFailed(
        f"The proxy {proxy} does not connect to {origin.host}:{origin.port}: {said}",
        reason="EPROXY",
        hint=_hint_for(status),
    )


def wants_credentials(proxy: Proxy) -> ProxyWantsCredentials:
    if proxy.user is None:
        message = f"The proxy {proxy} wants credentials"
    else:
        message = f"The proxy {proxy} does not take the credentials it was given"
    scheme = proxy.scheme
    return ProxyWantsCredentials(
        message, hint=f"Write them into its address, percent-encoded: {scheme}://USER:PASSWORD@{proxy.where}"
    )


def socks_refused(proxy: Proxy, origin: Origin, words: str) -> ProxyFailed:
    return ProxyFailed(
        f"The proxy {proxy} does not connect to {origin.host}:{origin.port}: {words}",
        reason="EPROXY",
        hint="Ask whoever runs the proxy whether it lets this machine reach that host.",
    )


def proxy_garbled(proxy: Proxy, words: str) -> ProxyFailed:
    hint = "See that this port is a proxy's, of the kind that its address begins with."
    return ProxyFailed(f"The proxy {proxy} is not understood: {words}", reason="EPROXY", hint=hint)


def proxy_cut(proxy: Proxy, error: Exception | None) -> ProxyFailed:
    word = network_word(error) if isinstance(error, OSError) else "EOF"
    return ProxyFailed(
        f"The proxy {proxy} closed the connection before there was a way through it ({word})",
        reason=word,
        hint="Its log may say why. A proxy that speaks TLS is written https://.",
    )


def _hint_for(status: int) -> str:
    if status in (403, 405):
        return "Whoever runs the proxy has to allow that host and port; or give the account another proxy."
    return "Check the base URL; the proxy found no way to it, or does not make tunnels."


def _printable(words: bytes) -> str:
    text = words[:_MOST_WORDS].decode("latin-1")
    return "".join(character if character.isprintable() else "?" for character in text)


# ---- inside an exchange ----------------------------------------------------------------------------


def answer_cut(error: Exception | None, *, answered: bool) -> AnswerCut:
    """The connection ended inside an exchange: by a reset, or by an orderly close."""
    stage = "before the answer was complete" if answered else "before the answer"
    if isinstance(error, OSError):
        word = network_word(error)
        return AnswerCut(f"The connection broke {stage} ({word})", reason=word)
    return AnswerCut(f"The provider closed the connection {stage}", reason="EOF")


def network_word(error: OSError) -> str:
    """`ECONNREFUSED` and the like; `EIO` for an error that names none."""
    if error.errno is not None and error.errno in errno.errorcode:
        return errno.errorcode[error.errno]
    if isinstance(error, ConnectionResetError):
        return "ECONNRESET"
    if isinstance(error, ConnectionAbortedError):
        return "ECONNABORTED"
    numbers = [int(number) for number in _ERRNO_IN_TEXT.findall(str(error))]
    return errno.errorcode.get(numbers[-1], "EIO") if numbers else "EIO"


def _certificate_refused(error: ssl.SSLCertVerificationError, origin: Origin) -> ConnectFailed:
    code = error.verify_code
    if code in _TLS_EXPIRED:
        return ConnectFailed(
            f"The TLS certificate of {origin.host} has expired",
            reason="ETLSEXPIRED",
            hint="Whoever runs that host has to renew it; check this machine's clock as well.",
        )
    if code in _TLS_NOT_YET_VALID:
        return ConnectFailed(
            f"The TLS certificate of {origin.host} is not valid yet",
            reason="ETLSNOTYETVALID",
            hint="Check this machine's clock.",
        )
    if code in _TLS_WRONG_HOST:
        return ConnectFailed(
            f"The TLS certificate shown for {origin.host} is made out to another host",
            reason="ETLSHOST",
            hint="Check the base URL; a proxy on the way may answer in the provider's place.",
        )
    if code in _TLS_UNTRUSTED:
        return ConnectFailed(
            f"The TLS certificate of {origin.host} is signed by nobody this machine trusts",
            reason="ETLSUNTRUSTED",
            hint="If the host is yours, name the certificate of who signed it in SSL_CERT_FILE "
            "and start the gateway again, or put it into the system's store.",
        )
    return ConnectFailed(
        f"The TLS certificate of {origin.host} was refused: {error.verify_message}", reason="ETLSVERIFY"
    )
