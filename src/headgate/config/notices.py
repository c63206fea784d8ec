"""What is worth a word about settings that are right."""

import stat
from collections.abc import Iterator
from pathlib import Path

from headgate.config import files, table
from headgate.config.merging import Merged, Source
from headgate.config.settings import Settings


def later_warnings(settings: Settings, merged: Merged) -> Iterator[str]:
    """A setting that nothing obeys yet must not be believed in."""
    for path, value in table.values(settings):
        row = table.row_of(path)
        if row is not None and row.is_later and (row.is_required or value != row.default):
            source = merged.source_of(path)
            yield f"{path} is not in effect yet: this release takes no notice of it{_place(source)}"


def tls_warnings(settings: Settings) -> Iterator[str]:
    """One of the two alone: set one after the other, they may well be right in the end."""
    tls = settings.server.tls
    if (tls.cert is None) != (tls.key is None):
        there, missing = ("cert", "key") if tls.key is None else ("key", "cert")
        yield f"server.tls.{there} is set and server.tls.{missing} is not: the next start will be refused"


def account_warnings(settings: Settings, merged: Merged) -> Iterator[str]:
    """An account that is declared, and will be lost when its token ends."""
    for number, account in enumerate(settings.accounts):
        provider = settings.providers.get(account.provider)
        has_client = provider is not None and provider.oauth.client_id is not None
        if account.oauth is not None and account.api_key is None and not has_client:
            place = _place(merged.source_of(f"accounts.{number}"))
            setting = f"providers.{account.provider}.oauth.client_id"
            yield f"The account {account.name} cannot renew its token: {setting} is not set{place}"


def key_warnings(settings: Settings, merged: Merged) -> Iterator[str]:
    """Empty quotes, or a variable with nothing in it: whoever wrote that may believe in a key."""
    section = merged.values.get("admin")
    written = section.get("key") if isinstance(section, dict) else None
    if written is not None and settings.admin.key is None:
        yield f"admin.key is empty: no admin key is set{_place(merged.source_of('admin.key'))}"


def _place(source: Source | None) -> str:
    if source is None:
        return ""
    return f" ({source.description}{f', {source.position}' if source.position else ''})"


def mode_warnings(file: Path, parsed: files.Parsed) -> list[str]:
    """A file with secrets in it should be readable by its owner only."""
    secrets = [row.path for row in table.rows() if row.is_secret]
    holds_secret = any(table.matches(secret, path) for secret in secrets for path in parsed.positions)
    if holds_secret and (mode := stat.S_IMODE(file.stat().st_mode)) & 0o077:
        return [
            f"Config file {file} holds secrets and others can read it (mode {mode:04o}): chmod 600 {file}"
        ]
    return []
