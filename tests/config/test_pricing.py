"""The owner's own prices, as they are written."""

from typing import Any

import pytest
from pydantic import ValidationError

from headgate.config.settings import Settings


def test_prices_by_model_and_by_account() -> None:
    prices = {"gpt-5.5": {"input": 1, "output": 2.5, "batch": 0.5}, "local-*": {"input": 0, "output": 0}}
    account = {"name": "work", "api_key": "k", "prices": {"*": {"input": 3, "output": 4}}}
    settings = Settings.model_validate({"pricing": {"models": prices}, "accounts": [account]})
    assert settings.pricing.models == prices
    assert settings.accounts[0].prices == {"*": {"input": 3, "output": 4}}
    from_text = Settings.model_validate({"pricing": {"models": '{"a": {"input": 1, "output": 2}}'}})
    assert from_text.pricing.models == {"a": {"input": 1, "output": 2}}


@pytest.mark.parametrize(
    ("models", "words"),
    [
        ({"a": {"input": 1}}, "lacks output for the model a"),
        ({"a": {"input": 1, "output": 1, "cash": 1}}, "has 'cash' for the model a; there are input, output"),
        ({"a": {"input": -1, "output": 1}}, "numbers from 0 to"),
        ({"a": {"input": True, "output": 1}}, "numbers from 0 to"),
        ({"a": {"input": "1", "output": 1}}, "numbers from 0 to"),
        ({"a": {"input": 10**400, "output": 1}}, "numbers from 0 to"),
        ({"a*b": {"input": 1, "output": 1}}, "the beginning of one and"),
        ({"": {"input": 1, "output": 1}}, "a name is wanted"),
        ({"a": 3}, "valid dictionary"),
    ],
)
def test_a_price_that_is_none_is_refused_with_its_model(models: Any, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Settings.model_validate({"pricing": {"models": models}})
