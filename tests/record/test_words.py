"""The words of a body."""

import json

from headgate.record.words import MOST_WORDS, words_in, words_of


def test_words_are_compared_without_case_and_marks() -> None:
    assert set(words_in("The Größe, of a_b (x) 42!")) == {"the", "grösse", "of", "42"}


def test_json_gives_its_strings_without_escapes() -> None:
    body = json.dumps({"messages": [{"role": "user", "content": 'line\nnext "quoted" Ä'}]}).encode()
    found, has_more = words_of(body, "application/json", from_end=True)
    assert {"line", "next", "quoted", "user", "messages"} <= found
    assert not has_more


def test_json_that_was_cut_gives_words_too() -> None:
    found, _ = words_of(b'{"text":"one\\ntwo \\u00e4 three fo', "application/json", from_end=True)
    assert {"one", "two", "three", "fo"} <= found


def test_a_word_that_comes_in_pieces_of_a_stream_is_one() -> None:
    event = 'event: content_block_delta\ndata: {"delta":{"text":"%s"}}\n\n'
    body = "".join(event % piece for piece in ("mig", "ration of ", "data")).encode()
    found, _ = words_of(body, "text/event-stream; charset=utf-8", from_end=False)
    assert {"migration", "of", "data"} <= found
    assert "mig" not in found


def test_a_picture_has_no_words() -> None:
    body = json.dumps({"data": "abc+def/" * 200, "text": "seen"}).encode()
    assert words_of(body, "application/json", from_end=True)[0] == {"data", "text", "seen"}


def test_there_are_no_more_than_the_index_takes() -> None:
    """Of a request the last ones, which are new; of an answer the first ones."""
    texts = [" ".join(f"w{number}x{text}" for number in range(1_500)) for text in range(4)]
    body = json.dumps(texts).encode()
    last, has_more = words_of(body, "application/json", from_end=True)
    first, _ = words_of(body, "application/json", from_end=False)
    assert has_more and len(last) == len(first) == MOST_WORDS
    assert "w7x3" in last and "w7x0" not in last
    assert "w7x0" in first and "w7x3" not in first
