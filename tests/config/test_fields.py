import hashlib
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import ValidationError

from headgate.config.fields import BaseUrl, ClientKeyDigest, Listed, Secret, Section, setting
from headgate.config.settings import AdminSettings, ServerSettings


class Sample(Section):
    secret: Secret | None = setting(None, "A secret.", unit="secret")
    keys: tuple[ClientKeyDigest, ...] = setting((), "Keys.", unit="list")
    url: BaseUrl | None = setting(None, "An address.", unit="URL")


def test_a_secret_is_read_from_the_file_that_it_names(tmp_path: Path) -> None:
    """`file:/path` is the file's content without the line end that editors put there."""
    (tmp_path / "key").write_text("s3cret\n")
    sample = Sample.model_validate({"secret": f"file:{tmp_path / 'key'}"})
    assert sample.secret is not None
    assert sample.secret.get_secret_value() == "s3cret"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file"),
        (b"", "is empty"),
        (b"\xff\xfe", "not UTF-8"),
        (b"a\0b", "holds a NUL"),
        (b"x" * 65_537, "larger than 64 KiB"),
    ],
    ids=["missing", "empty", "binary", "NUL", "large"],
)
def test_a_secret_file_of_no_use_is_named(tmp_path: Path, content: bytes | None, words: str) -> None:
    """The complaint names the path, so that it can be mended."""
    path = tmp_path / "key"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValidationError, match=words) as caught:
        Sample.model_validate({"secret": f"file:{path}"})
    assert str(path) in str(caught.value)


def test_a_secret_shows_itself_nowhere() -> None:
    """Neither `repr` nor a validation error repeats it."""
    assert "s3cret" not in repr(Sample.model_validate({"secret": "s3cret"}))
    with pytest.raises(ValidationError) as caught:
        Sample.model_validate({"secret": "s3cret", "url": "https://me:pa55@example.com"})
    assert "s3cret" not in str(caught.value)
    assert "pa55" not in str(caught.value)


def test_a_client_key_is_kept_as_its_digest() -> None:
    """Plain and sha256: entries are the same key; spaces round it do not count (C2)."""
    digest = "sha256:" + hashlib.sha256(b"hg_one").hexdigest()
    sample = Sample.model_validate({"keys": [" hg_one ", digest.upper().replace("SHA256", "sha256")]})
    assert sample.keys == (digest, digest)


def test_a_digest_of_the_wrong_length_is_refused() -> None:
    """A cut-off digest would be a key that nobody can ever present."""
    with pytest.raises(ValidationError, match="64 hexadecimal digits"):
        Sample.model_validate({"keys": ["sha256:abcd"]})


def test_a_number_as_a_key_is_refused_with_the_mend() -> None:
    """YAML reads 0123 as a number: its text is lost, so it must be quoted."""
    with pytest.raises(ValidationError, match="put it in quotes"):
        Sample.model_validate({"keys": [123]})


@pytest.mark.parametrize(
    "url", ["ftp://example.com", "example.com", "https://", "http://h:99999", "http://h?x=1"]
)
def test_an_address_that_cannot_be_called_is_refused(url: str) -> None:
    """Better at start than with the first request."""
    with pytest.raises(ValidationError):
        Sample.model_validate({"url": url})


def test_an_address_loses_the_slash_at_its_end() -> None:
    """Paths of requests begin with one."""
    assert Sample.model_validate({"url": "http://127.0.0.1:9/base/"}).url == "http://127.0.0.1:9/base"


def test_lists_come_as_json_or_split_by_comma() -> None:
    """The environment has texts only."""

    class Many(Section):
        items: Annotated[tuple[str, ...], Listed] = setting((), "Items.", unit="list")

    for text in ("a, b,", '["a", "b"]'):
        assert Many.model_validate({"items": text}).items == ("a", "b")
    assert Many.model_validate({"items": None}).items == ()


@pytest.mark.parametrize("tail", ["a b", "\r\nX: y", "\ta", "\N{LATIN SMALL LETTER A WITH DIAERESIS}"])
def test_an_address_that_would_break_a_request_line_is_refused(tail: str) -> None:
    """A path goes into it as it stands."""
    with pytest.raises(ValidationError, match=r"white space|ASCII"):
        Sample.model_validate({"url": f"https://example.com/{tail}/x"})
    assert Sample.model_validate({"url": " https://example.com/a%20b\n"}).url == "https://example.com/a%20b"


@pytest.mark.parametrize(
    "costs", ["m=4194304,t=1,p=1", "m=8,t=4294967295,p=1", "m=8,t=1,p=99", f"m={'9' * 99},t=1,p=1"]
)
def test_a_hash_that_costs_too_much_is_refused(costs: str) -> None:
    """A wrong key would cost gigabytes, or hours that nothing ends."""
    with pytest.raises(ValidationError, match="costs too much for each visitor"):
        AdminSettings.model_validate({"key": f"$argon2id$v=19${costs}$c29tZXNhbHQ$aGFzaGhhc2g"})


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("https://app.example.com", "https://app.example.com"),
        (" HTTPS://App.Example.com/ ", "https://app.example.com"),
        ("https://app.example.com:443", "https://app.example.com"),
        ("http://localhost:80", "http://localhost"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("http://[::1]:3000", "http://[::1]:3000"),
        ("app://obsidian.md", "app://obsidian.md"),
        ("*", "*"),
    ],
)
def test_an_origin_is_kept_as_browsers_say_it(written: str, meant: str) -> None:
    assert ServerSettings.model_validate({"cors_origins": [written]}).cors_origins == (meant,)


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "app.example.com",
        "https://",
        "https://a/b",
        "https://*.example.com",
        "https://me@a",
        "a\r\nb: c",
        "https://a?b",
        "https://a:99999",
        "https://bücher.example",
    ],
)
def test_what_is_no_origin_is_refused(origin: str) -> None:
    """`null` is said for any page in a frame without rights; an entry that never matches is worth a word."""
    with pytest.raises(ValidationError):
        ServerSettings.model_validate({"cors_origins": [origin]})


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (" 10.0.0.5 ", "10.0.0.5"),
        ("10.0.0.5/8", "10.0.0.0/8"),
        ("FD00::5/64", "fd00::/64"),
        ("::1", "::1"),
    ],
)
def test_a_network_is_kept_in_its_plain_form(written: str, meant: str) -> None:
    assert ServerSettings.model_validate({"trusted_proxies": [written]}).trusted_proxies == (meant,)


@pytest.mark.parametrize(
    ("network", "words"), [("proxy.example", "10.0.0.0/8"), ("0.0.0.0/0", "everybody"), ("::/0", "everybody")]
)
def test_what_is_no_network_is_refused(network: str, words: str) -> None:
    """Names change hands; to trust everybody is to believe anybody."""
    with pytest.raises(ValidationError, match=words):
        ServerSettings.model_validate({"trusted_proxies": [network]})
