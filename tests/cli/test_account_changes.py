"""`headgate account set`, `rename`, `refresh`."""

from tests.cli.conftest import Command
from tests.gateway import Gateway


async def test_set_changes_what_is_named_and_nothing_else(headgate: Command) -> None:
    """`none` takes a value away, `--all-models` the list of models; the key stays."""
    await headgate.add("work", "--domain", "team", "--model", "a", "--base-url", "http://h.example")
    done = await headgate("account", "set", "work", "--priority", "-3", "--weight", "4", "--tier", "5")
    assert (done.code, done.out) == (0, "Account work: priority is now -3, weight is now 4, tier is now 5\n")
    shown = (await headgate("account", "show", "work", "--json")).json()
    assert [shown[name] for name in ("priority", "weight", "tier", "domain", "models")] == [
        *(-3, 4, 5, "team"),
        ["a"],
    ]
    done = await headgate(
        *("account", "set", "work", "--domain", "none", "--base-url", "none", "--all-models", "--json")
    )
    changed = done.json()
    assert (changed["domain"], changed["base_url"], changed["models"]) == (None, None, [])
    assert (changed["priority"], changed["status"]) == (-3, "active")
    assert (await headgate("account", "set", "work", "--model", "b", "--model", "c", "--json")).json()[
        "models"
    ] == ["b", "c"]


REFUSED = [
    (("set", "work"), 2, "nothing was named that is to change"),
    (("set", "work", "--model", "a", "--all-models"), 2, "exclude each other"),
    (("set", "work", "--base-url", "nowhere"), 2, "base_url: must be an address"),
    (("set", "work", "--weight", "0"), 2, "--weight"),
    (("set", "wrok", "--tier", "2"), 1, "did you mean work?"),
    (("set", "work", "--proxy", "127.0.0.1:1"), 2, "proxy: must be an address such as http://"),
    (("set", "work", "--proxy", "file:/nowhere"), 2, "/nowhere: No such file"),
    (("set", "work", "--prefix", "team"), 2, "this version does not have --prefix"),
    (("add", "new", "--oauth"), 2, "No client id is set for signing in at anthropic"),
    (("add", "new", "--oauth", "--api-key-stdin"), 2, "an account has an API key or signs in, not both"),
    (("rename", "work", "spare"), 1, "already called spare"),
    (("rename", "work", "a b"), 1, "a-b would do"),
    (("refresh", "work"), 1, "has an API key, which does not expire"),
]


async def test_what_cannot_be_done_says_why_and_changes_nothing(headgate: Command, gateway: Gateway) -> None:
    """An option that is not there yet is refused, not passed over."""
    await headgate.add("work")
    await headgate.add("spare")
    before = (await headgate("account", "list", "--json")).json()
    for arguments, code, why in REFUSED:
        outcome = await headgate("account", *arguments)
        assert (outcome.code, outcome.out) == (code, ""), arguments
        assert why in outcome.err, arguments
        assert "mend:" in outcome.err, arguments
    assert (await headgate("account", "list", "--json")).json() == before


async def test_a_rename_is_in_force_at_once(headgate: Command, gateway: Gateway) -> None:
    """On a running gateway, and afterwards on the database."""
    await headgate.add("work")
    renamed = await headgate("account", "rename", "work", "office")
    assert (renamed.code, renamed.out) == (0, "Account work is now office\n")
    status = (await headgate("status", "--json")).json()
    assert [one["name"] for one in status["rotation"]["accounts"]] == ["office"]
    gateway.stop()
    listed = (await headgate("account", "list", "--json")).json()
    assert [one["name"] for one in listed["accounts"]] == ["office"]
