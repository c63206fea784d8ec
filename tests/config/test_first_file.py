from headgate.config import first_file


def test_only_what_takes_effect_is_offered() -> None:
    """A line that does nothing when its mark is taken away would be a trap."""
    text = first_file.text()
    assert "# server:\n#   host: 127.0.0.1" in text
    assert "workers" not in text
    assert all(not line or line.startswith("#") for line in text.splitlines())
