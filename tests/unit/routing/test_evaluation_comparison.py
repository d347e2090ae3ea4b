"""Two policies side by side: the split of requests and the test of their difference."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.routing.errors import InputError
from aurora.routing.evaluation.comparison import Moments, Side, Verdict, compare, side_of


def drawn(mean: float, count: int, seed: int) -> Moments:
    return Moments.of(np.random.default_rng(seed).normal(mean, 1.0, count).tolist())


@pytest.mark.parametrize(
    ("a", "b", "verdict"),
    [
        pytest.param(drawn(1.0, 400, 1), drawn(0.5, 400, 2), Verdict.A_BETTER, id="a is better"),
        pytest.param(drawn(0.5, 400, 1), drawn(1.0, 400, 2), Verdict.B_BETTER, id="b is better"),
        pytest.param(drawn(1.0, 400, 1), drawn(1.0, 400, 2), Verdict.NO_DIFFERENCE, id="alike"),
        pytest.param(drawn(1.0, 400, 1), drawn(9.0, 5, 2), Verdict.TOO_FEW, id="too few"),
        pytest.param(
            Moments.of([1.0] * 50),
            Moments.of([1.0] * 50),
            Verdict.NO_DIFFERENCE,
            id="constant and alike",
        ),
        pytest.param(
            Moments.of([1.0] * 50),
            Moments.of([2.0] * 50),
            Verdict.B_BETTER,
            id="constant and different",
        ),
    ],
)
def test_verdicts(a: Moments, b: Moments, verdict: Verdict) -> None:
    found = compare(a, b)
    assert found.verdict is verdict
    assert (found.difference is None) == (verdict is Verdict.TOO_FEW)


def test_false_alarms_are_as_rare_as_promised() -> None:
    verdicts = [compare(drawn(0, 60, s), drawn(0, 60, s + 10_000)).verdict for s in range(400)]
    alarms = sum(verdict is not Verdict.NO_DIFFERENCE for verdict in verdicts)
    # 20 of 400 are expected; 40 is 4.6 standard errors more.
    assert 4 <= alarms <= 40


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=60))
def test_moments_are_those_of_numpy(values: list[float]) -> None:
    found = Moments.of(values)
    assert found.mean == pytest.approx(np.mean(values), abs=1e-6)
    spread = float(np.std(values, ddof=1))
    assert found.error == pytest.approx(spread / math.sqrt(len(values)), rel=1e-6, abs=1e-6)


@given(st.text(max_size=20), st.floats(0.0, 100.0), st.floats(0.0, 100.0))
def test_more_percent_never_takes_a_key_from_side_a(key: str, one: float, two: float) -> None:
    low, high = sorted((one, two))
    assert side_of(key, 0.0) is Side.B
    assert side_of(key, 100.0) is Side.A
    if side_of(key, low) is Side.A:
        assert side_of(key, high) is Side.A


def test_the_share_of_keys_is_the_percentage() -> None:
    taken = sum(side_of(f"user-{index}", 20.0) is Side.A for index in range(20_000))
    assert taken / 20_000 == pytest.approx(0.20, abs=0.015)
    other = [side_of(f"user-{index}", 20.0, salt="x") for index in range(100)]
    assert other != [side_of(f"user-{index}", 20.0) for index in range(100)]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_reward_that_is_not_finite_is_refused(bad: float) -> None:
    with pytest.raises(InputError):
        Moments().add(bad)


def test_a_percent_outside_0_to_100_is_refused() -> None:
    with pytest.raises(InputError):
        side_of("a", 101.0)
