"""What one move is made of: what was found, where it goes, and what has come of it so far."""

from dataclasses import dataclass
from typing import Any

from headgate.cli.control import Control
from headgate.cli.moving_report import Report
from headgate.cli.terminal import CommandFailed
from headgate.config.loading import Loaded
from headgate.moving.found import ACCOUNT, HISTORY, KEY, SETTING, Found, FoundAccount

DOING = "Cannot move in"
WANTED = {ACCOUNT: "accounts", KEY: "keys", SETTING: "settings", HISTORY: "history"}
"""By kind, the word of `--only`."""


@dataclass(slots=True)
class Move:
    found: Found
    report: Report
    control: Control
    loaded: Loaded
    only: frozenset[str]
    replaces: bool
    taken: list[FoundAccount] | None = None
    """Those that are here now, or would be, under their names of this import; None: they were refused."""
    here_as: dict[str, str] | None = None
    absent: frozenset[str] = frozenset()
    """Of them those that would only be added."""
    new: frozenset[str] = frozenset()
    """Of them those that were not here before, or with another credential."""
    set_now: frozenset[str] = frozenset()
    """Settings that were taken over, or would be."""

    def wants(self, kind: str) -> bool:
        return WANTED[kind] in self.only

    def warn_of(self, answer: dict[str, Any]) -> None:
        self.report.notices += [one for one in answer["warnings"] if one not in self.report.notices]

    async def settings_here(self) -> dict[str, dict[str, Any]]:
        """By path, as `GET /api/config` has them."""
        answer = await self.control.get("/api/config", doing=DOING)
        return {row["path"]: row for row in answer["settings"]}


def words_of(failure: CommandFailed) -> str:
    return f"{failure.why} {failure.mend}".strip()
