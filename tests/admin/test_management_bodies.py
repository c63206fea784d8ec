"""Forms with files, and names in several spellings."""

import time

import httpx
import pytest

from headgate.admin.management_bodies import files_of_form, names_of_body
from headgate.errors import InvalidRequest

FORM = "multipart/form-data; boundary=b"


def form(*files: tuple[str, bytes], field: str = "file") -> tuple[str, bytes]:
    """As a client sends it."""
    sent = [(field, file) for file in files]
    return FORM, httpx.Request("POST", "http://x", files=sent, headers={"content-type": FORM}).read()


def test_files_come_out_to_the_letter() -> None:
    """Whatever their field is called, with any line ends and any characters."""
    files = [("a.json", b'{"a": "\xc3\xa4"}\r\n\r\n'), ("\xe4.json", b"\n\n--\n"), ("c.json", b"")]
    for field in ("file", "files[]", "x"):
        assert files_of_form(*form(*files, field=field), most=3) == files
    assert files_of_form("application/json", b"{}", most=1) is None


@pytest.mark.parametrize(
    ("said", "name"),
    [
        (b'; name="a; filename=b.json"', None),
        (b'; name=x; filename="a;b.json"', "a;b.json"),
        (b"; filename=a.json", "a.json"),
        (rb'; filename="a\"b.json"', 'a"b.json'),
        (b"; filename=x; filename*=UTF-8''%C3%A4%20b.json", "x"),  # RFC 7578, section 4.2
        (b'; filename=""', ""),
    ],
)
def test_names_of_files(said: bytes, name: str | None) -> None:
    body = b"--b\r\nContent-Type: a/b\r\nContent-Disposition: form-data%b\r\n\r\n{}\r\n--b--" % said
    if name is None:
        with pytest.raises(InvalidRequest, match="has no file"):
            files_of_form(FORM, body, most=1)
    else:
        assert files_of_form(FORM, body, most=1) == [(name, b"{}")]


@pytest.mark.parametrize(
    "body",
    [
        b"--b\r\n\r\n" * 140_000 + b"--b--",
        b"--b\r\n" * 200_000,
        b"".join(
            b"--b\r\nContent-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n)
            for n in range(9999)
        ),
        b"--b\r\nContent-Disposition: form-data" + b"".join(b"; filename*%d=a" % n for n in range(60_000)),
        b"--b\r\nContent-Disposition: form-data; filename="
        + b"=?utf-8?q?a?= " * 60_000
        + b"\r\n\r\n\r\n--b--",
        b'--b\r\nContent-Disposition: form-data; filename="' + b'\\"' * 400_000 + b"\r\n\r\n\r\n--b--",
        b"--b\r\n" + b"a:b\r\n" * 200_000,
        b"\n" * 1_000_000,
        b"\r" * 1_000_000,
        b"\r\n--b " + b" " * 1_000_000,
    ],
)
def test_odd_forms_are_refused_at_once(body: bytes) -> None:
    """A megabyte of them takes no more than a good one: nobody else is served meanwhile."""
    before = time.thread_time()
    with pytest.raises(InvalidRequest):
        files_of_form(FORM, body, most=1000)
    assert time.thread_time() - before < 0.5


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b""),
        (FORM, b""),
        (FORM, b"{}"),
        (FORM, b"--b\r\n\r\nno name\r\n--b--\r\n"),
        (FORM, b'--c\r\nContent-Disposition: form-data; filename="a.json"\r\n\r\n{}\r\n--c--\r\n'),
        (FORM, b'--b\r\nContent-Disposition: form-data; filename="a.json"\r\n\r\n{}'),
        (FORM, b"--b--\r\n"),
        ("multipart/form-data; boundary=\xff\x00", b"--\xff"),
        form(("a.json", b"1"), ("a.json", b"2")),
        form(*((f"{n}.json", b"") for n in range(4))),
    ],
)
def test_what_is_no_form_is_refused(content_type: str, body: bytes) -> None:
    """Also one that was cut off, has no file, too many, or one name twice."""
    with pytest.raises(InvalidRequest):
        files_of_form(content_type, body, most=3)


def test_names_in_three_spellings() -> None:
    """And none at all."""
    for body, names in (
        (b"", []),
        (b" ", []),
        (b"{}", []),
        (b'{"name": "a"}', ["a"]),
        (b'{"names": ["a", "b"], "name": "c"}', ["c", "a", "b"]),
        (b'["a"]', ["a"]),
    ):
        assert names_of_body(body, most=3) == names
    for body in (
        b"{",
        b"7",
        b'"a"',
        b"null",
        b"[7]",
        b'{"names": "a"}',
        b'{"name": 7}',
        b'["a","a","a","a"]',
        b"[" * 9999,
    ):
        with pytest.raises(InvalidRequest):
            names_of_body(body, most=3)
