import json

import msgspec

from headgate.testing.conversations import coding_request, conversation, large_request, short_request
from headgate.testing.process import SimulatedProvider
from tests.testing.wire import fetch, post


def test_same_seed_gives_the_same_body() -> None:
    for make in (short_request, coding_request, large_request):
        assert make(1) == make(1)
        assert make(1) != make(2)


def test_large_request_has_the_size_of_a_long_session() -> None:
    assert 205_000 < len(msgspec.json.encode(large_request())) < 235_000


def test_next_turn_continues_the_same_conversation() -> None:
    """All but the mark on the last block stays."""
    first, second = conversation(seed=3, turns=2)
    assert second["metadata"] == first["metadata"] and second["system"] == first["system"]
    del first["messages"][-1]["content"][-1]["cache_control"]
    assert second["messages"][: len(first["messages"])] == first["messages"]


def test_session_is_where_clients_put_it() -> None:
    user = json.loads(coding_request(1, session="abc")["metadata"]["user_id"])
    assert user["session_id"] == "abc"


def test_provider_answers_all_of_them(provider: SimulatedProvider) -> None:
    for body in (short_request(5, stream=True), coding_request(5), large_request(5)):
        assert fetch(provider.url, post(msgspec.json.encode(body)))[0] == 200
