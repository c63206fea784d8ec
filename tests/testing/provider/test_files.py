"""Files: binary content, and to whom they belong."""

import anthropic
import pytest

from headgate.testing.process import SimulatedProvider
from tests.testing.wire import fetch, post


def test_file_comes_back_byte_for_byte(client: anthropic.Anthropic) -> None:
    """Binary content that holds line ends and what looks like a boundary."""
    content = bytes(range(256)) * 300 + b"\r\n--boundary--\r\n\r\n"
    uploaded = client.beta.files.upload(file=("naïve name.bin", content, "application/x-thing"))
    assert (uploaded.size_bytes, uploaded.mime_type) == (len(content), "application/x-thing")
    assert client.beta.files.download(uploaded.id).read() == content
    assert client.beta.files.retrieve_metadata(uploaded.id).id == uploaded.id


def test_file_belongs_to_its_account(client: anthropic.Anthropic, other: anthropic.Anthropic) -> None:
    uploaded = client.beta.files.upload(file=("a.txt", b"text", "text/plain"))
    for call in (other.beta.files.retrieve_metadata, other.beta.files.download, other.beta.files.delete):
        with pytest.raises(anthropic.NotFoundError):
            call(uploaded.id)
    assert client.beta.files.delete(uploaded.id).type == "file_deleted"
    with pytest.raises(anthropic.NotFoundError):
        client.beta.files.retrieve_metadata(uploaded.id)


def test_upload_without_a_file_is_refused(provider: SimulatedProvider) -> None:
    kind = b"content-type: multipart/form-data; boundary=x\r\n"
    assert fetch(provider.url, post(b"--x--", "/v1/files", extra=kind))[0] == 400
