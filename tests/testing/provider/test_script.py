import pytest

from headgate.testing.process import SimulatedProvider
from tests.testing.wire import KEY, OTHER_KEY, ask, fetch, post

_FAULT = {"fault": "status", "status": 503}


def _statuses(provider: SimulatedProvider, count: int, key: str = KEY) -> list[int]:
    return [fetch(provider.url, post(ask(), key=key))[0] for _ in range(count)]


def test_rule_starts_after_and_ends_after_times(provider: SimulatedProvider) -> None:
    provider.script(KEY, rules=[_FAULT | {"after": 1, "times": 2}])
    assert _statuses(provider, 5) == [200, 503, 503, 200, 200]


def test_rule_is_its_accounts_own(provider: SimulatedProvider) -> None:
    provider.script(KEY, rules=[_FAULT])
    assert _statuses(provider, 1) + _statuses(provider, 1, OTHER_KEY) == [503, 200]


def test_shared_rule_counts_all_accounts_together(provider: SimulatedProvider) -> None:
    provider.script("*", rules=[_FAULT | {"times": 2}])
    assert _statuses(provider, 1) + _statuses(provider, 2, OTHER_KEY) == [503, 503, 200]


def test_rule_is_bound_to_path_and_model(provider: SimulatedProvider) -> None:
    provider.script(KEY, rules=[_FAULT | {"path": "/v1/messages/count_tokens"}])
    assert _statuses(provider, 1) == [200]
    provider.script(KEY, rules=[_FAULT | {"model": "claude-opus-5"}])
    assert _statuses(provider, 1) == [200]
    assert fetch(provider.url, post(ask() | {"model": "claude-opus-5"}))[0] == 503


def test_first_rule_that_applies_wins(provider: SimulatedProvider) -> None:
    provider.script(KEY, rules=[_FAULT | {"times": 1}, {"fault": "status", "status": 500, "times": 2}])
    assert _statuses(provider, 3) == [503, 500, 200]


def test_new_script_replaces_the_rules_and_keeps_the_rest(provider: SimulatedProvider) -> None:
    provider.script(KEY, rules=[_FAULT], reply={"words": 0})
    provider.script(KEY, rules=[])
    assert _statuses(provider, 1) == [200]
    assert list(provider.books()["requests"].values())[-1]["usage"]["output_tokens"] < 10


def test_later_account_takes_over_what_is_scripted_for_all(provider: SimulatedProvider) -> None:
    provider.script("*", models=["claude-opus-5"])
    assert _statuses(provider, 1, "sk-ant-sim-later") == [404]


@pytest.mark.parametrize(
    "parts", [{"rules": [{"fault": "typo"}]}, {"colour": "red"}, {"rules": [{"falt": 1}]}]
)
def test_wrong_script_is_refused(provider: SimulatedProvider, parts: dict[str, object]) -> None:
    """A misspelt fault must not make a test pass in silence."""
    with pytest.raises(ValueError, match="refused script"):
        provider.script(KEY, **parts)
