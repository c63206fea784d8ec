"""Network errors have the short words that operators search for."""

import errno
import socket

import pytest

from headgate.upstream.failures import answer_cut, connect_failed, network_word
from headgate.upstream.origin import Origin

ORIGIN = Origin("https", "api.example.com", 443)


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (OSError(errno.EHOSTUNREACH, "no route"), "EHOSTUNREACH"),
        (OSError(errno.ENETUNREACH, "no network"), "ENETUNREACH"),
        (TimeoutError(errno.ETIMEDOUT, "slow"), "ETIMEDOUT"),
        (OSError(errno.EMFILE, "too many open files"), "EMFILE"),
        (ConnectionResetError(), "ECONNRESET"),
        (ConnectionAbortedError("handshake"), "ECONNABORTED"),
        (
            OSError("Multiple exceptions: [Errno 101] Connect call …, [Errno 111] Connect call …"),
            "ECONNREFUSED",
        ),
        (OSError("something"), "EIO"),
        (OSError("[Errno 99999] odd"), "EIO"),
    ],
)
def test_an_error_has_its_network_word(error: OSError, word: str) -> None:
    """Also where several addresses failed and the number is in the text only."""
    assert network_word(error) == word
    assert connect_failed(error, ORIGIN).reason == word
    assert f"({word})" in answer_cut(error, answered=False).message


@pytest.mark.parametrize(
    ("number", "word"),
    [(socket.EAI_NONAME, "ENOTFOUND"), (socket.EAI_AGAIN, "EAI_AGAIN"), (None, "ENOTFOUND")],
)
def test_a_name_that_does_not_resolve_is_told_from_a_resolver_that_is_away(
    number: int | None, word: str
) -> None:
    """The second passes by itself."""
    failure = connect_failed(socket.gaierror(number, "words of the system's"), ORIGIN)
    assert failure.reason == word
    assert "api.example.com could not be resolved" in failure.message and failure.hint


def test_an_orderly_close_is_told_from_a_break() -> None:
    """And both say how far the answer was."""
    assert answer_cut(None, answered=True).reason == "EOF"
    assert "before the answer was complete" in answer_cut(None, answered=True).message
    assert answer_cut(ConnectionResetError(), answered=False).message.endswith("answer (ECONNRESET)")
