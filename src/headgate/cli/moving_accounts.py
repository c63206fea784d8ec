"""Moving in: the accounts, all of them or none."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from headgate.admin.account_forms import CarriedAccount
from headgate.cli.moving_report import ADDED, CHANGED, FAILED, KEPT, UNCHANGED
from headgate.cli.moving_state import DOING, Move
from headgate.moving.found import ACCOUNT, FoundAccount, with_fitting_names, without_twins


async def take_accounts(move: Move) -> None:
    """Also where they are not wanted: the history has to know which of them are here."""
    without_twins(move.found)
    accounts, called = with_fitting_names(_fit_to_be_taken(move))
    plan = await _ask_for_accounts(move, accounts, dry_run=True)
    if plan["conflicts"]:
        if move.wants(ACCOUNT):
            _tell_conflicts(move, plan["conflicts"])
        return
    is_taking = move.wants(ACCOUNT) and not move.report.dry_run
    if is_taking and accounts:
        plan = await _ask_for_accounts(move, accounts, dry_run=False)
    move.taken, move.here_as = accounts, plan["here_as"]
    move.absent = frozenset(() if is_taking else plan["added"])
    move.new = frozenset([*plan["added"], *plan["changed"]])
    if move.wants(ACCOUNT):
        _tell_accounts(move, accounts, called, plan)


def _fit_to_be_taken(move: Move) -> Iterator[FoundAccount]:
    """Those that the owner's own form would take; what it says of the others."""
    for account in move.found.accounts:
        try:
            CarriedAccount.model_validate({**account.carried(), "name": "any"})
        except ValidationError as error:
            wrong = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
            move.found.could_not_read(ACCOUNT, account.name, wrong)
        else:
            yield account


async def _ask_for_accounts(move: Move, accounts: list[FoundAccount], *, dry_run: bool) -> dict[str, Any]:
    body = {
        "accounts": [one.carried() for one in accounts],
        **{"replace": move.replaces, "keep": True, "dry_run": dry_run},
    }
    answer: dict[str, Any] = await move.control.ask("POST", "/api/import/accounts", doing=DOING, body=body)
    return answer


def _tell_conflicts(move: Move, conflicts: list[str]) -> None:
    for conflict in conflicts:
        name, _, why = conflict.partition(": ")
        mend = "; rename one of them, or take theirs with --replace" if "of that name" in why else ""
        move.report.add(ACCOUNT, name, FAILED, f"{why}{mend}; so no account was taken")


def _tell_accounts(
    move: Move, accounts: list[FoundAccount], called: Mapping[str, str], plan: dict[str, Any]
) -> None:
    for one in accounts:
        outcome = next((word for word in (ADDED, CHANGED, UNCHANGED) if one.name in plan[word]), KEPT)
        remarks = [f"it was called {called[one.name]}"] if one.name in called else []
        remarks += [why] if (why := plan["kept"].get(one.name)) else []
        remarks += one.remarks
        move.report.add(ACCOUNT, one.name, outcome, "; ".join(remarks))
