"""From files to accounts: one name each, one account for the tokens that several domains share."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from headgate.access.client_keys import ClientKey
from headgate.access.hosts import SUFFIX, Doors
from headgate.config.sources import SourceSettings
from headgate.pool.accounts import Kind
from headgate.sources.domain_files import domain_of, name_of
from headgate.sources.found import Found
from headgate.sources.survey import DOMAINS, Reader, Reading, Survey, take_survey
from headgate.storage.drafts import FILES, AccountDraft
from headgate.storage.from_files import FileAccount, is_among


@dataclass(slots=True)
class Place:
    """Where an account's tokens stand."""

    file: Path
    reader: Reader
    found: Found


@dataclass(slots=True)
class Gathered:
    accounts: list[FileAccount] = field(default_factory=list)
    kept: set[str] = field(default_factory=set)
    """Names whose entry is wrong: their accounts stay as they were."""
    left_out: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    places: dict[str, list[Place]] = field(default_factory=dict)
    """By name, of the accounts that sign in."""
    patterns: dict[str, str | None] = field(default_factory=dict)
    """Pattern of hosts -> name of the account; None: its file has none that can be used."""
    owners: dict[str, str] = field(default_factory=dict)
    """Name -> origin, of the accounts of domains."""
    shared: dict[tuple[str, str], str] = field(default_factory=dict)
    """What their tokens are known by -> name: who has the same ones has the same account."""
    client_keys: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    """Origin -> pattern of hosts, and digest of the key that they ask for."""

    def keys_of_hosts(self) -> list[ClientKey]:
        """Each digest once: one key may be in the files of several hosts."""
        hosts: dict[bytes, set[str]] = {}
        for pattern, digest in self.client_keys.values():
            hosts.setdefault(digest, set()).add(pattern)
        return [
            ClientKey(id=0, name=name_of(min(one)), digest=digest, is_declared=True, hosts=tuple(sorted(one)))
            for digest, one in hosts.items()
        ]


def gather(survey: Survey, before: Gathered, unread: Collection[str]) -> Gathered:
    """`unread`: the origins of files that say nothing just now, as `FileAccounts.take` has them."""
    gathered = Gathered()
    names: dict[str, str] = {}
    _keep_domains(gathered, before, unread)
    names |= gathered.owners
    shared = gathered.shared
    for reading in survey.readings.values():
        is_domain = reading.origin.startswith(DOMAINS)
        pattern = domain_of(reading.path) if is_domain else None
        if is_domain and pattern is None:
            word = reading.path.name.removesuffix(SUFFIX)
            gathered.left_out[word] = f"{reading.path.name} names no host that a client could call."
            continue
        if pattern is not None:
            gathered.patterns.setdefault(pattern, None)
            if reading.contents is not None and (digest := reading.contents.client_key) is not None:
                gathered.client_keys[reading.origin] = pattern, digest
        for found in _found_in(reading, gathered):
            key = _key_of(found)
            if is_domain and key in shared:
                _add_place(gathered, shared[key], reading, found)
            elif (other := names.get(found.name)) is not None:
                gathered.left_out[f"{found.name} of {_shown(reading.origin)}"] = (
                    f"{_shown(other)} has one of that name. Give one of them another name."
                )
                continue
            else:
                names[found.name] = reading.origin
                if is_domain:
                    shared[key], gathered.owners[found.name] = found.name, reading.origin
                gathered.accounts.append(FileAccount(_draft(found, reading.origin), found.is_off))
                _add_place(gathered, found.name, reading, found)
            if pattern is None:
                continue
            if gathered.patterns[pattern] is None:
                gathered.patterns[pattern] = shared[key]
            elif (serving := gathered.patterns[pattern]) != shared[key]:
                gathered.notes.append(
                    f"{reading.path.name}: the host {pattern} is served by account {serving}, of another file"
                )
    return gathered


def doors_of(settings: SourceSettings) -> Doors | None:
    """As the files have them, where no gateway follows them. For a thread."""
    if settings.credentials_path is None:
        return None
    survey = take_survey(settings, Survey())
    unread = {*survey.unread, *(origin for origin, one in survey.readings.items() if one.contents is None)}
    gathered = gather(survey, Gathered(), unread)
    return Doors(gathered.patterns, gathered.keys_of_hosts())


def _keep_domains(gathered: Gathered, before: Gathered, unread: Collection[str]) -> None:
    """A host whose file says nothing just now keeps its account and asks for the same key, and an account
    whose own file is so goes on serving the other domains that share it."""
    gathered.client_keys = {
        origin: one for origin, one in before.client_keys.items() if is_among(origin, unread)
    }
    gathered.owners = {name: origin for name, origin in before.owners.items() if is_among(origin, unread)}
    gathered.shared = {key: name for key, name in before.shared.items() if name in gathered.owners}
    for name in gathered.owners:
        # As they were written meanwhile into the files of those others.
        gathered.shared |= {_key_of(place.found): name for place in before.places.get(name, ())}
    for origin in unread:
        if origin == DOMAINS:
            gathered.patterns |= before.patterns
        elif origin.startswith(DOMAINS) and (pattern := domain_of(Path(origin))) in before.patterns:
            gathered.patterns[pattern] = before.patterns[pattern]


def _key_of(found: Found) -> tuple[str, str]:
    return found.provider, found.credential.refresh_token or found.credential.secret


def _found_in(reading: Reading, gathered: Gathered) -> Iterator[Found]:
    if reading.contents is None:
        return
    for name, wrong in reading.contents.wrong:
        gathered.left_out[name or f"in {_shown(reading.origin)}"] = f"{reading.path.name}: {wrong}"
        if name is not None:
            gathered.kept.add(name)
    for found in reading.contents.found:
        if found.passed_over:
            fields = ", ".join(found.passed_over)
            gathered.notes.append(f"{reading.path.name}: not obeyed for account {found.name}: {fields}")
        yield found


def _add_place(gathered: Gathered, name: str, reading: Reading, found: Found) -> None:
    if found.kind is Kind.OAUTH:
        gathered.places.setdefault(name, []).append(Place(reading.path, reading.reader, found))


def _draft(found: Found, origin: str) -> AccountDraft:
    return AccountDraft(
        name=found.name,
        provider=found.provider,
        secret=found.credential,
        kind=found.kind,
        priority=found.priority,
        weight=found.weight,
        tier=found.tier,
        concurrency=found.concurrency,
        proxy=found.proxy,
        base_url=found.base_url,
        models=found.models,
        email=found.email,
        domain=found.domain,
        origin=origin,
    )


def _shown(origin: str) -> str:
    return origin.removeprefix(FILES)
