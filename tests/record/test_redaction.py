"""Secrets in what was said."""

import os
import time

import pytest

from headgate.record.redaction import redact

_MIB = 1 << 20
_BLACK = b"[redacted]"

SECRETS = {
    "Anthropic": b"sk-ant-api03-AbC_def-123456789",
    "Anthropic, signed in": b"sk-ant-oat01-abcdefghijkl",
    "OpenAI": b"sk-proj-AbCd1234efGH5678ijkl",
    "OpenAI, old": b"sk-abcdefghijklmnop1234",
    "Google": b"AIzaSyA1234567890abcdefghijklmnopqrstuv",
    "Google, signed in": b"ya29.a0AfH6SMBx_abcdefghijklmnop",
    "Headgate": b"hg_0123456789abcdefghij",
    "GitHub": b"ghp_abcdefghijklmnopqrstuvwxyz0123456789",
    "GitHub, fine-grained": b"github_pat_11ABCDEFG0abcdefghijkl_mnop",
    "GitLab": b"glpat-abcdefghij0123456789",
    "AWS": b"AKIAIOSFODNN7EXAMPLE",
    "Slack": b"xoxb-123456789012-abcdefghij",
    "Stripe": b"sk_live_abcdefghijklmnop1234",
    "npm": b"npm_abcdefghijklmnopqrstuvwxyz0123456789",
    "Hugging Face": b"hf_abcdefghijklmnopqrstuvwxyz",
    "SendGrid": b"SG.abcdefghijklmnopqrst.abcdefghijklmnopqrst",
    "JSON Web Token": b"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
    "age": b"AGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQ",
}


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS.keys())
@pytest.mark.parametrize(
    "around",
    [
        b"%b",
        b"the key is %b, is it?",
        b'{"text":"%b"}',
        b'"x=\\"%b\\"\\n"',
        b"\n%b\n",
        b'{"text":"a line\\n%b\\nand one"}',
        b'{"text":"{\\"in\\": \\"a tab\\\\t%b\\"}"}',
        b'{"text":"\\u000a%b"}',
    ],
)
def test_what_a_providers_secret_looks_like(secret: bytes, around: bytes) -> None:
    """Wherever it stands; what is around it stays."""
    assert redact(around % secret).body == around % _BLACK


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (b'{"api_key": "abc", "b": 1}', b'{"api_key": "[redacted]", "b": 1}'),
        (
            b'{"t":"{\\"api_key\\": \\"abc\\", \\"b\\": 1}"}',
            b'{"t":"{\\"api_key\\": \\"[redacted]\\", \\"b\\": 1}"}',
        ),
        (b'{"client_secret":"pa\\"ss","b":1}', b'{"client_secret":"[redacted]","b":1}'),
        (b'{"password": 123456}', b'{"password": 0}'),
        (b"DB_PASSWORD=hunter2 next", b"DB_PASSWORD=[redacted] next"),
        (b"password: 'correct horse battery'", b"password: '[redacted]'"),
        (b"aws_secret_access_key = wJalrXUtnFEMI/K7MDENG", b"aws_secret_access_key = [redacted]"),
        (b"Authorization: Bearer abcdefgh.ijklmnop", b"Authorization: Bearer [redacted]"),
        (b"authorization: basic dXNlcjpwYXNzd29yZA==", b"authorization: basic [redacted]"),
        (b"postgres://user:pw12345@host/db", b"postgres://user:[redacted]@host/db"),
        (b"x-api-key: 'abc'", b"x-api-key: '[redacted]'"),
        (b"export API_KEY=abcd1234\\n", b"export API_KEY=[redacted]\\n"),
    ],
)
def test_a_value_under_a_telling_name(said: bytes, kept: bytes) -> None:
    assert redact(said).body == kept


@pytest.mark.parametrize(
    "said",
    [
        b'{"max_tokens": 1024, "usage": {"input_tokens": 12, "output_tokens": 345}}',
        b'{"password": {"type": "string", "description": "of the user"}}',
        b'{"secret": null, "api_key": true}',
        b"password: string; secret: must be kept",
        b"class sk-fading-circle-and-more",
        b"https://example.com/a:b@c",
        b"the bearer of the news, a basic idea",
        b"nothing at all",
        b"",
    ],
)
def test_what_is_no_secret_stays(said: bytes) -> None:
    assert redact(said) == (said, 0)


@pytest.mark.parametrize("end", [b"\n", b"\\n"])
def test_private_keys(end: bytes) -> None:
    """From the first line to the last; of one that was cut all that is there."""
    lines = [
        b"-----BEGIN RSA PRIVATE KEY-----",
        b"MIIEowIBAAKCAQEA",
        b"qwertz+/=",
        b"-----END RSA PRIVATE KEY-----",
    ]
    whole = end.join(lines)
    assert redact(b"before " + whole + b" after").body == b"before [redacted] after"
    assert redact(b"before " + end.join(lines[:3])).body == b"before [redacted]"
    public = whole.replace(b"RSA PRIVATE", b"PUBLIC")
    assert redact(public).body == public


def test_a_secret_in_the_pieces_of_a_stream() -> None:
    """A model says a key in three events: none of them has it, and all of it goes."""
    pieces = [b"it is sk-ant", b"-api03-abcd", b"efghijkl, is it?"]
    event = b'event: content_block_delta\ndata: {"delta":{"type":"text_delta","text":"%b"}}\n\n'
    said = b"".join(event % piece for piece in pieces)
    found = redact(said, is_stream=True)
    assert found.secrets
    assert b"sk-ant" not in found.body and b"abcd" not in found.body and b"efgh" not in found.body
    assert b"it is [redacted]" in found.body and b", is it?" in found.body
    assert redact(said) == (said, 0)


ADVERSARIAL = {
    "begins of tokens": b"eyJ" * (_MIB // 3),
    "begins with dashes": b"sk-" * (_MIB // 3),
    "short tokens": b"eyJaaaaaaaa." * (_MIB // 12),
    "keys that do not end": b"-----BEGIN PRIVATE KEY-----" * (_MIB // 27),
    "keys with something between": b"-----BEGIN PRIVATE KEY-----!" * (_MIB // 28),
    "names": b"password" * (_MIB // 8),
    "names with a sign": b'password":"' * (_MIB // 11),
    "backslashes": b"password" + b"\\" * _MIB,
    "names and backslashes": b"secret:\\\\\\\\\\\\\\" * (_MIB // 14),
    "addresses": b"://aaaa:" * (_MIB // 8),
    "three parts": b"SG." * (_MIB // 3),
    "noise": os.urandom(_MIB),
    "one letter": b"a" * _MIB,
}


@pytest.mark.parametrize("said", ADVERSARIAL.values(), ids=ADVERSARIAL.keys())
def test_nothing_takes_long(said: bytes) -> None:
    """1 MB of whatever a stranger thinks of: quadratic work would take minutes."""
    began = time.process_time()
    redact(said, is_stream=True)
    assert time.process_time() - began < 3.0


@pytest.mark.parametrize("name", [b"completion", b"refusal"])
def test_a_secret_in_the_pieces_of_rarer_streams(name: bytes) -> None:
    """The legacy completions, and what a model says when it refuses."""
    body = b"".join(b'data: {"%b":"%c"}\n\n' % (name, letter) for letter in SECRETS["Anthropic"])
    found = redact(body, is_stream=True)
    assert found.secrets == len(SECRETS["Anthropic"])
    assert b'"A"' not in found.body
