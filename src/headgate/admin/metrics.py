"""How the providers do: `GET /v1/metrics/providers`. Open to everybody, so it names no account, and nobody's
calls cost the database more than one look a second.
"""

import asyncio
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field

from headgate.access.callers import secrets_shown
from headgate.access.client_keys import ClientKey, digest_of
from headgate.admin.owner import AskedByOwner, ItsOwner, Owner
from headgate.errors import StorageError
from headgate.pricing.rates import NANO
from headgate.storage.provider_sums import ProviderSum, ProviderSums, Timing

FRESH_SECONDS = 1.0

router = APIRouter(tags=["status"])


class Cooldowns(BaseModel):
    """Accounts that rest now, as a whole, for a limit or a failure."""

    accounts: int
    first_return_at: int | None = Field(description="When the first one comes back; null: none by itself.")
    last_return_at: int | None = Field(description="When the last one does of those that do by themselves.")


class KeySums(BaseModel):
    name: str | None = Field(description="Of the client key; null: requests without one.")
    request_count: int
    total_tokens: int
    cost_usd: float


class ProviderMetrics(BaseModel):
    """Of requests for which an account was looked for: all time, and every gateway on the database."""

    request_count: int
    success_count: int
    failure_count: int = Field(description="With a status of 400 or more, or failed after their first byte.")
    success_rate: float = Field(description="From 0 to 1.")
    status_codes: dict[str, int] = Field(description="What clients saw; 499: they left before the end.")
    latency_p50_ms: int | None = Field(
        description="To the end of the answer, of those among the newest 1000 requests that went well."
    )
    latency_p95_ms: int | None
    first_byte_p50_ms: int | None = Field(description="The same to the first byte of the answer.")
    first_byte_p95_ms: int | None
    cooldowns: Cooldowns
    total_tokens: int = Field(
        default=0, description="This and what follows: of the client key that asks; for the owner, of all."
    )
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cost_usd: float = 0.0
    unpriced_requests: int = Field(
        default=0, description="Those that used something, and whose cost nobody knows: not in `cost_usd`."
    )
    keys: list[KeySums] = Field(default=[], description="Those with the highest cost first.")


@dataclass(frozen=True, slots=True)
class _Found:
    sums: Sequence[ProviderSum]
    timings: Sequence[Timing]


class LatestSums:
    """What the database said a moment ago. While it does not answer: what it said last."""

    def __init__(self, owner: Owner) -> None:
        self._store = ProviderSums(owner.database)
        self._clock = owner.clock
        self._found: _Found | None = None
        self._failure: StorageError | None = None
        self._fresh_until = -math.inf
        self._asking = asyncio.Lock()

    async def get(self) -> _Found:
        """Raises StorageError where it has never answered yet."""
        async with self._asking:  # who waits finds what the first one found
            if self._clock.monotonic() >= self._fresh_until:
                try:
                    self._found, self._failure = _Found(*await self._store.load()), None
                except StorageError as error:
                    self._failure = error
                self._fresh_until = self._clock.monotonic() + FRESH_SECONDS
        if self._found is not None:
            return self._found
        assert self._failure is not None
        raise StorageError(self._failure.message, hint=self._failure.hint)


def _latest_of(request: Request) -> LatestSums:
    latest: LatestSums = request.app.state.latest_sums
    return latest


@router.get("/v1/metrics/providers", operation_id="provider_metrics", response_model_exclude_unset=True)
async def provider_metrics(
    request: Request,
    owner: ItsOwner,
    asked_by_owner: AskedByOwner,
    latest: Annotated[LatestSums, Depends(_latest_of)],
) -> dict[str, ProviderMetrics]:
    """By provider; `{}` before the first request. Everybody sees counts, times and how many accounts rest,
    whatever key is shown; a client key also what it has used itself; the owner what all have."""
    found = await latest.get()
    key = None if asked_by_owner else _key_of(request, owner)
    by_provider: defaultdict[str, list[ProviderSum]] = defaultdict(list)
    for one in found.sums:
        by_provider[one.provider].append(one)
    metrics = {}
    for provider, sums in sorted(by_provider.items()):
        metrics[provider] = _totals(owner, provider, sums, found.timings)
        if asked_by_owner or key is not None:
            _add_use(metrics[provider], owner, _seen_by(key, sums))
    return metrics


