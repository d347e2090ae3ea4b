import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.simulator.promql import histogram_quantile, increase


def grown(times, values, start=0.0, end=60.0):
    result = increase(times, [np.array([float(v)]) for v in values], start=start, end=end)
    return None if result is None else float(result[0])


# Expected figures follow extrapolatedRate of Prometheus by hand.
@pytest.mark.parametrize(
    ("times", "values", "expected"),
    [
        pytest.param([], [], None, id="no sample is no value"),
        pytest.param([30], [5], None, id="one sample is no value"),
        pytest.param([10, 25, 40, 55], [100, 115, 130, 145], 60.0, id="both edges are reached"),
        pytest.param([10, 25, 40], [100, 115, 130], 30 * (30 + 10 + 7.5) / 30, id="far end: half"),
        pytest.param([10, 25, 40, 55], [0, 15, 30, 45], 50.0, id="nothing before zero"),
        pytest.param([10, 25, 40, 55], [100, 115, 5, 20], 35 * 60 / 45, id="a reset adds"),
        pytest.param([10, 25, 40, 55], [7, 7, 7, 7], 0.0, id="no growth is 0, not missing"),
    ],
)
def test_increase_is_what_prometheus_extrapolates(times, values, expected):
    result = grown(times, values)
    assert result == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(
    ("quantile", "cumulative", "expected"),
    [
        pytest.param(0.5, [0, 10, 10, 10], 1.5, id="inside a bucket it interpolates"),
        pytest.param(0.9, [10, 10, 10, 10], 0.9, id="the first bucket starts at 0"),
        pytest.param(0.95, [0, 0, 0, 10], 4.0, id="above all bounds it is the last bound"),
        pytest.param(0.5, [10, 9.9, 20, 20], 1.0, id="a non-monotone count is repaired"),
    ],
)
def test_histogram_quantile_is_what_prometheus_answers(quantile, cumulative, expected):
    result = histogram_quantile(quantile, (1.0, 2.0, 4.0), np.array(cumulative, dtype=float))
    assert result == pytest.approx(expected)


def test_a_quantile_of_nothing_is_not_a_number():
    assert math.isnan(histogram_quantile(0.95, (1.0, 2.0), np.zeros(3)))


@given(st.lists(st.floats(0.0, 3.9), min_size=1), st.floats(0.01, 1.0))
def test_a_quantile_lies_in_the_bucket_of_the_exact_one(values, quantile):
    bounds = (1.0, 2.0, 4.0)
    counts = np.array([sum(v <= b for v in values) for b in bounds] + [len(values)], dtype=float)
    exact = sorted(values)[max(0, math.ceil(quantile * len(values) - 1e-9) - 1)]
    index = next(i for i, bound in enumerate(bounds) if exact <= bound)
    low = bounds[index - 1] if index else 0.0
    assert low - 1e-9 <= histogram_quantile(quantile, bounds, counts) <= bounds[index] + 1e-9
