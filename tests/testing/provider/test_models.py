"""The models that an account has."""

import anthropic
import pytest

from headgate.testing.process import SimulatedProvider
from tests.testing.wire import KEY


def test_models_are_listed_and_shown(provider: SimulatedProvider, client: anthropic.Anthropic) -> None:
    models = [model.id for model in client.models.list(limit=3)]
    assert len(models) == len(set(models)) > 10
    assert client.models.retrieve(models[0]).display_name
    with pytest.raises(anthropic.NotFoundError, match="model: claude-99"):
        client.models.retrieve("claude-99")
    with pytest.raises(anthropic.BadRequestError, match="limit"):
        client.models.list(limit=0)


def test_account_sees_its_own_models(provider: SimulatedProvider, client: anthropic.Anthropic) -> None:
    provider.script(KEY, models=["claude-opus-5", "claude-new"])
    assert [model.id for model in client.models.list()] == ["claude-opus-5", "claude-new"]
