"""Usage of several calls, summed as far as its price allows."""

from hypothesis import given
from hypothesis import strategies as st

from headgate.dialects.parts import Sums, parts_from_json, parts_to_json
from headgate.dialects.usage import Usage
from headgate.pricing.prices import shipped_table

CALLS = st.lists(
    st.tuples(
        st.sampled_from(["claude-opus-5", "claude-haiku-5-5", "claude-sonnet-5"]),
        st.builds(
            Usage,
            st.integers(0, 300_000),
            st.integers(0, 9_999),
            st.none() | st.integers(0, 300_000),
            service_tier=st.sampled_from([None, "batch"]),
            inference_geo=st.sampled_from([None, "us"]),
            web_search_requests=st.none() | st.integers(0, 3),
        ),
    ),
    max_size=40,
)


@given(calls=CALLS)
def test_calls_that_are_summed_cost_what_they_cost_apart(calls: list[tuple[str, Usage]]) -> None:
    """To one rounding for each sum: long prompts are kept apart from short ones, tiers from tiers."""
    sums = Sums()
    for model, usage in calls:
        sums.add(model, usage)
    price = shipped_table().budget_cost_of
    apart = sum(price("anthropic", model, usage) for model, usage in calls)
    parts = sums.parts()
    together = sum(price("anthropic", part.model, part.usage) for part in parts)
    assert abs(apart - together) <= len(calls) + len(parts)
    assert sum(part.usage.requests or 0 for part in parts) == len(calls)
    assert parts_from_json(parts_to_json(parts)) == parts


def test_names_that_nobody_would_give_a_model_are_not_kept() -> None:
    """A provider in between may write anything."""
    sums = Sums()
    for name in ("x" * 500, "a\0b", "\ud800"):
        sums.add(name, Usage(1, 1))
    assert [part.model for part in sums.parts()] == ["(other models)"]
