"""The final mixture, and that the draw follows it: the ground under every propensity."""

import math
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.routing import RoutingError
from aurora.routing.mixture import draw, final_probabilities


@st.composite
def cases(make: st.DrawFn) -> tuple[list[float], float, tuple[int, ...]]:
    weights = make(st.lists(st.integers(0, 10), min_size=1, max_size=8).filter(any))
    total = sum(weights)
    passing = make(st.sets(st.integers(0, len(weights) - 1)))
    floor = make(st.floats(0.0, 1.0))
    return [w / total for w in weights], floor, tuple(sorted(passing))


@given(cases(), st.floats(0.0, 1.0, exclude_max=True))
def test_the_propensity_is_the_final_mixtures(case: tuple, uniform: float) -> None:
    probabilities, floor, passing = case
    final = final_probabilities(probabilities, floor, passing)
    index, propensity = draw(probabilities, floor, passing, uniform)
    assert math.isclose(propensity, final[index], abs_tol=1e-12)
    assert propensity > 0.0
    assert math.isclose(sum(final), 1.0, abs_tol=1e-9)


@given(cases())
def test_every_arm_that_passes_has_its_share_of_the_floor(case: tuple) -> None:
    probabilities, floor, passing = case
    final = final_probabilities(probabilities, floor, passing)
    for index in passing:
        assert final[index] >= floor / len(passing) - 1e-12


@given(cases())
def test_the_draw_follows_the_mixture(case: tuple) -> None:
    """Equally spaced numbers stand for the uniform law: shares must match to the spacing."""
    probabilities, floor, passing = case
    final = final_probabilities(probabilities, floor, passing)
    steps = 4000
    drawn = Counter(
        draw(probabilities, floor, passing, (step + 0.5) / steps)[0] for step in range(steps)
    )
    for index, expected in enumerate(final):
        assert abs(drawn[index] / steps - expected) <= (2 * len(final) + 2) / steps


def test_a_greedy_choice_without_a_floor_is_certain() -> None:
    assert draw([0.0, 1.0, 0.0], 0.0, (0, 1, 2), 0.999) == (1, 1.0)


def test_in_advisory_mode_the_floor_is_only_for_those_that_pass() -> None:
    assert final_probabilities([1.0, 0.0, 0.0], 0.3, (1, 2)) == pytest.approx([0.7, 0.15, 0.15])


def test_nobody_passing_means_no_floor() -> None:
    assert final_probabilities([0.5, 0.5], 0.3, ()) == [0.5, 0.5]


@pytest.mark.parametrize(
    "probabilities",
    [
        pytest.param([0.5, 0.4], id="too little"),
        pytest.param([0.7, 0.7], id="too much"),
        pytest.param([math.nan, 1.0], id="not a number"),
    ],
)
def test_probabilities_that_do_not_sum_to_1_are_refused(probabilities: list[float]) -> None:
    with pytest.raises(RoutingError, match="do not sum to 1"):
        draw(probabilities, 0.1, (0, 1), 0.5)


def test_an_arm_of_probability_0_is_never_drawn_by_rounding() -> None:
    probabilities = [0.1] * 10 + [0.0]
    rng = random.Random(1)
    assert all(draw(probabilities, 0.0, (0,), rng.random())[0] != 10 for _ in range(10_000))
    assert draw(probabilities, 0.0, (), 1.0 - 2**-53)[0] == 9
