"""The hit ratio over replicas: against the renewal formula, a simulation, and its invariants."""

import random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from aurora.cachesidecar.estimate import Measured, callers_quantile, expected_hit_ratio
from aurora.errors import UsageError

measured = st.builds(
    Measured,
    repeat_share=st.floats(0.01, 0.99),
    request_rate=st.floats(0.1, 1_000),
    ttl_s=st.floats(1, 3_600),
    replicas=st.integers(1, 20),
)


@given(measured, st.integers(1, 50))
def test_more_pods_never_hit_more(given_: Measured, replicas: int) -> None:
    fewer = expected_hit_ratio(given_, replicas=replicas, ttl_s=given_.ttl_s)
    more = expected_hit_ratio(given_, replicas=replicas + 1, ttl_s=given_.ttl_s)
    assert more.low < fewer.low
    assert more.high <= fewer.high + 1e-12


@given(measured, st.integers(1, 50), st.floats(1, 3_600))
def test_the_bounds_are_shares_in_order(given_: Measured, replicas: int, ttl_s: float) -> None:
    ratio = expected_hit_ratio(given_, replicas=replicas, ttl_s=ttl_s)
    assert 0 <= ratio.low <= ratio.high <= 1


@given(measured)
def test_as_measured_the_share_itself_is_expected(given_: Measured) -> None:
    busiest = given_.request_rate * given_.ttl_s / given_.replicas
    assume(given_.repeat_share < busiest / (1 + busiest))
    ratio = expected_hit_ratio(given_, replicas=given_.replicas, ttl_s=given_.ttl_s)
    assert ratio.low == pytest.approx(given_.repeat_share)
    assert ratio.high == pytest.approx(given_.repeat_share)


def simulated(rates: list[float], *, replicas: int, ttl_s: float, seconds: float) -> float:
    """Return the hit ratio of TTL caches behind a random balancer, request by request."""
    rng = random.Random(7)
    stored: dict[tuple[int, int], float] = {}
    hits = total = 0
    now = 0.0
    while now < seconds:
        now += rng.expovariate(sum(rates))
        key = (rng.choices(range(len(rates)), rates)[0], rng.randrange(replicas))
        total += 1
        if now - stored.get(key, -ttl_s) < ttl_s:
            hits += 1
        else:
            stored[key] = now
    return hits / total


@pytest.mark.parametrize("replicas", [2, 5])
@pytest.mark.parametrize(
    "rates",
    [
        pytest.param([0.05] * 40, id="all keys alike"),
        pytest.param([2 / rank for rank in range(1, 41)], id="Zipf"),
        pytest.param([5.0] + [0.001] * 2_000, id="one hot key among thousands"),
    ],
)
def test_a_simulation_lies_between_the_bounds(rates: list[float], replicas: int) -> None:
    ttl_s = 30.0
    one = simulated(rates, replicas=1, ttl_s=ttl_s, seconds=3_000)
    many = simulated(rates, replicas=replicas, ttl_s=ttl_s, seconds=3_000)
    given_ = Measured(one, sum(rates), ttl_s, 1)
    ratio = expected_hit_ratio(given_, replicas=replicas, ttl_s=ttl_s)
    assert ratio.low - 0.02 <= many <= ratio.high + 0.02


@pytest.mark.parametrize(
    "bad",
    [
        Measured(1.1, 1, 1, 1),
        Measured(float("nan"), 1, 1, 1),
        Measured(0.5, 0, 1, 1),
        Measured(0.5, 1, 1, 0),
    ],
)
def test_numbers_that_say_nothing_are_refused(bad: Measured) -> None:
    with pytest.raises(UsageError):
        expected_hit_ratio(bad, replicas=1, ttl_s=1)


@given(st.floats(0.5, 0.999), st.floats(0, 0.49))
def test_a_cache_moves_the_callers_quantile_down(quantile: float, hit_ratio: float) -> None:
    engine = callers_quantile(quantile, hit_ratio=hit_ratio)
    assert engine is not None
    assert engine <= quantile
    # A share `engine` of the misses and all hits are at or below it.
    assert hit_ratio + (1 - hit_ratio) * engine == pytest.approx(quantile)


def test_a_hit_is_at_the_quantile_once_hits_reach_it() -> None:
    assert callers_quantile(0.95, hit_ratio=0.96) is None
