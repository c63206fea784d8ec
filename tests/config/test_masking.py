"""The settings file as it may be shown, and the way back."""

import hashlib

import pytest

from headgate.config import first_file, table
from headgate.config.masking import is_shown_key, looks_shown, masked_text, shown_key, unmasked_text
from headgate.errors import SettingsError


def digits(key: str) -> str:
    return f"sha256:{hashlib.sha256(key.encode()).hexdigest()[:8]}…"


TEXT = f"""\
# my settings
admin:
  key: s3cret  # for the panel
access:
  api_keys:
    - hg_laptop   # the laptop's
    - "ci's key"
    - file:/run/secrets/key
    - sha256:{"ab" * 32}
upstream: {{proxy: 'http://me:s3cret@proxy:3128', no_proxy: [a, b]}}
accounts:
- name: one
  api_key: |
    sk-ant-one
  base_url: https://api.example.com
- {{name: two, provider: anthropic, api_key: &key "sk-ant-two"}}
- name: three
  api_key: ${{THREE}}
storage: {{url: *key}}
retry: {{attempts: 5}}
"""


def test_of_secrets_only_a_mask_is_shown() -> None:
    """Everything else to the letter: comments, order, quotes; where a secret is found is none itself."""
    assert (
        masked_text(TEXT)
        == f"""\
# my settings
admin:
  key: "***"  # for the panel
access:
  api_keys:
    - "{digits("hg_laptop")}"   # the laptop's
    - "{digits("ci's key")}"
    - file:/run/secrets/key
    - "sha256:abababab…"
upstream: {{proxy: "***", no_proxy: [a, b]}}
accounts:
- name: one
  api_key: "***"
  base_url: https://api.example.com
- {{name: two, provider: anthropic, api_key: &key "***"}}
- name: three
  api_key: ${{THREE}}
storage: {{url: *key}}
retry: {{attempts: 5}}
"""
    )


def test_the_way_back() -> None:
    """What was shown stands for what is there, wherever it has moved to."""
    shown = masked_text(TEXT)
    assert masked_text(unmasked_text(shown, TEXT)) == shown
    moved = f"""\
accounts: [{{name: two, api_key: "***"}}, {{name: one, api_key: '***'}}]
api-keys: ["{digits("ci's key")}", 'new', {digits("hg_laptop").replace("…", "...")}]
"""
    assert (
        unmasked_text(moved, TEXT)
        == """\
accounts: [{name: two, api_key: "sk-ant-two"}, {name: one, api_key: "sk-ant-one\\n"}]
api-keys: ["ci's key", 'new', "hg_laptop"]
"""
    )


@pytest.mark.parametrize(
    "sent",
    [
        "accounts: [{name: four, api_key: '***'}]",
        "access: {api_keys: [sha256:00000000…]}",
        "remote-management: {secret-key: '***'}",
    ],
)
def test_a_mask_that_stands_for_nothing_is_refused(sent: str) -> None:
    """It would become the secret. A mask where nothing is secret is a text like any other."""
    with pytest.raises(SettingsError, match="stands for a secret that the file does not have"):
        unmasked_text(sent, "retry: {attempts: 5}")
    assert unmasked_text("models: {excluded: ['***']}", None) == "models: {excluded: ['***']}"


@pytest.mark.parametrize(
    "text",
    [
        "admin: {kee: s3cret}",
        "admin:\n  - s3cret",
        "admin: s3cret",
        "s3cret",
        "- s3cret",
        "remote-management: {secret-key: s3cret}",
        "api-keys: s3cret, another",
        'accounts: \'[{"name": "a", "api_key": "s3cret"}]\'',
        "accounts: {a: {api_key: s3cret}}",
        "accounts: [{name: a, oauth: {access_token: s3cret, refresh_token: s3cret}}]",
        "base: &b {key: s3cret}\nadmin: {<<: *b}",
        "x: &s s3cret\nretry: {attempts: *s}",
        "retry: {attempts: &s s3cret}\nadmin: {key: *s}",
        "admin: {key: !!str s3cret}",
        "admin:\n  key: >-\n    s3cret\n    s3cret\n  ",
        "admin:\n  key: 's3cret\n\n    s3cret'\n",
        "# admin: {key: s3cret}",
        "#   api_keys:\n#   - s3cret\nretry: {}",
        "# admin.key=s3cret",
        "storage: {url: 'postgresql://me:s3cret@host/x'}",
        "providers: {anthropic: {api_key: s3cret}}",
        '{"admin": {"key": "s3cret"}}',
    ],
)
def test_no_spelling_shows_a_secret(text: str) -> None:
    """Also where the file is wrong: what nobody knows is masked."""
    assert "s3cret" not in masked_text(text)


def test_a_secret_in_any_secret_setting_is_masked() -> None:
    """By the table itself."""
    for row in table.rows():
        if row.is_secret and table.ANY_NAME not in row.path:
            *groups, name = row.path.replace("accounts.[]", "accounts").split(".")
            text = f"{name}: s3cret"
            for group in reversed(groups):
                text = f"{group}: [{{{text}}}]" if group == "accounts" else f"{group}: {{{text}}}"
            assert "s3cret" not in masked_text(text), row.path


def test_the_first_file_is_shown_as_it_is() -> None:
    """Its comments are ours."""
    assert masked_text(first_file.text()) == first_file.text()


@pytest.mark.parametrize("text", ["a: [1", "a: 'x", "\tb: 1", "a: *nothing", "- " * 5000])
def test_what_is_no_yaml_is_not_shown(text: str) -> None:
    """Nobody can tell what is secret in it. On the way back whoever reads it says what is wrong."""
    with pytest.raises(SettingsError, match="cannot be shown"):
        masked_text(text)
    assert unmasked_text(text, TEXT) == text


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
        + "".join(
            f"{n}: &{n} [{', '.join(['*' + m] * 10)}]\n" for m, n in zip("abcdefg", "bcdefgh", strict=True)
        ),
        "a: &a [*a]",
        "a: " + "[" * 5000,
    ],
)
def test_a_text_that_would_become_too_much_is_refused(text: str) -> None:
    """Before anybody follows its anchors, or waits for its parser."""
    for read in (masked_text, lambda text: unmasked_text(text, None)):
        with pytest.raises(SettingsError, match=r"stands for more than|nests deeper"):
            read(text)


def test_a_key_is_named_by_its_digits() -> None:
    """As the records of requests name it."""
    digest = "sha256:" + "ab" * 32
    assert shown_key(digest) == "sha256:abababab…"
    for text in ("sha256:abababab…", " SHA256:ABABABAB... "):
        assert is_shown_key(text, digest)
        assert looks_shown(text)
    for text in (digest, "sha256:abababab", "hg_abababab…", ""):
        assert not is_shown_key(text, digest)
