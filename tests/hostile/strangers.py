"""Requests of strangers, made up from a seed: every route there is, asked in every way that might pass for a
right to it. Those that are damaged no further have one answer.
"""

import base64
import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

from starlette.routing import Route

from headgate.admin.app import ROUTES
from headgate.admin.doors import OPEN_PATHS
from headgate.admin.sessions import COOKIE
from tests.hostile.crowds import Wire, cut_up
from tests.hostile.fuzzing import DELIMITERS
from tests.journeys.wire import ask, chunked

OWNERS = sorted(
    {(method, route.path) for route in ROUTES if isinstance(route, Route) for method in route.methods or ()}
    | {("GET", "/openapi.json")}
)
CLIENTS = [
    *(("POST", path) for path in ("/v1/messages", "/api/v1/messages", "/v1/messages/count_tokens")),
    *(("POST", path) for path in ("/v1/complete", "/v1/files", "/v1/messages/batches", "/v1/anything")),
    *(("GET", path) for path in ("/v1/models", "/v1/files/file_1/content", "/v1/messages/batches/b/results")),
    ("DELETE", "/v1/files/file_1"),
]
CLOSED = frozenset({401, 408})
"""The latter where this machine is too busy to send in time."""
ANSWERS = frozenset({200, 204, 400, 401, 403, 405, 408, 413, 431})
"""Of whatever may come: none of them says that somebody is let in; see `is_open_to_all` for the first two."""
_MOST_OF_OWNERS = 1_048_576

_METHODS = [
    *("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"),
    *("TRACE", "PROPFIND", "CONNECT", "get", "FOO", "M-SEARCH", "PRI"),
]
_PLAIN_METHODS = 7
_HOSTS = [
    "localhost",
    "127.0.0.1:8080",
    "one.example.com",
    "ONE.example.com.",
    "[::1]",
    "headgate",
    "evil.example",
]
_ODD_HOSTS = [
    "",
    "a/b",
    "a b",
    "user@localhost",
    "localhost\r\nhost: evil.example",
    "127.0.0.1, evil",
    "\xff",
]
_KEY_HEADERS = [
    *("authorization", "x-api-key", "x-goog-api-key", "x-dashboard-key", "x-management-key"),
    *("proxy-authorization", "x-headgate-csrf", "api-key", "X-DASHBOARD-KEY", "x_dashboard_key"),
]
_SCHEMES = [
    "Bearer {}",
    "bearer {}",
    "BEARER  {}",
    "{}",
    "Token {}",
    "Digest {}",
    "Bearer{}",
    "Bearer Bearer {}",
]
_CLAIMS = [
    *("x-forwarded-for: 127.0.0.1", "x-forwarded-for: ::1, 10.0.0.1", "forwarded: for=127.0.0.1;proto=https"),
    *(
        "x-real-ip: 127.0.0.1",
        "x-forwarded-host: localhost",
        "x-forwarded-proto: https",
        "via: 1.1 localhost",
    ),
    *("x-original-url: /health", "x-rewrite-url: /health", "x-http-method-override: GET", "x-client-ip: ::1"),
    *("x-remote-user: admin", "x-headgate-account: one", "headgate.owner: true", "x-headgate-owner: 1"),
    *(
        "origin: https://evil.example",
        "origin: null",
        "origin: http://localhost",
        "referer: http://localhost/",
    ),
    *(
        "sec-fetch-site: same-origin",
        "sec-fetch-site: none",
        "sec-fetch-mode: navigate",
        "sec-fetch-dest: document",
    ),
    *(
        "accept: text/html",
        "accept: text/event-stream",
        "last-event-id: 0",
        "if-match: *",
        "range: bytes=0-9",
    ),
    *("anthropic-version: 2023-06-01", "content-language: \xe9\xff", "x-long: " + "a" * 6_000, "x-empty:"),
]
_UNDOING = [
    *("transfer-encoding: gzip, chunked", "content-length: 7", "content-length: -1", "expect: 100-continue"),
    *("connection: upgrade\r\nupgrade: websocket", "connection: upgrade\r\nupgrade: h2c", "te: trailers"),
    *("access-control-request-method: GET", "content-encoding: gzip", "x-huge: " + "b" * 70_000, ": no name"),
    *(
        "x-dashboard-key : a",
        " folded: line",
        "host: other",
        "cookie: " + "a=b; " * 3_000,
        "connection: close",
    ),
]
_FRAGMENTS = [
    *DELIMITERS,
    *(b" HTTP/1.0", b" HTTP/2.0", b"GET ", b"?key=x", b"/../", b"%00", b"%2e%2e%2f", b"\xed\xa0\x80", b"//"),
    *(b"content-length: 5\r\n", b"transfer-encoding: chunked\r\n", b"ffffffffffffffff\r\n", b"host: b\r\n"),
]
_NAMES = [
    "one",
    "odd",
    "one.example.com",
    "laptop",
    "0",
    "-1",
    "99999999999999999999",
    "x" * 300,
    "..%2f",
    "%00",
    "*",
]


