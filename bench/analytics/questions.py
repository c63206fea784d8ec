"""What is asked of the history, and how long each answer may take."""

from dataclasses import dataclass

ON_ROLLUPS_MS = 150
OTHERS_MS = 1_000


@dataclass(frozen=True, slots=True)
class Question:
    path: str
    limit_ms: int


def questions(now_ms: int) -> list[Question]:
    """Of each kind that a page asks; `now_ms`: where the history ends."""
    ranges = ("1h", "6h", "24h", "7d", "30d", "90d")
    of_rollups = [f"/api/analytics?range={range}&sections={{}}" for range in ranges]
    paths = [path.format(section) for path in of_rollups for section in ("overview", "time_series")]
    paths += [
        "/api/analytics?range=90d&sections=model_performance",
        "/api/analytics?range=90d&sections=account_performance",
        "/api/analytics?range=90d&sections=cost_by_model,cache,errors,totals,token_breakdown",
        "/api/analytics?range=30d&sections=time_series&group_by=model",
        "/api/analytics?range=90d&model=gpt-5&status=success&sections=overview",
        "/api/analytics?range=90d&key=key-7&sections=overview",
    ]
    found = [Question(path, ON_ROLLUPS_MS) for path in paths]
    week = now_ms - 7 * 86_400_000
    others = (
        "/api/analytics?range=24h",
        "/api/analytics?range=7d",
        "/api/analytics?range=90d",
        "/api/usage?by=account",
        "/api/usage?by=day",
        f"/api/usage?by=model&since={week}",
        "/api/requests?limit=50",
        "/api/requests?limit=50&status=error",
        "/api/requests?limit=50&account=account-3",
        f"/api/requests?limit=50&model=gpt-5&until={week}",
        "/api/requests?limit=50&key=never-seen",
        "/api/analytics?range=24h&project=website",
        "/api/analytics?range=7d&client=codex",
        "/api/analytics?range=90d&project=website",
        "/api/analytics?range=90d&client=claude-code",
        "/api/analytics?range=90d&project=website&client=claude-code&key=key-1",
        "/api/analytics?range=90d&sections=time_series&group_by=project",
        "/api/analytics?range=90d&sections=time_series&group_by=client",
        "/api/analytics?range=90d&group_by=project",
        "/api/analytics?range=90d&model=gpt-5&sections=time_series&group_by=client",
        "/api/analytics?range=90d&session=session-7",
        "/api/stats?project=website&range=90d",
        "/api/usage?by=project",
        f"/api/usage?by=day&client=codex&since={week}",
        "/api/requests?limit=50&project=website",
        f"/api/requests?limit=50&project=never-seen&until={week}",
        f"/api/requests?limit=50&client=curl&project=ml&until={week}",
        "/api/requests?limit=50&session=session-7",
        "/api/requests?limit=50&session=session-7&account=account-3",
    )
    return found + [Question(path, OTHERS_MS) for path in others]
