"""What is settled about a request before the first attempt: its facts, its account if it has one, its
headers for the provider.
"""

import difflib
from collections.abc import Callable

import msgspec

from headgate.access.client_keys import ClientKey
from headgate.access.hosts import host_in, host_of
from headgate.access.ring import KeyRing
from headgate.clock import Clock
from headgate.dialects.anthropic import RequestFacts, read_request
from headgate.dialects.anthropic_beginnings import Beginnings
from headgate.errors import UnknownAccount
from headgate.pool.faults import Fault
from headgate.pool.living import LivingAccount
from headgate.pool.objects import Objects
from headgate.pool.pool import Pool
from headgate.pool.wanted import Wanted
from headgate.providers.provider import Provider
from headgate.record.spans import Spans
from headgate.relay.body import BodyBuffer
from headgate.relay.exchange import Exchange
from headgate.relay.loops import refuse_own_request
from headgate.relay.pins import deals_in_objects, ids_in, ids_in_request
from headgate.relay.trail import Trail
from headgate.sources.hosts import Hosts

_LONGEST_DOMAIN = 253


class Plan(msgspec.Struct, frozen=True, gc=False):
    """Made once, read by every attempt."""

    facts: RequestFacts | None
    """None for a body that routing does not read."""
    model: str | None
    wanted: Wanted
    lines: bytes
    """The client's part of the head, the same for every attempt."""
    provider: Provider
    uses_pool: bool
    deals_in_objects: bool
    key: ClientKey | None = None
    """The caller's, as it is now."""

    def is_typo(self, fault: Fault, living: LivingAccount) -> bool:
        """A model that an account never served and does not list says nothing about the account."""
        return fault is Fault.MODEL_MISSING and (self.model is None or not living.knows(self.model))


class Planner:
    def __init__(
        self,
        pool: Pool,
        objects: Objects,
        providers: dict[str, Provider],
        *,
        ring: KeyRing,
        clock: Clock,
        on_object: Callable[[str, int], None],
        spans: Spans,
    ) -> None:
        self.spans = spans
        self._pool = pool
        self._ring = ring
        self._now = clock.now
        self._objects = objects
        self._providers = providers
        self._on_object = on_object
        self._hosts: Hosts | None = None
        self._beginnings = Beginnings(spans.hasher)

    def follow_hosts(self, hosts: Hosts | None) -> None:
        """From the next request on the host that a client calls picks its account; None: it does not."""
        self._hosts = hosts

    def plan(self, exchange: Exchange, trail: Trail) -> Plan:
        """Raises InvalidRequest for a body that cannot be routed, UnknownAccount for a wrong wish,
        UnknownHost for a host without an account, LoopDetected for a request of our own, InvalidClientKey and
        KeyMayNot for what the caller's key does not open; the trail has what was read by then."""
        client, endpoint = exchange.head.client, exchange.head.endpoint
        key = self.key_of(exchange)
        if key is not None:
            if key.is_narrow:
                key.refuse_provider(endpoint.provider)
            if client.wanted_account is not None:
                key.refuse_choice()
        session = client.session
        facts = None
        if endpoint.reads_body and isinstance(exchange.body, BodyBuffer):
            facts = read_request(
                exchange.body.whole(),
                with_session=session is None,
                hashing=self.spans if endpoint.holds_turns and self.spans.is_on else None,
                beginnings=self._beginnings,
            )
            session = session or facts.session
        exchange.facts, exchange.session = facts, session
        deals = deals_in_objects(exchange, facts)
        provider = self._providers[endpoint.provider]
        model = facts.model if facts is not None else None
        if key is not None and model is not None and key.is_narrow:
            key.refuse_model(model)
        if client.caller.own_credential is not None:
            if key is None:
                trail.apart = self.spans.digest(client.caller.own_credential.secret)
            refuse_own_request(exchange, self._pool, provider)
        pinned_id = None
        if deals or client.wanted_account is not None:
            pinned_id = self._pinned(exchange, facts, searches=deals)
        if self._hosts is not None:
            trail.domain = host_of(host_in(client.headers))[:_LONGEST_DOMAIN] or None
            if client.wanted_account is None and client.caller.uses_pool:
                pinned_id = self._hosts.account_of(client.headers)
        return Plan(
            facts,
            model,
            Wanted(
                endpoint.provider,
                model,
                session,
                pinned_id,
                self._bound_to(key) if key is not None and key.is_bound else None,
            ),
            client.lines_for(provider),
            provider,
            client.caller.uses_pool,
            deals,
            key,
        )

    def renewed(self, plan: Plan, exchange: Exchange, trail: Trail) -> Plan:
        """After a wait: another one where its owner changed the key. Raises what `plan` raises."""
        return plan if self.key_of(exchange) is plan.key else self.plan(exchange, trail)

    def key_of(self, exchange: Exchange) -> ClientKey | None:
        """The caller's key as it is now. Raises InvalidClientKey when it does not open any more."""
        client = exchange.head.client
        shown, digest = client.caller.key, client.caller.digest
        if shown is None:
            return None
        key = self._ring.usual(shown, digest) or self._ring.check(shown, digest, self._now())
        if key.hosts is not None:
            self._ring.refuse_elsewhere(key, client.headers)
        return key

    def _pinned(self, exchange: Exchange, facts: RequestFacts | None, *, searches: bool) -> int | None:
        """The account that alone can serve this request, None when any may."""
        if (name := exchange.head.client.wanted_account) is not None:
            return self._by_name(name)
        if searches and self._objects.is_used:
            for object_id in ids_in_request(exchange, facts):
                if (account_id := self._objects.account_of(object_id)) is not None:
                    return account_id
        return None

    def _bound_to(self, key: ClientKey) -> frozenset[int]:
        accounts = (living.account for living in self._pool.living.values())
        return key.binds((account.id, account.name, account.domain) for account in accounts)

    def _by_name(self, name: str) -> int:
        living = self._pool.by_name(name)
        if living is not None:
            return living.account.id
        near = difflib.get_close_matches(name, self._pool.living, n=3)
        hint = f"Did you mean {', '.join(near)}?" if near else "`headgate account list` shows the names."
        raise UnknownAccount(f"No account is called {name[:64]!r} (header x-headgate-account).", hint=hint)

    def listener(self, account_id: int) -> Callable[[bytes], None]:
        """Remembers the ids that an answer of this account brings, before the client can use them."""

        def note(text: bytes) -> None:
            for object_id in ids_in(text):
                if self._objects.account_of(object_id) is None:
                    self._objects.remember(object_id, account_id)
                    self._on_object(object_id, account_id)

        return note
