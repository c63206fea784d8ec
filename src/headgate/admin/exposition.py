"""Figures gathered for `/metrics`, and written down in Prometheus's text form (0.0.4) or as OpenMetrics 1.0.

Written by hand: with a thousand accounts it is some ten thousand lines, for which prometheus-client takes
ten times as long. Its parsers judge what is written here, in the tests.
"""

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

from headgate.admin.metric_list import COUNTER, HISTOGRAM, METRICS, SUMMARY

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPEN_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"

Value = float | tuple[float, float] | tuple[Sequence[int], float, Sequence[float]]
"""Of a summary: how many, and their sum. Of a histogram: how many in each bucket, their sum, upper bounds."""


class Figures:
    """All samples of one scrape, by metric."""

    def __init__(self) -> None:
        self._samples: dict[str, list[tuple[tuple[str, ...], Value]]] = {}

    def put(self, name: str, value: Value, *labels: str) -> None:
        self._samples.setdefault(name, []).append((labels, value))

    def write(self, accept: str) -> tuple[bytes, str]:
        """Text and media type, as the scraper's `Accept` asks."""
        is_open = wants_open_metrics(accept)
        lines = [line for name in self._samples for line in self._lines(name, is_open)]
        lines.append("# EOF\n" if is_open else "")
        return "\n".join(lines).encode("utf-8", "replace"), OPEN_METRICS if is_open else TEXT

    def _lines(self, name: str, is_open: bool) -> Iterator[str]:
        kind, text, names = METRICS[name]
        sample = f"{name}_total" if kind == COUNTER else name
        family = name if is_open else sample
        yield f"# HELP {family} {text}"
        yield f"# TYPE {family} {kind}"
        for labels, value in self._samples[name]:
            pairs = ",".join(f'{label}="{_escaped(one)}"' for label, one in zip(names, labels, strict=True))
            if kind == HISTOGRAM:
                yield from _histogram(name, pairs, value)
            elif kind == SUMMARY:
                assert isinstance(value, tuple)
                within = f"{{{pairs}}}" if pairs else ""
                yield f"{name}_count{within} {value[0]}"
                yield f"{name}_sum{within} {value[1]}"
            else:
                assert isinstance(value, int | float)
                yield f"{sample}{{{pairs}}} {value + 0}" if pairs else f"{sample} {value + 0}"


def wants_open_metrics(accept: str) -> bool:
    """By the first version that we write; a scraper that names it prefers it."""
    for one in accept.split(","):
        media_type, *parameters = (part.strip() for part in one.lower().split(";"))
        if media_type == "application/openmetrics-text":
            versions = [part for part in parameters if part.startswith("version=")]
            if (not versions or versions == ["version=1.0.0"]) and "q=0" not in parameters:
                return True
    return False


def _histogram(name: str, pairs: str, value: Any) -> Iterator[str]:
    counts, total, bounds = value
    before = f"{pairs}," if pairs else ""
    within = f"{{{pairs}}}" if pairs else ""
    in_all = 0
    for bound, in_all in zip((*map(float, bounds), "+Inf"), accumulate(counts), strict=True):
        yield f'{name}_bucket{{{before}le="{bound}"}} {in_all}'
    yield f"{name}_count{within} {in_all}"
    yield f"{name}_sum{within} {total}"


def _escaped(label: str) -> str:
    if "\\" not in label and '"' not in label and "\n" not in label:
        return label
    return label.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