class Request(NamedTuple):
    data: bytes
    allowed: frozenset[int]


@dataclass(frozen=True)
class Cast:
    """Who asks, and for what."""

    routes: Sequence[tuple[str, str]]
    credentials: Sequence[Callable[[Random], str]]
    """What it shows; none of it opens what it asks for."""
    refusals: frozenset[int] = CLOSED
    """Of a request to a route that is not open, where nothing else is wrong with it."""
    is_wild: bool = True
    """Targets, heads and bytes are damaged as well."""


def near(secret: str) -> Callable[[Random], str]:
    """Not the secret, but what somebody has who saw a list of digests, or half of it, or guesses."""
    digest = hashlib.sha256(secret.encode()).digest()

    def miss(random: Random) -> str:
        match random.randrange(10):
            case 0:
                return digest.hex()
            case 1:
                return f"sha256:{digest.hex()}"
            case 2:
                return base64.b64encode(digest).decode()
            case 3:
                return f"key-{digest.hex()[:8]}"
            case 4:
                return secret.swapcase()
            case 5:
                return secret[: random.randrange(1, len(secret))]
            case 6:
                return secret[::-1]
            case 7:
                return random.choice(
                    ["", "null", "undefined", "*", "%", "hg_", "\xe9" * 40, "' OR 1=1 --", "0" * 5_000]
                )
            case _:
                at = random.randrange(len(secret) - 12, len(secret))  # within what marks it as ours
                return secret[:at] + ("b" if secret[at] == "a" else "a") + secret[at + 1 :]

    return miss


def just(text: str) -> Callable[[Random], str]:
    """Shown as it is: of no use for what is asked."""
    return lambda random: text


def make_up(random: Random, cast: Cast) -> tuple[Wire, frozenset[int]]:
    """What one connection sends, and the answers that it may get."""
    requests = [_request(random, cast) for _ in range(random.choice([1, 1, 1, 2, 3]))]
    data = bytearray(b"".join(one.data for one in requests))
    allowed = frozenset[int]().union(*(one.allowed for one in requests))
    damages = random.choice([0, 0, 0, 0, 1, 2, 3]) if cast.is_wild else 0
    for _ in range(damages):
        _damage(data, random)
    if damages:
        allowed = ANSWERS
    cuts = sorted(random.randint(0, len(data)) for _ in range(random.choice([0, 0, 1, 3])))
    return Wire(cut_up(bytes(data), cuts), random.choice(["wait"] * 6 + ["eof", "reset"])), allowed


def _damage(data: bytearray, random: Random) -> None:
    at = random.randint(0, len(data))
    match random.choice(["insert", "insert", "flip", "cut", "repeat", "end"]):
        case "insert":
            data[at:at] = random.choice(_FRAGMENTS)
        case "flip":
            data[at : at + 1] = random.randbytes(1)
        case "cut":
            del data[at : at + random.randint(1, 60)]
        case "repeat":
            data[at:at] = data[at : at + random.randint(1, 60)]
        case "end":
            del data[at:]


def _request(random: Random, cast: Cast) -> Request:
    method, path = random.choice(cast.routes)
    is_open = path in OPEN_PATHS
    target = re.sub(r"\{[^}]+\}", lambda _: random.choice(_NAMES), path)
    is_plain = True
    if random.random() < 0.2:
        method = random.choice(_METHODS[: None if cast.is_wild else _PLAIN_METHODS])
        is_plain = method in _METHODS[:_PLAIN_METHODS]
    if cast.is_wild and random.random() < 0.25:
        target, is_plain = random.choice(_DETOURS)(target, random), False
    if random.random() < 0.3:
        name = random.choice(["key", "key", "api_key", "access_token", "is_owner", "state", "code", "limit"])
        target += f"?{name}={_in_address(random.choice(cast.credentials)(random))}"
    lines = [f"host: {random.choice(_HOSTS)}"]
    lines += [_credential(random, cast) for _ in range(random.choice([0, 1, 1, 1, 2, 3]))]
    lines += random.sample(_CLAIMS, random.choice([0, 0, 1, 2, 5]))
    if cast.is_wild and random.random() < 0.2:
        lines.append(random.choice(_UNDOING))
        is_plain = False
    if cast.is_wild and random.random() < 0.05:
        lines[0] = f"host: {random.choice(_ODD_HOSTS)}"
        is_plain = False
    body = (
        _body(random, cast)
        if method not in ("GET", "HEAD", "DELETE", "OPTIONS") or random.random() < 0.1
        else b""
    )
    if body:
        kind = random.choice(
            ["application/json"] * 5
            + ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b", ""]
        )
        lines.append(f"content-type: {kind}")
        if random.random() < 0.2:
            lines.append("transfer-encoding: chunked")
            body = chunked(body, random.randint(1, 5))
        else:
            lines.append(f"content-length: {len(body)}")
    random.shuffle(lines)
    head = f"{method} {target} HTTP/1.1\r\n" + "".join(f"{line}\r\n" for line in lines) + "\r\n"
    allowed = ANSWERS if is_open or not is_plain else cast.refusals
    if len(body) > _MOST_OF_OWNERS:
        allowed |= {413}
    return Request(head.encode("latin-1", "replace") + body, allowed)


