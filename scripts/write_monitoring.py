"""The page on monitoring, with the table of all figures: `docs/monitoring.md`, written by `make docs`."""

from collections.abc import Mapping
from pathlib import Path

from headgate.admin.metric_list import ACCOUNTS, COUNTER, MACHINERY, NOW, REQUESTS, Metric

HEAD = Path(__file__).resolve().with_name("monitoring_head.md")


def page() -> str:
    parts = (
        ("Requests, tokens and cost", REQUESTS),
        ("Accounts", ACCOUNTS),
        ("What runs now", NOW),
        ("The machinery", MACHINERY),
    )
    return HEAD.read_text(encoding="utf-8") + "".join(
        f"\n## {title}\n\n{_table(metrics)}" for title, metrics in parts
    )


def _table(metrics: Mapping[str, Metric]) -> str:
    lines = "".join(_line(name, metric) for name, metric in metrics.items())
    return f"| figure | kind | labels | meaning |\n|---|---|---|---|\n{lines}"


def _line(name: str, metric: Metric) -> str:
    shown = f"{name}_total" if metric.kind == COUNTER else name
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    return f"| `{shown}` | {metric.kind} | {labels} | {metric.text} |\n"
