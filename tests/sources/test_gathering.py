"""From files to accounts."""

import json
from pathlib import Path

from headgate.config.sources import SourceSettings
from headgate.sources.gathering import Gathered, doors_of, gather
from headgate.sources.survey import Survey, take_survey


def test_two_files_for_one_host_are_told_of(tmp_path: Path) -> None:
    """Neither port nor case makes another host; the first file serves it, and the second is not hidden."""
    for name in ("a.example.com", "A.example.com:8080"):
        file = tmp_path / f"{name}.credentials.json"
        file.write_text(json.dumps({"type": "api_key", "api_key": f"sk-{name}"}))
    survey = take_survey(SourceSettings(credentials_dir=str(tmp_path)), Survey())
    gathered = gather(survey, Gathered(), ())
    assert gathered.patterns == {"a.example.com": "A.example.com-8080"}
    assert gathered.notes == [
        "a.example.com.credentials.json: the host a.example.com is served by account A.example.com-8080, "
        "of another file"
    ]


def test_a_client_key_is_known_by_its_hosts(tmp_path: Path) -> None:
    """Once, however many files have it; all files of a host count, and one that cannot be read keeps its."""
    keys = {"b.test": "k1", "a.test": "k1", "a.test:80": "k2", "*.c.test": "k3", "d.test": None}
    for name, key in keys.items():
        file = tmp_path / f"{name}.credentials.json"
        file.write_text(json.dumps({"type": "api_key", "api_key": f"sk-{name}", "client_api_key": key}))
    settings = SourceSettings(credentials_dir=str(tmp_path))

    def hosts(gathered: Gathered) -> set[tuple[str, tuple[str, ...] | None]]:
        return {(key.name, key.hosts) for key in gathered.keys_of_hosts()}

    gathered = gather(take_survey(settings, Survey()), Gathered(), ())
    expected = {("a.test", ("a.test", "b.test")), ("a.test", ("a.test",)), ("any.c.test", ("*.c.test",))}
    assert hosts(gathered) == expected
    (tmp_path / "b.test.credentials.json").write_text("{")
    again = gather(take_survey(settings, Survey()), gathered, {"file:credentials/b.test.credentials.json"})
    assert hosts(again) == expected
    doors = doors_of(settings)  # beside a stopped gateway nobody remembers
    assert doors is not None
    assert {key.hosts for key in doors.keys} == {("a.test",), ("*.c.test",)}
