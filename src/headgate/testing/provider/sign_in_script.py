"""What the sign-in server is asked to do, and the bodies of its control routes."""

from typing import Literal

import msgspec

TokenFaultName = Literal["status", "hang", "hang_after", "cut", "cut_after", "html", "wrong_json"]


class TokenFault(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One fault of the token endpoint, for the calls `after < n <= after + times` with this grant type.

    `…_after`: the grant was made, or rotated, and its answer is lost. The others strike before that.
    """

    fault: TokenFaultName
    after: int = 0
    times: int | None = None
    grant_type: str = ""
    login: str = ""
    status: int | None = None
    retry_after: str = ""
    error: str = ""
    message: str = ""
    body: str = ""
    ending: Literal["close", "reset"] = "reset"


class SignInScript(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /_sim/sign_in`. A field left out takes its default again."""

    lifetime_seconds: float = 28_800.0
    refresh_lifetime_seconds: float | None = None
    rotate: bool = True
    reuse_seconds: float = 0.0
    revokes_family: bool = False
    revokes_access: bool = False
    omit_refresh_token: bool = False
    omit_expires_in: bool = False
    client_ids: list[str] | None = None
    redirect_uris: list[str] | None = None
    login: str = "person@example.test"
    denies: bool = False
    delay_ms: float = 0.0
    device_interval_seconds: float = 5.0
    device_lifetime_seconds: float = 900.0
    faults: list[TokenFault] = []


class NewGrant(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    login: str
    lifetime_seconds: float | None = None
    client_id: str = ""
    scope: str | None = None


class Login(msgspec.Struct, forbid_unknown_fields=True):
    login: str


class Decision(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The person at the device page says yes or no."""

    user_code: str
    approved: bool
    login: str | None = None


class TokenFaults:
    """The faults with their counters. The first that applies strikes."""

    def __init__(self, faults: list[TokenFault]) -> None:
        self._faults = faults
        self._counts = [0] * len(faults)

    def match(self, grant_type: str, login: str) -> TokenFault | None:
        chosen: TokenFault | None = None
        for index, fault in enumerate(self._faults):
            if fault.grant_type not in ("", grant_type) or fault.login not in ("", login):
                continue
            self._counts[index] += 1
            nth = self._counts[index] - fault.after
            if chosen is None and nth > 0 and (fault.times is None or nth <= fault.times):
                chosen = fault
        return chosen
