"""Rises and falls, told from noise."""

import random
from collections.abc import Callable

import pytest

from aurora.state.trend import TrendDirection, trend_of


def points(value: Callable[[float], float], n: int = 24) -> list[tuple[float, float]]:
    return [(15.0 * i, value(15.0 * i)) for i in range(n)]


NOISE = random.Random(1)


@pytest.mark.parametrize(
    ("series", "direction"),
    [
        pytest.param(points(lambda t: 1.0 + t / 100.0), "Rising", id="a ramp"),
        pytest.param(points(lambda t: 9.0 - t / 100.0), "Falling", id="a fall"),
        pytest.param(points(lambda _: 3.0), "Flat", id="nothing moves"),
        pytest.param(points(lambda t: t + NOISE.gauss(0, 20)), "Rising", id="a ramp under noise"),
        pytest.param(points(lambda t: t, 7), "Unknown", id="too few readings"),
    ],
)
def test_the_direction(series: list[tuple[float, float]], direction: str) -> None:
    assert trend_of(series).direction == direction


def test_the_slope_is_per_second_and_ignores_an_outlier() -> None:
    series = points(lambda t: 2.0 * t)
    series[10] = (150.0, 1e6)
    assert trend_of(series).slope == pytest.approx(2.0, rel=0.05)


def test_overlapping_windows_are_not_taken_for_a_trend() -> None:
    rng, false = random.Random(2), 0
    for _ in range(200):
        raw = [rng.gauss(10.0, 1.0) for _ in range(28)]
        smooth = [(15.0 * i, sum(raw[i : i + 4]) / 4.0) for i in range(24)]
        false += trend_of(smooth).direction is not TrendDirection.FLAT
    assert false / 200 < 0.2
