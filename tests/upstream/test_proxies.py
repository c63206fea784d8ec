"""Which proxy leads where."""

import pytest

from headgate.config.settings import UpstreamSettings
from headgate.errors import SettingsError
from headgate.upstream.origin import Origin
from headgate.upstream.proxies import Exempt, Proxies, is_on_this_machine

HTTPS = Origin("https", "api.example.com", 443)
HTTP = Origin("http", "api.example.com", 80)
HERE = Origin("http", "127.0.0.1", 8080)


def proxies(**settings: object) -> Proxies:
    return Proxies(UpstreamSettings.model_validate(settings))


def way(found: object) -> str | None:
    return None if found is None else str(found)


def test_the_account_comes_before_the_setting_before_the_environment() -> None:
    """The more exact word counts; `direct` is one."""
    usual = {"https_proxy": "http://usual:1", "all_proxy": "socks5h://all:2"}
    assert way(proxies(**usual).of(HTTPS)) == "http://usual:1"
    assert way(proxies(**usual).of(HTTP)) == "socks5h://all:2"
    general = proxies(proxy="http://general:3", **usual)
    assert way(general.of(HTTPS)) == "http://general:3"
    assert way(general.of(HTTPS, "socks5://own:4")) == "socks5://own:4"
    assert general.of(HTTPS, "direct") is None
    assert proxies(proxy="direct", **usual).of(HTTPS) is None
    assert proxies(https_proxy="direct", all_proxy="http://all:2").of(HTTPS) is None
    assert proxies().of(HTTPS) is None


def test_no_proxy_and_this_machine_concern_the_usual_ones_only() -> None:
    """What is said of one gateway or one account is meant for it."""
    usual = proxies(http_proxy="http://usual:1", https_proxy="http://usual:1", no_proxy="example.com")
    assert usual.of(HTTPS) is None
    assert usual.of(HERE) is None
    assert way(usual.of(Origin("https", "example.org", 443))) == "http://usual:1"
    general = proxies(proxy="http://general:3", no_proxy="*")
    assert way(general.of(HTTPS)) == "http://general:3"
    assert way(general.of(HERE)) == "http://general:3"


@pytest.mark.parametrize(
    ("items", "host", "port", "is_exempt"),
    [
        ("local.com", "local.com", 443, True),
        ("local.com", "www.local.com", 443, True),
        ("local.com", "www.notlocal.com", 443, False),
        (".local.com", "local.com", 443, True),
        ("*.local.com", "www.local.com", 443, True),
        ("local.com.", "LOCAL.com.", 443, True),
        ("local.com:8443", "local.com", 8443, True),
        ("local.com:8443", "local.com", 443, False),
        ("*", "anything.example", 443, True),
        ("other.com local.com", "local.com", 443, True),
        ("192.168.0.0/16", "192.168.7.1", 443, True),
        ("192.168.0.0/16", "192.169.7.1", 443, False),
        ("10.1.2.3", "10.1.2.3", 443, True),
        ("1.2.3", "10.1.2.3", 443, False),
        ("10.1.2.3:99", "10.1.2.3", 443, False),
        ("fd00::/8", "fd12::1", 443, True),
        ("[fd12::1]:443", "fd12::1", 443, True),
        ("[fd12::1]:444", "fd12::1", 443, False),
        ("fd12::1", "fd12::1", 443, True),
        ("", "local.com", 443, False),
        (".", "local.com", 443, False),
    ],
)
def test_no_proxy_is_read_as_curl_reads_it(items: str, host: str, port: int, is_exempt: bool) -> None:
    """A name stands for all below it, an address for itself, a network for its addresses; a port narrows."""
    assert Exempt([items]).covers(Origin("https", host, port)) is is_exempt


@pytest.mark.parametrize(
    ("host", "is_here"),
    [
        ("localhost", True),
        ("LOCALHOST.", True),
        ("db.localhost", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("notlocalhost", False),
        ("10.0.0.1", False),
    ],
)
def test_this_machine_has_several_names(host: str, is_here: bool) -> None:
    assert is_on_this_machine(host) is is_here


def test_an_address_that_came_in_by_another_door_is_refused() -> None:
    """Without repeating it."""
    with pytest.raises(SettingsError, match="Invalid proxy") as refused:
        proxies().of(HTTPS, "http://me:sec-ret@")
    assert "sec-ret" not in refused.value.message
