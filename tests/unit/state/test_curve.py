"""One latency against load: learning, monotony, robustness."""

import math
import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aurora.state.curve import MAX_BINS, Curve, fit, learn, levels, total_weight

LOADS = st.floats(min_value=1e-3, max_value=1e6)
LATENCIES = st.floats(min_value=1e-4, max_value=1e4)


def taught(points: list[tuple[float, float]], *, weight: float = 0.5, at: float = 0.0) -> Curve:
    curve = Curve()
    for n, (load, latency) in enumerate(points):
        curve = learn(curve, load=load, latency=latency, weight=weight, at=at + 30.0 * n)
    return curve


def queue(load: float) -> float:
    """0.5 s without load, and saturated at 100."""
    return 0.5 / (1.0 - load / 100.0)


@given(st.lists(st.tuples(LOADS, LATENCIES), min_size=1, max_size=60), st.lists(LOADS, min_size=2))
@settings(max_examples=150)
def test_more_load_never_predicts_less_latency_and_all_is_finite(
    points: list[tuple[float, float]], asked: list[float]
) -> None:
    curve = taught(points)
    found = [levels(curve, load) for load in sorted(asked)]
    assert all(math.isfinite(x) for answer in found for x in answer)
    predicted = [level for level, _, _ in found]
    assert all(a <= b + 1e-9 for a, b in pairwise(predicted))
    assert all(spread > 0.0 and error > 0.0 for _, spread, error in found)


@given(st.lists(st.tuples(LOADS, LATENCIES), min_size=100, max_size=200))
@settings(max_examples=20)
def test_the_memory_of_a_curve_is_bounded(points: list[tuple[float, float]]) -> None:
    assert len(taught(points).bins) <= MAX_BINS


@pytest.mark.parametrize("load", [10.0, 35.0, 62.0, 78.0], ids=lambda x: f"at load {x:g}")
def test_a_clean_queue_is_learned_within_five_percent(load: float) -> None:
    rng = random.Random(4)
    curve = taught([(x, queue(x)) for _ in range(200) if (x := rng.uniform(5.0, 80.0))])
    assert math.exp(levels(curve, load)[0]) == pytest.approx(queue(load), rel=0.05)


def test_the_line_carries_the_curve_beyond_the_load_seen() -> None:
    rng = random.Random(5)
    curve = taught([(x, queue(x)) for _ in range(200) if (x := rng.uniform(5.0, 60.0))])
    assert math.exp(levels(curve, 75.0)[0]) == pytest.approx(queue(75.0), rel=0.25)
    assert levels(curve, 75.0)[2] > levels(curve, 40.0)[2]


def test_one_stalled_request_does_not_bend_the_curve() -> None:
    rng = random.Random(6)
    points = [(x, queue(x)) for _ in range(100) if (x := rng.uniform(5.0, 60.0))]
    before = fit(taught(points), 3000.0)
    after = fit(learn(before, load=30.0, latency=500.0, weight=0.5, at=3000.0), 3000.0)
    assert levels(after, 30.0)[0] - levels(before, 30.0)[0] < 0.06


def test_a_slower_server_is_learned_when_it_stays_slower() -> None:
    rng = random.Random(7)
    loads = [rng.uniform(5.0, 60.0) for _ in range(900)]
    curve = taught([(x, queue(x)) for x in loads[:100]])
    for n, load in enumerate(loads[100:]):
        curve = learn(curve, load=load, latency=2.0 * queue(load), weight=0.5, at=3000.0 + 30 * n)
    assert math.exp(levels(curve, 40.0)[0]) == pytest.approx(2.0 * queue(40.0), rel=0.15)


def test_a_range_of_load_not_visited_fades_but_is_not_forgotten_in_an_hour() -> None:
    curve = taught([(10.0, 1.0)] * 20)
    weight = total_weight(curve, 600.0)
    assert total_weight(curve, 600.0 + 3600.0) > 0.95 * weight
    assert total_weight(curve, 600.0 + 86_400.0) == pytest.approx(0.5 * weight, rel=0.02)
