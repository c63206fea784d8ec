"""The way of one request through the simulated provider: key, fault, limits, route, delivery."""

import logging
from collections.abc import Callable
from email.utils import formatdate
from typing import TYPE_CHECKING

from headgate.testing.provider.accounts import Account
from headgate.testing.provider.answer import Answer, Headers, ProviderError, error_body
from headgate.testing.provider.books import Books, Entry
from headgate.testing.provider.codings import encode_parts, is_accepted
from headgate.testing.provider.control import CONTROL_PREFIX, control_answer
from headgate.testing.provider.delivery import Delivery, Ending, plan, refuse, with_fault
from headgate.testing.provider.framing import Request
from headgate.testing.provider.limits import scripted_refusal
from headgate.testing.provider.messages import with_error_event
from headgate.testing.provider.routes import Call, Routes, read_call
from headgate.testing.provider.script import Pacing, Rule, RuleBook, Script
from headgate.testing.provider.sign_in import SignInServer

if TYPE_CHECKING:
    from headgate.testing.provider.connection import Connection

_log = logging.getLogger(__name__)
_KEY_PREFIX = "sk-ant-sim-"
_MAX_BODY_BYTES = 32 * 1024 * 1024
_MAX_UPLOAD_BYTES = 500 * 1024 * 1024


