import json
import logging
import stat
import sys
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate import log
from headgate.config.settings import LogSettings


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """Whatever a test configures is gone after it."""
    root, ours = logging.getLogger(), logging.getLogger("headgate")
    before, level, our_level = list(root.handlers), root.level, ours.level
    yield root
    for handler in [handler for handler in root.handlers if handler not in before]:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)
    ours.setLevel(our_level)


def settings(**given: Any) -> dict[str, Any]:
    return LogSettings.model_validate({"file": None, **given}).model_dump()


def proxy() -> logging.Logger:
    return logging.getLogger("headgate.proxy")


def record(message: str, **extra: Any) -> logging.LogRecord:
    return proxy().makeRecord("headgate.proxy", logging.WARNING, "", 0, message, (), None, extra=extra)


@pytest.mark.parametrize("form", ["pretty", "json"])
def test_console_and_file_get_the_same_lines(
    form: str, root: logging.Logger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """S11."""
    log.configure(settings(format=form, file=str(tmp_path / "app.log")))
    proxy().info("Request completed for %s: %d in %dms", "work", 200, 12, extra={"status_code": 200})
    written = (tmp_path / "app.log").read_text()
    assert "Request completed for work: 200 in 12ms" in written
    assert capsys.readouterr().out == written


def test_a_pretty_line_has_time_level_component_message_and_extras() -> None:
    """S4, and `"status_code":403` in both formats (R16); WARNING is WARN."""
    line = log.PrettyFormatter().format(record("refused", status_code=403, provider="anthropic", model=None))
    time, rest = line[1:].split("] ", 1)
    assert rest == 'WARN: [Proxy] refused {"status_code":403,"provider":"anthropic"}'
    assert len(time) == len("2025-01-01T00:00:00.000Z")


def test_a_json_line_is_one_compact_object() -> None:
    """An extra never hides what every line has."""
    line = log.JsonFormatter().format(record("refused", status_code=403, level="low", component="x"))
    assert '"status_code":403' in line
    assert list(json.loads(line).items())[1:4] == [
        ("level", "WARN"),
        ("component", "Proxy"),
        ("message", "refused"),
    ]


@pytest.mark.parametrize(
    ("logger", "component"),
    [
        ("headgate.proxy", "Proxy"),
        ("headgate.server.lane", "Server"),
        ("headgate.async-db-writer", "async-db-writer"),
        ("asyncio", "Asyncio"),
        ("headgate", "Headgate"),
    ],
)
def test_a_component_is_named_after_its_logger(logger: str, component: str) -> None:
    """The guides' searches are for `[Proxy]`, `[Server]` and `async-db-writer`."""
    assert log.component_of(logger) == component


@given(st.text())
def test_no_text_of_a_caller_makes_a_line_of_its_own(text: str) -> None:
    """A model named `x\\n[time] ERROR: …` must not forge a line, nor steer a terminal."""
    for formatter in (log.PrettyFormatter(), log.JsonFormatter()):
        line = formatter.format(record("model " + text.replace("%", ""), model=text))
        assert len(line.splitlines()) == 1
        assert "\x1b" not in line


def test_a_stack_trace_follows_its_line() -> None:
    """S13: pretty on lines of its own, json in `trace`."""
    try:
        raise ValueError("odd\x1b[31m")
    except ValueError:
        broken = record("failed")
        broken.exc_info = sys.exc_info()
    pretty = log.PrettyFormatter().format(broken).splitlines()
    assert pretty[1].startswith("Traceback")
    assert pretty[-1] == "ValueError: odd\\u001b[31m"
    assert json.loads(log.JsonFormatter().format(broken))["trace"].startswith("Traceback")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("sk-ant-api03-abcDEF_123-x", "sk-ant-…"),
        ("key sk-proj-abcdef123456.", "key sk-…."),
        ("authorization: Bearer abc.def-123", "authorization: Bearer …"),
        ("hg_0123456789abcdef", "hg_…"),
        ("/v1beta/models?key=s3cret&alt=sse", "/v1beta/models?key=…&alt=sse"),
        ('{"access_token": "s3cret", "n": 1}', '{"access_token": "…", "n": 1}'),
        ('{\\"refresh_token\\":\\"s3cret\\"}', '{\\"refresh_token\\":\\"…\\"}'),
        ("postgresql://me:s3cret@db/headgate", "postgresql://me:…@db/headgate"),
        ("x-api-key=s3cret", "x-api-key=…"),
    ],
)
def test_secrets_are_cut_down_to_their_kind(text: str, shown: str) -> None:
    """S6: at no level, in no format."""
    assert log.redact(text) == shown


