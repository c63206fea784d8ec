"""What is asked of a long history."""

from urllib.parse import urlsplit

from bench.analytics.questions import ON_ROLLUPS_MS, OTHERS_MS, questions


def test_every_question_has_its_limit() -> None:
    asked = questions(1_790_000_000_000)
    assert {one.limit_ms for one in asked} == {ON_ROLLUPS_MS, OTHERS_MS}
    assert len({one.path for one in asked}) == len(asked)
    assert {urlsplit(one.path).path for one in asked} == {
        *("/api/analytics", "/api/usage", "/api/requests", "/api/stats"),
    }
