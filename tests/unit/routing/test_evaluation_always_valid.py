"""The interval of a mean that is looked at all the time."""

import math

import numpy as np
import pytest

from aurora.routing.errors import InputError
from aurora.routing.evaluation.always_valid import always_valid
from aurora.routing.evaluation.comparison import MIN_SAMPLES, Moments, compare


def test_too_few_values_say_nothing() -> None:
    assert always_valid(Moments.of([1.0] * (MIN_SAMPLES - 1))) is None
    assert always_valid(Moments.of(float(n % 2) for n in range(MIN_SAMPLES))) is not None


@pytest.mark.parametrize("level", [0.0, 1.0, float("nan")])
def test_a_level_that_is_none_is_refused(level: float) -> None:
    with pytest.raises(InputError):
        always_valid(Moments.of([0.0, 1.0] * 20), significance_level=level)


def test_the_interval_is_that_of_the_paper() -> None:
    values = [math.sin(n) + 0.2 for n in range(100)]
    found = always_valid(Moments.of(values))
    assert found is not None
    mean = sum(values) / 100
    deviation = math.sqrt(sum((one - mean) ** 2 for one in values) / 99)
    tuning = (-2 * math.log(0.05) + math.log(-2 * math.log(0.05) + 1)) / 100
    grown = 100 * tuning + 1
    half = deviation * math.sqrt(2 * grown / (100**2 * tuning) * math.log(math.sqrt(grown) / 0.05))
    assert found.lower == pytest.approx(mean - half)
    assert found.upper == pytest.approx(mean + half)


def test_p_is_below_the_level_exactly_when_the_interval_leaves_zero_out() -> None:
    rng = np.random.default_rng(2)
    for shift in np.linspace(-0.6, 0.6, 25):
        found = always_valid(Moments.of(rng.normal(shift, 1.0, 120).tolist()))
        assert found is not None
        assert (found.p_value < 0.05) == (found.lower > 0.0 or found.upper < 0.0)


def test_values_that_are_all_the_same_are_certain() -> None:
    same, none = always_valid(Moments.of([2.0] * 40)), always_valid(Moments.of([0.0] * 40))
    assert same is not None
    assert none is not None
    assert (same.p_value, same.lower, same.upper) == (0.0, 2.0, 2.0)
    assert none.p_value == 1.0


@pytest.mark.parametrize("skewed", [False, True], ids=["normal", "skewed"])
def test_looking_at_every_value_finds_no_difference_where_there_is_none(skewed: bool) -> None:
    """Of 200 streams without an effect some 10 may be wrong at some look; a plain test, 60."""
    rng = np.random.default_rng(4)
    wrong = wrong_plain = 0
    for _ in range(200):
        values = rng.exponential(1.0, 400) - 1.0 if skewed else rng.normal(0.0, 1.0, 400)
        moments, seen, plain = Moments(), False, False
        for place, one in enumerate(values.tolist()):
            moments = moments.add(one)
            if place % 5 == 4 and moments.count >= MIN_SAMPLES:
                found = always_valid(moments)
                seen = seen or (found is not None and found.p_value < 0.05)
                zero = Moments(moments.count, 0.0, 0.0)
                plain = plain or (compare(moments, zero).p_value or 1.0) < 0.05
        wrong, wrong_plain = wrong + seen, wrong_plain + plain
    assert wrong <= 18
    assert wrong_plain > 36
