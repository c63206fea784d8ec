"""What a person pastes after signing in: `code#state`, the address they were led to, or the code alone."""

from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from headgate.errors import SignInFailed

_LONGEST = 8192
_SHORTEST_CODE = 8

INVALID = "Invalid authorization code"


@dataclass(frozen=True, slots=True)
class Pasted:
    code: str
    state: str | None
    """None: it was not among what was pasted."""


def read_pasted(text: str) -> Pasted:
    """Raises SignInFailed for what can be no code, in words that say what to paste."""
    text = _plain(text)
    if "://" in text or text.startswith(("code=", "?")):
        return _from_address(text)
    code, hash_sign, state = text.partition("#")
    if hash_sign and not state:
        raise _invalid("nothing stands behind the #: the end of it was cut off")
    return Pasted(_checked(code), state or None)


def read_code(text: str) -> str:
    """The code alone, as it comes back with a browser: whoever made up an address gets no words of his own
    onto the page that answers it. Raises SignInFailed."""
    return _checked(_plain(text).partition("#")[0])


def _plain(text: str) -> str:
    text = "".join(text.split())  # terminals and mails break lines
    if not text or len(text) > _LONGEST or not text.isascii() or not text.isprintable():
        raise _invalid("it is empty, too long, or holds characters that no code has")
    return text


def _from_address(text: str) -> Pasted:
    try:
        parts = urlsplit(text)
    except ValueError:
        raise _invalid("it is no address") from None
    query = text.lstrip("?") if "://" not in text else "&".join(filter(None, (parts.query, parts.fragment)))
    fields = parse_qs(query)
    if error := fields.get("error"):
        words = fields.get("error_description", [""])[0]
        raise refused_by_provider(error[0], words)
    if "code" not in fields:
        raise _invalid("the address holds no code")
    code, _, behind = fields["code"][0].partition("#")
    return Pasted(_checked(code), fields.get("state", [behind or None])[0])


def _checked(code: str) -> str:
    if len(code) < _SHORTEST_CODE:
        raise _invalid("it is too short: a part of it is missing")
    return code


def refused_by_provider(error: str, words: str = "") -> SignInFailed:
    """The provider led the person back with an error (RFC 6749, section 4.1.2.1)."""
    about = f"{error}: {words}" if words else error
    return SignInFailed(
        f"The provider did not let the sign-in through: {about[:300]}",
        hint="Start it again, and agree on the provider's page to what it asks.",
    )


def _invalid(why: str) -> SignInFailed:
    return SignInFailed(
        f"{INVALID}: {why}", hint="Paste what the provider's page shows, all of it: it looks like code#state."
    )
