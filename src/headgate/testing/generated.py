"""Random requests in odd but legal JSON: for tests that hold bytes against bytes."""

import random
import string
from collections.abc import Callable, Iterator
from json.encoder import encode_basestring
from typing import Any

from headgate.testing.conversations import coding_request, short_request

Generated = tuple[str, dict[str, str], bytes]
_BLANKS = ("", "", "", " ", "\n", "\t", "\r\n  ", "   ")
_LETTERS = string.ascii_letters + string.digits + ' "\\/\b\f\n\r\t\x7f\u00e9\u2028\ufeff水😀\U0010fffd'


def requests(seed: int) -> Iterator[Generated]:
    """Without end: path with query, headers, body. Most are valid; a few the provider refuses with 400.

    The bodies use what JSON allows and encoders seldom write: blanks anywhere, escapes for plain letters,
    escaped surrogate pairs, numbers in every form, keys given twice, unknown fields, deep nesting.
    """
    dice = random.Random(seed)
    while True:
        path, body = dice.choice(_KINDS)(dice)
        yield path, _headers(dice), spell(dice, body).encode()


def spell(dice: random.Random, value: Any) -> str:
    """One of the many JSON texts of `value`; decoding it gives `value` back."""
    blank = dice.choice(_BLANKS)
    if isinstance(value, dict):
        members = [f"{_spell_text(dice, k)}{blank}:{blank}{spell(dice, v)}" for k, v in value.items()]
        if members and dice.random() < 0.1:
            members.insert(0, f"{_spell_text(dice, next(iter(value)))}:{dice.choice(('null', '0', '[]'))}")
        return f"{blank}{{{blank}" + f"{blank},{dice.choice(_BLANKS)}".join(members) + f"{blank}}}{blank}"
    if isinstance(value, list):
        return f"[{blank}" + f",{blank}".join(spell(dice, item) for item in value) + f"{blank}]"
    if isinstance(value, str):
        return _spell_text(dice, value)
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return repr(value) if isinstance(value, int) else _spell_float(dice, value)


def _spell_text(dice: random.Random, text: str) -> str:
    if dice.random() < 0.6 or not text:
        return encode_basestring(text)
    escaped = dice.choice(_ESCAPED)
    share = dice.choice((0.02, 0.3, 1.0))
    if share == 1.0:
        return f'"{text.translate(escaped)}"'
    # Within a window: long prompts would take most of the time, letter by letter.
    begin = dice.randrange(len(text))
    window = text[begin : begin + _WINDOW]
    pieces = [letter.translate(escaped if dice.random() < share else _MUST_BE_ESCAPED) for letter in window]
    before, after = (encode_basestring(part)[1:-1] for part in (text[:begin], text[begin + _WINDOW :]))
    return f'"{before}{"".join(pieces)}{after}"'


_WINDOW = 200
_MUST_BE_ESCAPED = {code: f"\\u{code:04x}" for code in range(32)} | {ord('"'): '\\"', ord("\\"): "\\\\"}


class _Escaped(dict[int, str]):
    """Every letter as `\\uXXXX`, in the hex digits of `form`; beyond the basic plane as a pair."""

    def __init__(self, form: str) -> None:
        super().__init__({ord("/"): "\\/"})
        self._form = form

    def __missing__(self, code: int) -> str:
        units = chr(code).encode("utf-16-be")
        self[code] = spelled = "".join(
            self._form.format(int.from_bytes(units[n : n + 2], "big")) for n in range(0, len(units), 2)
        )
        return spelled


_ESCAPED = (_Escaped("\\u{:04x}"), _Escaped("\\u{:04X}"))


def _spell_float(dice: random.Random, value: float) -> str:
    return dice.choice((repr(value), f"{value:.17e}", f"{value:.17E}".replace("E+", "E")))


def _headers(dice: random.Random) -> dict[str, str]:
    headers = {
        "anthropic-version": "2023-06-01",
        "content-type": dice.choice(("application/json", "application/json; charset=utf-8")),
        "user-agent": dice.choice(
            ("curl/8.5.0", "Anthropic/Python 2.11.0", "claude-cli/2.1.197 (external, cli)")
        ),
    }
    optional = {
        "anthropic-beta": "prompt-caching-2024-07-31,fine-grained-tool-streaming-2025-05-14",
        "x-stainless-retry-count": "0",
        "accept-encoding": dice.choice(("gzip, deflate, br, zstd", "identity", "gzip;q=0.5")),
        "x-custom-" + "".join(dice.choices(string.ascii_lowercase, k=6)): "".join(
            dice.choices(string.ascii_letters + string.digits + " !#$%&'()*+,-./:;<=>?@[]^_`{|}~", k=30)
        ).strip()
        or "x",
    }
    return headers | {name: value for name, value in optional.items() if dice.random() < 0.5}


def _random_text(dice: random.Random) -> str:
    return "".join(dice.choices(_LETTERS, k=dice.randrange(1, 200)))


def _random_value(dice: random.Random, depth: int = 0) -> Any:
    if depth > 4 or dice.random() < 0.4:
        floats = (0.1, -0.0, 1e-300, 1.7976931348623157e308, dice.random())
        return dice.choice((None, True, False, 0, -1, 2**53 + 1, dice.choice(floats), _random_text(dice)))
    if dice.random() < 0.5:
        return [_random_value(dice, depth + 1) for _ in range(dice.randrange(4))]
    return {_random_text(dice)[:12]: _random_value(dice, depth + 1) for _ in range(dice.randrange(4))}


def _small(dice: random.Random) -> tuple[str, dict[str, Any]]:
    body = short_request(dice.getrandbits(32), stream=dice.random() < 0.5)
    body["messages"][0]["content"] = _random_text(dice) + " x"
    body["metadata"] = {"user_id": _random_text(dice)}
    body["temperature"] = dice.random()
    body["x_unknown"] = _random_value(dice)
    return dice.choice(("/v1/messages", "/v1/messages?beta=true")), body


def _coding(dice: random.Random) -> tuple[str, dict[str, Any]]:
    turns = dice.randrange(1, 4)
    return "/v1/messages?beta=true", coding_request(
        dice.getrandbits(32), turns=turns, stream=dice.random() < 0.5
    )


def _count(dice: random.Random) -> tuple[str, dict[str, Any]]:
    body = coding_request(dice.getrandbits(32), turns=1)
    return "/v1/messages/count_tokens", {
        name: body[name] for name in ("model", "system", "tools", "messages")
    }


def _refused(dice: random.Random) -> tuple[str, dict[str, Any]]:
    body = short_request(dice.getrandbits(32))
    del body[dice.choice(("max_tokens", "messages"))]
    return "/v1/messages", body


_KINDS: tuple[Callable[[random.Random], tuple[str, dict[str, Any]]], ...] = (
    *[_small] * 10,
    *[_coding] * 3,
    _count,
    _refused,
)