def _in_address(text: str) -> str:
    return re.sub(r"[\s#\x80-\xff]", "+", text)


def _credential(random: Random, cast: Cast) -> str:
    shown = random.choice(cast.credentials)(random)
    match random.randrange(6):
        case 0:
            return f'cookie: a=b; {COOKIE}={shown}; {COOKIE}="{shown}"'
        case 1:
            coded = base64.b64encode(f"admin:{shown}".encode()).decode()
            return f"authorization: Basic {coded}"
        case _:
            return f"{random.choice(_KEY_HEADERS)}: {random.choice(_SCHEMES).format(shown)}"


def _body(random: Random, cast: Cast) -> bytes:
    shown = random.choice(cast.credentials)(random)
    match random.randrange(12):
        case 0 | 1:
            return json.dumps({"key": shown}).encode()
        case 2:
            return json.dumps(ask("hello", stream=random.random() < 0.5)).encode()
        case 3:
            return json.dumps({"name": "x", "api_key": shown, "is_owner": True, "admin.key": shown}).encode()
        case 4:
            return json.dumps({"key": shown}).encode()[: random.randint(1, 12)]
        case 5:
            return (
                b'{"key": ' + random.choice([b"9" * 5_000, b"1e999999", b"-0", b"NaN", b"null", b"[]"]) + b"}"
            )
        case 6:
            deep = random.choice([100, 3_000, 30_000])
            return random.choice([b"[", b'{"key":']) * deep
        case 7:
            return (
                b'{"key": "'
                + random.choice([b"\x00", b"\\u0000", b"\\ud800", b"\xed\xa0\x80", b"\xff"])
                + b'"}'
            )
        case 8:
            return b'{"key": "' + b"k" * random.choice([5_000, 9_000, 70_000]) + b'"}'
        case 9:
            return random.randbytes(random.randint(1, 400))
        case 10 if random.random() < 0.02:
            return b" " * (_MOST_OF_OWNERS + 1)
        case _:
            return b"key=" + shown.encode() + b"&is_owner=true"


def _without_letters_case(target: str, random: Random) -> str:
    return "".join(random.choice([one.upper(), one.lower()]) for one in target)


def _with_a_part(target: str, random: Random) -> str:
    parts = target.split("/")
    odd = [
        "",
        ".",
        "..",
        "%2e%2e",
        "%2E",
        "..;",
        "%2f",
        "%5c",
        "\\",
        "%00",
        "health",
        "api",
        "v1",
        "\xe9",
        "~",
        "*",
    ]
    parts.insert(random.randint(1, len(parts)), random.choice(odd))
    return "/".join(parts)


_DETOURS: list[Callable[[str, Random], str]] = [
    _without_letters_case,
    _with_a_part,
    _with_a_part,
    lambda target, random: target.replace("/", "//"),
    lambda target, random: (
        target + random.choice(["/", ".json", ";a=b", "%20", "?", "#/health", "%3f", "/health"])
    ),
    lambda target, random: (
        random.choice(["http://localhost", "http://127.0.0.1:9", "https://a", "//a"]) + target
    ),
    lambda target, random: (
        random.choice(sorted(OPEN_PATHS)) + random.choice(["/..", "/%2e%2e", "%2f..", ";", "?"]) + target
    ),
    lambda target, random: "".join(f"%{ord(one):02x}" if random.random() < 0.3 else one for one in target),
    lambda target, random: target[:-1] + random.choice("sx1_"),
    lambda target, random: random.choice(["*", "", "/", "\xff", "localhost:80", "/v1/../api/keys", "/.env"]),
    lambda target, random: "/" + random.choice(["api", "v1", "dashboard", "a" * 9_000]) + target,
]
