"""Two sides that are compared while they run: looking often must not make chance a finding."""

import numpy as np
import pytest

from aurora.routing.evaluation.any_time import compare_at_any_time
from aurora.routing.evaluation.comparison import Moments, Verdict, compare

LOOKS = range(60, 2000, 20)


def rewards(rng: np.random.Generator, count: int, success: float) -> np.ndarray:
    """As the engine's: +10, or -20 for a failure."""
    return np.where(rng.random(count) < success, 10.0, -20.0)


def alarms(comparison: object, success: float, runs: int = 150) -> int:
    """Runs of which any look said that one side is better."""
    return sum(_alarmed(comparison, success, seed) for seed in range(runs))


def _alarmed(comparison: object, success: float, seed: int) -> bool:
    rng = np.random.default_rng(seed)
    a, b = rewards(rng, 2000, 0.9), rewards(rng, 2000, success)
    known = Moments(), Moments()
    before = 0
    for look in LOOKS:
        known = _more(known[0], a[before:look]), _more(known[1], b[before:look])
        before = look
        if comparison(*known).verdict in {Verdict.A_BETTER, Verdict.B_BETTER}:
            return True
    return False


def _more(moments: Moments, values: np.ndarray) -> Moments:
    for value in values.tolist():
        moments = moments.add(value)
    return moments


def test_false_alarms_are_rare_at_all_looks_together() -> None:
    # 7.5 of 150 are allowed; 15 is 2.8 standard errors more.
    assert alarms(compare_at_any_time, 0.9) <= 15
    # A test that is meant for one look is not: that is why this one exists.
    assert alarms(compare, 0.9) > 30


def test_a_true_difference_is_found() -> None:
    assert alarms(compare_at_any_time, 0.8, runs=20) == 20


@pytest.mark.parametrize("count", [0, 1, 29])
def test_too_few_of_one_side_are_no_finding(count: int) -> None:
    found = compare_at_any_time(Moments.of([1.0] * count), Moments.of([2.0] * 500))
    assert found.verdict is Verdict.TOO_FEW
    assert (found.difference, found.p_value) == (None, None)


@pytest.mark.parametrize(
    ("a", "b", "verdict"),
    [
        pytest.param(1.0, 1.0, Verdict.NO_DIFFERENCE, id="constant and alike"),
        pytest.param(2.0, 1.0, Verdict.A_BETTER, id="constant, a better"),
        pytest.param(1.0, 2.0, Verdict.B_BETTER, id="constant, b better"),
    ],
)
def test_sides_without_any_spread(a: float, b: float, verdict: Verdict) -> None:
    assert compare_at_any_time(Moments.of([a] * 40), Moments.of([b] * 40)).verdict is verdict


def test_the_bounds_are_wider_than_those_for_one_look() -> None:
    rng = np.random.default_rng(4)
    a, b = (Moments.of(rewards(rng, 300, 0.9).tolist()) for _ in range(2))
    once, always = compare(a, b), compare_at_any_time(a, b)
    assert always.difference == once.difference
    assert always.lower < once.lower < once.upper < always.upper
