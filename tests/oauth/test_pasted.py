import pytest

from headgate.errors import SignInFailed
from headgate.oauth.pasted import Pasted, read_pasted


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("abcdefgh12#state-1", Pasted("abcdefgh12", "state-1")),
        ("  abcdefgh12#sta\n te-1 \r\n", Pasted("abcdefgh12", "state-1")),
        ("abcdefgh12", Pasted("abcdefgh12", None)),
        ("https://x.example/cb?code=abcdefgh12&state=s1", Pasted("abcdefgh12", "s1")),
        ("https://x.example/cb?state=s%2F1&code=abc%2Bdefgh", Pasted("abc+defgh", "s/1")),
        ("https://x.example/cb?code=abcdefgh12#s1", Pasted("abcdefgh12", None)),
        ("https://x.example/cb#code=abcdefgh12&state=s1", Pasted("abcdefgh12", "s1")),
        ("https://x.example/cb?code=abcdefgh12%23s1", Pasted("abcdefgh12", "s1")),
        ("code=abcdefgh12&state=s1", Pasted("abcdefgh12", "s1")),
        ("?code=abcdefgh12&state=s1", Pasted("abcdefgh12", "s1")),
    ],
)
def test_what_people_paste(text: str, read: Pasted) -> None:
    """The code with its state, the whole address, the code alone; broken lines mended."""
    assert read_pasted(text) == read


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            " \n",
            "abc",
            "abcdefgh12#",
            "#state",
            "https://x.example/cb?state=1",
            "https://[",
            "héllo-wörld#s",
        ),
        *("a" * 9000, "abcdefgh\x00#s", "http://x/?code=abc", "\ud800abcdefghi"),
    ],
)
def test_what_can_be_no_code(text: str) -> None:
    with pytest.raises(SignInFailed, match=r"^Invalid authorization code: ") as caught:
        read_pasted(text)
    assert "code#state" in caught.value.hint


def test_a_providers_no_is_told_as_such() -> None:
    """RFC 6749, section 4.1.2.1: the address that a person is led back to may hold an error."""
    with pytest.raises(SignInFailed, match="access_denied: not today"):
        read_pasted("https://x.example/cb?error=access_denied&error_description=not+today&state=s")
