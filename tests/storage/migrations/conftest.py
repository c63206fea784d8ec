"""Migrations begin with nothing."""

import pytest


@pytest.fixture
def postgres_url(empty_postgres_url: str) -> str:
    return empty_postgres_url
