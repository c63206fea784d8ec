import re

from hypothesis import given
from hypothesis import strategies as st

from headgate.config.fields import ACCOUNT_NAME_PATTERN
from headgate.sources.names import Names


@given(st.lists(st.text(max_size=200) | st.just("a" * 128), max_size=8))
def test_any_text_gets_a_fit_name_of_its_own(texts: list[str]) -> None:
    names = Names()
    given_out = [names.name_for(text) for text in texts]
    assert len(set(given_out)) == len(given_out)
    assert all(re.fullmatch(ACCOUNT_NAME_PATTERN, name) for name in given_out)
