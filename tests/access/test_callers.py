"""Who is let in, and with what."""

import hashlib

import pytest

from headgate.access.callers import Callers, OwnCredentials, digest_of_entry, without_key
from headgate.access.ring import KeyRing
from headgate.clock import SystemClock
from headgate.errors import InvalidClientKey
from headgate.wire.headers import Headers

KEY = "hg_secret"
OWN = b"sk-ant-api03-callers-own"
TOKEN = b"sk-ant-oat01-callers-own"


def _callers(
    *keys: str,
    client_auth: str = "auto",
    listens_wide: bool = False,
    own_credentials: OwnCredentials = "fallback",
) -> Callers:
    ring = KeyRing()
    ring.declare(map(digest_of_entry, keys))
    return Callers(
        ring,
        client_auth=client_auth,
        listens_wide=listens_wide,
        own_credentials=own_credentials,
        clock=SystemClock(),
    )


@pytest.mark.parametrize(
    "headers",
    [
        [(b"x-api-key", b"hg_secret")],
        [(b"x-api-key", b"  hg_secret\t")],
        [(b"x-goog-api-key", b"hg_secret")],
        [(b"authorization", b"Bearer hg_secret")],
        [(b"authorization", b"bearer   hg_secret  ")],
        [(b"authorization", b"Bearer something-else"), (b"x-api-key", b"hg_secret")],
        [(b"x-api-key", b"wrong"), (b"x-api-key", b"hg_secret")],
    ],
)
def test_a_key_is_taken_wherever_clients_put_it(headers: Headers) -> None:
    """Spaces round it and the scheme's spelling are forgiven."""
    name = _callers(KEY).identify(headers, b"").name
    assert name == "key-" + hashlib.sha256(KEY.encode()).hexdigest()[:8]


@pytest.mark.parametrize(
    ("query", "is_known"),
    [(b"key=hg_secret", True), (b"a=1&key=hg_secret", True), (b"monkey=hg_secret", False), (b"key=", False)],
)
def test_a_key_in_the_query(query: bytes, is_known: bool) -> None:
    if is_known:
        assert _callers(KEY).identify([], query).name.startswith("key-")
        return
    with pytest.raises(InvalidClientKey, match="Invalid client API key"):
        _callers(KEY).identify([], query)


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        (b"", b""),
        (b"beta=true", b"beta=true"),
        (b"key=x", b""),
        (b"a=1&key=x&b=2", b"a=1&b=2"),
        (b"monkey=x", b"monkey=x"),
    ],
)
def test_the_key_does_not_travel_on_in_the_query(query: bytes, kept: bytes) -> None:
    assert without_key(query) == kept


@pytest.mark.parametrize("entry", [" hg_secret ", "sha256:" + hashlib.sha256(KEY.encode()).hexdigest()])
def test_keys_are_listed_plain_or_as_digests(entry: str) -> None:
    """Spaces round a listed key are forgiven too."""
    assert _callers(entry).identify([(b"x-api-key", KEY.encode())], b"").name.startswith("key-")


@pytest.mark.parametrize(
    ("keys", "client_auth", "listens_wide", "is_required"),
    [
        ((), "auto", False, False),
        ((KEY,), "auto", False, True),
        ((), "auto", True, True),
        ((), "required", False, True),
        ((KEY,), "off", True, False),
    ],
)
def test_when_a_key_is_asked_for(
    keys: tuple[str, ...], client_auth: str, listens_wide: bool, is_required: bool
) -> None:
    """`auto`: as soon as one exists, or strangers could come in."""
    callers = _callers(*keys, client_auth=client_auth, listens_wide=listens_wide)
    assert callers.is_key_required is is_required
    if is_required:
        for headers, hint in (
            ([], "None was sent. Send a client key"),
            ([(b"authorization", b"Bearer ")], "None was sent. Send a client key"),
            ([(b"x-api-key", b"hg_wrong")], "What was sent is no key of this gateway"),
        ):
            with pytest.raises(InvalidClientKey) as refused:
                callers.identify(headers, b"")
            assert refused.value.hint.startswith(hint)
    else:
        assert callers.identify([(b"x-api-key", b"hg_wrong")], b"").name == "anonymous"


@pytest.mark.parametrize(("secret", "is_bearer"), [(OWN, False), (TOKEN, True)])
@pytest.mark.parametrize("header", [b"x-api-key", b"authorization"])
def test_a_callers_own_credential_is_kept_for_when_nobody_serves(
    secret: bytes, is_bearer: bool, header: bytes
) -> None:
    """In either header; an access token is known by its beginning."""
    value = b"Bearer " + secret if header == b"authorization" else secret
    caller = _callers().identify([(header, value)], b"")
    assert caller.uses_pool
    assert caller.own_credential is not None
    assert (caller.own_credential.secret, caller.own_credential.is_bearer) == (secret, is_bearer)
    assert secret.decode() not in repr(caller)


def test_an_own_credential_beside_a_client_key() -> None:
    """The key admits, the credential stands by."""
    headers = [(b"authorization", b"Bearer " + KEY.encode()), (b"x-api-key", OWN)]
    caller = _callers(KEY).identify(headers, b"")
    assert caller.name.startswith("key-")
    assert caller.uses_pool
    assert caller.own_credential is not None


def test_own_credentials_allowed_need_no_client_key() -> None:
    """They pay for themselves, and only they serve that caller."""
    caller = _callers(KEY, own_credentials="allow").identify([(b"x-api-key", OWN)], b"")
    assert (caller.name, caller.uses_pool) == ("own-credential", False)


def test_own_credentials_do_not_open_the_pool() -> None:
    """Under `fallback` and `never` a client key is still needed, and `never` forgets what was brought."""
    for rule in ("fallback", "never"):
        with pytest.raises(InvalidClientKey):
            _callers(KEY, own_credentials=rule).identify([(b"x-api-key", OWN)], b"")
    assert _callers(own_credentials="never").identify([(b"x-api-key", OWN)], b"").own_credential is None