class Simulator:
    """Everything that one simulated provider knows. `origin` is set once its port is known."""

    def __init__(self, now: Callable[[], float], books: Books) -> None:
        self.now = now
        self.books = books
        self.origin = ""
        self.connections: set[Connection] = set()
        self._request_count = 0
        self.reset()

    def reset(self) -> None:
        """Forget accounts, objects, grants, scripts and books; connections stay."""
        self._accounts: dict[str, Account] = {}
        self._defaults: list[Script] = []
        self._shared_rules = RuleBook([])
        self._early_rules = False
        self._routes = Routes()
        self.sign_in = SignInServer()
        self.books.reset()

    # ---- script ----

    def script(self, script: Script) -> None:
        self._early_rules |= any(rule.fault == "early_answer" for rule in script.rules or ())
        if script.key != "*":
            self._account(script.key).apply(script, self.now())
            return
        if script.rules is not None:
            self._shared_rules = RuleBook(script.rules)
        self._defaults.append(script)
        for account in self._accounts.values():
            account.apply(script, self.now())

    def _account(self, key: str) -> Account:
        account = self._accounts.get(key)
        if account is None:
            account = Account(key, len(self._accounts) + 1, self.now(), self._defaults)
            self._accounts[key] = account
        return account

    def refuses_connection(self) -> bool:
        return bool(self._shared_rules) and self._shared_rules.match_accept()

    def report(self, error: BaseException | None) -> None:
        _log.error("A delivery failed", exc_info=error)

    # ---- requests ----

    def answer_before_body(self, request: Request) -> tuple[Entry, Delivery] | None:
        """The answer to a request whose body is still on its way, where a rule asks for one."""
        name = self._name(request)
        is_known = name.startswith(_KEY_PREFIX) or name != request.key
        if not self._early_rules or not is_known:
            return None
        account = self._account(name)
        rule = account.rules.match_early(request.path) or self._shared_rules.match_early(request.path)
        if rule is None:
            return None
        entry = self._open(request)
        entry.fault = rule.fault
        entry.received(request.head, b"")
        error = ProviderError(rule.status, rule.message)
        delivery = plan(self._dressed(self._refusal(error, entry), account, entry, request), Pacing())
        delivery.ending = Ending.KEEP if rule.ending == "clean" else Ending.CLOSE
        return entry, delivery

    def answer(self, request: Request) -> tuple[Entry, Delivery]:
        if request.path.startswith(CONTROL_PREFIX):
            return Entry(0, "", keeps_bytes=False), plan(control_answer(self, request), Pacing())
        entry = self._open(request)
        entry.received(request.head, request.body)
        if self.sign_in.serves(request.path):
            return entry, self.sign_in.deliver(request, entry, self.origin, self.now())
        try:
            account = self._authenticate(request)
        except ProviderError as error:
            answer = self._refusal(error, entry)
            return entry, self._plan(self._dressed(answer, None, entry, request), Pacing(), entry, request)
        return entry, self._answer_for(account, request, entry)

    def note_partial(self, request: Request, body: bytes) -> None:
        """The caller left before its request was complete: kept in the books with status 0."""
        entry = self._open(request)
        entry.received(request.head, body)
        self.books.close_entry(entry)

    def _open(self, request: Request) -> Entry:
        self._request_count += 1
        entry = self.books.open_entry(f"req_011CSim{self._request_count:017d}")
        entry.key, entry.path = self._name(request), request.path
        return entry

    def _name(self, request: Request) -> str:
        """The caller in books and scripts: the API key, or whoever signed in for this token."""
        is_bearer = not request.header(b"x-api-key")
        return (is_bearer and self.sign_in.grants.login_of(request.key)) or request.key

    def _authenticate(self, request: Request) -> Account:
        if request.path == "/" or not request.path.startswith("/v1/"):
            raise ProviderError(404, "Not found")
        if not request.key:
            raise ProviderError(401, "x-api-key header is required")
        name = request.key
        if not name.startswith(_KEY_PREFIX):
            if request.header(b"x-api-key"):
                raise ProviderError(401, "invalid x-api-key")
            betas = b",".join(value for header, value in request.headers if header == b"anthropic-beta")
            name = self.sign_in.grants.authenticate(name, betas.decode("latin-1"), self.now())
        if not request.header(b"anthropic-version"):
            raise ProviderError(400, "anthropic-version: header is required")
        return self._account(name)

    def _answer_for(self, account: Account, request: Request, entry: Entry) -> Delivery:
        call = Call(request, account, self.now(), self.origin)
        rule: Rule | None = None
        try:
            self._check_size(request)
            read_call(call)
            entry.model = call.model
            rule = self._rule(account, call)
            entry.fault = rule.fault if rule is not None else ""
            answer = self._scripted(rule, call) or self._admitted(call)
        except ProviderError as error:
            answer = self._refusal(error, entry)
        except Exception:  # the request edge: a fault of the simulator's own must show, and answer
            _log.exception("Request %s to %s failed", entry.request_id, request.target)
            answer = self._refusal(ProviderError(500), entry)
        if answer.is_stream and rule is not None and rule.fault in ("error_first", "error_mid"):
            answer = with_error_event(answer, rule, entry.request_id)
        delivery = self._plan(self._dressed(answer, account, entry, request), account.pacing, entry, request)
        if rule is None:
            return delivery
        if rule.fault == "refuse":
            return refuse()
        if rule.fault == "close_after":
            delivery.answers_per_connection = rule.requests
        return with_fault(delivery, rule, is_stream=answer.is_stream)

    def _check_size(self, request: Request) -> None:
        limit = _MAX_UPLOAD_BYTES if request.path.startswith("/v1/files") else _MAX_BODY_BYTES
        if len(request.body) > limit:
            raise ProviderError(413)

    def _rule(self, account: Account, call: Call) -> Rule | None:
        path = call.request.path
        own = account.rules.match(path, call.model) if account.rules else None
        shared = self._shared_rules.match(path, call.model) if self._shared_rules else None
        return own or shared

    def _scripted(self, rule: Rule | None, call: Call) -> Answer | None:
        """The answer that a rule gives in place of the real one."""
        if rule is None:
            return None
        if rule.fault == "status":
            message = rule.message or (f"model: {call.model}" if rule.status == 404 else "")
            raise ProviderError(rule.status, message, type_=rule.error)
        if rule.fault == "429":
            raise scripted_refusal(rule, call.model, call.now)
        if rule.fault == "redirect":
            return Answer(307, [b""], headers=[(b"location", rule.location.encode())])
        return None

    def _admitted(self, call: Call) -> Answer:
        """The route's answer, if the account's limits still allow it."""
        if call.request.path.startswith(("/v1/messages", "/v1/complete")):
            call.account.limits.admit(call.now)
        return self._routes.answer(call)

    def _refusal(self, error: ProviderError, entry: Entry) -> Answer:
        headers: Headers = [*error.headers]
        if error.status >= 500:
            headers.append((b"x-should-retry", b"true"))
        return Answer(error.status, [error_body(error, entry.request_id)], headers=headers)

    def _dressed(self, answer: Answer, account: Account | None, entry: Entry, request: Request) -> Answer:
        """The headers that stand on every answer, and the content coding."""
        entry.status = answer.status
        now = self.now()
        scripted = {name for name, _ in answer.headers}
        limits = account.headers(now) if account is not None and entry.fault != "429" else []
        answer.headers = [
            (b"date", formatdate(now, usegmt=True).encode()),
            (b"request-id", entry.request_id.encode()),
            *([(b"anthropic-organization-id", account.organization_id)] if account is not None else []),
            *[line for line in limits if line[0] not in scripted],
            *answer.headers,
            (b"set-cookie", b"_sim_session=%b; Path=/; HttpOnly; Secure" % entry.request_id.encode()),
            (b"server", b"cloudflare"),
        ]
        if account is not None and account.coding and answer.parts != [b""]:
            self._encode(answer, account.coding, request)
        return answer

    def _encode(self, answer: Answer, coding: str, request: Request) -> None:
        if is_accepted(coding, request.header(b"accept-encoding")):
            answer.parts = encode_parts(answer.parts, coding)
            answer.headers += [(b"content-encoding", coding.encode()), (b"vary", b"accept-encoding")]

    def _plan(self, answer: Answer, pacing: Pacing, entry: Entry, request: Request) -> Delivery:
        account = self._accounts.get(entry.key)
        write_bytes = account.reply.write_bytes if account is not None else 0
        return plan(answer, pacing, write_bytes=write_bytes, is_head=request.method == "HEAD")
