"""Does the provider take an account's credential? `POST /api/accounts/{name}/test`."""

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from headgate.admin.accounts import ItsName, find, log, mend_of_a_refusal
from headgate.admin.owner import ItsOwner, Owner
from headgate.errors import Conflict
from headgate.pool.living import LivingAccount
from headgate.providers.provider import Complaint
from headgate.relay.probe import Probed, probe
from headgate.relay.targets import Targets
from headgate.upstream.proxies import Proxies

router = APIRouter(prefix="/api/accounts", tags=["accounts"])

Outcome = Literal["accepted", "refused", "limited", "billing", "forbidden", "unreachable", "failed"]


class AccountTest(BaseModel):
    """What the provider said to one request that costs nothing."""

    account: str
    outcome: Outcome
    ok: bool = Field(description="The credential was accepted.")
    url: str = Field(description="What was asked.")
    duration_ms: float
    status: int | None = Field(description="The provider's HTTP status; null: there was no answer.")
    answer: str | None = Field(description="The provider's own words, or the network's.")
    reason: str | None = Field(description="The short network word (ECONNREFUSED …) where nothing answered.")
    meaning: str
    hint: str
    account_status: str = Field(description="The account's status after the test.")


_OUTCOMES: dict[Complaint, Outcome] = {
    Complaint.REFUSED: "refused",
    Complaint.LIMITED: "limited",
    Complaint.REQUEST_LIMITED: "limited",
    Complaint.BILLING: "billing",
    Complaint.FORBIDDEN: "forbidden",
}

_WORDS: dict[Outcome, tuple[str, str]] = {
    "accepted": ("The provider takes the key.", ""),
    "refused": (
        "The provider does not take the key: it is wrong, revoked or of another provider. "
        "No request goes to the account until it has a new one.",
        "",  # where it gets one: `mend_of_a_refusal`
    ),
    "limited": (
        "The key is good; the account is at a limit of its provider.",
        "It returns by itself; headgate account show {name} has the resets that are known.",
    ),
    "billing": (
        "The key is good; the provider wants the account's bill settled.",
        "See the provider's console.",
    ),
    "forbidden": (
        "The provider knows the key and denies it this: its rights, its plan, or where it may be used from.",
        "See the key's rights in the provider's console, and base_url in headgate account show {name}.",
    ),
    "unreachable": (
        "No answer came: this says nothing about the key.",
        "See that this machine reaches that address, and base_url in headgate account show {name}.",
    ),
    "failed": (
        "The provider answered, but not as it does to a good or a bad key: this says nothing about the key.",
        "Try again later; if it stays, see base_url in headgate account show {name}.",
    ),
}
"""Meaning and mend."""


@router.post("/{name}/test", operation_id="test_account")
async def test_account(owner: ItsOwner, name: ItsName) -> AccountTest:
    """Asks the provider for its list of models with this account's credential, past pause and limits.

    An access token that has ended is renewed first; the answer is the failure where it cannot be. A refused
    credential takes the account out, an accepted one ends an earlier refusal; nothing else that is answered
    changes the account's health.
    """
    living = find(owner, name)
    if living.unusable_because is not None:
        raise Conflict(
            f"The account {name} cannot be tested: {living.unusable_because}",
            hint=mend_of_a_refusal(owner, name),
        )
    targets = Targets(owner.settings.providers, Proxies(owner.settings.upstream))
    probed = await probe(living, targets, owner.upstream, owner.sign_in.refresher, owner.clock)
    return _told(owner, living, probed)


def _told(owner: Owner, living: LivingAccount, probed: Probed) -> AccountTest:
    name, outcome = living.account.name, _outcome(probed)
    log.info("Account %s was tested: %s; it is %s", name, outcome, living.status)
    meaning, hint = _WORDS[outcome]
    if outcome == "refused":
        hint = mend_of_a_refusal(owner, name)
    failure, error = probed.failure, probed.error
    answer = failure.message if failure else f"{error.type or ''} {error.message}".strip() if error else None
    return AccountTest(
        account=name,
        outcome=outcome,
        ok=outcome == "accepted",
        url=probed.url,
        duration_ms=round(probed.duration_ms, 1),
        status=probed.status,
        answer=living.without_secret(answer) if answer else None,
        reason=failure.reason if failure else None,
        meaning=meaning,
        hint=failure.hint if failure and failure.hint else hint.replace("{name}", name),
        account_status=str(living.status),
    )


def _outcome(probed: Probed) -> Outcome:
    if probed.failure is not None:
        return "unreachable"
    return "accepted" if probed.error is None else _OUTCOMES.get(probed.error.complaint, "failed")
