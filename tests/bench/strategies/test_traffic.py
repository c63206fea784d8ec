from random import Random

from bench.strategies.traffic import DAY_SECONDS, conversations

DAY = conversations(Random(1), 1500)


def test_the_day_has_peaks_and_a_night() -> None:
    def begun(first: int, last: int) -> int:
        return sum(first * 3600 <= one.begins_at < last * 3600 for one in DAY)

    assert all(0 <= one.begins_at < DAY_SECONDS for one in DAY)
    assert begun(9, 12) > 5 * begun(1, 4)


def test_few_conversations_make_most_of_the_turns() -> None:
    lengths = sorted((len(one.turns) for one in DAY), reverse=True)
    assert sum(lengths[:150]) > 0.4 * sum(lengths)
    assert lengths[len(lengths) // 2] < 10


def test_prompts_grow_until_they_are_compacted() -> None:
    for one in DAY:
        for before, turn in zip(one.turns, one.turns[1:], strict=False):
            assert turn.is_compacted or turn.prompt_tokens > before.prompt_tokens
    assert any(turn.is_compacted for one in DAY for turn in one.turns)
