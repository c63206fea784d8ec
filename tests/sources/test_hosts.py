import pytest

from headgate.access.hosts import host_of
from headgate.errors import NoAccountAvailable, UnknownHost
from headgate.sources.hosts import Hosts

HOSTS = Hosts({"a.test": 1, "*.test": 2, "*.b.test": 3, "::1": 4, "broken.test": None})


@pytest.mark.parametrize(
    ("host", "account"),
    [
        (b"a.test", 1),
        (b"A.TEST.:443", 1),
        (b"c.test", 2),
        (b"c.a.test", 2),
        (b"x.b.test:80", 3),
        (b"b.test", 2),
        (b"[::1]:8080", 4),
    ],
)
def test_the_nearest_file_counts(host: bytes, account: int) -> None:
    for _ in range(2):
        assert HOSTS.account_of([(b"accept", b"*/*"), (b"host", host)]) == account


@pytest.mark.parametrize("host", [b"test", b"a.test.evil", b"xa.tests", b"127.0.0.1:80"])
def test_another_host_has_none(host: bytes) -> None:
    with pytest.raises(UnknownHost) as refused:
        HOSTS.account_of([(b"host", host)])
    assert f"{host_of(host)}.credentials.json" in refused.value.message


@pytest.mark.parametrize("host", [b"", b"../x", b"a/b", b"x" * 300, b"\xff\xfe"])
def test_what_is_no_name_is_not_said_back(host: bytes) -> None:
    with pytest.raises(UnknownHost) as refused:
        HOSTS.account_of([(b"host", host)])
    assert "no name" in refused.value.message


def test_a_file_without_a_usable_account_is_no_way_to_another() -> None:
    with pytest.raises(NoAccountAvailable, match=r"broken\.test\.credentials\.json"):
        HOSTS.account_of([(b"host", b"broken.test")])


def test_one_file_may_be_for_all_others() -> None:
    assert Hosts({"*": 9}).account_of([(b"host", b"anything")]) == 9
    with pytest.raises(UnknownHost):
        Hosts({"*": 9}).account_of([])
