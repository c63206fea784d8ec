from headgate.config.complaints import Complaint, names_below
from headgate.config.files import Position


def test_a_complaint_begins_with_its_place() -> None:
    """As compilers do it; without a place it begins with the setting."""
    assert str(Complaint("a.b", "is missing", position=Position(2, 3))) == "line 2, column 3: a.b: is missing"
    assert str(Complaint("a.b", "is missing")) == "a.b: is missing"


def test_what_may_stand_in_a_group_is_known() -> None:
    """Sections within it too, also where the owner chose the group's name."""
    assert {"port", "tls"} <= set(names_below("server"))
    assert names_below("server.tls") == ["cert", "key"]
    assert names_below("providers.anthropic") == ["base_url", "oauth"]
    assert "weight" in names_below("accounts.0")