def _key_of(request: Request, owner: Owner) -> ClientKey | None:
    """The client key that a request shows, if it is in force. A wrong one is as none: nothing is opened."""
    now = owner.clock.now()
    for secret in secrets_shown(request.scope["headers"], request.scope["query_string"]):
        key = owner.ring.find(digest_of(secret), now)
        if key is not None and key.status(now) == "active":
            return key
    return None


def _seen_by(key: ClientKey | None, sums: Sequence[ProviderSum]) -> Sequence[ProviderSum]:
    """A key without a row, of the settings alone, is told from none by nobody."""
    return sums if key is None else [one for one in sums if key.id and one.key_id == key.id]


def _totals(
    owner: Owner, provider: str, sums: Iterable[ProviderSum], timings: Iterable[Timing]
) -> ProviderMetrics:
    requests = failures = 0
    statuses: defaultdict[str, int] = defaultdict(int)
    for one in sums:
        requests += one.requests
        failures += one.failures
        statuses[str(one.status)] += one.requests
    timed = [one for one in timings if one.provider == provider]
    durations = sorted(one.duration_ms for one in timed)
    first_bytes = sorted(one.first_byte_ms for one in timed if one.first_byte_ms is not None)
    return ProviderMetrics(
        request_count=requests,
        success_count=requests - failures,
        failure_count=failures,
        success_rate=round((requests - failures) / requests, 4),
        status_codes=dict(sorted(statuses.items())),
        latency_p50_ms=_percentile(durations, 50),
        latency_p95_ms=_percentile(durations, 95),
        first_byte_p50_ms=_percentile(first_bytes, 50),
        first_byte_p95_ms=_percentile(first_bytes, 95),
        cooldowns=_cooldowns(owner, provider),
    )


def _percentile(values: Sequence[float], percent: int) -> int | None:
    """Of sorted ones, by nearest rank; None: there is none."""
    return round(values[math.ceil(len(values) * percent / 100) - 1]) if values else None


def _cooldowns(owner: Owner, provider: str) -> Cooldowns:
    now = owner.clock.now()
    untils = [
        rest.until
        for living in owner.pool.living.values()
        if living.account.provider == provider
        and (rest := living.health.open_rest(None, now)) is not None
        and rest.is_open(now)
    ]
    ends = [round(until * 1000) for until in untils if not math.isinf(until)]
    return Cooldowns(
        accounts=len(untils),
        first_return_at=min(ends, default=None),
        last_return_at=max(ends, default=None),
    )


def _add_use(metrics: ProviderMetrics, owner: Owner, sums: Sequence[ProviderSum]) -> None:
    """`sums`: of the keys that are to be seen."""
    metrics.input_tokens = sum(one.input_tokens for one in sums)
    metrics.output_tokens = sum(one.output_tokens for one in sums)
    metrics.cache_read_tokens = sum(one.cache_read_tokens for one in sums)
    metrics.cache_write_tokens = sum(one.cache_write_tokens for one in sums)
    metrics.total_tokens = sum(map(_tokens, sums))
    metrics.cost_usd = _usd(sums)
    metrics.unpriced_requests = sum(one.unpriced for one in sums)
    by_key: defaultdict[int, list[ProviderSum]] = defaultdict(list)
    for one in sums:
        by_key[one.key_id].append(one)
    uses = [
        KeySums(
            name=key.name if (key := owner.ring.stored(key_id)) is not None else None,
            request_count=sum(one.requests for one in its),
            total_tokens=sum(map(_tokens, its)),
            cost_usd=_usd(its),
        )
        for key_id, its in by_key.items()
    ]
    metrics.keys = sorted(uses, key=lambda use: (-use.cost_usd, use.name or ""))


def _tokens(one: ProviderSum) -> int:
    return one.input_tokens + one.output_tokens + one.cache_read_tokens + one.cache_write_tokens


def _usd(sums: Iterable[ProviderSum]) -> float:
    return sum(one.nano_usd for one in sums) / NANO
