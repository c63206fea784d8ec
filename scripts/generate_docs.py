"""Writes the files that come from the code: `python -m scripts.generate_docs`.

`make lint` fails while one differs from what this would write.
"""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from headgate import errors
from headgate.config import environment, table
from headgate.errors import HeadgateError
from headgate.storage.migrations.revision import NEWEST_SCHEMA
from scripts import write_commands, write_guides, write_monitoring, write_schema, write_security

DOCS = Path(__file__).resolve().parent.parent / "docs"

_SETTINGS_HEAD = """\
# Settings

Generated from `src/headgate/config/` by `make docs`.

One YAML file: `config.yaml` in the platform's config folder (`~/.config/headgate` on Linux). `--config PATH`
names another, as does `HEADGATE_CONFIG`. Data (database, encryption key, journal, control socket) is kept in
the platform's data folder (`~/.local/share/headgate` on Linux), or where `HEADGATE_DATA_DIR` says; with
`storage.url` elsewhere the control socket still lies there, so the folder must be one that can be made.

A flag wins over the environment, the environment over `.env`, that over the file, the file over the default.
In the environment a setting is `HEADGATE_` and its name, with `__` for the dot: `HEADGATE_SERVER__PORT=9000`.
`.env` is read from the folder where the command is started (`NAME=value`, quotes, `export` and comments as
usual); in it too every name that is understood counts, so look what else is in the folder.

In the file `${NAME}` is replaced from the environment or `.env` (`$${NAME}` stays as `${NAME}`); a secret may
be written as `file:/path`, which reads it from there. An unknown key in the file is an error that names the
nearest valid one, and so is an unknown provider anywhere; an unknown `HEADGATE_` variable is a
warning. `headgate config check` says all that is wrong at once, `headgate config show` what is in force and
why.

A running gateway takes a change over about a second after it was saved (also of `.env` and of the files
that `file:` names), on SIGHUP, and by `POST /api/config/reload`. Requests that run end under the settings
that they began with; upstream connections that are open keep their keep-alive time. When the new settings
are wrong the old ones stay in force: the log and `/health` say where. A setting marked *needs a restart* is
kept as it was until then. An account that the file no longer declares is removed; the others keep their
health.

A setting marked *not in effect yet* is read and checked but belongs to a later release: setting it is warned
about.

## The encryption key

Accounts' secrets are stored sealed. The key that opens them is in `HEADGATE_SECRET_KEY`, or else in the file
`secret.key` beside the database, which is made at the first start. Any text of 16 characters or more is a
key (`openssl rand -base64 32`). `headgate db rotate-key` changes it and seals everything anew.
By hand: put the new one in front and keep the old one behind, separated by commas in the variable, one to a
line in the file. The first seals, all open.

Back it up, but not with the database: who has both has the secrets. Without the key the gateway starts with a
warning, an account that it sealed is `needs_reauth`, and the others serve. Put the key back, or give the
secret again with `headgate account reauth NAME`. A command on a stopped gateway needs the variable as well.
A key that cannot be one (too short, no text) stops the start: restore the backup before making another.
"""

_ALIASES_HEAD = """
## Names that other gateways' guides use

The names of the settings themselves (`HEADGATE_SERVER__PORT`) win over these. `CLAUDE_API_TIMEOUT` sets two
settings at once.
`DEBUG=1` asks for the level debug; other values of it are left alone.

| variable | setting |
|---|---|
"""

_ERRORS_HEAD = """\
# Errors

Generated from `src/headgate/errors.py` and `caller_errors.py` by `make docs`.

Every failure has a stable code. A caller finds it in the header `x-headgate-error` and in the error's body,
beside the cause, the mend and the request id that is also in the log and in the record.

*Next* is what the gateway does itself before a caller sees anything: `next_account` and `same_account` are
tried again, `stop` is final.

| code | status | whose | next | meaning |
|---|---|---|---|---|
"""


@cache
def pages() -> dict[Path, str]:
    """Each generated file with its text."""
    return {
        DOCS / "settings.md": settings_page(),
        DOCS / "errors.md": errors_page(),
        DOCS / "commands.md": write_commands.page(),
        DOCS / "guides.md": write_guides.page(),
        DOCS / "monitoring.md": write_monitoring.page(),
        DOCS / "security.md": write_security.page(),
        NEWEST_SCHEMA: write_schema.newest(),
    }


def settings_page() -> str:
    return _SETTINGS_HEAD + "".join(_settings_tables()) + _ALIASES_HEAD + "".join(_alias_lines())


def _settings_tables() -> Iterator[str]:
    section = ""
    for row in table.rows():
        group = row.path.partition(".")[0]
        if group != section:
            section = group
            yield f"\n## {section}\n\n| setting | default | unit | meaning |\n|---|---|---|---|\n"
        yield f"| `{row.path}` | {_default(row)} | {row.unit} | {row.description}{_marks(row)} |\n"


def _marks(row: table.Row) -> str:
    """Both may be true of one; until something obeys it, a restart changes nothing."""
    if row.is_later:
        return " *Not in effect yet.*"
    return " *Needs a restart.*" if row.needs_restart else ""


def _default(row: table.Row) -> str:
    return "required" if row.is_required else f"`{_yaml(row.default)}`"


def _yaml(value: Any) -> str:
    text = json.dumps(value)
    return text.strip('"') if isinstance(value, str) else text


def _alias_lines() -> Iterator[str]:
    shown: dict[str, list[str]] = {}
    for name, alias in environment.ALIASES.items():
        shown.setdefault(", ".join(f"`{path}`" for path in alias.paths), []).append(name)
    shown["the settings file"] = list(environment.CONFIG_ALIASES)
    for target, names in sorted(shown.items()):
        yield f"| {', '.join(f'`{name}`' for name in names)} | {target} |\n"


def errors_page() -> str:
    return _ERRORS_HEAD + "".join(_error_line(kind) for kind in family())


def family(base: type[HeadgateError] = errors.HeadgateError) -> Iterator[type[HeadgateError]]:
    """Every error that is raised, in the order of the file; a base that only groups others has no code."""
    for kind in base.__subclasses__():
        if "code" in vars(kind):
            yield kind
        yield from family(kind)


def _error_line(kind: type[HeadgateError]) -> str:
    meaning = " ".join((vars(kind).get("__doc__") or "").split())
    return f"| `{kind.code}` | {kind.status} | {kind.blame} | {kind.next_step} | {meaning} |\n"


def main() -> None:
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
        print(f"wrote {path.relative_to(DOCS.parent)}")


if __name__ == "__main__":
    main()
