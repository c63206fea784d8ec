"""Accounts, a clock that stands still, and a pool that remembers what it told."""

from dataclasses import dataclass
from random import Random
from typing import Any

from headgate.pool.accounts import Account, Credential, Kind
from headgate.pool.living import LivingAccount
from headgate.pool.policy import Quota
from headgate.pool.pool import Pool
from headgate.pool.wanted import Switch
from headgate.providers.anthropic import AnthropicProvider

START = 1_800_000_000.0
MODEL = "claude-sonnet-4-5"


class StillClock:
    """Moves only when told to."""

    def __init__(self) -> None:
        self.at = START

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at


def account(id: int, name: str | None = None, **fields: Any) -> Account:
    credential = fields.pop("credential", Credential(f"sk-ant-{id}"))
    return Account(id, name or f"a{id}", "anthropic", Kind.API_KEY, credential, **fields)


@dataclass
class One:
    """An account as a strategy sees it."""

    id: int
    share: int = 1
    in_flight: int = 0
    request_count: int = 0
    session_count: int = 0
    head_start: float = 0.0
    quotas: tuple[Quota, ...] = ()


class Told:
    """What the pool's callbacks were told."""

    def __init__(self) -> None:
        self.health: list[str] = []
        self.soft: list[tuple[str, str]] = []
        self.switches: list[Switch] = []

    def on_health(self, living: LivingAccount) -> None:
        self.health.append(living.account.name)

    def on_soft_limit(self, living: LivingAccount, status: str) -> None:
        self.soft.append((living.account.name, status))


def pool_of(*accounts: Account, clock: StillClock, told: Told | None = None, **settings: Any) -> Pool:
    told = told or Told()
    pool = Pool(
        clock,
        {"anthropic": AnthropicProvider()},
        on_health=told.on_health,
        on_soft_limit=told.on_soft_limit,
        on_switch=told.switches.append,
        random=Random(1),
        **settings,
    )
    pool.replace(accounts)
    return pool


def named(pool: Pool, name: str) -> LivingAccount:
    living = pool.by_name(name)
    assert living is not None
    return living
