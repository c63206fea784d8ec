"""What came of moving in, as it is printed."""

import json

import pytest

from headgate.cli.moving_report import ADDED, FAILED, LEFT_OUT, Report, print_report


def test_a_strangers_words_do_not_command_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Names come out of foreign files."""
    report = Report("ccflare", dry_run=False)
    report.add("account", "\x1b[2Jname", ADDED, "\x07why")
    print_report(report, as_json=False)
    said = capsys.readouterr().out
    assert "\x1b[2J" not in said
    assert "\x07" not in said


def test_as_json_it_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    """With what failed told by one word."""
    report = Report("ccflare", dry_run=True)
    report.add("account", "a", ADDED)
    report.add("client key", "k", LEFT_OUT, "why", "sha256:0")
    assert not report.has_failed
    report.add("setting", "s", FAILED, "why")
    print_report(report, as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert (found["ok"], found["dry_run"], found["history"]) == (False, True, None)
    assert found["items"][1] == {
        **{"kind": "client key", "name": "k", "outcome": "left out", "why": "why", "digest": "sha256:0"}
    }


def test_nothing_found_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    """An empty table would leave one guessing."""
    print_report(Report("ccflare", dry_run=False), as_json=False)
    assert "nothing of ccflare" in capsys.readouterr().out
