"""From files to accounts."""

import json
from pathlib import Path

from headgate.config.sources import SourceSettings
from headgate.sources.gathering import Gathered, gather
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
