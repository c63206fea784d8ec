from typing import Any

from rich.console import Console

from headgate.cli.fitting import fitting_table
from headgate.cli.key_rows import COLUMNS, row

NO_LIMITS: dict[str, Any] = dict.fromkeys(
    ("rpm", "tpm", "concurrency", "window_tokens", "daily_usd", "weekly_usd", "total_usd", "queue_weight")
)
UNUSED = {"running": 0, "day_usd": 0.0, "week_usd": 0.0, "total_usd": 0.0, "window_tokens": 0}


def key(**fields: Any) -> dict[str, Any]:
    empty: dict[str, Any] = {"name": "laptop", "status": "active", "expires_at": 1_900_000_000_000}
    empty |= {"beginning": "hg-1a2b3c4d", "owner": "ann@example.com", "note": "", "domain": None}
    empty |= {"models": [], "accounts": [], "hosts": [], "origin": "owner"}
    return {**empty, "limits_in_force": NO_LIMITS, "used": UNUSED, **fields}


def shown(width: int, *keys: dict[str, Any]) -> tuple[str, list[str]]:
    grid, left_out = fitting_table(COLUMNS, [row(one) for one in keys], width)
    console = Console(width=width, color_system=None)
    with console.capture() as captured:
        console.print(grid)
    return captured.get(), left_out


def test_limits_are_shown_with_what_is_used_of_them() -> None:
    limits = {**NO_LIMITS, "daily_usd": 5, "window_tokens": 2000, "concurrency": 4, "rpm": 60, "tpm": 1000}
    used = {**UNUSED, "day_usd": 1.25, "window_tokens": 1500, "running": 2}
    wide, left_out = shown(200, key(limits_in_force=limits, used=used), key(name="ci"))
    assert "$1.25 of $5.00 a day, 1,500 of 2,000 tokens in 5 h, 2 of 4 at once, 60 rpm, 1,000 tpm" in wide
    assert left_out == []
    small = {**UNUSED, "total_usd": 0.00135}
    said, _ = shown(200, key(limits_in_force={**NO_LIMITS, "total_usd": 0.01}, used=small))
    assert "$0.00135 of $0.01 in all" in said
    assert "limits" not in shown(200, key())[0]


def test_a_narrow_terminal_keeps_name_state_and_expiry() -> None:
    """Whose it is can be read elsewhere; that it does not open any more must be seen."""
    limits = {**NO_LIMITS, "daily_usd": 5, "weekly_usd": 20, "rpm": 60}
    narrow, left_out = shown(50, key(limits_in_force=limits), key(name="ci", status="disabled"))
    assert narrow.splitlines()[0].split()[:3] == ["name", "status", "expires"]
    assert "disabled" in narrow and "2030-03-17" in narrow
    assert "owner" in left_out
    assert max(map(len, narrow.splitlines())) <= 50
