"""What came of moving in: a line for each thing, with the reason where it did not come along."""

from dataclasses import asdict, dataclass, field
from typing import Any

from headgate.cli.fitting import print_fitting
from headgate.cli.options import warn
from headgate.cli.terminal import out, print_json, printable

ADDED, CHANGED, UNCHANGED, KEPT = "added", "changed", "unchanged", "kept"
LEFT_OUT, FAILED = "left out", "failed"
_WOULD = {ADDED: "would be added", CHANGED: "would change"}


@dataclass(frozen=True, slots=True)
class Item:
    """One thing of theirs."""

    kind: str
    name: str
    outcome: str
    why: str = ""
    digest: str | None = None
    """Of a client key."""


@dataclass(slots=True)
class Report:
    system: str
    dry_run: bool
    items: list[Item] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    """For the owner: what will not work yet, and the mend."""
    history: dict[str, int] | None = None
    """`added`, `there`, `unreadable`; None: there is none, or it was not wanted."""

    @property
    def has_failed(self) -> bool:
        return any(one.outcome == FAILED for one in self.items)

    def add(self, kind: str, name: str, outcome: str, why: str = "", digest: str | None = None) -> None:
        self.items.append(Item(kind, name, outcome, why, digest))


def print_report(report: Report, *, as_json: bool) -> None:
    if as_json:
        print_json(_as_json(report))
        return
    rows = [
        (one.kind, printable(one.name), _outcome(one.outcome, report), printable(one.why))
        for one in report.items
    ]
    if rows:
        print_fitting(("=what", "name", "=outcome", "why"), rows)
    else:
        out.print(f"There was nothing of {report.system} in it", markup=False)
    for notice in report.notices:
        warn(notice)
    if report.dry_run:
        out.print("Nothing was changed: this was a dry run", markup=False)


def _outcome(outcome: str, report: Report) -> str:
    return _WOULD.get(outcome, outcome) if report.dry_run else outcome


def _as_json(report: Report) -> dict[str, Any]:
    items = [
        {name: value for name, value in asdict(one).items() if value is not None} for one in report.items
    ]
    return {
        "system": report.system,
        "dry_run": report.dry_run,
        "items": items,
        "history": report.history,
        "notices": report.notices,
        "ok": not report.has_failed,
    }