@pytest.mark.parametrize("spell", [
    str,
    lambda secret: quote(secret, safe=""),
    lambda secret: json.dumps(secret),
    lambda secret: b64encode(secret.encode()).decode(),
    lambda secret: b64encode(f"me:{secret}".encode()).decode(),
    lambda secret: urlsafe_b64encode(f"x {secret}\n".encode()).decode(),
])  # fmt: skip
def test_a_known_secret_is_blanked_in_every_form(spell: Callable[[str], str]) -> None:
    """However it looks, and whatever stands around it."""
    secret = 'An odd/secret+of "mine"?'
    text = log.blank(f"they said {spell(secret)}, and left", [secret, "they"])
    assert "…" in text
    assert text.startswith("they said ")
    assert text.endswith(", and left")
    for form in (secret, quote(secret, safe=""), b64encode(secret.encode()).decode()[4:-4]):
        assert form not in text


def test_known_secrets_are_blanked_in_traces(
    root: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    """An exception's words may be those of a provider that was given one."""
    log.hide_in_traces(lambda: ["an odd secret"])
    try:
        for form in ("pretty", "json"):
            log.configure(settings(format=form))
            try:
                raise ValueError("no good: an odd secret")
            except ValueError:
                proxy().exception("failed")
    finally:
        log.hide_in_traces(tuple)
    out = capsys.readouterr().out
    assert out.count("ValueError: no good: …") == 2


@pytest.mark.parametrize(
    "text",
    [
        '"input_tokens":12,"output_tokens":3',
        "caller key-1a2b3c4d",
        "http://127.0.0.1:8080/v1/messages",
        "Account monkey=busy",
        "risk-averse desk-bound",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    """A log that blanks too much explains nothing."""
    assert log.redact(text) == text


def test_secrets_are_blanked_wherever_they_come_from(
    root: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    """Message, argument, extra and stack trace."""
    secret = "sk-ant-api03-abcdefghijk"
    for form in ("pretty", "json"):
        log.configure(settings(format=form, level="DEBUG"))
        try:
            raise ValueError(secret)
        except ValueError:
            proxy().exception("a %s", secret, extra={"header": secret})
    out = capsys.readouterr().out
    assert secret not in out
    assert out.count("sk-ant-…") == 6


def test_the_level_is_headgate_s_own(root: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    """Libraries print statements at DEBUG, secrets included: they speak up from WARN on."""
    log.configure(settings(level="debug"))
    proxy().debug("ours")
    logging.getLogger("aiosqlite").debug("theirs")
    logging.getLogger("aiosqlite").warning("heard")
    log.configure(settings(level="ERROR"))
    proxy().warning("quiet")
    out = capsys.readouterr().out
    assert "ours" in out
    assert "heard" in out
    assert "theirs" not in out
    assert "quiet" not in out


def test_colours_are_for_terminals(root: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    """`auto` asks the console; the file never has them."""
    log.configure(settings(color="auto"))
    proxy().error("plain")
    log.configure(settings(color="always"))
    proxy().error("red")
    plain, red = capsys.readouterr().out.splitlines()
    assert "\x1b" not in plain
    assert red.startswith("\x1b[31m")


def test_a_second_call_replaces_the_first(root: logging.Logger, tmp_path: Path) -> None:
    """A reload writes each line once, and the old file is let go."""
    for name in ("a.log", "b.log"):
        log.configure(settings(file=str(tmp_path / name)))
    proxy().info("once")
    assert (tmp_path / "a.log").read_text() == ""
    assert (tmp_path / "b.log").read_text().count("once") == 1


def test_file_and_folders_are_private(root: logging.Logger, tmp_path: Path) -> None:
    """Requests' paths and account names are nobody else's business."""
    file = tmp_path / "new" / "deep" / "app.log"
    log.configure(settings(file=str(file)))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(file.parent.parent.stat().st_mode) == 0o700


def test_a_place_that_takes_no_file_leaves_the_console(
    root: logging.Logger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A gateway without a log file is better than none; the first line says so."""
    (tmp_path / "file").touch()
    log.configure(settings(file=str(tmp_path / "file" / "app.log")))
    proxy().info("goes on")
    out = capsys.readouterr().out
    assert "WARN: [Server] Logging to standard output only" in out
    assert "goes on" in out


def test_the_default_place_refuses_a_folder_that_is_a_link(
    root: logging.Logger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a temporary folder anybody could have put it there, pointing at a file of ours."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "headgate-logs").symlink_to(tmp_path / "elsewhere")
    log.configure(settings(file="default"))
    assert "belongs to another user" in capsys.readouterr().out
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_the_default_place_is_in_the_temporary_folder(
    root: logging.Logger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S4; a folder that was left wider is closed."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "headgate-logs").mkdir(mode=0o755)
    log.configure(settings(file="default"))
    proxy().info("here")
    assert log.file_of("default") == tmp_path / "headgate-logs" / "app.log"
    assert "here" in (tmp_path / "headgate-logs" / "app.log").read_text()
    assert stat.S_IMODE((tmp_path / "headgate-logs").stat().st_mode) == 0o700
    assert log.file_of(None) is None


_NAMES = ("key", "token", "secret", "password", "authorization", "x-api-key", "access_token")
_SECRET_TEXTS = [
    *("sk-abcdef", "sk-ant-abcdef", "hg_abcdef", f"AIza{'a' * 20}", "Bearer a", "Basic\ta", "a://b:c@d"),
    *(f"{name}{sign}v" for name in _NAMES for sign in ("=", '":"', '" : "', '\\":\\"')),
]
_SPELLINGS = [str, str.upper, str.title, lambda text: text.replace("s", "\u017f").replace("i", "\u0131")]


_ASCII = st.text(st.characters(max_codepoint=127))


@given(_ASCII, st.sampled_from(_SPELLINGS), st.text())
def test_s6_the_look_before_redaction_lets_no_secret_through(
    before: str, spell: Callable[[str], str], after: str
) -> None:
    """It may send a harmless line on to the expression; it may never spare a line that has a secret."""
    for secret in _SECRET_TEXTS:
        assert log._SECRETS.search(secret)
        for text in (spell(secret), before + spell(secret) + after):
            assert log._may_hold_secret(text) or not log._SECRETS.search(text)


@given(st.dictionaries(st.text(), st.one_of(st.none(), st.integers(), st.booleans(), st.text(), st.binary())))
def test_extras_are_written_one_way(extras: dict[str, Any]) -> None:
    """The short way for plain values and the long way for the others give the same text."""
    assert log._encode(extras) == log._encode_any(extras)


@pytest.mark.parametrize(
    ("created", "shown"),
    [
        (0.0, "1970-01-01T00:00:00.000Z"),
        (1_700_000_000.123, "2023-11-14T22:13:20.123Z"),
        (1_700_000_000.9999999, "2023-11-14T22:13:21.000Z"),
        (1_700_000_001.5, "2023-11-14T22:13:21.500Z"),
    ],
)
def test_a_time_has_milliseconds(created: float, shown: str) -> None:
    """A second's text is kept for the lines of the same second, and for no other."""
    line = record("m")
    line.created = created
    assert log.PrettyFormatter().format(line).startswith(f"[{shown}]")


def test_gathered_lines_leave_together_and_in_order(
    root: logging.Logger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever ends the batch; and a large one does not wait for its end."""
    file = tmp_path / "app.log"
    log.configure(settings(file=str(file)))
    with pytest.raises(RuntimeError), log.gathered():
        proxy().info("first")
        proxy().error("second")
        assert file.read_text() == ""
        raise RuntimeError
    proxy().info("third")
    written = file.read_text()
    assert [line.rsplit(" ", 1)[1] for line in written.splitlines()] == ["first", "second", "third"]
    with log.gathered():
        for _ in range(100):
            proxy().info("x" * 500)
        assert file.read_text().count("\n") > 50
    assert file.read_text().count("\n") == 103
    assert capsys.readouterr().out == file.read_text()
