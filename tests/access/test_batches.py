from headgate.access import batches
from headgate.access.batches import BatchMemory
from headgate.access.limits import Spending
from headgate.access.meter import KeyMeter, Sold
from headgate.dialects.usage import Part, Usage
from headgate.pricing.prices import Prices
from headgate.pricing.rates import NANO

PATH = "/v1/messages/batches/msgbatch_{}/results"
MILLION = 1_000_000


def _results(millions: int) -> Usage:
    part = Usage(millions * MILLION, 0, service_tier="batch", requests=millions)
    return Usage(
        millions * MILLION, 0, service_tier="batch", requests=millions, parts=(Part("claude-opus-5", part),)
    )


def test_a_budget_pays_a_batch_once_and_no_limit_of_tokens_does() -> None:
    """Nor does it say what the next request may cost."""
    memory, meter = BatchMemory(), KeyMeter(Prices())
    for millions in (1, 1, 3, 2):
        news = memory.news(PATH.format(1), _results(millions))
        assert meter.settle(Sold(None), news, 1_700_000_000.0) == 0
    assert meter.spending.total == 3 * 5 * NANO // 2
    assert (meter.spending.window_tokens, meter.mean_nano, meter.mean_tokens) == (0, -1, -1)
    assert meter.spending.day_nano == meter.spending.total
    assert isinstance(meter.spending, Spending)


def test_what_earlier_lives_counted_is_known_and_the_memory_is_bounded() -> None:
    memory = BatchMemory()
    memory.load([("msgbatch_1", _results(2).parts or ())])
    assert memory.news(PATH.format(1), _results(2)).parts == ()
    for number in range(2, batches.MOST + 2):
        memory.news(PATH.format(number), _results(1))
    assert memory.news(PATH.format(1), _results(2)).parts != (), "forgotten: the least recent one"
