"""claude-nexus-proxy: a folder of credentials for domains, its `.env`, and the history in PostgreSQL."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from headgate.access.hosts import SUFFIX as ENDING
from headgate.errors import ForeignDataUnreadable
from headgate.moving.account_files import account_of, contents_of
from headgate.moving.environments import (
    Counterpart,
    address,
    required,
    take_settings,
    text,
    variables_of,
    whole,
)
from headgate.moving.found import ACCOUNT, HISTORY, OTHER, SETTING, Found, FoundKey, names_of
from headgate.moving.nexus_history import PastOfNexus
from headgate.moving.reading import files_in, secret, words
from headgate.sources import domain_files

_FOLDER = "credentials"

_SETTINGS: Mapping[str, Counterpart] = {
    "PORT": (whole, ("server.port",)),
    "CLAUDE_API_BASE_URL": (address, ("providers.anthropic.base_url",)),
    "CLAUDE_API_TIMEOUT": (whole, ("upstream.first_byte_timeout_ms", "upstream.idle_timeout_ms")),
    "PROXY_SERVER_TIMEOUT": (whole, ("server.request_timeout_ms",)),
    "CLAUDE_OAUTH_CLIENT_ID": (text, ("providers.anthropic.oauth.client_id",)),
    "ENABLE_CLIENT_AUTH": (required, ("access.client_auth",)),
}
_UNCARRIED = (
    "HOST",
    "DASHBOARD_API_KEY",
    "INTERNAL_API_KEY",
    "STORAGE_ENABLED",
    "SLACK_WEBHOOK_URL",
    "SPARK_API_KEY",
)


async def read(sources: Sequence[str], credentials: Path | None = None) -> Found:
    """`sources`: PostgreSQL addresses, credentials folders, checkouts with a `.env`; any of them.

    Raises ForeignDataUnreadable.
    """
    found = Found("claude-nexus-proxy")
    folders = [credentials] if credentials is not None else []
    addresses = []
    for source in sources:
        if "://" in source:
            addresses.append(source)
        else:
            _look_into(found, Path(source), folders, addresses)
    for folder in folders:
        _take_folder(found, folder)
    unread = ""
    if addresses:
        try:
            found.history = await PastOfNexus.of(addresses[0])
        except ForeignDataUnreadable as error:
            if not folders:  # then the database was all that was asked for
                raise
            unread = f"{error.message.rstrip('.')}. {error.hint}"
    if unread:  # accounts and keys come along without it
        found.could_not_read(HISTORY, "requests", unread)
    elif found.history is None:
        found.leave_out(
            HISTORY, "requests", "no PostgreSQL address was given" if not addresses else "it is empty"
        )
    else:
        words = "Headgate keeps bodies to come, where storage.bodies.keep says so, and no analyses"
        found.leave_out(OTHER, "bodies, analyses", words)
    return found


def _look_into(found: Found, path: Path, folders: list[Path], addresses: list[str]) -> None:
    """A folder is one of credentials, a checkout, or both."""
    environment = path / ".env" if path.is_dir() else path
    if path.is_dir() and not environment.is_file():
        folders.append(path)
        return
    if not path.is_dir() and path.name.endswith(".json"):
        raise ForeignDataUnreadable(
            f"{path} is one file.", hint=f"Give the folder that holds the files NAME{ENDING}."
        )
    variables = variables_of(environment)
    take_settings(found, variables, _SETTINGS)
    if rest := [name for name in _UNCARRIED if name in variables]:
        found.leave_out(
            SETTING, names_of(rest), "set the owner's side of Headgate by itself: headgate config docs"
        )
    if "://" in variables.get("DATABASE_URL", ""):
        addresses.append(variables["DATABASE_URL"])
    named = Path(variables.get("CREDENTIALS_DIR", _FOLDER)).expanduser()
    places = (environment.parent / named, environment.parent)
    folders += [one for one in places if one.is_dir() and files_in(one, f"*{ENDING}")][:1]


def _take_folder(found: Found, folder: Path) -> None:
    if not folder.is_dir():
        raise ForeignDataUnreadable(
            f"{folder}: there is no such folder.", hint="Name the credentials folder."
        )
    files = files_in(folder, f"*{ENDING}")
    if not files:
        raise ForeignDataUnreadable(
            f"{folder} holds no credentials: no file in it is called NAME{ENDING}.",
            hint="Name the folder that CREDENTIALS_DIR of the other program names.",
        )
    domains: dict[str, str] = {}
    """Token or key -> the domain whose account comes along with it."""
    keys: dict[str, FoundKey] = {}
    """By digest: one may stand in the files of several domains."""
    for file in files:
        try:
            contents, content = contents_of(file, partial(domain_files.read, file=file))
        except ForeignDataUnreadable as error:
            found.could_not_read(ACCOUNT, file.name, error.message)
            continue
        domain = file.name.removesuffix(ENDING)
        remarks = ("without its Slack channel",) if content.get("slack") else ()
        for one in contents.found:
            account = account_of(one, key=words(content.get("accountId")) or domain)
            found.accounts.append(replace(account, remarks=remarks))
            shared = account.api_key or account.refresh_token or account.access_token or ""
            its_domain = domains.setdefault(shared, account.domain or domain)
            if secret_key := secret(content.get("client_api_key")):
                key = FoundKey.of(domain, secret_key, is_named=True, domains=(its_domain,))
                first = keys.setdefault(key.digest, key)
                if its_domain not in first.domains:
                    keys[key.digest] = replace(first, domains=(*first.domains, its_domain))
    found.keys += keys.values()
