"""Ids of what lives in one account, found in paths, bodies and answers."""

import pytest

from headgate.relay.pins import ids_in


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b"/v1/files/file_011CNha8iCJcU1wXNR6q4V8w/content", ["file_011CNha8iCJcU1wXNR6q4V8w"]),
        (b"/v1/messages/batches/msgbatch_01HkcTjaV5uDC8jWR4ZsDV8d", ["msgbatch_01HkcTjaV5uDC8jWR4ZsDV8d"]),
        (
            b'{"container":{"id":"container_011CPR5CNjB747bT"}}',
            ["container_011CPR5CNjB747bT"],
        ),
        (b'["file_0123456789","file_abcdefgh"]', ["file_0123456789", "file_abcdefgh"]),
        (b"/v1/files", []),
        (b'{"file_id": "file_short"}', []),
        (b"my_file_0123456789", []),
        (b"file_" + b"a" * 65, []),
        (b"the file_name_of_something_else", []),
    ],
)
def test_ids_are_found_whole_or_not_at_all(text: bytes, found: list[str]) -> None:
    """Words that only look alike are none."""
    assert list(ids_in(text)) == found
