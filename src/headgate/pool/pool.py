"""The pool: every living account, and the one door through which a request gets one."""

from collections.abc import Callable, Collection, Iterable, Mapping
from random import Random
from typing import Any

from headgate.clock import Clock
from headgate.pool.accounts import Account
from headgate.pool.groups import Group
from headgate.pool.living import LivingAccount
from headgate.pool.rests import utc
from headgate.pool.returns import earliest_return, is_busy, is_taken, limited, opens_at
from headgate.pool.selection import POLICIES, policy_named
from headgate.pool.sessions import Running
from headgate.pool.wanted import Switch, Wanted
from headgate.providers.provider import Provider


def _ignore(*_: object) -> None:
    """Nobody listens."""


class Pool:
    """Lives in the event loop's thread; nothing here waits.

    `on_health` is called after every change of an account's health: what it then writes down brings the
    health back at the next start (`restore`). `on_soft_limit`: a provider begins to warn; `on_switch`: each.
    """

    def __init__(
        self,
        clock: Clock,
        providers: Mapping[str, Provider],
        *,
        strategy: str = POLICIES[0].name,
        session_seconds: float = 3600.0,
        rotation: bool = True,
        on_health: Callable[[LivingAccount], None] = _ignore,
        on_soft_limit: Callable[[LivingAccount, str], None] = _ignore,
        on_switch: Callable[[Switch], None] = _ignore,
        random: Random | None = None,
    ) -> None:
        self.rotation = rotation
        """False: one account serves, the first by priority and name, and its failures pass through."""
        self.switches = 0
        self.last_switch: Switch | None = None
        self._clock = clock
        self._providers = providers
        self._policy = policy_named(strategy)
        self._session_seconds = session_seconds
        self._on_health = on_health
        self._on_soft_limit = on_soft_limit
        self._on_switch = on_switch
        self._random = random or Random()
        self._by_id: dict[int, LivingAccount] = {}
        self._by_name: dict[str, LivingAccount] = {}
        self._groups: dict[str, Group] = {}

    # ---- the accounts ------------------------------------------------------------------------------

    @property
    def living(self) -> Mapping[str, LivingAccount]:
        """By name."""
        return self._by_name

    def by_name(self, name: str) -> LivingAccount | None:
        return self._by_name.get(name)

    def by_id(self, account_id: int) -> LivingAccount | None:
        return self._by_id.get(account_id)

    def secrets(self) -> list[str]:
        """Of all accounts: what must not be said by anybody."""
        credentials = [living.account.credential for living in self._by_id.values()]
        return [secret for one in credentials if one is not None for secret in one.secrets]

    def replace(self, accounts: Iterable[Account]) -> None:
        """These are all the accounts from now on. Health stays with the id."""
        wanted = {account.id: account for account in accounts}
        for account_id in [known for known in self._by_id if known not in wanted]:
            self._drop(account_id)
        for account in wanted.values():
            self._take(account)
        self._arrange()

    def put(self, account: Account) -> None:
        """Add the account, or change the one with its id: at once, also for what runs."""
        self._take(account)
        self._arrange()

    def renew(self, account: Account) -> None:
        """New tokens for the account with that id. What was learnt of it holds on; an older version than the
        one in force, from another process's news, changes nothing."""
        if (living := self._by_id.get(account.id)) is not None:
            living.renew(account)

    def remove(self, name: str) -> None:
        """No further request goes to it. Unknown names are passed over."""
        living = self._by_name.get(name)
        if living is not None:
            self._drop(living.id)
            self._arrange()

    def resume(self, name: str) -> None:
        """The owner says the account is mended: it is asked again. A stated limit stays."""
        living = self._by_name.get(name)
        if living is not None:
            living.health.resume(self._clock.now())

    def restore(self, states: Mapping[int, dict[str, Any]]) -> None:
        """By account id, what `LivingAccount.to_state` wrote in an earlier life."""
        for account_id, state in states.items():
            if (living := self._by_id.get(account_id)) is not None:
                living.from_state(state)

    def join_health(self, account_id: int, state: dict[str, Any]) -> None:
        """What another process learnt of the account counts here too."""
        if (living := self._by_id.get(account_id)) is not None:
            living.health.join(state, self._clock.now(), newer_than=living.clean_since)

    def tell_used_since(self, moment: float) -> None:
        """Have `on_health` write down those that were used: their windows change without their health."""
        for living in self._by_id.values():
            if living.last_used_at is not None and living.last_used_at >= moment:
                self._on_health(living)

    def restore_counts(self, account_id: int, requests: int, errors: int, last_used_at: float | None) -> None:
        """What earlier lives counted, for who looks."""
        if (living := self._by_id.get(account_id)) is not None:
            living.past_requests, living.past_errors = requests, errors
            living.last_used_at = last_used_at

    def reset_counts(self) -> None:
        """All counts to zero; nobody has a start on the others then."""
        for living in self._by_id.values():
            living.past_requests = living.past_errors = living.request_count = living.error_count = 0
            living.head_start = 0.0

    def _take(self, account: Account) -> None:
        provider = self._providers.get(account.provider)
        living = self._by_id.get(account.id)
        if living is not None:
            if living.account == account:
                return
            if living.account.provider != account.provider:
                self._group(living.account.provider).sessions.forget_account(account.id)
            living.replace(account, provider)
            return
        living = LivingAccount(
            account,
            provider,
            clock=self._clock,
            random=self._random,
            on_health=self._on_health,
            on_soft_limit=self._on_soft_limit,
        )
        self._group(account.provider).level(living)
        self._by_id[account.id] = living

    def _drop(self, account_id: int) -> None:
        del self._by_id[account_id]
        for group in self._groups.values():
            group.sessions.forget_account(account_id)

    def _arrange(self) -> None:
        self._by_name = {living.account.name: living for living in self._by_id.values()}
        for provider in {living.account.provider for living in self._by_id.values()}:
            self._group(provider)
        for provider, group in self._groups.items():
            group.arrange(one for one in self._by_id.values() if one.account.provider == provider)

    def _group(self, provider: str) -> Group:
        return self._groups.setdefault(provider, Group(self._session_seconds))

    # ---- the strategy ------------------------------------------------------------------------------

    @property
    def strategy(self) -> str:
        return self._policy.name

    @strategy.setter
    def strategy(self, name: str) -> None:
        """In force for the next request. `SettingsError` for an unknown name: the old one stays."""
        self._policy = policy_named(name)

    @property
    def session_seconds(self) -> float:
        """How long a conversation stays on its account, from its first use."""
        return self._session_seconds

    @session_seconds.setter
    def session_seconds(self, seconds: float) -> None:
        self._session_seconds = seconds
        for group in self._groups.values():
            group.sessions.seconds = seconds

    # ---- choosing ----------------------------------------------------------------------------------

    def pick(self, wanted: Wanted, tried: Collection[int]) -> LivingAccount | None:
        """The account for this attempt, None when nobody is left. `tried` holds the ids that this
        request has used up, in the order of trying."""
        group = self._groups.get(wanted.provider)
        if group is None:
            return None
        now = self._clock.now()
        if wanted.pinned_id is not None or not self.rotation:
            return self._only(group, wanted, tried, now)
        current = self._current(group, wanted.session, now)
        if (
            current is not None
            and not tried
            and current.account.priority == group.best_priority
            and current.can_serve(wanted.model, now)
            and (wanted.among is None or current.id in wanted.among)
        ):
            if self._policy.renews_sessions:
                self._renew(group, wanted, now)
            return current
        return self._choose(group, wanted, tried, current, now)

    def has_others(self, wanted: Wanted, tried: Collection[int]) -> bool:
        """Whether an account that was not tried could serve now."""
        if wanted.pinned_id is not None or not self.rotation or wanted.provider not in self._groups:
            return False
        group, now = self._groups[wanted.provider], self._clock.now()
        return bool(group.candidates(wanted.model, tried, now, wanted.among))

    def _only(self, group: Group, wanted: Wanted, tried: Collection[int], now: float) -> LivingAccount | None:
        """The one account that may serve, unless it was tried or is banned."""
        pinned = wanted.pinned_id
        one = group.sole(wanted.model, wanted.among) if pinned is None else self._by_id.get(pinned)
        if one is None or one.id in tried or one.account.provider != wanted.provider:
            return None
        if wanted.among is not None and one.id not in wanted.among:
            return None
        if one.can_serve(wanted.model, now):
            return one
        others = [other.id for other in group.accounts if other is not one]
        return group.last_resort(wanted.model, others, now)

    def _current(self, group: Group, session: str | None, now: float) -> LivingAccount | None:
        if session is None or not self._policy.keeps_sessions:
            return None
        account_id = group.sessions.account_of(session, now)
        return None if account_id is None else self._by_id.get(account_id)

    def _choose(
        self,
        group: Group,
        wanted: Wanted,
        tried: Collection[int],
        current: LivingAccount | None,
        now: float,
    ) -> LivingAccount | None:
        candidates = group.candidates(wanted.model, tried, now, wanted.among)
        if not candidates:
            choice = group.last_resort(wanted.model, tried, now, wanted.among)
        else:
            if self._policy.keeps_sessions:
                group.count_sessions(candidates, now)
            if self._policy.reads_quotas:
                group.note_quotas(candidates, wanted.model, now)
            held = current if current in candidates else None
            choice, group.turn = self._policy.choose(candidates, held, group.turn)
            self._bind(group, wanted, current, choice, now)
        if choice is not None:
            self._note_switch(wanted.model, tried, current, choice, now)
        return choice

    def _bind(
        self, group: Group, wanted: Wanted, current: LivingAccount | None, choice: LivingAccount, now: float
    ) -> None:
        """Keep the conversation on the choice, unless only this one model sends it elsewhere."""
        if wanted.session is None or not self._policy.keeps_sessions:
            return
        if choice is current:
            self._renew(group, wanted, now)
            return
        is_closed = wanted.among is not None and current is not None and current.id not in wanted.among
        if current is None or is_closed or current.can_serve(wanted.model, now) or not current.can_stay(now):
            group.sessions.bind(wanted.session, choice.id, now)

    def _renew(self, group: Group, wanted: Wanted, now: float) -> None:
        if self._policy.renews_sessions and wanted.session is not None:
            group.sessions.renew(wanted.session, now)

    def _note_switch(
        self,
        model: str | None,
        tried: Collection[int],
        current: LivingAccount | None,
        choice: LivingAccount,
        now: float,
    ) -> None:
        left = self._by_id.get(list(tried)[-1]) if tried else current
        if left is None or left is choice:
            return
        why = left.skipped_because(model, now) or ("tried already" if tried else "better priority")
        self.switches += 1
        self.last_switch = Switch(now, left.account.name, choice.account.name, why, is_conversation=not tried)
        self._on_switch(self.last_switch)

    # ---- explaining --------------------------------------------------------------------------------

    def running(self) -> dict[int, Running]:
        """By account id, the conversations that stay on it; accounts without any are not in it."""
        if not self._policy.keeps_sessions:
            return {}
        now = self._clock.now()
        return {id: one for group in self._groups.values() for id, one in group.sessions.running(now).items()}

    def explain(
        self,
        provider: str,
        model: str | None,
        tried: Collection[int] = (),
        *,
        session: str | None = None,
        among: frozenset[int] | None = None,
    ) -> dict[str, str]:
        """Account name -> why a request would pass it by now. Accounts that could serve are not in it."""
        group = self._groups.get(provider)
        if group is None:
            return {}
        now = self._clock.now()
        reasons = {
            one.account.name: self._why_not(group, one, model, tried, now, among) for one in group.accounts
        }
        self._note_session(group, reasons, model, session, now)
        return {name: why for name, why in reasons.items() if why is not None}

    def _note_session(
        self, group: Group, reasons: dict[str, str | None], model: str | None, session: str | None, now: float
    ) -> None:
        """The request's conversation is on one of those that could serve: the others are passed by for it."""
        if session is None or not self.rotation:
            return
        home = self._current(group, session, now)
        if home is None or reasons[home.account.name] is not None:
            return
        until = utc(group.sessions.ends_at(session) or now)
        for name, why in reasons.items():
            if why is None and name != home.account.name:
                reasons[name] = f"session {session} is on {home.account.name} until {until}"

    def _why_not(
        self,
        group: Group,
        one: LivingAccount,
        model: str | None,
        tried: Collection[int],
        now: float,
        among: frozenset[int] | None,
    ) -> str | None:
        if among is not None and one.id not in among:
            return "not for this client key"
        if (why := one.skipped_because(model, now)) is not None:
            return why
        if one.id in tried:
            return "tried already"
        if not self.rotation:
            sole = group.sole(model, among)
            return None if sole is one or sole is None else f"rotation is off: {sole.account.name} serves"
        best = group.candidates(model, tried, now, among)[0].account
        return None if best.priority == one.account.priority else f"worse priority than {best.name}"

    def earliest_return(self, wanted: Wanted, tried: Collection[int] = ()) -> float | None:
        """Unix seconds at which the first account that rests for a limit is back (now, when one could
        serve such a request, or is busy); None: it is not limits that the request would have to wait for."""
        return earliest_return(self._able(wanted, tried), wanted.model, self._clock.now())

    def opens_at(self, wanted: Wanted, tried: Collection[int]) -> float | None:
        """The same for who waits: one that rests for the provider's trouble is asked as soon as it can."""
        return opens_at(self._able(wanted, tried), wanted.model, self._clock.now())

    def is_busy(self, wanted: Wanted, tried: Collection[int]) -> bool:
        """Whether an account that was not tried could serve, had it not all the requests it may have."""
        return is_busy(self._able(wanted, tried), wanted.model, self._clock.now())

    def is_taken(self, provider: str) -> bool:
        """Whether none of its accounts can serve anybody just now, whatever the model."""
        group = self._groups.get(provider)
        return group is None or is_taken(group.accounts, self._clock.now())

    def limited(self, tried: Collection[int], model: str | None) -> set[int]:
        """Of those that were tried the ones that rest for a limit: to try them again then makes sense."""
        return limited(filter(None, map(self._by_id.get, tried)), model, self._clock.now())

    def _able(self, wanted: Wanted, tried: Collection[int]) -> list[LivingAccount]:
        """Those that may serve such a request and were not tried, whatever they rest for."""
        group = self._groups.get(wanted.provider)
        model, pinned_id, among = wanted.model, wanted.pinned_id, wanted.among
        if group is None:
            return []
        if pinned_id is not None or not self.rotation:
            sole = group.sole(model, among) if pinned_id is None else self._by_id.get(pinned_id)
            accounts = [] if sole is None or not sole.is_open else [sole]
        else:
            accounts = [one for one in group.accounts if one.is_open and one.serves(model)]
        return [one for one in accounts if one.id not in tried and (among is None or one.id in among)]
