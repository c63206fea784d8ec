"""The control plane under `/_sim/`: scripts, grants, books, received bytes, reset."""

from typing import TYPE_CHECKING, Any

import msgspec

from headgate.testing.provider.answer import Answer, json_answer
from headgate.testing.provider.framing import Request
from headgate.testing.provider.script import Script
from headgate.testing.provider.sign_in_script import Decision, Login, NewGrant, SignInScript

if TYPE_CHECKING:
    from headgate.testing.provider.simulator import Simulator

CONTROL_PREFIX = "/_sim/"


class _Record(msgspec.Struct, forbid_unknown_fields=True):
    bytes: bool


def control_answer(simulator: "Simulator", request: Request) -> Answer:
    """Wrong input is answered with 400 and the decoder's own words: the caller is a test."""
    try:
        value = _control(simulator, request)
    except (msgspec.DecodeError, ValueError) as error:
        return json_answer({"error": str(error)}, 400)
    return json_answer({"error": "unknown control route"}, 404) if value is None else json_answer(value)


def _control(simulator: "Simulator", request: Request) -> Any:
    sign_in, body = simulator.sign_in, request.body
    match (request.method, request.path.removeprefix(CONTROL_PREFIX)):
        case ("POST", "script"):
            simulator.script(msgspec.json.decode(body, type=Script))
        case ("POST", "reset"):
            simulator.reset()
        case ("POST", "record"):
            simulator.books.keeps_bytes = msgspec.json.decode(body, type=_Record).bytes
        case ("POST", "sign_in"):
            sign_in.script(msgspec.json.decode(body, type=SignInScript))
        case ("POST", "grants"):
            return sign_in.grant(msgspec.json.decode(body, type=NewGrant), simulator.now())
        case ("POST", "revoke"):
            return {"revoked": sign_in.grants.revoke(msgspec.json.decode(body, type=Login).login)}
        case ("POST", "device"):
            sign_in.decide(msgspec.json.decode(body, type=Decision))
        case ("GET", "sign_ins"):
            return sign_in.grants.summary(simulator.now())
        case ("GET", "books"):
            return simulator.books.summary(with_requests=request.query.get("requests") != "no")
        case ("GET", "received"):
            return simulator.books.received(int(request.query.get("after", "0")))
        case ("GET", "connections"):
            return {"open": len(simulator.connections)}
        case _:
            return None
    return {"ok": True}
