"""What was found, made fit to be taken."""

import pytest

from headgate.moving.found import Found, FoundAccount, FoundKey, names_of, with_fitting_names, without_twins


def accounts(*names: str) -> list[FoundAccount]:
    return [FoundAccount(name=name, api_key=f"k{number}") for number, name in enumerate(names)]


def test_names_become_what_names_may_be() -> None:
    """None twice, the same ones each time, and it is known what they were."""
    given = ("work", "my team", "my-team", "\N{SNOWMAN}", "", "x" * 300, "x" * 301, "../..", "a@b.c")
    fitted, called = with_fitting_names(accounts(*given))
    names = [one.name for one in fitted]
    long = "x" * 128
    assert names == [
        "work",
        "my-team",
        "my-team-2",
        "account",
        "account-2",
        long,
        f"{long[:126]}-2",
        "account-3",
        "a@b.c",
    ]
    assert (called["my-team"], called["my-team-2"], "work" in called) == ("my team", "my-team", False)


def test_a_credential_is_one_account() -> None:
    """Under its first name; the second is told of. Another provider's is another."""
    found = Found("x", accounts=[*accounts("a"), FoundAccount(name="b", api_key="k0")])
    found.accounts.append(FoundAccount(name="c", provider="openai", api_key="k0"))
    without_twins(found)
    assert [one.name for one in found.accounts] == ["a", "c"]
    assert (found.left_out[0].name, "credential of a" in found.left_out[0].why) == ("b", True)


def test_nothing_prints_a_secret() -> None:
    """Not by mistake either."""
    said = repr([*accounts("a"), FoundAccount(name="b", access_token="tok"), FoundKey.of("k", "clear-key")])
    assert not any(secret in said for secret in ("k0", "tok", "clear-key"))


@pytest.mark.parametrize(("count", "said"), [(1, "0"), (8, "0, 1, 2, 3, 4, 5, 6, 7"), (99, "7 and 91 more")])
def test_a_list_stays_a_sentence(count: int, said: str) -> None:
    """However many there are."""
    assert names_of([str(one) for one in range(count)]).endswith(said)
