"""Load ahead: level, slope, bursts, gaps, hours of the day."""

import math
import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aurora.state.daytime import DAY_S
from aurora.state.forecast import ERRORS, TRACKS, Series

START = 1_800_000_000.0 - 1_800_000_000.0 % DAY_S


def fed(load: Callable[[float], float], seconds: float, *, every: float = 15.0) -> Series:
    series = Series()
    for n in range(int(seconds / every)):
        series = series.learned(load(n * every), START + n * every)
    return series


def test_a_steady_load_is_forecast_as_it_is_and_tightly() -> None:
    rng = random.Random(1)
    series = fed(lambda _: 10.0 + rng.gauss(0.0, 0.2), 3600.0)
    found = series.forecast(START + 3600.0, 120.0)
    assert found is not None
    assert found.mean == pytest.approx(10.0, abs=0.7)
    assert found.high - found.low < 2.0


def test_a_ramp_is_followed() -> None:
    series = fed(lambda t: 10.0 + t / 60.0, 3600.0)
    found = series.forecast(START + 3585.0, 120.0)
    assert found is not None
    assert found.mean == pytest.approx(10.0 + (3585.0 + 120.0) / 60.0, rel=0.02)


def test_bursts_widen_the_range_upwards() -> None:
    series = fed(lambda t: 40.0 if t % 600.0 >= 540.0 else 10.0, 3600.0)
    found = series.forecast(START + 3600.0 + 300.0, 60.0, probability=0.9)
    assert found is not None
    assert found.high > 30.0


def test_a_slope_that_never_comes_true_loses_its_weight() -> None:
    rng = random.Random(2)
    series = fed(lambda _: rng.choice([5.0, 30.0]), 5400.0)
    assert series.trust.share < 0.3


@pytest.mark.parametrize("horizon", [30.0, 120.0, 300.0])
def test_the_range_covers_the_load_as_often_as_it_says(horizon: float) -> None:
    rng = random.Random(3)
    loads = [12.0 + 6.0 * math.sin(t / 300.0) + rng.gauss(0.0, 2.0) for t in range(0, 30_000, 15)]
    series, inside, asked, step = Series(), 0, 0, int(horizon / 15.0)
    for n, load in enumerate(loads):
        series = series.learned(load, START + 15.0 * n)
        found = series.forecast(START + 15.0 * n, horizon, probability=0.8)
        if n > 400 and n + step < len(loads) and found is not None:
            asked += 1
            inside += found.low <= loads[n + step] <= found.high
    assert 0.7 <= inside / asked <= 0.95


def test_a_gap_is_no_load_of_zero() -> None:
    series = fed(lambda _: 10.0, 1800.0).learned(10.0, START + 1800.0 + 240.0)
    found = series.forecast(START + 1800.0 + 240.0, 60.0)
    assert found is not None
    assert found.mean == pytest.approx(10.0, rel=0.01)


def test_an_older_reading_widens_the_horizon_and_then_says_nothing() -> None:
    rng = random.Random(4)
    series = fed(lambda _: max(0.0, rng.gauss(10.0, 3.0)), 3600.0)
    fresh = series.forecast(START + 3585.0, 30.0)
    assert fresh is not None
    assert series.forecast(START + 3600.0 + 901.0, 30.0) is None


def test_nothing_is_forecast_before_the_first_reading() -> None:
    assert Series().forecast(START, 60.0) is None


def daily(t: float) -> float:
    return 10.0 + 8.0 * math.sin(2.0 * math.pi * t / DAY_S)


def test_the_hour_of_the_day_counts_only_once_an_earlier_day_was_seen() -> None:
    day = fed(daily, DAY_S * 0.9, every=60.0)
    at = START + DAY_S * 0.9
    first = day.forecast(at, 300.0)
    assert first is not None
    assert not first.seasonal
    later = fed(daily, DAY_S * 1.9, every=60.0).forecast(at + DAY_S, 300.0)
    assert later is not None
    assert later.seasonal
    assert later.mean == pytest.approx(daily(DAY_S * 1.9 + 300.0), rel=0.05)


@given(
    loads=st.lists(st.floats(0.0, 1e6), min_size=1, max_size=80),
    every=st.sampled_from([15.0, 30.0, 60.0]),
    late=st.floats(0.0, 1000.0),
    horizon=st.floats(0.0, 2000.0),
    probability=st.sampled_from([0.1, 0.8, 0.95, 0.999]),
)
def test_no_range_passes_the_highest_load(
    loads: list[float], every: float, late: float, horizon: float, probability: float
) -> None:
    series = Series()
    for n, load in enumerate(loads):
        series = series.learned(load, 1000.0 + every * n)
    at = 1000.0 + every * (len(loads) - 1) + late
    highest, found = series.highest(at, horizon), series.forecast(at, horizon, probability)
    if highest is not None:
        assert found is not None
        assert found.errors > 0
        assert found.high <= highest


@given(
    st.lists(st.tuples(st.floats(0.0, 1e9), st.floats(0.0, 2000.0)), min_size=1, max_size=120),
    st.floats(0.0, 3600.0),
    st.floats(0.05, 0.99),
)
@settings(max_examples=150)
def test_a_forecast_is_finite_ordered_and_never_negative(
    readings: list[tuple[float, float]], horizon: float, probability: float
) -> None:
    series, at = Series(), START
    for value, passed in readings:
        at += passed
        series = series.learned(value, at)
    found = series.forecast(at, horizon, probability)
    assert found is not None
    assert 0.0 <= found.low <= found.mean <= found.high < math.inf
    assert len(series.tracks) <= TRACKS
    assert all(len(errors) <= ERRORS for errors in series.errors)
