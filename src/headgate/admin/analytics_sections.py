"""The sections of the analytics, each from the rows that were read once for all of them."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from headgate.admin import analytics_sums as sums
from headgate.admin.analytics_forms import (
    AccountPerformance,
    Cache,
    ErrorSums,
    GroupBy,
    GroupSums,
    Meta,
    ModelCache,
    ModelCost,
    ModelPerformance,
    Overview,
    Point,
    Tokens,
    Totals,
)
from headgate.admin.analytics_sums import Row, add_up, add_up_speed, add_up_times, grouped
from headgate.admin.owner import Owner
from headgate.pricing.rates import NANO, Price
from headgate.storage.rollup_queries import Dimension
from headgate.storage.rollup_tables import KINDS

MOST_LISTED = 50
"""Models, accounts and errors in a list: what is below says nothing any more."""
MOST_LINES = 8
"""Groups of the time series; the others are one."""
OTHERS = "(other)"

COLUMNS: dict[GroupBy, Dimension] = {
    "key": "caller",
    "model": "model",
    "provider": "provider",
    "client": "client",
    "project": "project",
}


@dataclass(frozen=True, slots=True)
class Found:
    """Of one time: `counted` and `timed` by all that the sections ask for, but the bucket and the group."""

    owner: Owner
    meta: Meta
    counted: Sequence[Row]
    timed: Sequence[Row]
    group_sums: Sequence[Row]
    """By what is grouped by; so are `group_times`."""
    group_times: Sequence[Row]
    failures: Sequence[Row]
    """By status and error."""
    keys: int
    series: Sequence[Row]
    """By `bucket`, and by what the series is grouped by."""
    series_times: Sequence[Row]

    def overview(self) -> Overview:
        all_, now = add_up(self.counted), self.meta.computed_at
        minutes = max(min(now, self.meta.to_at) - self.meta.from_at, 60_000) / 60_000
        return Overview(
            **sums.counts(all_),
            **sums.times(add_up_times(self.timed)),
            active_accounts=len({self.account(row) for row in self.counted} - {None}),
            active_keys=self.keys,
            models=len({row["model"] for row in self.counted} - {""}),
            requests_per_minute=round(all_["requests"] / minutes, 3),
            saved_usd=self._saved(self.counted),
        )

    def totals(self) -> Totals:
        all_ = add_up(self.counted)
        by_status: defaultdict[int, int] = defaultdict(int)
        for row in self.failures:
            by_status[row["status"]] += row["requests"]
        by_kind = {kind: all_[kind] for kind in KINDS}
        by_kind["other"] = all_["requests"] - sum(by_kind.values())
        client_errors = sum(count for status, count in by_status.items() if 400 <= status < 500)
        server_errors = sum(count for status, count in by_status.items() if status >= 500)
        return Totals(
            **sums.counts(all_),
            status_2xx=all_["requests"] - client_errors - server_errors,
            status_4xx=client_errors,
            status_5xx=server_errors,
            success=all_["requests"] - all_["errors"],
            status_429=by_status[429],
            status_499=by_status[499],
            by_kind=by_kind,
        )

    def token_breakdown(self) -> Tokens:
        return Tokens(**sums.tokens(add_up(self.counted)))

    def cost_by_model(self) -> list[ModelCost]:
        found = [
            ModelCost(
                model=model or None,
                cost_usd=sums.cost(its),
                requests=its["requests"],
                total_tokens=sums.tokens(its)["total_tokens"],
                unpriced_requests=its["unpriced"],
            )
            for model, its in self._by("model")
        ]
        return sorted(found, key=lambda one: (-(one.cost_usd or 0), -one.requests))[:MOST_LISTED]

    def model_performance(self) -> list[ModelPerformance]:
        timed = grouped(self.timed, lambda row: row["model"])
        return [
            ModelPerformance(
                model=model or None,
                requests=its["requests"],
                errors=its["errors"],
                error_rate=sums.ratio(its["errors"], its["requests"]),
                duration_avg_ms=sums.mean_ms(its["duration_us"], its["requests"]),
                **sums.times(add_up_times(timed.get(model, ()))),
            )
            for model, its in self._by("model")[:MOST_LISTED]
        ]

    def account_performance(self) -> list[AccountPerformance]:
        timed = grouped(self.timed, self.account)
        by_account = grouped(self.counted, self.account)
        found = [
            AccountPerformance(
                account=name,
                **sums.counts(add_up(rows)),
                **sums.times(add_up_times(timed.get(name, ()))),
            )
            for name, rows in by_account.items()
        ]
        return sorted(found, key=lambda one: (-one.requests, one.account or ""))[:MOST_LISTED]

    def cache(self) -> Cache:
        all_ = add_up(self.counted)
        by_model = [
            ModelCache(
                model=model or None,
                cache_hit_rate=sums.hit_rate(its),
                cache_read_tokens=its["cache_read_tokens"],
                cache_write_tokens=its["cache_write_tokens"],
                saved_usd=None
                if (saved := sums.saved_nano(self._price(model), its)) is None
                else saved / NANO,
            )
            for model, its in self._by("model")
            if its["cache_read_tokens"] or its["cache_write_tokens"]
        ]
        return Cache(
            cache_hit_rate=sums.hit_rate(all_),
            input_tokens=all_["input_tokens"],
            cache_read_tokens=all_["cache_read_tokens"],
            cache_write_tokens=all_["cache_write_tokens"],
            saved_usd=self._saved(self.counted),
            by_model=by_model[:MOST_LISTED],
        )

    def errors(self) -> list[ErrorSums]:
        whole = sum(row["requests"] for row in self.failures)
        found = [
            ErrorSums(
                status=row["status"],
                error=row["error"] or None,
                requests=row["requests"],
                share=round(row["requests"] / whole, 4),
            )
            for row in self.failures
        ]
        return sorted(found, key=lambda one: (-one.requests, one.status, one.error or ""))[:MOST_LISTED]

    def groups(self) -> list[GroupSums]:
        timed = grouped(self.group_times, self._group)
        found = [
            GroupSums(
                name=name,
                **sums.counts(add_up(rows)),
                **sums.times(add_up_times(timed.get(name, ()))),
            )
            for name, rows in grouped(self.group_sums, self._group).items()
        ]
        return sorted(found, key=lambda one: (-one.requests, one.name or ""))[:MOST_LISTED]

    # ---- by time ---------------------------------------------------------------------------------

    def time_series(self) -> list[Point]:
        """Of each group, or of all, every bucket in its order."""
        lines = [None] if self.meta.group_by is None else [*self._lines()]
        in_line = {id(row): self._line(row, lines) for row in (*self.series, *self.series_times)}
        at = range(self.meta.from_at, self.meta.to_at, self.meta.bucket_ms)
        counted = grouped(self.series, lambda row: (in_line[id(row)], row["bucket"]))
        timed = grouped(self.series_times, lambda row: (in_line[id(row)], row["bucket"]))
        points = []
        for line in lines:
            so_far = add_up(())
            for moment in at:
                here = add_up(counted.get((line, moment), ()))
                fields = sums.counts(here)
                if self.meta.mode == "cumulative":
                    so_far = add_up((so_far, here))
                    running = sums.counts(so_far)
                    fields |= {name: running[name] for name in _RUNNING}
                pace = sums.speed(add_up_speed(timed.get((line, moment), ())))
                points.append(Point(at=moment, group=line, tokens_per_second=pace, **fields))
        return points

    def _lines(self) -> Iterator[str | None]:
        """The largest groups, then all others together."""
        by_group = grouped(self.series, self._group)
        sizes = {name: sum(row["requests"] for row in rows) for name, rows in by_group.items()}
        largest = sorted(sizes, key=lambda name: (-sizes[name], name or ""))
        yield from largest[:MOST_LINES]
        if len(largest) > MOST_LINES:
            yield OTHERS

    def _line(self, row: Row, lines: Sequence[str | None]) -> str | None:
        if self.meta.group_by is None:
            return None
        name = self._group(row)
        return name if name in lines else OTHERS

    # ---- names -----------------------------------------------------------------------------------

    def _group(self, row: Row) -> str | None:
        by = self.meta.group_by
        if by == "account":
            return self.account(row)
        return str(row[COLUMNS[by]]) or None if by is not None else None

    def account(self, row: Row) -> str | None:
        """A renamed account is one, under its name of today."""
        living = self.owner.pool.by_id(row["account_id"]) if row["account_id"] else None
        name: str = living.account.name if living is not None else row["account"]
        return name or None

    def _by(self, column: str) -> list[tuple[str, Row]]:
        found = [
            (name, add_up(rows)) for name, rows in grouped(self.counted, lambda row: row[column]).items()
        ]
        return sorted(found, key=lambda one: (-one[1]["requests"], one[0]))

    def _price(self, model: str) -> Price | None:
        return self.owner.prices.prices.table.price_anywhere(model)

    def _saved(self, rows: Sequence[Row]) -> float | None:
        saved = [
            sums.saved_nano(self._price(model), add_up(its))
            for model, its in grouped(rows, lambda row: row["model"]).items()
        ]
        known = [one for one in saved if one is not None]
        return sum(known) / NANO if known else None


_RUNNING = (
    *("requests", "errors", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens"),
    *("total_tokens", "cost_usd", "unpriced_requests"),
)
"""What `cumulative` adds up; rates stay those of the bucket."""
