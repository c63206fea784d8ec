"""`/v1/files`: multipart upload, metadata, binary download, deletion.

Source: https://platform.claude.com/docs/en/build-with-claude/files. Uploaded files may be downloaded
here, which the provider allows only for files that its tools made: else there were nothing to download.
"""

import re
from dataclasses import dataclass
from typing import Any

from headgate.testing.provider.answer import Answer, ProviderError
from headgate.testing.provider.framing import Request

_BOUNDARY = re.compile(r'boundary="?([^";]+)"?', re.IGNORECASE)
_NAME = re.compile(rb'[; ]name="([^"]*)"')
_FILENAME = re.compile(rb'filename="([^"]*)"')
_TYPE = re.compile(rb"^content-type:\s*(\S+)", re.IGNORECASE | re.MULTILINE)


@dataclass(slots=True)
class StoredFile:
    key: str
    metadata: dict[str, Any]
    content: bytes

    def download(self) -> Answer:
        kind = str(self.metadata["mime_type"]).encode()
        name = str(self.metadata["filename"]).encode("ascii", "replace")
        return Answer(
            200, [self.content], kind, [(b"content-disposition", b'attachment; filename="%b"' % name)]
        )


def read_upload(request: Request, file_id: str, created_at: str) -> StoredFile:
    """The part named `file` of a multipart body (RFC 7578)."""
    boundary = _BOUNDARY.search(request.header(b"content-type"))
    if boundary is None:
        raise ProviderError(400, "file: Field required")
    for part in request.body.split(b"--" + boundary[1].encode()):
        head, separator, content = part.partition(b"\r\n\r\n")
        name = _NAME.search(head.replace(b"\r\n", b" "))
        if separator and name is not None and name[1] == b"file":
            return _stored(request.key, head, content[:-2], file_id, created_at)
    raise ProviderError(400, "file: Field required")


def _stored(key: str, head: bytes, content: bytes, file_id: str, created_at: str) -> StoredFile:
    filename, kind = _FILENAME.search(head), _TYPE.search(head)
    metadata = {
        "type": "file",
        "id": file_id,
        "filename": filename[1].decode("utf-8", "replace") if filename else "file",
        "mime_type": kind[1].decode("latin-1") if kind else "application/octet-stream",
        "size_bytes": len(content),
        "created_at": created_at,
        "downloadable": True,
        "expires_at": None,
    }
    return StoredFile(key, metadata, content)
